// Pictures with a place per layer: bars by layer, strips of the whole run, roofline, graph.

const MANY = 250; // beyond so many layers bars are drawn as filled steps: one path instead of thousands
const numbers = layers.map((_, i) => i);

function strip(id, parts, text) {
  const total = sum(parts.map((p) => p.value));
  const bar = element("div", undefined, "strip"), legend = element("ul", undefined, "legend");
  for (const part of parts) {
    if (!part.value) continue;
    const piece = element("i"), item = element("li"), colour = element("i");
    piece.style.width = (100 * part.value / total) + "%";
    for (const box of [piece, colour]) box.style.background = hatched(part.colour, part.hatch);
    piece.title = `${part.name}: ${text(part.value)}, ${percent(part.value, total)}`;
    item.append(colour, `${part.name} `, element("b", `${percent(part.value, total)}`), ` ${text(part.value)}`);
    if (part.about) item.title = part.about;
    bar.append(piece);
    legend.append(item);
  }
  byId(id).append(bar, legend);
}
function hatched(colour, hatch) {
  const angle = { "/": 135, "\\": 45, x: 90, "-": 0, "|": 90, ".": 0 }[hatch];
  return hatch ? `repeating-linear-gradient(${angle}deg, ${colour} 0 4px, #ffffffb0 4px 6px), ${colour}` : colour;
}

function byLayer(id, series, unit, hover) {
  const chart = byId(id), many = layers.length > MANY;
  const traces = series.filter((s) => s.values.some((v) => v > 0)).map((s) => Object.assign({
    name: s.name, x: numbers, y: s.values, customdata: numbers,
    text: s.values.map((v, i) => `${title(layers[i])}<br>${plain(s.name)}: ${hover(v, i)}`),
    hovertemplate: "%{text}<extra></extra>",
  }, many ? {
    type: "scatter", mode: "lines", stackgroup: "all", line: { shape: "hvh", width: 0, color: s.colour }, fillcolor: s.colour,
  } : {
    type: "bar", textposition: "none",
    marker: { color: s.colour, line: { color: "#555", width: 0.4 }, pattern: hatch(s.hatch, s.colour) },
  }));
  const ticks = layers.length <= (narrow() ? 12 : 60);
  Plotly.newPlot(chart, traces, layout({
    showlegend: false, barmode: "stack", hovermode: many ? "x" : "closest",
    xaxis: Object.assign({
      title: { text: ticks ? "" : "layers in the order they run" }, tickangle: ticks ? -60 : 0, range: [-0.7, layers.length - 0.3],
      tickmode: ticks ? "array" : "auto", tickvals: numbers, ticktext: layers.map((l) => plain(middle(l.name, 13))),
    }, GRID, { showgrid: false }),
    yaxis: Object.assign({ title: { text: unit }, rangemode: "tozero" }, GRID),
    margin: { l: narrow() ? 48 : 64, r: 10, t: 8, b: ticks ? 100 : 44 },
  }), CONFIG);
  clickable(chart);
  watchers.push((layer) => Plotly.relayout(chart, { shapes: layer === null ? [] : [{
    type: "rect", x0: layer - 0.5, x1: layer + 0.5, y0: 0, y1: 1, yref: "paper", line: { color: "#111", width: 2 },
  }] }));
}

function stacks(id, table, of, unit, text, all) {
  const series = Object.entries(table).map(([key, look]) => {
    const [name, colour, hatch] = look.length === 3 ? look : [key, ...look];
    return { key, name, colour, hatch, values: layers.map((l) => of(l)[key] || 0) };
  });
  strip(id + "-whole", series.map((s) => Object.assign({ about: data.losses[s.key], value: sum(s.values) }, s)), text);
  byLayer(id + "-chart", series, unit, (v, i) => `${text(v)} (${percent(v, all(i))} of the layer's)`);
}

const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up", "star", "x", "triangle-down"]; // of TERMS

function roofline() {
  const chart = byId("roofline-chart"), roof = data.roofline, peak = roof.winograd || roof.compute;
  const points = layers.map((l, i) => i).filter((i) => layers[i].attained), apart = points.filter((i) => !layers[i].ops_per_byte);
  if (!points.length) { chart.textContent = "No layer of this program multiplies."; return; }
  const xs = points.filter((i) => layers[i].ops_per_byte).map((i) => layers[i].ops_per_byte);
  const low = Math.min(...xs, roof.ridge) / 2, far = Math.max(...xs, peak / roof.bandwidth) * 2, high = apart.length ? far * 2.5 : far;
  const place = (i) => layers[i].ops_per_byte ?? far * 1.4; // a layer that moves no bytes stands at the right end
  const line = (y, name, dash) => ({
    type: "scatter", mode: "lines", x: [y / roof.bandwidth, high], y: [y, y], name, hoverinfo: "name",
    line: { color: "#333", width: 2, dash },
  });
  const traces = [{
    type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: "#9aa2ab", width: 1 },
    x: points.flatMap((i) => [place(i), place(i), null]),
    y: points.flatMap((i) => [layers[i].attained, layers[i].attainable, null]),
  }, {
    type: "scatter", mode: "lines", x: [low, peak / roof.bandwidth], y: [low * roof.bandwidth, peak], hoverinfo: "name",
    name: `DRAM: ${(roof.bandwidth / 1e9).toFixed(1)} GB/s`, line: { color: "#333", width: 2, dash: "dot" },
  }, line(roof.compute, `array: ${(roof.compute / 1e12).toFixed(2)} Tops/s`, "solid")];
  if (roof.winograd) traces.push(line(roof.winograd, "array with Winograd", "dash"));
  Object.entries(TERMS).forEach(([term, [name, colour]], number) => {
    const mine = points.filter((i) => layers[i].limited_by === term);
    if (mine.length) traces.push({
      type: "scatter", mode: "markers", name: `limited by: ${name}`, customdata: mine,
      x: mine.map(place), y: mine.map((i) => layers[i].attained),
      text: mine.map((i) => `${title(layers[i])}<br>${layers[i].ops_per_byte ? whole(layers[i].ops_per_byte) + " operations per byte" : "no byte of DRAM traffic"}`
        + `<br>attains ${(layers[i].attained / 1e12).toFixed(3)} Tops/s, its roof is at ${(layers[i].attainable / 1e12).toFixed(3)}`
        + `<br>${percent(layers[i].cycles, S.cycles)} of the time`),
      hovertemplate: "%{text}<extra></extra>",
      marker: { color: colour, symbol: SYMBOLS[number], line: { color: "#222", width: 1 },
        size: mine.map((i) => 8 + 26 * Math.sqrt(layers[i].array_cycles / S.cycles)) },
    });
  });
  const ring = traces.length;
  traces.push({ type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false,
    marker: { symbol: "circle-open", size: 30, color: "#111", line: { width: 4 } } });
  const ticks = (from, to) => (to / from > 100 ? 1 : "D2");
  const speeds = points.map((i) => layers[i].attained);
  Plotly.newPlot(chart, traces, layout({
    xaxis: Object.assign({ type: "log", title: { text: "operations per byte of DRAM traffic" }, dtick: ticks(low, high),
      range: [Math.log10(low), Math.log10(high)] }, GRID),
    yaxis: Object.assign({ type: "log", title: { text: "operations per second" }, dtick: ticks(Math.min(...speeds), peak), exponentformat: "SI" }, GRID),
    shapes: apart.length ? [{ type: "rect", x0: far, x1: high, y0: 0, y1: 1, yref: "paper", fillcolor: "#eceef1", line: { width: 0 }, layer: "below" }] : [],
    annotations: [...(apart.length ? [{ x: Math.log10(Math.sqrt(far * high)), y: 0, yref: "paper", yanchor: "bottom", text: "no DRAM<br>traffic", showarrow: false }] : []),
      { x: Math.log10(roof.ridge), y: Math.log10(roof.compute), text: `ridge: ${whole(roof.ridge)} ops/B`,
      ax: -70, ay: -14, arrowhead: 2, bgcolor: "#ffffffd0" }],
  }), CONFIG);
  clickable(chart);
  watchers.push((layer) => {
    const at = points.includes(layer) ? [layer] : [];
    Plotly.restyle(chart, { x: [at.map(place)], y: [at.map((i) => layers[i].attained)] }, [ring]);
  });
}

function graph() {
  const chart = byId("graph-chart"), row = data.places.row, lane = data.places.lane, n = row.length;
  const lanes = Math.max(0, ...lane) + 1, span = 26;
  const x = [], y = [];
  for (const [from, to] of data.edges) {
    const [xa, ya, xb, yb] = [lane[from], row[from], lane[to], row[to]];
    x.push(xa, xa, xb, null);
    y.push(ya, Math.max(ya, yb - 0.6), yb, null);
  }
  const host = (i) => i - layers.length;
  const label = (i) => i < layers.length ? `${layers[i].name}  ${layers[i].operator}`
    : `host: ${data.hosts[host(i)].operators.join(", ")}`;
  const nodes = row.map((_, i) => i), labels = Math.max(...lane) + 0.6;
  const group = (mine, name, colour, symbol) => ({
    type: "scatter", mode: "markers", name, x: mine.map((i) => lane[i]), y: mine.map((i) => row[i]), showlegend: false,
    customdata: mine.map((i) => (i < layers.length ? i : null)),
    text: mine.map((i) => plain(short(label(i), 90))), hovertemplate: "%{text}<extra></extra>",
    marker: { color: colour, symbol, size: 13, line: { color: "#222", width: 1 } },
  });
  const texts = nodes.map((i) => ({ x: labels, y: row[i], text: plain(short(label(i), narrow() ? 34 : 80)) }));
  const traces = [
    { type: "scatter", mode: "lines", x, y, hoverinfo: "skip", showlegend: false, line: { color: "#68727d", width: 1.5 } },
    ...Object.entries(TERMS).map(([term, [name, colour]], number) =>
      group(nodes.filter((i) => i < layers.length && layers[i].limited_by === term), name, colour, SYMBOLS[number])),
    group(nodes.filter((i) => i >= layers.length), "host", "#fff", "hexagon"),
    { type: "scatter", mode: "text", x: texts.map((t) => t.x), y: texts.map((t) => t.y), text: texts.map((t) => t.text),
      customdata: nodes.map((i) => (i < layers.length ? i : null)), textposition: "middle right", hoverinfo: "none",
      showlegend: false, textfont: { size: 12 }, cliponaxis: false },
    { type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false,
      marker: { symbol: "circle-open", size: 22, color: "#111", line: { width: 3 } } },
  ];
  const room = narrow() ? 16 : 34; // lanes' worth of width for the labels
  Plotly.newPlot(chart, traces, layout({
    height: n * span + 20, margin: { l: 8, r: 0, t: 0, b: 0 }, dragmode: false,
    xaxis: { visible: false, range: [-0.7, Math.max(room, lanes * 2 + room / 2)], fixedrange: true },
    yaxis: { visible: false, range: [n - 0.4, -0.6], fixedrange: true },
  }), Object.assign({}, CONFIG, { displayModeBar: false }));
  clickable(chart);
  watchers.push((layer) => {
    const at = layer === null ? [] : [layer];
    Plotly.restyle(chart, { x: [at.map((i) => lane[i])], y: [at.map((i) => row[i])] }, [traces.length - 1]);
    if (at.length) chart.parentElement.scrollTop = row[layer] * span - 240;
  });
}
