// The stream of news, while the page can be seen: browsers have few connections for one server.

export function listen(told) {
  let source = null;
  const start = () => {
    if (source || document.hidden) return;
    source = new EventSource("live");
    source.onopen = () => told.open();
    source.onerror = () => {
      told.lost();
      if (source?.readyState !== EventSource.CLOSED) return;  // else the browser tries again by itself
      source = null;
      setTimeout(start, 3000);
    };
    for (const name of ["news", "health", "trouble"]) source.addEventListener(name, (event) => told[name](JSON.parse(event.data)));
    source.addEventListener("lost", () => told.missed());
  };
  const stop = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", start);
  start();
}
