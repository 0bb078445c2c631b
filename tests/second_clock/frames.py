"""Frames in a row for the second clock: texts spelled out by the manual alone, and random ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from sim.machine.description import Machine
from sim.machine.frames import Frames
from tests.second_clock.clock import QUEUE_OF, QUEUES, Record
from tests.second_clock.random_programs import RandomProgram, Values, random_program


def spelled(records: Sequence[Record], frames: Frames, count: int) -> tuple[list[Record], list[int]]:
    """The instructions of prologue and ``count`` frames with waits that count completions from 0 on, and where in the
    text each stands.

    The manual: a counter starts at B and a wait of n in frame t is met when it has reached n + t·B.
    """
    body = Counter(QUEUE_OF[name] for name, _ in records[frames.prologue :])
    line: list[Record] = []
    places: list[int] = []
    for turn in range(-1, count):
        part = range(frames.prologue) if turn < 0 else range(frames.prologue, len(records))
        for place in part:
            name, given = records[place]
            fields = dict(given)
            for queue in QUEUES:
                wait = int(fields.get(f"wait.{queue}", 0))
                fields[f"wait.{queue}"] = max(0, wait + max(turn, 0) * body[queue] - body[queue]) if wait else 0
            inside = frames.window <= fields.get("dram", -1) < frames.window + frames.window_bytes
            if name in ("load", "store") and inside and turn % 2 == 1 and turn > 0:
                fields["dram"] += frames.window_bytes
            line.append((name, fields))
            places.append(place)
    return line, places


def random_frames(machine: Machine, seed: int, instructions: int = 40) -> tuple[RandomProgram, Frames]:
    """A random text that repeats, its waits counted by frame.

    What a frame needs of the one before is there: images and fills wait for all of its array instructions. A queue's
    first instruction, so that no queue runs ahead for ever, and some others wait for a random one of it.
    """
    dice = random.Random(seed)
    made = random_program(machine, seed, instructions)
    first = next((at for at, (name, _) in enumerate(made.records) if name not in ("load", "store")), 0)
    prologue = dice.randrange(first + 1)
    once = Counter(QUEUE_OF[name] for name, _ in made.records[:prologue])
    body = Counter(QUEUE_OF[name] for name, _ in made.records[prologue:])
    records: list[tuple[str, Values]] = []
    seen: set[str] = set()
    for place, (name, given) in enumerate(made.records):
        fields = dict(given)
        holds = place >= prologue and QUEUE_OF[name] not in seen
        seen |= {QUEUE_OF[name]} if holds else set()
        for queue in QUEUES:
            wait = int(fields.get(f"wait.{queue}", 0))
            needs = [wait + body[queue]] if wait else []
            if place >= prologue and queue != QUEUE_OF[name] and body[queue]:
                if queue == "array" and name in ("load_config", "fill"):
                    needs.append(once[queue] + body[queue])
                elif holds or dice.random() < 0.3:
                    needs.append(once[queue] + dice.randint(1, body[queue]))
            fields[f"wait.{queue}"] = max(needs, default=0)
        records.append((name, fields))
    unit = 64
    window = Frames(prologue, dice.randrange(64) * unit, dice.randrange(1, 64) * unit)
    return RandomProgram(made.machine, seed, records, made.configurations, made.images), window
