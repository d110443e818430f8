// What can be done with one exchange.
import { go } from "./address.js";
import { one, post } from "./api.js";
import { $, h, toast } from "./dom.js";
import { way } from "./format.js";

export async function copy(text, title) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied as ${title}.`);
  } catch {  // browsers give the clipboard to encrypted and to local pages only
    $("recipe-title").textContent = title;
    $("recipe-text").value = text;
    $("recipe").showModal();
    $("recipe-text").select();
  }
}

export function askAgain(seen) {
  const { costs, stored } = document.body.dataset, { mode, other } = seen.repeat;
  const modes = mode ? [[mode, `as then: ${way(mode)}`], [other, `the other way: ${way(other)}`]] : [["off", "as the client does"]];
  $("replay-modes").replaceChildren(h("legend", null, "How the provider is asked"), ...modes.map(([value, text], index) =>
    h("label", null, h("input", { type: "radio", name: "mode", value, checked: index === 0 }), ` ${text}`)));
  $("replay-cost").textContent = costs ? "This asks the provider once more. It costs money, as any ask does." : "This asks the provider once more; it is part of this program, so that it costs nothing.";
  $("replay-stored").textContent = stored ? "Left empty, the proxy's own key is used. A key typed here is used once and kept nowhere." : "The proxy has no key of its own. A key typed here is used once and kept nowhere.";
  $("replay-key").value = "";
  $("replay-wrong").textContent = "";
  $("replay-go").onclick = () => send(seen.logging_id);
  $("replay").showModal();
}

async function send(id) {
  const key = $("replay-key").value, mode = $("replay-modes").querySelector("input:checked").value, act = $("replay-go");
  $("replay-key").value = "";
  act.disabled = true;
  act.textContent = "Asking …";
  try {
    const made = await post(`${one(id)}/replay`, { mode, key });
    $("replay").close();
    go({ id, with: made.logging_id });
  } catch (error) {
    $("replay-wrong").textContent = error.message;
  } finally {
    act.disabled = false;
    act.textContent = "Ask again";
  }
}
