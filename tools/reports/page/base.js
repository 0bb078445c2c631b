// What every picture of a report uses: its layers, how its kinds look, and the one state of the page: the chosen layer.

const S = data.statistics, layers = data.layers, steps = data.steps;
const END = steps.cycles; // of what is shown over time: of frames in a row the first few, while numbers are of some

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
  configuration: ["configuration images", "#f0c43a", ""], program: ["instructions fetched", "#5a2a6b", "-"],
};
const CONTENTS = {
  weights: ["weights", "#00547d", ""], parameters: ["bias, scales, tables", "#5a2a6b", ""],
  input: ["network input", "#63bdf0", "/"], activation: ["activations", "#f0c43a", ""],
  spill: ["activations back from DRAM", "#b5490b", "x"], configuration: ["configuration image", "#1d6e50", "-"],
};
const STALLS = {
  dram: ["waits for DRAM", "#f0c43a", "/"], reconfiguration: ["waits for a configuration", "#b5490b", "\\"],
  fill: ["waits for weights to reach the array", "#f2a6c8", "x"], array: ["waits for the array", "#00547d", "."],
  vector: ["waits for the vector unit", "#1d6e50", "-"], program: ["waits for its instructions", "#5a2a6b", "x"],
};
const ENERGY = { array: ["multiply-accumulates", "#00547d", ""], SRAM: ["SRAM", "#63bdf0", "/"], DRAM: ["DRAM", "#f0c43a", ""] };

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
