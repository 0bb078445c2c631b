// The table of layers, sorted and filtered, and the panel of the chosen layer.

const share = (l) => (l.array_cycles ? l.macs / (data.machine.array.lanes * l.array_cycles) : 0);
const energy = (l) => sum(Object.values(l.energy));
const moved = (l) => l.dram_read_bytes + l.dram_write_bytes;
const COLUMNS = [
  ["layer", (l) => l.name, null], ["operator and shape", (l) => l.operator, null],
  ["configuration", (l) => l.configuration || "–", null], ["limited by", (l) => l.limited_by, null],
  ["cycles", (l) => l.cycles, whole], ["array cycles", (l) => l.array_cycles, whole], ["use", share, (v) => percent(v, 1)],
  ["MACs", (l) => l.macs, count], ["ops/B", (l) => l.ops_per_byte ?? -1, (v) => (v < 0 ? "–" : whole(v))],
  ["DRAM", moved, bytes], ["energy", energy, joules],
];
let sorting = { column: -1, down: false };

function table() {
  const head = element("tr");
  COLUMNS.forEach(([name, , format], column) => {
    const cell = element("th", undefined, format ? "number" : ""), button = element("button", name);
    button.addEventListener("click", () => {
      sorting = { column, down: sorting.column === column ? !sorting.down : Boolean(format) };
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      fill();
    });
    cell.append(button);
    head.append(cell);
  });
  byId("table").tHead.append(head);
  options("filter-op", layers.map((l) => l.op));
  options("filter-limit", layers.map((l) => l.limited_by));
  byId("search").addEventListener("input", fill);
  fill();
  atOnce.push((layer) => {
    for (const row of byId("table").tBodies[0].rows) row.classList.toggle("chosen", Number(row.dataset.layer) === layer);
  });
}
function options(id, values) {
  const box = byId(id);
  box.append(new Option("all", ""));
  for (const value of [...new Set(values)].sort()) box.append(new Option(value || "(none)", value || "(none)"));
  box.addEventListener("change", fill);
}
function fill() {
  const wanted = byId("search").value.trim().toLowerCase(), op = byId("filter-op").value, limit = byId("filter-limit").value;
  const rows = numbers.filter((i) => {
    const l = layers[i];
    return (!op || (l.op || "(none)") === op) && (!limit || l.limited_by === limit)
      && (!wanted || [l.name, l.operator, l.configuration, ...l.onnx].some((text) => text.toLowerCase().includes(wanted)));
  });
  if (sorting.column >= 0) {
    const [, of, format] = COLUMNS[sorting.column], sign = sorting.down ? -1 : 1;
    rows.sort((a, b) => sign * (format ? of(layers[a]) - of(layers[b])
      : of(layers[a]).localeCompare(of(layers[b]), "en", { numeric: true })) || a - b);
  }
  byId("table").tBodies[0].replaceChildren(...rows.map((i) => {
    const row = element("tr");
    row.dataset.layer = i;
    row.classList.toggle("chosen", i === chosen);
    for (const [name, of, format] of COLUMNS) {
      const cell = element("td", format ? format(of(layers[i])) : of(layers[i]), format ? "number" : name === "layer" ? "name" : "");
      if (name === "layer") cell.title = layers[i].name;
      row.append(cell);
    }
    row.addEventListener("click", () => choose(i));
    return row;
  }));
  const cycles = sum(rows.map((i) => layers[i].cycles));
  byId("shown").textContent = `${rows.length} of ${layers.length} layers, ${percent(cycles, S.cycles)} of the time`;
}

function panel() {
  byId("close").addEventListener("click", () => choose(null));
  byId("previous").addEventListener("click", () => choose(Math.max(0, chosen - 1)));
  byId("next").addEventListener("click", () => choose(Math.min(layers.length - 1, chosen + 1)));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") choose(null); });
  atOnce.push((layer) => {
    byId("detail").hidden = layer === null;
    if (layer !== null) describe(layers[layer]);
  });
}
function describe(l) {
  byId("detail-name").textContent = l.name;
  const facts = element("table"), body = byId("detail-body");
  const losses = Object.entries(l.losses).filter(([, v]) => v >= 0.5).sort((a, b) => b[1] - a[1]);
  for (const [name, text] of [
    ["what", l.operator], ["configuration", l.configuration || "none"],
    ["share of the time", `${whole(l.cycles)} cycles, ${percent(l.cycles, S.cycles)}`], ["limited by", (TERMS[l.limited_by] || [l.limited_by])[0]],
    ["runs", l.start === null ? "no instruction" : `cycles ${whole(l.start)} – ${whole(l.end)}`],
    ["array", losses.map(([k, v]) => `${k} ${whole(v)}`).join(", ") || "–"], ["use of the array", percent(share(l), 1)],
    ["MACs", whole(l.macs)], ["operations per byte", l.ops_per_byte === null ? "–" : whole(l.ops_per_byte)],
    ["attains", l.attained === null ? "–" : `${(l.attained / 1e12).toFixed(3)} Tops/s; its roof is at ${(l.attainable / 1e12).toFixed(3)}`],
    ["DRAM", Object.entries(l.traffic).filter(([, v]) => v).map(([k, v]) => `${KINDS[k][0]} ${bytes(v)}`).join(", ") || "nothing"],
    ["at least", `${bytes(l.compulsory_bytes)} of inputs, weights and outputs`], ["energy", joules(energy(l))],
  ]) {
    const row = element("tr");
    row.append(element("td", name), element("td", text));
    facts.append(row);
  }
  const nodes = element("ul");
  for (const node of l.onnx) nodes.append(element("li", node));
  const plan = l.plan.length ? l.plan.join("\n") : "The plan is not part of a program file: make the report from the model to see it.";
  body.replaceChildren(facts, element("h3", "ONNX nodes"), l.onnx.length ? nodes : element("p", "none"),
    element("h3", "Plan (tile)"), element("pre", plan),
    element("h3", `Instructions (${l.instructions.length})`), element("pre", l.instructions.join("\n")));
  byId("detail").scrollTop = 0;
}
