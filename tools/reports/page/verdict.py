"""What a run comes down to, in a few sentences: the first thing a reader of a report sees."""

from __future__ import annotations

from tools.reports.profile.records import Profile

BINDS = {
    "compute": "the array's multiplications",
    "input": "inputs on their way into the array",
    "output": "outputs on their way out of the array",
    "weights": "weights on their way into the array",
    "vector": "the vector unit",
    "dram": "the DRAM channel",
    "reconfiguration": "reconfiguration",
}


_LOST = {
    "spatial fit": "lanes that the layers' shapes leave without work",
    "streams": "inputs and outputs that come and go too slowly",
    "start-up": "the overhead of convolution passes",
    "fill": "waiting until weights have reached the array",
    "DRAM": "waiting for DRAM",
    "reconfiguration": "reconfiguration",
    "dependencies": "waiting for other layers and the vector unit",
}


def verdict(profile: Profile) -> list[str]:
    """Sentences: the bound, what the critical path is made of, which layers it is, and how full SRAM gets."""
    s = profile.statistics
    if not s.cycles:
        return ["The machine has nothing to do: every operator of this model runs on the host."]
    sentences: list[str] = _frames(profile)
    if s.cycles_per_bound3 is not None:
        which = "the array's work" if s.array_bound_cycles >= s.dram_bound_cycles else "the DRAM traffic"
        sentences.append(
            f"No program that runs these layers in this order can take fewer than {s.bound3_cycles:,} cycles, mostly "
            f"because of {which}; {_these(s.batch)} {s.cycles:,}, {s.cycles_per_bound3:.2f} times as many."
        )
    sentences.append(_binding(profile))
    sentences.append(_heaviest(profile))
    lost = {name: sum(layer.losses[name] for layer in profile.layers) for name in profile.layers[0].losses}
    useful = lost.pop("useful")
    worst = max(lost, key=lambda name: lost[name])
    if useful:
        sentences.append(
            f"The array does useful multiplications on all lanes for {_share(useful, s.cycles)} of the time; most of "
            f"the rest, {_share(lost[worst], s.cycles)} of the time, goes to {_LOST[worst]}."
        )
    spilled = sum(layer.traffic["spill"] for layer in profile.layers)
    kept = profile.memory
    full = (kept.occupancy.peak_bytes if kept.buffers else s.sram_peak_bytes) / profile.machine.sram.bytes
    sentences.append(
        f"SRAM is {_share(full, 1)} full at its fullest, and "
        + (f"{spilled:,} bytes of activations go through DRAM." if spilled else "no activation has to wait in DRAM.")
    )
    return sentences


def _frames(profile: Profile) -> list[str]:
    """What frames in a row take: all that follows is said of some of them in the steady state."""
    s, f = profile.statistics, profile.statistics.frames
    if f is None:
        return []
    many = "a frame takes" if s.batch == 1 else f"{s.batch} frames together take {s.cycles:,} cycles,"
    each = "each" if s.batch > 1 else "cycles"
    return [
        f"Frames in a row: once they have their rhythm {many} {f.cycles_per_frame:,.0f} {each}, that is "
        f"{f.frames_per_second:,.0f} a second. Each is under way for {f.latency_cycles:,} cycles, and a run takes "
        f"{f.prologue_cycles:,} more at its start and {f.epilogue_cycles:,} at its end.",
        f"{f.resident_bytes:,} bytes stay in SRAM from frame to frame, and {f.dram_bytes_per_frame:,.0f} cross the "
        "DRAM channel for each.",
    ]


def _these(batch: int) -> str:
    return "this one takes" if batch == 1 else f"{batch} frames take"


def _binding(profile: Profile) -> str:
    s = profile.statistics
    terms = {name: sum(layer.statistics.terms[name] for layer in profile.layers) for name in BINDS}
    first, second = sorted(terms, key=lambda name: -terms[name])[:2]
    text = f"The critical path is {_share(terms[first], s.cycles)} {BINDS[first]}"
    more = 100 * terms[second] >= s.cycles
    return text + (f" and {_share(terms[second], s.cycles)} {BINDS[second]}." if more else ".")


def _heaviest(profile: Profile) -> str:
    rows = sorted((layer.statistics for layer in profile.layers), key=lambda row: -row.cycles)
    half, sum_of = 0, 0
    while 2 * sum_of < profile.statistics.cycles and half < len(rows):
        sum_of += rows[half].cycles
        half += 1
    names = ", ".join(row.name for row in rows[: min(half, 4)])
    more = " and others" if half > 4 else ""
    return f"{half} of {len(rows)} layers take half of the time: {names}{more}."


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.{0 if part >= 0.095 * whole else 1}f} %"
