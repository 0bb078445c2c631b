"use strict";
// What every picture uses: the data, the colours, numbers for people, and the one state of the page: the chosen layer.

const data = JSON.parse(document.getElementById("data").textContent);
const S = data.statistics, layers = data.layers, steps = data.steps;
const byId = (id) => document.getElementById(id);

// Eight colours that people with any colour vision tell apart (after Okabe and Ito), in an order in which neighbours
// differ in lightness as well, so that they differ in grey; where they stand side by side, hatching differs too.
const COLOURS = ["#00547d", "#f0c43a", "#b5490b", "#63bdf0", "#1d6e50", "#f2a6c8", "#5a2a6b", "#c2cf5a"];
const HATCHES = ["", "/", "", "\\", "", "x", "-", "."];

const TERMS = {
  compute: ["the array multiplies", "#00547d", ""],
  input: ["inputs on their way into the array", "#63bdf0", "/"],
  output: ["outputs on their way out of it", "#c3e4f7", "\\"],
  weights: ["weights on their way into the array", "#f2a6c8", "x"],
  vector: ["the vector unit", "#1d6e50", ""],
  dram: ["the DRAM channel", "#f0c43a", ""],
  reconfiguration: ["reconfiguration", "#b5490b", "-"],
  hidden: ["hidden behind other layers", "#9aa2ab", ""],
};
const LOSSES = {
  useful: ["#00547d", ""], "spatial fit": ["#63bdf0", "/"], streams: ["#c3e4f7", "\\"], "start-up": ["#c2cf5a", "."],
  fill: ["#f2a6c8", "x"], DRAM: ["#f0c43a", ""], reconfiguration: ["#b5490b", "-"], dependencies: ["#5a2a6b", "|"],
};
const KINDS = {
  weights: ["weights and parameters", "#00547d", ""], input: ["network input", "#63bdf0", "/"],
  output: ["network output", "#c2cf5a", "."], spill: ["spilled activations", "#b5490b", "x"],
  configuration: ["configuration images", "#f0c43a", ""],
};
const CONTENTS = {
  weights: ["weights", "#00547d", ""], parameters: ["bias, scales, tables", "#5a2a6b", ""],
  input: ["network input", "#63bdf0", "/"], activation: ["activations", "#f0c43a", ""],
  spill: ["activations back from DRAM", "#b5490b", "x"], configuration: ["configuration image", "#1d6e50", "-"],
};
const STALLS = {
  dram: ["waits for DRAM", "#f0c43a", "/"], reconfiguration: ["waits for a configuration", "#b5490b", "\\"],
  fill: ["waits for weights to reach the array", "#f2a6c8", "x"], array: ["waits for the array", "#00547d", "."],
  vector: ["waits for the vector unit", "#1d6e50", "-"],
};
const ENERGY = { array: ["multiply-accumulates", "#00547d", ""], SRAM: ["SRAM", "#63bdf0", "/"], DRAM: ["DRAM", "#f0c43a", ""] };

const whole = (n) => Math.round(n).toLocaleString("en-US");
const percent = (part, all) => (all ? (100 * part / all).toFixed(part / all < 0.0995 ? 1 : 0) + " %" : "–");
function scaled(n, units, base) {
  let unit = 0;
  while (Math.abs(n) >= base && unit + 1 < units.length) { n /= base; unit += 1; }
  return (unit === 0 ? String(Math.round(n)) : n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)) + units[unit];
}
const bytes = (n) => scaled(n, [" B", " KiB", " MiB", " GiB"], 1024);
const count = (n) => scaled(n, ["", "k", "M", "G", "T"], 1000);
function seconds(s) {
  for (const [unit, size] of [["s", 1], ["ms", 1e-3]]) if (s >= size) return (s / size).toFixed(3) + " " + unit;
  return (s * 1e6).toFixed(1) + " µs";
}
function joules(j) {
  for (const [unit, size] of [["J", 1], ["mJ", 1e-3], ["µJ", 1e-6]]) if (j >= size) return (j / size).toFixed(2) + " " + unit;
  return (j * 1e9).toFixed(1) + " nJ";
}
const time = (cycles) => seconds(cycles / S.clock_hz);
// Names come from models: Plotly reads a little HTML in texts, so they are written as text.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, room) => (text.length <= room ? text : text.slice(0, room - 1) + "…");
const sum = (values) => values.reduce((a, b) => a + b, 0);
const title = (layer) => `<b>${plain(short(layer.name, 50))}</b><br>${plain(layer.operator)}`;
const narrow = () => window.innerWidth < 700;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Hatching for bars: white lines on the colour.
const hatch = (shape, colour) => ({ shape, bgcolor: colour, fgcolor: "#ffffff", size: 6, solidity: 0.3 });

const CONFIG = { responsive: true, displaylogo: false, displayModeBar: narrow() ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
function layout(more) {
  return Object.assign({
    margin: { l: narrow() ? 48 : 64, r: 10, t: 8, b: 44 }, font: { family: "inherit", size: 12, color: "#1b1f24" },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest", bargap: 0.12, uirevision: "kept",
    legend: { orientation: "h", traceorder: "normal", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    hoverlabel: { bgcolor: "#fff", font: { color: "#1b1f24" }, align: "left" },
  }, more);
}
const GRID = { zeroline: false, gridcolor: "#e3e6ea", ticks: "outside", linecolor: "#888" };

// The chosen layer: every picture registers how it shows it.
// Those of `atOnce` show it before the next frame, the pictures one after the other, so that the page answers at once.
const atOnce = [], watchers = [];
let chosen = null, turn = 0;
function choose(layer) {
  if (layer !== null && !(layer >= 0 && layer < layers.length)) return;
  const resized = (layer === null) !== (chosen === null), mine = (turn += 1);
  chosen = layer;
  document.body.classList.toggle("chosen", layer !== null);
  for (const show of atOnce) show(layer);
  const next = (number) => setTimeout(() => {
    if (mine !== turn) return; // another layer was chosen meanwhile
    if (number < watchers.length) { watchers[number](layer); next(number + 1); return; }
    if (resized) window.dispatchEvent(new Event("resize")); // the panel came or went: the pictures change their width
    document.documentElement.dataset.chosen = String(layer);
  });
  next(0);
}
function clickable(chart) {
  chart.on("plotly_click", (event) => {
    const point = event.points.find((p) => p.customdata !== undefined && p.customdata !== null);
    if (point) choose(Array.isArray(point.customdata) ? point.customdata[0] : point.customdata);
  });
}
