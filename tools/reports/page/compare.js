// Runs side by side: what binds each, the layers that differ most, what freedoms are worth.

const HATCHES = ["", "/", "x", "\\", "-", "."];
const there = data.runs.filter((run) => run.cycles !== null);

function runs() {
  const names = there.map((run) => plain(short(run.name, narrow() ? 16 : 34)));
  byId("runs-chart").style.height = `${130 + 44 * there.length}px`;
  Plotly.newPlot(byId("runs-chart"), Object.entries(TERMS).filter(([term]) => term !== "hidden").map(([term, [name, colour, shape]]) => ({
    type: "bar", orientation: "h", name, y: names, x: there.map((run) => run.terms[term]), marker: { color: colour, pattern: hatch(shape, colour) },
    text: there.map((run) => percent(run.terms[term], run.cycles)), textposition: "none", hovertemplate: "%{y}<br>" + name + ": %{x:,} cycles, %{text}<extra></extra>",
  })), layout({
    barmode: "stack", xaxis: Object.assign({ title: { text: "cycles" } }, GRID), yaxis: { autorange: "reversed", automargin: true },
    legend: { orientation: "h", traceorder: "normal", y: -0.35, yanchor: "top", x: 0, font: { size: 11 } },
  }), CONFIG);
  const columns = [
    ["run", (r) => r.name], ["cycles", (r) => whole(r.cycles)], ["ratio", (r) => (r.cycles / there[0].cycles).toFixed(3)],
    ["time", (r) => seconds(r.seconds)], ["use of the array", (r) => percent(r.utilization, 1)], ["DRAM", (r) => bytes(r.dram_bytes)], ["energy", (r) => joules(r.energy)],
  ];
  const head = element("tr");
  columns.forEach(([name], i) => head.append(element("th", name, i ? "number" : "")));
  byId("runs-table").append(head);
  for (const run of data.runs) {
    const line = element("tr");
    if (run.cycles === null) {
      const cell = element("td", run.problem);
      cell.colSpan = columns.length - 1;
      line.append(element("td", run.name), cell);
    } else columns.forEach(([, of], i) => line.append(element("td", of(run), i ? "number" : "")));
    byId("runs-table").append(line);
  }
  for (const remark of data.remarks) byId("remarks").append(element("li", remark));
}

function layers() {
  byId("layers-about").textContent = data.about;
  if (!data.layers.length) { byId("layers").hidden = true; return; }
  byId("layers-chart").style.height = `${140 + 20 * data.layers.length * Math.max(2, there.length)}px`;
  const names = data.layers.map((layer) => plain(short(layer.name, narrow() ? 16 : 34)));
  Plotly.newPlot(byId("layers-chart"), there.map((run, i) => ({
    type: "bar", orientation: "h", name: plain(short(run.name, 40)), y: names, x: data.layers.map((layer) => layer.cycles[i]),
    text: data.layers.map((layer) => plain(layer.operator)), textposition: "none", hovertemplate: "%{y}<br>%{text}<br>%{x:,} cycles<extra>%{fullData.name}</extra>",
    marker: { color: COLOURS[i % COLOURS.length], pattern: hatch(HATCHES[i % HATCHES.length], COLOURS[i % COLOURS.length]) },
  })), layout({
    barmode: "group", xaxis: Object.assign({ title: { text: "cycles of the critical path" }, rangemode: "tozero" }, GRID), yaxis: { autorange: "reversed", automargin: true },
    legend: { orientation: "h", traceorder: "normal", y: 1.01, yanchor: "bottom", x: 0, font: { size: 11 } },
  }), CONFIG);
}

function freedoms() {
  if (!data.freedoms.length) { byId("freedoms").hidden = true; return; }
  const shown = data.freedoms;
  Plotly.newPlot(byId("freedoms-chart"), [{
    type: "bar", x: shown.map((each) => plain(each.name)), y: shown.map((each) => each.factor), text: shown.map((each) => each.factor.toFixed(2) + " ×"),
    textposition: "auto", hovertemplate: "%{x}: %{y:.3f} times the cycles<extra></extra>", marker: { color: COLOURS[0] },
  }], layout({
    showlegend: false, xaxis: Object.assign({}, GRID, { showgrid: false }), yaxis: Object.assign({ title: { text: "cycles, relative" }, rangemode: "tozero" }, GRID),
    shapes: [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: 1, y1: 1, line: { color: "#222", width: 1.5, dash: "dash" } }],
  }), CONFIG);
}

byId("title").textContent = data.title;
byId("subtitle").textContent = data.subtitle;
runs();
layers();
freedoms();
document.documentElement.dataset.ready = "yes";
