"use strict";
// What every page uses: its data, colours, hatching, numbers for people, and Plotly's settings.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// COLOUR holds the colours by name; tools/reports/palette.py says why these. Hatching stands beside them.
const COLOURS = Object.values(COLOUR);
const TERMS = {
  compute: ["the array multiplies", COLOUR.navy, ""],
  input: ["inputs on their way into the array", COLOUR.sky, "/"],
  output: ["outputs on their way out of it", COLOUR.purple, "\\"],
  weights: ["weights on their way into the array", COLOUR.orange, "x"],
  vector: ["the vector unit", COLOUR.green, "."],
  dram: ["the DRAM channel", COLOUR.yellow, ""],
  reconfiguration: ["reconfiguration", COLOUR.brick, "-"],
  hidden: ["hidden behind other layers", COLOUR.pink, "|"],
};

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

// Names come from models: Plotly reads a little HTML in texts, so they are written as text.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, room) => (text.length <= room ? text : text.slice(0, room - 1) + "…");
// Beginnings say what, ends say which.
const middle = (text, room) => (text.length <= room ? text : text.slice(0, room - 1 - (room >> 1)) + "…" + text.slice(-(room >> 1)));
const sum = (values) => values.reduce((a, b) => a + b, 0);
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
