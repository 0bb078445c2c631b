// The founding chart, and the table of shapes.

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];

function chart() {
  const box = byId("chart"), models = data.models;
  box.style.height = `${110 + 105 * models.length}px`;
  const largest = Math.max(...models.flatMap((m) => m.layers.map((l) => l.macs)));
  const traces = models.map((model, band) => ({
    type: "scatter", mode: "markers", showlegend: false, name: plain(model.name),
    x: model.layers.map((l) => l.intensity), y: model.layers.map((_, i) => band - 0.36 + 0.72 * (i + 0.5) / model.layers.length),
    text: model.layers.map((l) => `<b>${plain(short(l.name, 60))}</b><br>${plain(l.operator)}<br>${l.intensity.toFixed(1)} operations per byte, ${count(l.macs)} MACs`),
    hovertemplate: "%{text}<extra></extra>",
    marker: { color: COLOURS[band % COLOURS.length], symbol: SYMBOLS[band % SYMBOLS.length], opacity: 0.8, line: { color: "#333", width: 0.6 },
      size: model.layers.map((l) => 6 + 12 * Math.sqrt(l.macs / largest)) },
  }));
  const line = (x, dash) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color: "#222", width: 2, dash } });
  const says = (x, text, y) => ({ x: Math.log10(x), y, yref: "paper", text, showarrow: false, xanchor: "left", yanchor: "bottom", bgcolor: "#ffffffc0" });
  const shapes = [{ type: "rect", x0: 1e-6, x1: data.ridge, y0: 0, y1: 1, yref: "paper", fillcolor: COLOUR.yellow, opacity: 0.13, line: { width: 0 }, layer: "below" }, line(data.ridge, "solid")];
  const annotations = [says(data.ridge, `ridge of ${plain(data.machine)}: ${whole(data.ridge)}`, 1)];
  if (data.winograd !== null) {
    shapes.push(line(data.winograd, "dash"));
    annotations.push(says(data.winograd, `with Winograd: ${whole(data.winograd)}`, 0));
  }
  for (let band = 1; band < models.length; band += 1) shapes.push({ type: "line", x0: 0, x1: 1, xref: "paper", y0: band - 0.5, y1: band - 0.5, line: { color: "#c8ccd2", width: 1 } });
  const all = models.flatMap((m) => m.layers.map((l) => l.intensity));
  Plotly.newPlot(box, traces, layout({
    margin: { l: narrow() ? 96 : 150, r: 10, t: 28, b: 44 }, shapes, annotations,
    xaxis: Object.assign({ type: "log", title: { text: "operations per byte" }, dtick: 1,
      range: [Math.log10(Math.min(...all, data.ridge / 2) / 1.3), Math.log10(Math.max(...all, data.ridge * 4) * 1.3)] }, GRID),
    yaxis: Object.assign({}, GRID, { range: [models.length - 0.5, -0.5], tickvals: models.map((_, i) => i), ticks: "", showgrid: false,
      ticktext: models.map((m) => `${plain(short(m.name, narrow() ? 14 : 24))}<br>${m.layers.length} convolutions`) }),
  }), CONFIG);
}

function table() {
  byId("key").textContent = `Two convolutions have one shape when they agree in ${data.keys.shape}; they are of one kind when they agree in ${data.keys.kind}.`;
  const head = element("tr");
  data.header.forEach((text, i) => head.append(element("th", text, i ? "number" : "")));
  byId("shapes").append(head);
  for (const row of data.shapes) {
    const line = element("tr");
    row.forEach((value, i) => line.append(element("td", i ? whole(value) : value, i ? "number" : "")));
    byId("shapes").append(line);
  }
}

chart();
table();
document.documentElement.dataset.ready = "yes";
