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

// Make an element what another one is. What is the same stays, and so do buttons: one that went away between the press
// and the release of a mouse would not be clicked, and one that has the focus would lose it.
export function become(old, made) {
  if (old.isEqualNode(made) || (old.tagName === "BUTTON" && made.tagName === "BUTTON")) return;
  if (old.nodeType === Node.TEXT_NODE && made.nodeType === Node.TEXT_NODE) { old.data = made.data; return; }
  if (old.tagName !== made.tagName || !old.tagName || made.hasAttribute("style")) { old.replaceWith(made); return; }
  for (const name of old.getAttributeNames()) if (name !== "tabindex" && !made.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of made.attributes) if (name !== "tabindex" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  const before = [...old.childNodes], after = [...made.childNodes];
  if (before.length !== after.length) old.replaceChildren(...after);
  else before.forEach((child, index) => become(child, after[index]));
}

// Give an element these children; those that it has already are not moved, for the same reason.
export function settle(place, children) {
  const wanted = new Set(children);
  for (const child of [...place.children]) if (!wanted.has(child)) child.remove();
  let at = place.firstElementChild;
  for (const child of children) {
    if (child === at) at = at.nextElementSibling;
    else place.insertBefore(child, at);
  }
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
