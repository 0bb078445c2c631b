"""Configuration images: where the array changes from one to another, and when the next one comes."""

from __future__ import annotations

from collections.abc import Sequence

from passes.planner.rooms import Constant, Load, Room, whole
from passes.planner.works import ConvPass, LoadImage, Use, Work
from sim.machine.description import Configuration, Machine

TWICE = 2
"""Times an image is needed that has a copy in SRAM."""

NEVER = 1 << 30
"""More often than any image is needed."""


def in_rhythm(machine: Machine, planned: Sequence[Work]) -> tuple[list[Work], list[Work], list[Load]]:
    """What is done once before frames in a row, the works of a frame, and the loads of copies of images.

    A frame begins with what the one before left in the slots, and what is done once brings the slots there. Every image
    that a frame loads has a copy in SRAM.
    """
    slots: Slots = (None, None)
    for _ in range(2):  # what the slots hold at the end of a frame, then at the end of one that began with it
        _, slots = _exchanges(planned, slots)
    works, copies = with_images(machine, planned, slots, 1)
    before: list[Work] = []
    for held in dict.fromkeys(one for one in slots if one is not None):
        before.append(LoadImage("", held, None))
        if held == slots[0]:
            before.append(Use("", held))
    return before, works, copies


Slots = tuple[Configuration | None, Configuration | None]
"""The active configuration and the one in the shadow slot."""


def _exchanges(planned: Sequence[Work], slots: Slots) -> tuple[list[tuple[int, Configuration, bool]], Slots]:
    """Where the array changes to which configuration, whether no slot holds it, and what the slots hold in the end."""
    active, shadow = slots
    found: list[tuple[int, Configuration, bool]] = []
    for position, work in enumerate(planned):
        if isinstance(work, ConvPass) and (wanted := work.configuration) != active:
            found.append((position, wanted, wanted != shadow))
            active, shadow = wanted, active
    return found, (active, shadow)


def with_images(
    machine: Machine, planned: Sequence[Work], slots: Slots = (None, None), often: int = TWICE
) -> tuple[list[Work], list[Load]]:
    """The works with swaps and loads of images, and the loads that bring the copies kept in SRAM.

    A swap where the configuration changes, a load where no slot holds it. An image goes into the shadow slot right
    behind the swap before; one that is needed ``often`` has a copy in SRAM, so that only the first load takes the
    channel. ``slots`` is what they hold before.
    """
    plan, _ = _exchanges(planned, slots)
    times: dict[Configuration, int] = {}
    for _, wanted, fresh in plan:
        times[wanted] = times.get(wanted, 0) + fresh
    copies: dict[Configuration, Room] = {}
    loads: list[Load] = []
    for wanted, count in times.items():
        if count >= often:
            size = machine.configuration.image_bytes
            room = copies[wanted] = Room(f"image_{str(wanted).replace(' ', '_')}", (size,))
            loads.append(whole(room, Constant(wanted, (size,)), ""))
    inserts: dict[int, list[Work]] = {}
    previous = 0
    for position, wanted, fresh in plan:
        name = planned[position].layer
        if fresh:
            inserts.setdefault(previous, []).append(LoadImage(name, wanted, copies.get(wanted)))
        inserts.setdefault(position, []).append(Use(name, wanted))
        previous = position
    works: list[Work] = []
    for position, work in enumerate(planned):
        works += [*inserts.get(position, []), work]
    return works, loads
