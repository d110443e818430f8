// Numbers and times as people read them.

const NONE = "–";

export function ms(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 10) return `${Number(value.toFixed(1))} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${(value / 1000).toFixed(2)} s`;
  if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
  const seconds = Math.round(value / 1000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
}

export function count(value) {
  if (value === null || value === undefined) return NONE;
  return value < 100_000 ? value.toLocaleString("en") : `${(value / 1000).toFixed(0)}k`;
}

export function bytes(value) {
  if (!value) return "0 B";
  const step = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** step).toFixed(step && value / 1024 ** step < 10 ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}

// The journal's times are UTC without a suffix; the page shows the reader's own.
export const moment = (stamp) => new Date(`${stamp}Z`);
const pad = (number, digits = 2) => String(number).padStart(digits, "0");

export function clock(date, fraction = true) {
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return fraction ? `${text}.${pad(date.getMilliseconds(), 3)}` : text;
}

export function day(date) {
  const today = new Date().toDateString() === date.toDateString();
  return today ? "" : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} `;
}

// Tokens a second, of the time in which they came; of a whole answer nobody knows more than its total.
export function speed(row) {
  const streamed = row.send_mode === "stream" && row.ttft_ms !== null && row.duration_ms - row.ttft_ms > 20;
  const time = streamed ? row.duration_ms - row.ttft_ms : row.duration_ms;
  return row.tokens_out && time > 0 ? `${Math.round((row.tokens_out * 1000) / time)}` : NONE;
}

const SAID = { stream: "stream", non_stream: "whole" };
export const way = (mode) => SAID[mode] || mode || NONE;

export function outcomeClass(outcome) {
  if (!outcome) return "o-none";
  return outcome.startsWith("timeout") ? "o-timeout" : `o-${outcome}`;
}

export const statusClass = (status) => (status ? `s${status < 400 ? 2 : String(status)[0]}` : "s0");
