// The page as a whole: what stands on top, then every picture.

function top() {
  byId("title").textContent = `${S.model} on ${S.machine}`;
  byId("subtitle").textContent = `${data.machine.description} Program by ${S.producer}; cycles counted by the simulator, one inference.`;
  for (const sentence of data.verdict) byId("verdict").append(element("li", sentence));
  const cards = [
    ["time", seconds(S.seconds), `${whole(S.cycles)} cycles at ${whole(S.clock_hz / 1e6)} MHz`],
    ["against the bound", S.cycles_per_bound === null ? "–" : S.cycles_per_bound.toFixed(2) + " ×", `${whole(S.bound_cycles)} cycles by ${S.compute_bound_cycles >= S.dram_bound_cycles ? "compute" : "DRAM"}`],
    ["use of the array", S.utilization === null ? "–" : percent(S.utilization, 1), `${count(S.macs)} MACs on ${whole(data.machine.array.lanes)} lanes`],
    ["DRAM traffic", bytes(S.dram_read_bytes + S.dram_write_bytes), `${bytes(S.dram_read_bytes)} read, ${bytes(S.dram_write_bytes)} written`],
    ["SRAM at the fullest", bytes(S.sram_peak_bytes), `of ${bytes(data.machine.sram.bytes)}`],
    ["energy", joules(S.energy.total_joules), "an estimate"],
    ["reconfigured", `${S.reconfigurations} times`, `${bytes(S.configuration_bytes)} of images`],
    ["on the host", `${S.host_ops} operators`, "their time is not included"],
  ];
  for (const [name, value, about] of cards) {
    const card = element("div", undefined, "card");
    card.append(element("span", name, "name"), element("b", value), element("span", about));
    byId("cards").append(card);
  }
  for (const [key, value] of Object.entries(S)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) continue;
    const row = element("tr");
    row.append(element("td", key.replaceAll("_", " ")), element("td", typeof value === "number" && Number.isInteger(value) ? whole(value) : String(value)));
    byId("totals").append(row);
  }
  if (data.notes.length) {
    byId("notes").hidden = false;
    for (const note of data.notes) byId("notes").querySelector("ul").append(element("li", note));
  }
  for (const section of document.querySelectorAll("section")) {
    const link = element("a", section.dataset.short);
    link.href = "#" + section.id;
    byId("contents").append(link);
  }
  const unit = data.machine.energy;
  byId("energy-note").textContent = `Counted events times unit costs: ${unit.mac_fj} fJ per multiply-accumulate, ${whole(unit.sram_fj_per_byte)} fJ per byte of SRAM, `
    + `${whole(unit.dram_fj_per_byte)} fJ per byte of a DRAM burst. Source: ${unit.source}.`;
}

top();
stacks("terms", Object.fromEntries(Object.entries(TERMS).filter(([term]) => term !== "hidden")), (l) => l.terms, "cycles", (v) => `${whole(v)} cycles`, (i) => layers[i].cycles);
roofline();
timeline();
sram();
stacks("traffic", KINDS, (l) => l.traffic, "bytes", bytes, (i) => moved(layers[i]));
stacks("losses", LOSSES, (l) => l.losses, "cycles of the array", (v) => `${whole(v)} cycles`, (i) => layers[i].array_cycles);
stacks("energy", ENERGY, (l) => l.energy, "joules", joules, (i) => energy(layers[i]));
graph();
table();
panel();
document.documentElement.dataset.ready = "yes";
