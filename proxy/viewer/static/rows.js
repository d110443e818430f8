// The list: what is under way on top, with running clocks, and what is over below it, the newest first.
import { href, wanted } from "./address.js";
import { cancel } from "./api.js";
import { $, become, button, h, settle, toast } from "./dom.js";
import { clock, count, day, moment, ms, outcomeClass, speed, statusClass, way } from "./format.js";

export const PAGE = 100;  // rows of a page
const LEAVING = 4000;  // ms that a row stays which is no longer under way and not yet in the journals

const ended = new Map();
const live = new Map();
let pressed = false, late = false;
let drift = 0;  // the proxy's clock less ours, ms

const body = () => $("rows");
export const shown = () => [...body().rows];
export const oldest = () => [...ended.keys()].pop();
export const size = () => ended.size;
const latestFirst = (a, b) => (a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : 0);

export function replace(rows) {
  ended.clear();
  for (const row of rows) ended.set(row.logging_id, row);
  for (const row of rows) live.delete(row.logging_id);
  paint();
}

// Rows that have just ended; where more come than a page has, the oldest go.
export function add(rows) {
  for (const row of rows) { ended.set(row.logging_id, { ...row, fresh: true }); live.delete(row.logging_id); }
  const sorted = [...ended.values()].sort(latestFirst).slice(0, PAGE);
  ended.clear();
  for (const row of sorted) ended.set(row.logging_id, row);
}

export function underWay(rows, now) {
  drift = moment(now) - Date.now();
  const seen = new Set();
  for (const row of rows) {
    seen.add(row.logging_id);
    if (!ended.has(row.logging_id)) live.set(row.logging_id, { row, until: 0 });
  }
  for (const [id, one] of live) {
    if (seen.has(id)) continue;
    one.until ||= Date.now() + LEAVING;
    if (Date.now() > one.until) live.delete(id);
  }
}

export const noneUnderWay = () => live.clear();

// While a row is pressed, or a button to cancel is pointed at, no row comes or goes: it would be another that is hit.
const isHeld = () => pressed || Boolean(body().querySelector(".cancel:hover"));
body().addEventListener("pointerdown", () => { pressed = true; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => { pressed = false; }));

export function paint() {
  const kept = new Map(shown().map((row) => [row.dataset.id, row])), focus = document.activeElement?.closest("#rows tr");
  const place = shown().indexOf(focus), running = [...live.values()].map((one) => one.row).sort(latestFirst);
  const rows = [...running.map((row) => liveRow(row, kept.get(row.logging_id))), ...[...ended.values()].map((row) => endedRow(row, kept.get(row.logging_id)))];
  late = isHeld();
  if (late) return;
  settle(body(), rows);
  if (place >= 0 && !body().contains(document.activeElement)) (rows.includes(focus) ? focus : rows[Math.min(place, rows.length - 1)])?.focus({ preventScroll: true });
  const stop = rows.find((row) => row.tabIndex === 0) || rows[0];
  for (const row of rows) row.tabIndex = row === stop ? 0 : -1;
}

function endedRow(row, old) {
  if (old && !old.classList.contains("live")) { old.classList.remove("fresh"); return old; }
  const made = line(row, row.fresh ? "fresh" : "");
  delete row.fresh;
  return turned(old, made);
}

function liveRow(row, old) {
  const facts = JSON.stringify([row.ttft_ms, row.chunks, row.attempts, row.send_mode, row.sent_model]);
  if (old?.dataset.facts === facts) return old;
  const made = line(row, "live");
  made.dataset.facts = facts;
  return turned(old, made);
}

// A row stays the same element for as long as it is shown.
function turned(old, made) {
  if (!old) return made;
  become(old, made);
  return old;
}

function line(row, kind) {
  const isLive = kind === "live", at = moment(row.timestamp);
  const made = h("tr", { class: kind || null, "data-id": row.logging_id, tabindex: "-1" },
    h("td", { class: "t" }, h("a", { href: href({ ...wanted(), id: row.logging_id }), tabindex: "-1", title: `${row.timestamp} UTC` }, day(at) + clock(at))),
    h("td", { class: "st" }, status(row)), h("td", { class: "model", title: row.path }, models(row)), h("td", { class: "ways" }, ways(row)),
    h("td", { class: "num first" }, ms(row.ttft_ms)),
    h("td", { class: "num total" }, isLive ? h("span", { "data-since": row.timestamp }, running(row.timestamp)) : [ms(row.duration_ms), bar(row)]),
    h("td", { class: "num tokens" }, isLive ? `${count(row.chunks)} frames` : `${count(row.tokens_in)} / ${count(row.tokens_out)}`),
    h("td", { class: "num speed" }, isLive ? "" : speed(row)), h("td", { class: "o" }, outcome(row, isLive)),
    h("td", { class: "num tries" }, row.attempts ? String(row.attempts) : ""),
    h("td", null, isLive && stopper(row.logging_id)));
  return made;
}

export function stopper(id) {
  return button("Cancel", async () => { await cancel(id); toast("Cancelled: the provider's connection is closed."); }, { class: "cancel" });
}

export function status(row) {
  const differs = row.upstream_status && row.status && row.upstream_status !== row.status;
  return [h("span", { class: `status ${statusClass(row.status)}`, title: "as shown to the client" }, row.status ? String(row.status) : "…"),
    differs ? h("span", { class: "true", title: "as the provider said" }, ` (${row.upstream_status})`) : null];
}

export function models(row) {
  const names = [row.model, row.sent_model, row.answered_model].filter(Boolean).filter((name, index, all) => name !== all[index - 1]);
  if (!names.length) return [h("i", null, `${row.method} ${row.path}`)];
  return names.flatMap((name, index) => index ? [h("i", null, " → "), name] : [h("b", null, name)]);
}

// Who spoke what with whom, and how it was asked for on each side.
export function ways(row) {
  const sides = row.client_dialect && row.provider_dialect && row.client_dialect !== row.provider_dialect;
  const dialects = sides ? `${row.client_dialect} → ${row.provider_dialect}` : row.client_dialect || "forwarded";
  if (!row.send_mode && !row.return_mode) return [dialects];
  const modes = row.send_mode === row.return_mode ? way(row.send_mode) : `${way(row.send_mode)} → ${way(row.return_mode)}`;
  return [dialects, " · ", h("b", { title: "asked of the provider → given to the client" }, modes)];
}

export function outcome(row, isLive) {
  if (isLive) return h("span", { class: "pill o-live" }, h("i", { class: "spin" }), row.ttft_ms === null ? "waiting" : "answering");
  return h("span", { class: `pill ${outcomeClass(row.outcome)}`, title: row.error_code }, row.outcome || "–");
}

// How long it took, on a scale where ten times as long is as much further; the darker part is until the first token.
function bar(row) {
  const wide = (value) => `${Math.min(100, Math.max(0, (Math.log10(Math.max(1, value)) / 5) * 100))}%`;
  const parts = [h("i"), h("i")];
  parts[0].style.width = wide(row.duration_ms ?? 0);
  parts[1].style.width = wide(row.ttft_ms ?? row.duration_ms ?? 0);
  parts[0].style.background = "var(--bar)";
  parts[1].style.background = "var(--bar2)";
  return h("span", { class: "time-bar", "aria-hidden": "true" }, parts);
}

const running = (stamp) => ms(Math.max(0, Date.now() + drift - moment(stamp)));

setInterval(() => {
  if (late && !isHeld()) paint();
  for (const place of document.querySelectorAll("[data-since]")) place.textContent = running(place.dataset.since);
}, 100);
