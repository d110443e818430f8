// What is shown is in the page's address: filters, a place in the list, an exchange, another beside it, a tab.

export const FILTERS = ["text", "outcome", "status", "model", "path", "since", "until"];
const NAMES = [...FILTERS, "before", "id", "with", "tab"];

export function wanted() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, given.get(name) || ""]));
}

export function query(values, names = NAMES) {
  const told = new URLSearchParams();
  for (const name of names) if (values[name]) told.set(name, values[name]);
  return told.toString();
}

export const filtered = (values) => FILTERS.some((name) => values[name]);
export const href = (values) => `?${query(values)}`;

let follow = () => {};

// Go on with some values changed; `instead`: the step before is not one that anybody goes back to.
export function go(changes, instead = false) {
  const address = query({ ...wanted(), ...changes });
  history[instead ? "replaceState" : "pushState"](null, "", address ? `?${address}` : "./");
  follow();
}

export function onMove(act) {
  follow = act;
  addEventListener("popstate", act);
}
