"""Random legal programs, small enough to be stepped cycle by cycle.

An instruction only waits for instructions made before it, so the order of making is one in which everything can run:
no program deadlocks. The waits that configurations and the halves of L1 need are always there; all other waits are
random. Programs need not be free of races in memory: time does not depend on data.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sim.machine.description import Configuration, Machine
from sim.machine.operations import OPERATIONS
from tests.second_clock.clock import QUEUE_OF, QUEUES
from tests.second_clock.laws import DIRECT, WINOGRAD, Fields, conv_cost, fill_busy, transfer_cost, vector_busy

LONGEST = 700
"""Cycles no instruction exceeds, configuration images from DRAM apart."""

Values = dict[str, int | float]


@dataclass
class RandomProgram:
    """Records as ``sim.machine.encoding.encode`` takes them, and what each image address holds.

    ``configurations`` is keyed by the position of each ``load_config``, ``images`` by (space, address) with space 0
    for DRAM and 1 for SRAM.
    """

    machine: Machine
    seed: int
    records: list[tuple[str, Values]]
    configurations: dict[int, Configuration]
    images: dict[tuple[int, int], Configuration]


@functools.cache
def all_configurations(machine: Machine) -> tuple[Configuration, ...]:
    """Every configuration the array can take."""
    if machine.configurations:
        return machine.configurations
    powers = [1 << n for n in range(machine.array.lanes.bit_length())]
    algorithms = ["direct"] + (["winograd"] if machine.array.winograd != "none" else [])
    found: list[Configuration] = []
    for algorithm, g, k, r, p in itertools.product(algorithms, powers, powers, powers, powers):
        if g * k * r * p <= machine.array.lanes:
            found.append(Configuration(algorithm, g, k, r, p))
    return tuple(found)


@dataclass
class _Half:
    """What a half of L1 holds: the fill's fields, its number in its queue, and the last conv that read it."""

    configuration: Configuration
    fill: Values
    filled: int
    used: int = 0


@dataclass
class _Slot:
    """A configuration slot: what it holds and which load or configure put it there (counts of completed)."""

    configuration: Configuration
    loaded: int


@dataclass
class _Maker:
    machine: Machine
    dice: random.Random
    made: list[tuple[str, Values]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUEUES, 0))
    brought: list[Configuration] = field(default_factory=list)
    images: dict[tuple[int, int], Configuration] = field(default_factory=dict)
    halves: dict[int, _Half] = field(default_factory=dict)
    active: _Slot | None = None
    shadow: _Slot | None = None
    swapped: int = 0
    chain: Values | None = None

    # --- numbers ---

    def small(self, most: int) -> int:
        """1 to ``most``, small ones as likely as large ones on a logarithmic scale, neighbours of powers often."""
        value = int(most ** self.dice.random())
        if self.dice.random() < 0.3:
            value = (1 << value.bit_length() - 1) + self.dice.choice((-1, 0, 0, 1))
        return max(1, min(most, value))

    def chance(self, probability: float) -> bool:
        return self.dice.random() < probability

    # --- one instruction ---

    def emit(self, name: str, fields: Values, **needed: int) -> int:
        """Add an instruction with the waits it needs and random ones; its number in its queue, from 1."""
        queue = QUEUE_OF[name]
        for other in QUEUES:
            if other == queue:
                continue
            wait = needed.get(other, 0)
            if self.chance(0.2):
                back = self.small(12) - 1 if self.chance(0.7) else self.dice.randint(0, self.counts[other])
                wait = max(wait, self.counts[other] - back)
            if wait:
                fields[f"wait.{other}"] = wait
        self.made.append((name, fields))
        self.counts[queue] += 1
        return self.counts[queue]

    def operand(self, name: str, rows: int, pixels: int, channels: int) -> Values:
        """A tensor operand that lies in SRAM."""
        pixel = channels + self.dice.choice((0, 0, self.small(64)))
        row = pixels * pixel + self.dice.choice((0, 0, self.small(64)))
        ring = self.dice.choice((0, 0, self.small(8)))
        size = (ring or rows) * row
        if size > self.machine.sram.bytes:
            pixel, row, ring, size = channels, pixels * channels, 1, pixels * channels
        base = self.dice.randint(0, max(0, self.machine.sram.bytes - size))
        first = self.dice.randint(0, ring - 1) if ring else 0
        return {
            f"{name}.base": base,
            f"{name}.row_stride": row,
            f"{name}.pixel_stride": pixel,
            f"{name}.ring": ring,
            f"{name}.row": first,
        }

    def copy(self, writes: bool) -> None:
        """A load or a store of any shape: long runs, many short ones, merging dimensions or not."""
        name = "store" if writes else "load"
        while True:
            fields: Values = {"bytes": self.small(8192)}
            fields["count1"] = 1 if self.chance(0.3) else self.small(300)
            fields["count2"] = 1 if self.chance(0.4) else self.small(40)
            length, count1, count2 = (int(fields[key]) for key in ("bytes", "count1", "count2"))
            if length * count1 * count2 > 16_384 or count1 * count2 > LONGEST:
                continue
            stride1 = length + self.dice.choice((0, 0, self.small(100), self.small(100)))
            if not writes and self.chance(0.1):
                stride1 = self.dice.randint(0, length)
            row = (count1 - 1) * stride1 + length
            stride2 = self.dice.choice((row, count1 * stride1, row + self.small(200), length))
            if writes:
                stride2 = max(stride2, row)
            fields["dram_stride1"], fields["dram_stride2"] = stride1, stride2
            extent = (count2 - 1) * stride2 + row
            address = self.dice.randint(0, self.machine.dram.bytes - extent)
            fields["dram"] = address - address % 64 if self.chance(0.5) and address >= 64 else address
            if transfer_cost(self.machine, name, fields).cycles <= LONGEST:
                break
        ring = self.dice.choice((0, 0, self.small(8)))
        fields["sram_stride1"], fields["sram_stride2"] = length, length * count1
        fields["sram"] = self.dice.randint(0, self.machine.sram.bytes - length * count1 * max(count2, ring))
        fields["ring"], fields["row"] = ring, self.dice.randint(0, ring - 1) if ring else 0
        self.emit(name, fields)

    def vector(self) -> None:
        """Any operation of the vector unit."""
        while True:
            row = self.dice.choice(OPERATIONS)
            oy, ox, channels = self.small(30), self.small(30), self.small(700)
            fields: Values = {"op": OPERATIONS.index(row), "oy": oy, "ox": ox, "channels": channels}
            fy, fx, sy, sx = self.small(7), self.small(7), self.small(4), self.small(4)
            fields.update(fy=fy, fx=fx, sy=sy, sx=sx)
            fields["top"], fields["left"] = self.dice.randrange(fy), self.dice.randrange(fx)
            if row.reads == "image":
                fields.update(iy=oy, ix=ox, oy=1, ox=1)
            if row.size == "divisor":
                fields["size"] = self.dice.choice([n for n in range(1, channels + 1) if channels % n == 0])
            if row.pixel:
                fields["b_broadcast"] = self.dice.randrange(2)
            full: Fields = {"iy": 0, "ix": 0, **fields}
            if vector_busy(self.machine, full) <= LONGEST:
                break
        fields.update(self.operand("a", (oy - 1) * sy + fy, (ox - 1) * sx + fx, channels))
        fields.update(self.operand("b", oy, ox, channels))
        fields.update(self.operand("out", int(fields["oy"]), int(fields["ox"]), channels))
        fields.update(lo=-128, hi=127, ra=1.0, rb=1.0, beta=0.75, bias=1.0)
        self.emit("vector", fields)

    # --- configurations ---

    def image(self, space: int) -> tuple[int, Configuration]:
        """The address of a configuration image in DRAM (0) or SRAM (1), an old one or a new one at any address."""
        known = [(address, held) for (where, address), held in self.images.items() if where == space]
        if known and self.chance(0.5):
            return self.dice.choice(known)
        size = self.machine.configuration.image_bytes
        while True:
            capacity = self.machine.sram.bytes if space else self.machine.dram.bytes
            address = self.dice.randint(0, capacity - size)
            if all(abs(address - other) >= size for other, _ in known):
                break
        held = self.dice.choice(all_configurations(self.machine))
        self.images[space, address] = held
        return address, held

    def load_config(self) -> None:
        space = int(self.chance(0.6))
        address, held = self.image(space)
        number = self.emit("load_config", {"space": space, "address": address}, array=self.swapped)
        self.brought.append(held)
        self.shadow = _Slot(held, number)

    def configure(self) -> None:
        if self.shadow is None:
            self.load_config()
        slot = self.shadow
        assert slot is not None
        self.swapped = self.emit("configure", {}, load=slot.loaded)
        self.active, self.shadow = slot, self.active

    # --- convolutions ---

    def fill(self, configuration: Configuration, half: int) -> None:
        """Weights for some convolution under ``configuration``, which fit the half."""
        winograd = configuration.algorithm == "winograd"
        limit = 400
        while True:
            limit = max(2, limit * 3 // 4)
            fields: Values = {"half": half, "algorithm": WINOGRAD if winograd else DIRECT}
            fields.update(g=configuration.g, k=configuration.k, r=configuration.r, p=configuration.p)
            groups = 1 if self.chance(0.5) else self.small(min(limit * 2, max(16, configuration.g * 3)))
            fields.update(groups=groups, outputs=self.small(limit), inputs=self.small(limit))
            if self.chain is not None:
                fields.update(groups=self.chain["groups"], outputs=self.chain["outputs"])
            if winograd:
                fields.update(fy=3, fx=3)
            else:
                fields.update(fy=self.dice.choice((1, 3, self.small(7))), fx=self.dice.choice((1, 3, self.small(7))))
            if self.chain is not None and limit == 2:
                fields.update(inputs=1)
                if not winograd:
                    fields.update(fy=1, fx=1)
            cost = conv_cost(self.machine, configuration, {**_ONE_PIXEL, **fields})
            if cost.words <= self.machine.array.half_words and (
                fill_busy(self.machine, fields) <= LONGEST or (self.chain is not None and limit == 2)
            ):
                break
        inputs, taps = int(fields["inputs"]), int(fields["fy"]) * int(fields["fx"])
        fields["tap_stride"] = inputs + self.dice.choice((0, 0, self.small(32)))
        fields["output_stride"] = int(fields["tap_stride"]) * taps + self.dice.choice((0, 0, self.small(32)))
        size = int(fields["output_stride"]) * int(fields["groups"]) * int(fields["outputs"])
        fields["address"] = self.dice.randint(0, self.machine.sram.bytes - size)
        used = self.halves[half].used if half in self.halves else 0
        number = self.emit("fill", fields, array=used)
        self.halves[half] = _Half(configuration, fields, number)

    def _fits(self, held: _Half, configuration: Configuration) -> bool:
        same = self.chain is None or all(held.fill[key] == self.chain[key] for key in ("groups", "outputs"))
        return held.configuration == configuration and same

    def conv(self, end_chain: bool = False) -> None:
        """One pass with weights that are there or filled now; it may begin, continue or end a reduction."""
        if self.active is None:
            self.configure()
        assert self.active is not None
        configuration = self.active.configuration
        fitting = [half for half, held in self.halves.items() if self._fits(held, configuration)]
        if not fitting or self.chance(0.2):
            half = self.dice.randrange(2)
            self.fill(configuration, half)
        else:
            half = self.dice.choice(fitting)
        held = self.halves[half]
        fields = {key: held.fill[key] for key in ("half", "groups", "outputs", "inputs", "fy", "fx")}
        fields["first"] = int(self.chain is None)
        fields["last"] = int(end_chain or self.chance(0.7))
        limit = 60
        while True:
            limit = max(1, limit * 3 // 4)
            fields.update(oy=self.small(limit), ox=self.small(limit))
            if configuration.algorithm == "winograd":
                fields.update(sy=1, sx=1, dy=1, dx=1)
            else:
                fields.update(sy=self.small(4), sx=self.small(4))
                fields.update(dy=1 if self.chance(0.7) else self.small(4), dx=1 if self.chance(0.7) else self.small(4))
            if self.chain is not None:
                fields.update(oy=self.chain["oy"], ox=self.chain["ox"])
            cost = conv_cost(self.machine, configuration, fields)
            if limit == 1:
                fields["last"] = int(fields["last"] or self.chain is None)
            whole = fields["first"] and fields["last"]
            if (whole or cost.accumulators <= self.machine.array.accumulators) and (cost.busy <= LONGEST or limit == 1):
                break
        oy, ox, groups, outputs, inputs, fy, fx, sy, sx, dy, dx = (
            int(fields[key]) for key in ("oy", "ox", "groups", "outputs", "inputs", "fy", "fx", "sy", "sx", "dy", "dx")
        )
        top, left = self.dice.randrange(fy), self.dice.randrange(fx)
        rows = (oy - 1) * sy + (fy - 1) * dy + 1 - top
        columns = (ox - 1) * sx + (fx - 1) * dx + 1 - left
        fields.update(top=top, left=left, pad_value=self.dice.randint(-128, 127))
        fields.update(self.operand("in", max(1, rows), max(1, columns), groups * inputs))
        if fields["last"]:
            fields.update(zero_point=self.dice.randint(-128, 127), lo=-128, hi=127, sum_lo=-128, sum_hi=127)
            fields["params"] = self.dice.randint(0, self.machine.sram.bytes - 8 * groups * outputs)
            if self.chance(0.15):  # a float32 result, which nothing follows
                fields["last"] = 2
            is_float = fields["last"] == 2
            fields.update(self.operand("out", oy, ox, groups * outputs * (4 if is_float else 1)))
            fields["residual"] = 0 if is_float else self.dice.choice((0, 0, 1, 2, 3))
            if fields["residual"]:
                fields.update(self.operand("res", oy, ox, groups * outputs), ra=1.0, rb=1.0)
            fields["has_table"] = 0 if is_float else self.dice.randrange(2)
            if fields["has_table"]:
                fields["table"] = self.dice.randint(0, self.machine.sram.bytes - 256)
        held.used = self.emit("conv", fields, weights=held.filled)
        self.chain = None if fields["last"] else fields

    def program(self, instructions: int) -> None:
        """About ``instructions`` instructions of all kinds."""
        if self.chance(0.7):
            self.configure()
        kinds: list[tuple[float, Callable[[], None]]] = [
            (5, lambda: self.copy(False)),
            (4, lambda: self.copy(True)),
            (4, self.vector),
            (7, self.conv),
            (1, self.load_config),
            (1.5, self.configure),
            (1, self.fill_early),
        ]
        mix = [weight * self.dice.choice((0.2, 1, 1, 2)) for weight, _ in kinds]
        while len(self.made) < instructions:
            (kind,) = self.dice.choices([make for _, make in kinds], mix)
            if self.chain is not None and kind == self.configure:
                continue  # nothing comes between the passes of a reduction
            kind()
        while self.chain is not None:
            self.conv(end_chain=True)

    def fill_early(self) -> None:
        """Weights for a configuration that need not be active yet."""
        slots = [slot for slot in (self.active, self.shadow) if slot is not None]
        if slots and self.chain is None:
            self.fill(self.dice.choice(slots).configuration, self.dice.randrange(2))


_ONE_PIXEL: dict[str, int] = {"oy": 1, "ox": 1, "sx": 1, "dx": 1, "last": 1}


def random_program(machine: Machine, seed: int, instructions: int = 150) -> RandomProgram:
    """A legal program of about ``instructions`` instructions; the same seed always gives the same program."""
    dice = random.Random(f"{machine.name} {seed}")
    maker = _Maker(machine, dice)
    maker.program(instructions)
    records = _shuffled(maker.made, dice) if dice.random() < 0.5 else maker.made
    loads = [index for index, (name, _) in enumerate(records) if name == "load_config"]
    return RandomProgram(machine, seed, records, dict(zip(loads, maker.brought, strict=True)), maker.images)


def odd_machine(base: Machine, seed: int) -> Machine:
    """``base`` with other rates, bursts and overheads, some of them 0, so that every term of every law binds at times.

    The machines that come with the project never let the number of runs bind the channel, for example.
    """
    dice = random.Random(f"{base.name} {seed}")
    rate = dice.choice((1, 7, 64, 300)) * base.clock_hz + dice.randrange(base.clock_hz)
    return dataclasses.replace(
        base,
        name=f"{base.name}-odd{seed}",
        array=dataclasses.replace(base.array, conv_overhead=dice.randrange(40), flatten=dice.random() < 0.5),
        streams=dataclasses.replace(
            base.streams,
            input=dice.randint(50, 600),
            output=dice.randint(20, 300),
            residual=dice.randint(10, 300),
            weights=dice.randint(50, 300),
            vector=dice.randint(50, 300),
            fill_overhead=dice.randrange(20),
            vector_overhead=dice.randrange(20),
        ),
        dram=dataclasses.replace(
            base.dram,
            bytes_per_second=rate,
            refresh_per_mille=dice.randrange(100),
            burst=dice.choice((32, 48, 64, 128)),
            latency=dice.choice((0, dice.randrange(200))),
            turn=dice.choice((0, dice.randrange(60))),
        ),
        configuration=dataclasses.replace(
            base.configuration,
            image_bytes=dice.choice((64, 1000)),
            swap=dice.randrange(100),
            sram_load=dice.randrange(100),
        ),
    )


def _shuffled(made: list[tuple[str, Values]], dice: random.Random) -> list[tuple[str, Values]]:
    """The same program with its queues interleaved in another order, which means the same."""
    queues = {name: [record for record in made if QUEUE_OF[record[0]] == name] for name in QUEUES}
    order = [QUEUE_OF[name] for name, _ in made]
    for start in range(0, len(order), 20):  # stay near the order of making
        window = order[start : start + 20]
        dice.shuffle(window)
        order[start : start + 20] = window
    return [queues[name].pop(0) for name in order]
