// Elements are made of text and attributes only: nothing that came over the wire is ever parsed as HTML.

export const $ = (id) => document.getElementById(id);

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A button between whose press and whose answer it cannot be pressed again.
export function button(text, act, props) {
  const made = h("button", { type: "button", ...props, onclick: async () => {
    made.disabled = true;
    try { await act(made); } catch (error) { toast(error.message); } finally { made.disabled = false; }
  } }, text);
  return made;
}

let hiding = 0;

export function toast(text) {
  const place = $("toast");
  place.textContent = text;
  place.classList.add("on");
  clearTimeout(hiding);
  hiding = setTimeout(() => place.classList.remove("on"), 4000);
}
