"""Configuration images: where the array changes from one to another, and when the next one comes."""

from __future__ import annotations

from collections.abc import Sequence

from passes.planner.rooms import Constant, Load, Room, whole
from passes.planner.works import ConvPass, LoadImage, Use, Work
from sim.machine.description import Configuration, Machine


def with_images(machine: Machine, planned: Sequence[Work]) -> tuple[list[Work], list[Load]]:
    """The works with swaps and loads of images, and the loads that bring the copies kept in SRAM.

    A swap where the configuration changes, a load where no slot holds it. An image goes into the shadow slot right
    behind the swap before; one that is needed more than once has a copy in SRAM, so that only the first load takes the
    channel.
    """
    times: dict[Configuration, int] = {}
    plan: list[tuple[int, Configuration, bool]] = []
    active: Configuration | None = None
    shadow: Configuration | None = None
    for position, work in enumerate(planned):
        if not isinstance(work, ConvPass) or (wanted := work.configuration) == active:
            continue
        fresh = wanted != shadow
        plan.append((position, wanted, fresh))
        times[wanted] = times.get(wanted, 0) + fresh
        active, shadow = wanted, active
    copies: dict[Configuration, Room] = {}
    loads: list[Load] = []
    for wanted, count in times.items():
        if count > 1:
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
