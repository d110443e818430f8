// Distributions over time, and one stream's gaps. Drawn by uPlot; a drag over a distribution is a filter.
import { $ } from "./dom.js";
import { clock, count, day, moment, ms } from "./format.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const together = () => ({ key: "traffic" });
const drawn = new Map();
let last = null;

function axes(spell, splits) {
  const common = { stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return [
    { ...common, size: 22, grid: { show: false }, space: 90, values: (_, marks) => marks.map((at) => at === null ? "" : clock(new Date(at * 1000), false)) },
    { ...common, size: 50, space: 26, ...(splits && { splits }), values: (_, marks) => marks.map((value) => value === null ? "" : spell(value)) },
  ];
}

// Times span seconds as well as milliseconds, so that theirs is a scale where ten times as long is one step further.
const decades = (low, high) => [10 ** Math.floor(Math.log10(Math.max(1, low || 1))), 10 ** Math.ceil(Math.log10(Math.max(10, (high || 10) * 1.01)))];
const COUNTS = { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.1)] };
const powers = (_, axis, low, high) => Array.from({ length: 9 }, (_, power) => 10 ** power).filter((value) => value >= low && value <= high);
const brief = (value) => (value < 1000 ? `${value} ms` : `${value / 1000} s`);
const TIMES = { distr: 3, range: (_, low, high) => decades(low, high) };

function draw(id, data, series, y, told, picked, span, anew) {
  const place = $(id), box = place.getBoundingClientRect();
  const readout = place.parentElement.querySelector("output"), old = drawn.get(id);
  const say = (plot) => { readout.textContent = plot.cursor.idx === null || plot.cursor.idx === undefined ? "" : plot.told(plot.cursor.idx); };
  if (old && !anew) {  // whoever points at it, or drags over it, goes on doing so
    Object.assign(old, { told, picked, span }).setData(data);
    return say(old);
  }
  old?.destroy();
  const plot = new uPlot({
    width: Math.max(80, box.width), height: Math.max(60, box.height), legend: { show: false },
    cursor: { sync: together(), drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    scales: { x: { time: true, range: (plot) => plot.span || span }, y }, series: [{}, ...series], axes: y === TIMES ? axes(brief, powers) : axes(count),
    hooks: { setCursor: [say], setSelect: [select] },
  }, data, place);
  drawn.set(id, Object.assign(plot, { told, picked }));
}

function select(plot) {
  if (plot.select.width < 4) return;
  const [from, to] = [plot.select.left, plot.select.left + plot.select.width].map((x) => plot.posToVal(x, "x"));
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  plot.picked(from, to);
}

// Where few moments have a value there is hardly a line.
const few = (plot, series) => plot.data[series].filter((value) => value !== null).length < 8;

// ``anew``: in other colours, or of another size.
export function histograms(told, picked, anew = false) {
  last = [told, picked];
  const buckets = told.buckets, [from, to] = buckets.length ? [moment(told.from) / 1000, moment(told.to) / 1000] : [null, null];
  const at = buckets.map((bucket) => moment(bucket.at) / 1000 + (to - from) / buckets.length / 2);  // a bar stands amid its time
  const when = (index) => { const began = moment(buckets[index].at); return day(began) + clock(began, false); };
  const of = (name) => buckets.map((bucket) => bucket[name] ?? null);
  const times = (name) => of(name).map((value) => (value === null ? null : Math.max(1, value)));
  const bars = uPlot.paths.bars({ size: [0.86, 60], radius: 0.15 });
  const bar = (name) => ({ paths: bars, fill: colour(name), stroke: colour(name), width: 0, points: { show: false } });
  const line = (name, fill) => ({ stroke: colour(name), width: 1.5, spanGaps: true, points: { show: few }, fill: fill && `${colour(name)}22`, fillTo: (plot) => plot.scales.y.min });
  draw("c-volume", [at, of("n"), of("errors")], [bar("bar"), bar("bad")], COUNTS,
    (index) => `${when(index)} · ${count(buckets[index].n)} · ${count(buckets[index].errors)} errors`, picked, [from, to], anew);
  for (const [id, name] of [["c-total", ""], ["c-first", "ttft_"]]) {
    draw(id, [at, times(`${name}p50_ms`), times(`${name}p95_ms`)], [line("bar2", true), line("warn")], TIMES,
      (index) => `${when(index)} · ${ms(buckets[index][`${name}p50_ms`])} · ${ms(buckets[index][`${name}p95_ms`])}`, picked, [from, to], anew);
  }
}

// A stall is a gap that a reader notices: a second, or less where it is far above the stream's median.
export function stalls(at) {
  const gaps = at.slice(1).map((moment, index) => moment - at[index]);
  const median = [...gaps].sort((a, b) => a - b)[Math.floor((gaps.length - 1) / 2)] || 0;
  return { gaps, limit: Math.min(1000, Math.max(250, 8 * median)) };
}

export function strip(place, stream) {
  const { gaps, limit } = stalls(stream.at);
  const end = stream.at.slice(1), calm = gaps.map((gap) => gap < limit ? gap : null), long = gaps.map((gap) => gap < limit ? null : gap);
  const bars = uPlot.paths.bars({ size: [0.7, 14, 2] });
  const bar = (name) => ({ paths: bars, fill: colour(name), stroke: colour(name), width: 0, points: { show: false } });
  const [x, y] = axes(ms);
  const box = place.getBoundingClientRect();
  const make = () => new uPlot({
    width: Math.max(120, box.width), height: Math.max(60, box.height), legend: { show: false }, cursor: { drag: { x: false }, points: { show: false } },
    scales: { x: { time: false, range: () => [0, (end[end.length - 1] || stream.at[0]) * 1.01 + 1] }, y: { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.12)] } },
    series: [{}, bar("bar2"), bar("bad")],
    axes: [{ ...x, values: (_, marks) => marks.map((value) => value === null ? "" : `+${ms(value)}`) }, y],
    hooks: { setCursor: [(plot) => {
      const index = plot.cursor.idx;
      place.parentElement.querySelector("output").textContent = index === null || index === undefined ? "" : `+${ms(end[index])} after a gap of ${ms(gaps[index])}`;
    }] },
  }, [end, calm, long], place);
  drawn.get("strip")?.destroy();
  drawn.set("strip", make());
}

let redrawing = 0;
function again() {
  clearTimeout(redrawing);
  redrawing = setTimeout(() => { if (last && !$("list").hidden) histograms(...last, true); dispatchEvent(new Event("redraw")); }, 120);
}
addEventListener("resize", again);
dark.addEventListener("change", again);
