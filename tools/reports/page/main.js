// The page as a whole: what stands on top, then every picture.

const F = S.frames;
// What totals, shares and bytes are of.
const counted = () => (F === null ? "one inference" : S.batch === 1 ? "one frame of many" : `${S.batch} frames of many`);

function top() {
  byId("title").textContent = `${S.model} on ${S.machine}`;
  byId("subtitle").textContent = `${data.machine.description} Program by ${S.producer}; cycles counted by the simulator, ${counted()}.`;
  for (const sentence of data.verdict) byId("verdict").append(element("li", sentence));
  const cards = [
    ["time", seconds(S.seconds), `${whole(S.cycles)} cycles at ${whole(S.clock_hz / 1e6)} MHz`],
    ...(F === null ? [] : [
      ["frames per second", whole(F.frames_per_second), `${whole(F.cycles_per_frame)} cycles for each in the steady state`],
      ["latency of a frame", seconds(F.latency_seconds), `${whole(F.latency_cycles)} cycles; prologue ${whole(F.prologue_cycles)}, epilogue ${whole(F.epilogue_cycles)}`],
      ["stays in SRAM", bytes(F.resident_bytes), `${bytes(F.dram_bytes_per_frame)} cross the channel for each frame`],
    ]),
    ["against the bound", S.cycles_per_bound === null ? "–" : S.cycles_per_bound.toFixed(2) + " ×", `${whole(S.bound_cycles)} cycles by ${S.compute_bound_cycles >= S.dram_bound_cycles ? "compute" : "DRAM"}`],
    ["use of the array", S.utilization === null ? "–" : percent(S.utilization, 1), `${count(S.macs)} MACs on ${whole(data.machine.array.lanes)} lanes`],
    ["DRAM traffic", bytes(S.dram_read_bytes + S.dram_write_bytes), `${bytes(S.dram_read_bytes)} read, ${bytes(S.dram_write_bytes)} written`],
    ["SRAM at the fullest", bytes(data.buffers.length ? data.occupancy.peak_bytes : S.sram_peak_bytes), `of ${bytes(data.machine.sram.bytes)}`],
    ["energy", joules(S.energy.total_joules), "an estimate"],
    ["reconfigured", `${S.reconfigurations} times`, `${bytes(S.configuration_bytes)} of images`],
    ["on the host", `${S.host_ops} operators`, "their time is not included"],
  ];
  for (const [name, value, about] of cards) {
    const card = element("div", undefined, "card");
    card.append(element("span", name, "name"), element("b", value), element("span", about));
    byId("cards").append(card);
  }
  if (F !== null) {
    byId("rhythm").hidden = false;
    byId("rhythm").textContent = `The text of this program repeats for every frame. Shown are the prologue and the first frames, up to the end of those that have found their rhythm; a dashed line is where one begins. All numbers above and below are of ${counted()}.`;
  }
  byId("traffic-note").textContent = `Bytes over the channel in ${counted()}. Spills are activations that wait in DRAM because SRAM is full. `
    + (S.program_read_bytes ? `The instructions do not fit the machine's instruction memory and are fetched while the program runs.`
      : `The ${bytes(S.program_bytes)} of instructions are loaded once with the model and are not part of it.`);
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
