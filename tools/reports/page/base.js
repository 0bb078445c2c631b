// What every picture of a report uses: its layers, how its kinds look, and the one state of the page: the chosen layer.

const S = data.statistics, layers = data.layers, steps = data.steps;
const END = steps.cycles; // of what is shown over time: of frames in a row the first few, while numbers are of some

const LOSSES = {
  useful: [COLOUR.navy, ""], "spatial fit": [COLOUR.sky, "/"], streams: [COLOUR.purple, "\\"], "start-up": [COLOUR.green, "."],
  fill: [COLOUR.orange, "x"], DRAM: [COLOUR.yellow, ""], reconfiguration: [COLOUR.brick, "-"], dependencies: [COLOUR.pink, "|"],
};
const KINDS = {
  weights: ["weights and parameters", COLOUR.navy, ""], input: ["network input", COLOUR.sky, "/"],
  output: ["network output", COLOUR.green, "."], spill: ["spilled activations", COLOUR.orange, "x"],
  configuration: ["configuration images", COLOUR.brick, "-"], program: ["instructions fetched", COLOUR.purple, "\\"],
};
const CONTENTS = {
  weights: ["weights", COLOUR.navy, ""], parameters: ["bias, scales, tables", COLOUR.purple, "\\"],
  input: ["network input", COLOUR.sky, "/"], activation: ["activations", COLOUR.yellow, ""],
  spill: ["activations back from DRAM", COLOUR.orange, "x"], configuration: ["configuration image", COLOUR.brick, "-"],
};
const STALLS = {
  dram: ["waits for DRAM", COLOUR.yellow, "/"], reconfiguration: ["waits for a configuration", COLOUR.brick, "\\"],
  fill: ["waits for weights to reach the array", COLOUR.orange, "x"], array: ["waits for the array", COLOUR.navy, "."],
  vector: ["waits for the vector unit", COLOUR.green, "-"], program: ["waits for its instructions", COLOUR.purple, "|"],
};
const ENERGY = { array: ["multiply-accumulates", COLOUR.navy, ""], SRAM: ["SRAM", COLOUR.sky, "/"], DRAM: ["DRAM", COLOUR.yellow, ""] };

const time = (cycles) => seconds(cycles / S.clock_hz);
const title = (layer) => `<b>${plain(short(layer.name, 50))}</b><br>${plain(layer.operator)}`;

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
