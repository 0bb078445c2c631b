"""Configuration images: where the array changes from one to another, and when the next one comes."""

from __future__ import annotations

from collections.abc import Sequence

from passes.planner.blocks import Constant, Item, Room, Transfer
from sim.machine.description import Configuration, Machine


def with_images(machine: Machine, planned: Sequence[Item]) -> tuple[list[Item], list[Transfer]]:
    """The items with swaps and loads of images, and the transfers that bring the copies kept in SRAM.

    A swap where the configuration changes, a load where no slot holds it. An image goes into the shadow slot right
    behind the swap before; one that is needed more than once has a copy in SRAM, so that only the first load takes the
    channel.
    """
    loads: dict[Configuration, int] = {}
    plan: list[tuple[int, Configuration, bool]] = []
    active: Configuration | None = None
    shadow: Configuration | None = None
    for position, item in enumerate(planned):
        if item.kind != "conv":
            continue
        wanted = item.operands["half"].options["configuration"]
        if wanted == active:
            continue
        fresh = wanted != shadow
        plan.append((position, wanted, fresh))
        loads[wanted] = loads.get(wanted, 0) + fresh
        active, shadow = wanted, active
    copies: dict[Configuration, Room] = {}
    transfers: list[Transfer] = []
    for wanted, count in loads.items():
        if count > 1:
            size = machine.configuration.image_bytes
            room = Room(f"image_{str(wanted).replace(' ', '_')}", (size,), loaded=True)
            copies[wanted] = room
            transfers.append(Transfer(room, (0,), Constant(wanted, (size,)), (0,), (size,), ""))
    items: list[Item] = []
    inserts: dict[int, list[Item]] = {}
    previous = 0
    for position, wanted, fresh in plan:
        name = planned[position].layer
        if fresh:
            operands = {"copy": copies[wanted]} if wanted in copies else {}
            load = Item("load_config", name, operands, {"configuration": wanted})
            inserts.setdefault(previous, []).append(load)
        inserts.setdefault(position, []).append(Item("use", name, {}, {"configuration": wanted}))
        previous = position
    for position, item in enumerate(planned):
        items += inserts.get(position, [])
        items.append(item)
    return items, transfers
