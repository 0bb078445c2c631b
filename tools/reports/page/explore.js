// A space explored: fronts, what generality costs, what each parameter moves, all points.

const at = Object.fromEntries(data.columns.map((name, i) => [name, i]));
const axes = Object.keys(data.axes);
const good = data.rows.filter((row) => row[at.status] === "ok");
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "solid"];
const MANY = 4000; // beyond so many dots the graphics card draws them
const MOST = 500; // rows of the table that are shown at once

const NAMES = {
  seconds: ["time of a frame", seconds], energy_joules: ["energy of a frame", joules], area_mm2: ["area", (v) => v.toFixed(1) + " mm²"],
  dram_bytes: ["DRAM traffic of a frame", bytes], dram_read_bytes: ["read from DRAM", bytes], dram_write_bytes: ["written to DRAM", bytes],
  program_bytes: ["program", bytes], cycles: ["cycles", whole], frames_per_second: ["frames per second", (v) => v.toFixed(1)],
  utilization: ["use of the array", (v) => percent(v, 1)],
};
const UNITS = { seconds: "s", energy_joules: "J", area_mm2: "mm²", cycles: "", dram_bytes: "bytes", dram_read_bytes: "bytes", dram_write_bytes: "bytes", program_bytes: "bytes" };
const name = (column) => (NAMES[column] || [column])[0];
function text(column, value) {
  if (value === null || value === "") return "–";
  if (NAMES[column]) return NAMES[column][1](value);
  if (typeof value !== "number") return String(value);
  if (/\.bytes$|_bytes$|half_words/.test(column) && value >= 1024 && value % 1024 === 0) return bytes(value);
  return /per_second$/.test(column) ? scaled(value, [" B/s", " kB/s", " MB/s", " GB/s"], 1000) : whole(value);
}
const machine = (row) => axes.map((key) => `${plain(key)} = ${plain(text(key, row[at[key]]))}`).join("<br>") || plain(row[at.machine]);

function top() {
  byId("title").textContent = `${data.title}: which machine?`;
  byId("subtitle").textContent = `${whole(data.rows.length)} points, ${whole(good.length)} with a plan: ${data.models.join(", ")}.`;
  for (const sentence of data.sentences) byId("verdict").append(element("li", sentence));
  const columns = ["frames_per_second", "area_mm2", "energy_joules", "dram_bytes", ...axes];
  const head = element("tr");
  for (const title of ["best for", ...columns.map(name)]) head.append(element("th", title));
  byId("best").append(head);
  const add = (title, row) => {
    const line = element("tr");
    line.append(element("td", title));
    for (const column of columns) line.append(element("td", row === null ? "–" : text(column, row[at[column]])));
    byId("best").append(line);
  };
  for (const [model, row] of Object.entries(data.best)) add(model, row);
  if (data.models.length > 1) for (const [title, choice] of Object.entries(data.choices)) {
    for (const [model, row] of Object.entries(choice.rows)) add(`${title}: ${model}`, row);
  }
  byId("area-source").textContent = `Area: ${data.area}. Wires are not counted.`;
  byId("energy-source").textContent = `Energy: ${data.energy}`;
}

function front(rows, x, y) {
  const sorted = [...rows].sort((a, b) => a[at[x]] - b[at[x]] || a[at[y]] - b[at[y]]), kept = [];
  for (const row of sorted) if (!kept.length || row[at[y]] < kept[kept.length - 1][at[y]]) kept.push(row);
  return kept;
}
function fronts() {
  const x = byId("across").value, y = byId("upwards").value, wanted = byId("model").value;
  const traces = [];
  data.models.forEach((model, i) => {
    if (wanted && model !== wanted) return;
    const rows = good.filter((row) => row[at.model] === model), colour = COLOURS[i % COLOURS.length];
    const hover = (row) => `<b>${plain(model)}</b><br>${plain(name(x))}: ${text(x, row[at[x]])}<br>${plain(name(y))}: ${text(y, row[at[y]])}<br>${machine(row)}`;
    traces.push({
      type: rows.length > MANY ? "scattergl" : "scatter", mode: "markers", showlegend: false, name: plain(model), x: rows.map((r) => r[at[x]]), y: rows.map((r) => r[at[y]]),
      text: rows.map(hover), hovertemplate: "%{text}<extra></extra>", marker: { color: colour, size: 4, opacity: 0.3, symbol: SYMBOLS[i % SYMBOLS.length] },
    });
    const best = front(rows, x, y);
    traces.push({
      type: "scatter", mode: "lines+markers", name: plain(model), x: best.map((r) => r[at[x]]), y: best.map((r) => r[at[y]]),
      text: best.map(hover), hovertemplate: "%{text}<extra></extra>", line: { color: colour, width: 2, shape: "hv", dash: DASHES[i % DASHES.length] },
      marker: { color: colour, size: 8, symbol: SYMBOLS[i % SYMBOLS.length], line: { color: "#333", width: 0.6 } },
    });
  });
  const axis = (column) => Object.assign({ type: "log", title: { text: `${name(column)}${UNITS[column] ? " in " + UNITS[column] : ""}` } }, GRID);
  Plotly.react(byId("front-chart"), traces, layout({ xaxis: axis(x), yaxis: axis(y) }), CONFIG);
}

function generality() {
  const choices = Object.entries(data.choices).filter(([title]) => title !== "one machine for all" || !data.choices["the best of one configuration"] || !data.choices["the best that reconfigures"]);
  if (data.models.length < 2 || !choices.length) { byId("generality").hidden = true; return; }
  const hatches = ["", "/", "x"];
  Plotly.newPlot(byId("generality-chart"), choices.map(([title, choice], i) => ({
    type: "bar", name: title, x: data.models.map((m) => plain(short(m, 20))), y: data.models.map((m) => choice.excess[m]),
    text: data.models.map((m) => choice.excess[m].toFixed(2) + " ×"), textposition: "auto", hovertemplate: "%{x}: %{y:.3f} times its own best<extra></extra>",
    marker: { color: COLOURS[i], pattern: hatch(hatches[i], COLOURS[i]) },
  })), layout({
    barmode: "group", xaxis: Object.assign({}, GRID, { showgrid: false }), yaxis: Object.assign({ title: { text: "cost over the model's own best" }, rangemode: "tozero" }, GRID),
    shapes: [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: 1, y1: 1, line: { color: "#222", width: 1.5, dash: "dash" } }],
  }), CONFIG);
}

function sensitivity() {
  const keys = [...new Set(data.models.flatMap((m) => data.effects[m].map((e) => e.key)))];
  if (!keys.length) { byId("sensitivity").hidden = true; return; }
  const span = (m, key) => (data.effects[m].find((e) => e.key === key) || { span: null }).span;
  byId("span-chart").style.height = `${120 + 34 * data.models.length}px`;
  Plotly.newPlot(byId("span-chart"), [{
    type: "heatmap", x: keys.map(plain), y: data.models.map((m) => plain(short(m, 20))), z: data.models.map((m) => keys.map((k) => { const s = span(m, k); return s === null ? null : Math.log2(s); })),
    text: data.models.map((m) => keys.map((k) => { const s = span(m, k); return s === null ? "" : s.toFixed(2) + " ×"; })), texttemplate: "%{text}",
    hovertemplate: "%{y}, %{x}: %{text}<extra></extra>", showscale: false, colorscale: [[0, "#f4f8fb"], [1, COLOUR.sky]], zmin: 0, xgap: 2, ygap: 2,
  }], layout({ xaxis: { side: "top", tickangle: narrow() ? -60 : -20, automargin: true }, yaxis: { autorange: "reversed", automargin: true } }), CONFIG);
  for (const key of keys) byId("parameter").append(new Option(key, key));
  const draw = () => {
    const key = byId("parameter").value;
    Plotly.react(byId("effect-chart"), data.models.map((model, i) => {
      const effect = data.effects[model].find((e) => e.key === key) || { values: [], factors: [] };
      return {
        type: "scatter", mode: "lines+markers", name: plain(model), x: effect.values.map((v) => plain(text(key, v))), y: effect.factors,
        hovertemplate: "%{x}: %{y:.3f}<extra>%{fullData.name}</extra>", line: { color: COLOURS[i % COLOURS.length], dash: DASHES[i % DASHES.length] },
        marker: { color: COLOURS[i % COLOURS.length], symbol: SYMBOLS[i % SYMBOLS.length], size: 9 },
      };
    }), layout({ xaxis: Object.assign({ type: "category", title: { text: key } }, GRID), yaxis: Object.assign({ title: { text: "time, relative" }, rangemode: "tozero" }, GRID) }), CONFIG);
  };
  byId("parameter").addEventListener("change", draw);
  draw();
}

let sorting = { column: -1, down: false };
function table() {
  const columns = ["model", "frames_per_second", "area_mm2", "energy_joules", "dram_bytes", "utilization", ...axes, "reason"];
  const head = element("tr");
  columns.forEach((column, i) => {
    const cell = element("th"), button = element("button", name(column));
    button.addEventListener("click", () => { sorting = { column: i, down: sorting.column === i && !sorting.down }; fill(); });
    cell.append(button);
    head.append(cell);
  });
  byId("table").tHead.append(head);
  function fill() {
    const order = data.rows.map((_, i) => i);
    const cost = (i) => (data.costs[i] === null ? Infinity : data.costs[i]);
    if (sorting.column < 0) order.sort((a, b) => cost(a) - cost(b) || a - b);
    else {
      const place = at[columns[sorting.column]], sign = sorting.down ? -1 : 1;
      order.sort((a, b) => {
        const [u, v] = [data.rows[a][place], data.rows[b][place]];
        if (u === null || v === null) return (u === null) - (v === null);
        return sign * (typeof u === "number" ? u - v : String(u).localeCompare(String(v), "en", { numeric: true })) || a - b;
      });
    }
    byId("table").tBodies[0].replaceChildren(...order.slice(0, MOST).map((i) => {
      const line = element("tr");
      for (const column of columns) line.append(element("td", text(column, data.rows[i][at[column]])));
      return line;
    }));
    byId("shown").textContent = `${whole(Math.min(MOST, order.length))} of ${whole(order.length)} points${sorting.column < 0 ? ", those that serve the goal best first" : ""}.`;
  }
  fill();
  byId("download").addEventListener("click", () => {
    const cell = (value) => (value === null ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([[data.columns, ...data.rows].map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" }));
    link.download = `${data.title}.csv`;
    link.click();
  });
}

for (const [id, first] of [["across", "seconds"], ["upwards", "area_mm2"]]) {
  for (const measure of data.measures) byId(id).append(new Option(name(measure), measure, measure === first, measure === first));
  byId(id).addEventListener("change", fronts);
}
byId("model").append(new Option("all", ""));
for (const model of data.models) byId("model").append(new Option(model, model));
byId("model").addEventListener("change", fronts);
top();
fronts();
generality();
sensitivity();
table();
document.documentElement.dataset.ready = "yes";
