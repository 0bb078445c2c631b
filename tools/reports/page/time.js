// Pictures over time: the timeline of queues and channel, and the map of SRAM. They share their window of time.

const LANES = [narrow() ? "DRAM" : "DRAM channel", "load", "store", "weights", "array", "vector"];
const PIXELS = 3; // slices narrower than so many pixels are drawn together with their neighbours

function lanesOf() {
  const lanes = LANES.map(() => []);
  for (let i = 0; i < steps.taken.length; i += 1) {
    if (steps.leave[i] <= steps.taken[i]) continue;
    if (steps.queue[i] >= 0) lanes[steps.queue[i] + 1].push(i); // a fetch of instructions is in no queue
    if (steps.channel[i]) lanes[0].push(i);
  }
  lanes[0].sort((a, b) => steps.taken[a] - steps.taken[b]);
  return lanes.map((lane) => lane.map((i) => ({ from: steps.taken[i], to: steps.leave[i], key: steps.layer[i], first: i })));
}
function stallsOf() {
  const table = data.stalls, names = Object.keys(STALLS), lanes = LANES.map(() => []);
  for (let i = 0; i < table.queue.length; i += 1) lanes[table.queue[i] + 1].push({
    from: table.start[i], to: table.end[i], key: names[table.cause[i]], first: i,
  });
  return lanes;
}

// What of a lane shows between two moments: neighbours that would be thinner than a few pixels become one piece, which
// bears the key that fills most of it.
function visible(lane, from, to, width) {
  const least = PIXELS * (to - from) / width, pieces = [];
  let low = 0, high = lane.length;
  while (low < high) { const middle = (low + high) >> 1; if (lane[middle].to <= from) low = middle + 1; else high = middle; }
  let open = null;
  const close = () => {
    if (!open) return;
    let best = open.key;
    for (const [key, length] of open.lengths) if (length > (open.lengths.get(best) || 0)) best = key;
    pieces.push({ from: open.from, to: open.to, key: best, many: open.many, first: open.first });
    open = null;
  };
  for (let i = low; i < lane.length && lane[i].from < to; i += 1) {
    const slice = lane[i];
    const joins = open && slice.from - open.to < least && (open.to - open.from < least || slice.to - slice.from < least)
      && open.to - open.from < 8 * least;
    if (!joins) { close(); open = { from: slice.from, to: slice.to, key: slice.key, many: 0, first: slice.first, lengths: new Map() }; }
    open.to = Math.max(open.to, slice.to);
    open.many += 1;
    open.lengths.set(slice.key, (open.lengths.get(slice.key) || 0) + slice.to - slice.from);
  }
  close();
  return pieces;
}

// Frames in a row: which one an instruction belongs to, and where each begins.
const together = steps.period ? S.batch / steps.period : 0; // frames that one repetition of the text works on
const framesOf = (body) => (together === 1 ? `frame ${body}` : `frames ${body * together}–${(body + 1) * together - 1}`);
const frameOf = (i) => (!steps.period ? "" : steps.frame[i] < 0 ? ", in the prologue" : `, ${framesOf(steps.frame[i])}`);
function frameBegins() {
  const begins = new Map();
  if (steps.period) for (let i = 0; i < steps.frame.length; i += 1)
    if (steps.frame[i] >= 0) begins.set(steps.frame[i], Math.min(steps.taken[i], begins.get(steps.frame[i]) ?? Infinity));
  return [...begins].sort(([a], [b]) => a - b);
}

const linked = [];
let moving = false;
function follow(chart, draw) {
  linked.push({ chart, draw });
  chart.on("plotly_relayout", (change) => {
    if (moving) return;
    const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
    if (from === undefined && !change["xaxis.autorange"]) return;
    moveTo(from === undefined ? [0, END] : [Math.max(0, from), Math.min(END, to)]);
  });
}
let shownTime = [0, END];
function moveTo(range) {
  if (!(range[1] > range[0])) range = [0, END];
  shownTime = range;
  moving = true;
  for (const { draw } of linked) draw();
  moving = false;
}
const timeAxis = () => Object.assign({ title: { text: "cycles" }, range: shownTime.slice(), tickformat: ",d", nticks: narrow() ? 4 : 10 }, GRID);

function timeline() {
  const chart = byId("timeline-chart"), lanes = lanesOf(), waits = stallsOf();
  const frames = frameBegins();
  const colour = (layer) => COLOURS[layer % COLOURS.length];
  function traces() {
    const width = chart.clientWidth || 800, [from, to] = shownTime, made = [];
    const bars = (pieces, more) => Object.assign({
      type: "bar", orientation: "h", base: pieces.map((p) => p.from), x: pieces.map((p) => p.to - p.from),
      y: pieces.map((p) => p.lane), customdata: pieces.map((p) => p.layer), textposition: "none",
      text: pieces.map((p) => p.text), hovertemplate: "%{text}<extra></extra>",
    }, more);
    const slices = lanes.flatMap((lane, number) => visible(lane, from, to, width).map((p) => {
      const layer = layers[p.key], opcode = steps.opcodes[steps.opcode[p.first]];
      const what = p.many > 1 ? `${p.many} instructions, most of the time for this layer`
        : opcode + (steps.kind[p.first] >= 0 ? ` of ${Object.values(KINDS)[steps.kind[p.first]][0]}, ${bytes(steps.dram_bytes[p.first])}` : "")
          + (steps.critical[p.first] ? ", on the critical path" : "") + frameOf(p.first);
      return Object.assign(p, { lane: number, layer: p.key,
        text: `${title(layer)}<br>${LANES[number]}: ${what}<br>${whole(p.from)} – ${whole(p.to)}: ${whole(p.to - p.from)} cycles, ${time(p.to - p.from)}` });
    }));
    made.push(bars(slices, { name: "at work, a colour per layer", width: 0.74, showlegend: true, marker: {
      color: slices.map((p) => colour(p.key)),
      opacity: slices.map((p) => (chosen === null || p.key === chosen ? 1 : 0.3)),
      line: { color: slices.map((p) => (p.key === chosen ? "#000" : "#fff")), width: slices.map((p) => (p.key === chosen ? 1.5 : 0.2)) },
    } }));
    const pieces = waits.flatMap((lane, number) => visible(lane, from, to, width).map((p) => {
      const before = data.stalls.before[p.first], of = data.stalls.of[p.first];
      const next = before >= 0 ? layers[steps.layer[before]] : null;
      return Object.assign(p, { lane: number, layer: before >= 0 ? steps.layer[before] : null,
        text: `<b>${LANES[number]} ${STALLS[p.key][0]}</b><br>${next ? "before " + plain(short(next.name, 40)) : "nothing is left to do here"}`
          + `<br>meanwhile ${steps.opcodes[steps.opcode[of]]} of ${plain(short(layers[steps.layer[of]].name, 40))}`
          + `<br>${whole(p.from)} – ${whole(p.to)}: ${whole(p.to - p.from)} cycles` });
    }));
    for (const [cause, [name, shade, hatch]] of Object.entries(STALLS)) {
      made.push(bars(pieces.filter((p) => p.key === cause), { name, width: 0.3, opacity: 0.75, marker: {
        color: shade, line: { color: "#777", width: 0.5 }, pattern: { shape: hatch, fgcolor: "#fff", bgcolor: shade, size: 5, solidity: 0.4 } } }));
    }
    return made.reverse(); // the waits first, so that work is drawn on top of them
  }
  const look = () => layout({
    barmode: "overlay", xaxis: timeAxis(), dragmode: narrow() ? false : "zoom",
    yaxis: Object.assign({ tickvals: LANES.map((_, i) => i), ticktext: LANES, range: [LANES.length - 0.5, -0.5], fixedrange: true }, GRID, { showgrid: false }),
    margin: { l: narrow() ? 62 : 100, r: 10, t: 8, b: 44 },
    shapes: [...steps.begins.slice(1), ...frames.map(([, at]) => at)].map((at) => ({ type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { dash: "dash", width: 1 } })),
    annotations: frames.map(([frame, at]) => ({ x: at, y: -0.5, text: framesOf(frame), showarrow: false, xanchor: "left", yanchor: "bottom", font: { size: 11 } })),
  });
  const draw = () => Plotly.react(chart, traces(), look(), CONFIG);
  Plotly.newPlot(chart, traces(), look(), CONFIG);
  clickable(chart);
  follow(chart, draw);
  watchers.push(draw);
}

// Addresses as heights, long stretches that no buffer ever uses folded to a narrow band.
function folded(buffers, capacity) {
  const sorted = buffers.slice().sort((a, b) => a.address - b.address), used = [];
  for (const b of sorted) {
    const last = used.at(-1);
    if (last && b.address <= last.to) last.to = Math.max(last.to, b.address + b.bytes);
    else used.push({ from: b.address, to: b.address + b.bytes });
  }
  const total = sum(used.map((u) => u.to - u.from)), least = Math.max(total, capacity / 20) / 5, band = total / 10;
  const pieces = [], gaps = [], ticks = [];
  let height = 0, address = 0;
  const piece = (to) => {
    if (to > address) pieces.push({ from: address, to, height });
    for (let i = 0; i < 4 && to > address; i += 1) ticks.push({ address: address + i * (to - address) / 4, at: height + i * (to - address) / 4 });
    height += to - address;
    address = to;
  };
  for (const next of [...used, { from: capacity, to: capacity }]) {
    const start = address;
    if (next.from - start > least) {
      gaps.push({ from: height, to: height + band, bytes: next.from - start });
      height += band;
      address = next.from;
    }
    if (next.to > address) piece(next.to);
  }
  if (height) ticks.push({ address, at: height });
  const room = height / 14, kept = [];
  for (const tick of ticks) if (!kept.length || tick.at - kept.at(-1).at > room) kept.push(tick);
  return { height, gaps, ticks: kept, at: (a) => { const p = pieces.findLast((q) => q.from <= a); return p.height + a - p.from; } };
}

const BUFFERS = 2000; // more do not draw at ease

function sram() {
  const chart = byId("sram-chart"), capacity = data.machine.sram.bytes, use = data.occupancy;
  if (!data.buffers.length) {
    byId("sram-note").textContent = "This program does not say what lies where in SRAM: its instructions were written by hand.";
    chart.remove();
    return;
  }
  const [unit, size] = use.peak_bytes < 2 ** 20 ? ["KiB", 2 ** 10] : ["MiB", 2 ** 20], scaledBytes = (n) => n / size;
  const top = use.peak_bytes < capacity / 3 ? use.peak_bytes * 1.4 : capacity * 1.06;
  const places = folded(data.buffers, capacity);
  function traces() {
    const [from, to] = shownTime;
    let shown = data.buffers.filter((b) => b.end > from && b.start < to);
    if (shown.length > BUFFERS) shown = shown.sort((a, b) => b.bytes * (b.end - b.start) - a.bytes * (a.end - a.start)).slice(0, BUFFERS);
    const made = [{
      type: "scatter", mode: "lines", name: "bytes taken", x: [...use.times, END], y: [...use.taken, use.taken.at(-1)].map(scaledBytes),
      line: { shape: "hv", color: "#222", width: 1.5 }, fill: "tozeroy", fillcolor: "#cfd6dd", yaxis: "y2", showlegend: false,
      hovertemplate: "%{y:.2f} " + unit + " taken at cycle %{x:,d}<extra></extra>",
    }];
    for (const [content, [name, colour, shape]] of Object.entries(CONTENTS)) {
      const mine = shown.filter((b) => b.content === content);
      if (!mine.length) continue;
      const selected = (b) => chosen !== null && (b.layer === chosen || b.readers.includes(chosen));
      made.push({
        type: "bar", name, base: mine.map((b) => places.at(b.address)), y: mine.map((b) => b.bytes), customdata: mine.map((b) => b.layer),
        x: mine.map((b) => (b.start + b.end) / 2), width: mine.map((b) => Math.max(1, b.end - b.start)), textposition: "none",
        text: mine.map((b) => `${title(layers[b.layer])}<br>${name}: ${bytes(b.bytes)} from address 0x${b.address.toString(16)}`
          + `<br>cycles ${whole(b.start)} – ${whole(b.end)}`
          + `<br>read by ${plain(b.readers.slice(0, 4).map((r) => short(layers[r].name, 30)).join(", ")) || "nobody"}`),
        hovertemplate: "%{text}<extra></extra>",
        marker: { color: colour, opacity: mine.map((b) => (chosen === null || selected(b) ? 0.9 : 0.25)),
          line: { color: mine.map((b) => (selected(b) ? "#000" : "#fff")), width: mine.map((b) => (selected(b) ? 2 : 0.4)) },
          pattern: hatch(shape, colour) },
      });
    }
    return made;
  }
  const look = () => layout({
    barmode: "overlay", xaxis: Object.assign(timeAxis(), { anchor: "y" }), dragmode: narrow() ? false : "zoom",
    yaxis: Object.assign({ title: { text: narrow() ? "" : "address" }, automargin: true, domain: [0, 0.68], range: [0, places.height],
      tickvals: places.ticks.map((t) => t.at), ticktext: places.ticks.map((t) => `${whole(t.address / 1024)} KiB`) }, GRID),
    yaxis2: Object.assign({ title: { text: `${unit} taken` }, domain: [0.74, 1], range: [0, scaledBytes(top)] }, GRID),
    shapes: [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: scaledBytes(capacity), y1: scaledBytes(capacity), yref: "y2", line: { color: COLOUR.brick, width: 2, dash: "dash" } },
      { type: "rect", x0: use.peak_from, x1: use.peak_to, y0: 0, y1: 1, yref: "paper", line: { color: "#111", width: 1, dash: "dot" } },
      ...places.gaps.map((g) => ({ type: "rect", x0: 0, x1: 1, xref: "paper", y0: g.from, y1: g.to, fillcolor: "#eceef1", line: { width: 0 }, layer: "below" }))],
    annotations: [...places.gaps.map((g) => ({ x: 0.5, xref: "paper", y: (g.from + g.to) / 2, showarrow: false, text: `${bytes(g.bytes)} never used` })), { x: (use.peak_from + use.peak_to) / 2, y: scaledBytes(use.peak_bytes), yref: "y2", ay: use.peak_bytes > top * 0.6 ? 26 : -22,
      ax: use.peak_from > END / 2 ? -70 : 70, arrowhead: 2, bgcolor: "#ffffffd0",
      text: `fullest: ${bytes(use.peak_bytes)} of ${bytes(capacity)}` }],
  });
  const draw = () => Plotly.react(chart, traces(), look(), CONFIG);
  Plotly.newPlot(chart, traces(), look(), CONFIG);
  clickable(chart);
  follow(chart, draw);
  watchers.push(draw);
}
