"""When each constant is loaded: in the order of need, as early as the channel and room allow.

The load queue is in order and also brings configuration images, each of which must wait until the slot it overwrites
has been left. A load that stood too early in the text would hold up the image behind it, so the text follows the
clock: reading the plan from top to bottom, a load is placed as soon as the channel would otherwise be idle before the
array gets to the next item, if there is room for what it brings from here to its last reader. Because hardware waits
only for real conflicts, this keeps the channel busy with what is needed next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from passes.planner.blocks import Item, Room, Transfer, rooms_of
from passes.planner.pace import Pace
from passes.planner.space import Space, Tally
from sim.machine.description import Machine
from sim.machine.errors import ReconError

FAR = 1 << 30
"""A horizon beyond any plan."""


class DoesNotFit(ReconError):
    """The plan needs more SRAM than there is at some item."""


@dataclass(frozen=True)
class Cost:
    """What a plan should take: cycles, bytes over the DRAM channel, bytes over the SRAM streams.

    ``crowded`` says whether any load had to wait for room.
    """

    cycles: int
    dram_bytes: int
    sram_bytes: int
    crowded: bool


def prefetch(
    machine: Machine,
    items: Sequence[Item],
    transfers: Sequence[Transfer],
    *,
    ahead: bool = True,
    horizon: int = FAR,
    tight: bool = False,
    clear: bool = False,
) -> Cost:
    """Give every transfer its position (the item before which it stands) and every room its address.

    ``transfers`` come in order of need. Rooms that transfers fill start to live at their first transfer. With
    ``ahead`` false a load waits until its layer begins; none stands more than ``horizon`` items before its first
    reader, which keeps SRAM free of what is not needed soon. ``tight`` finds addresses at the end (see ``Tally``).
    ``clear`` keeps what the vector unit writes off the space that the layer before it still reads.
    Raises DoesNotFit, naming the item and the rooms alive there, when a load that is due finds no room.
    """
    capacity = machine.sram.bytes
    rooms: dict[Room, None] = {}
    for item in items:
        for room in rooms_of(item):
            rooms[room.root] = None
    for room in rooms:
        room.clear = 0
    if clear:
        _keep_clear(items)
    space = Tally(capacity, len(items), list(rooms)) if tight else Space(capacity, len(rooms))
    lost = space.from_above([room for room in rooms if not room.loaded])
    if lost is not None:
        raise _does_not_fit(items, rooms, set(), lost, lost.first, capacity)
    placed: set[Room] = set()
    pace = Pace(machine, items)
    waited = False
    ready: dict[Room, int] = {}
    upcoming = 0
    for position, item in enumerate(items):
        while upcoming < len(transfers):
            transfer = transfers[upcoming]
            due = transfer.need <= position
            if not due and (pace.channel > pace.array or transfer.earliest > position):
                break
            if not due and (transfer.need > position + horizon or (not ahead and transfer.layer != item.layer)):
                break
            room = transfer.room.root
            if room not in placed:
                room.first = position
                free = space.place(room, pace.finished_at, pace.channel)
                if free < 0:
                    if due:
                        raise _does_not_fit(items, rooms, placed, room, position, capacity)
                    waited = True
                    break
                placed.add(room)
                ready[room] = free
            transfer.position = position
            pace.load(transfer, ready[room])
            upcoming += 1
        pace.do(position, item)
    if not space.settle():
        raise DoesNotFit(
            f"The plan's buffers fit the {capacity:,} bytes of SRAM at every moment, but no addresses were found for "
            "them all. A machine with more SRAM, or a smaller input, would help."
        )
    return Cost(pace.finished, pace.moved, pace.streamed, waited)


def _keep_clear(items: Sequence[Item]) -> None:
    """Reserve the room of a vector layer's result from the beginning of the layer before it."""
    begins = 0
    for position, item in enumerate(items):
        if position and item.layer != items[position - 1].layer:
            previous, begins = begins, position
            if item.kind == "vector":
                room = item.operands["output"].root
                if room.first == position:
                    room.clear = position - previous


def _does_not_fit(
    items: Sequence[Item], rooms: dict[Room, None], placed: set[Room], room: Room, position: int, capacity: int
) -> DoesNotFit:
    alive = [r for r in rooms if r is room or (r.first <= position <= r.last and (not r.loaded or r in placed))]
    alive.sort(key=lambda r: -r.bytes)
    demand = sum(r.bytes for r in alive)
    listed = ", ".join(f"{r.name} {r.bytes:,}" for r in alive[:6])
    gap = f"{demand - capacity:,} too many" if demand > capacity else "enough in all, but not in one piece"
    subject = f"Layer {items[position].layer}" if items[position].layer else "The plan"
    return DoesNotFit(
        f"{subject} does not fit in SRAM: it needs {demand:,} bytes at once and there are "
        f"{capacity:,} ({gap}). The largest buffers are {listed} bytes. "
        "A machine with more SRAM, or a smaller input, would help."
    )
