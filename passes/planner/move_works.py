"""The works of movements: the copies that make some rows of a layer, as the rings they touch allow."""

from __future__ import annotations

import dataclasses

from dialects.tile import Steps, Walk
from passes.planner.mapping import Box
from passes.planner.movement import COLUMN, Place, between
from passes.planner.network import Layer, Tensor
from passes.planner.rooms import ActivationRooms
from passes.planner.works import Move


def move_works(layer: Layer, box: Box, rooms: ActivationRooms) -> list[Move]:
    """The copies that make a box, of all channels, of a movement; only the last of them completes any rows."""
    target = rooms.of(layer.output)
    found: list[Move] = []
    some = between(layer.pieces, *box.rows)
    if box.columns != (0, layer.output.width):
        some = between(some, *box.columns, COLUMN)
    for whole in some:
        tensor = layer.inputs[whole.source]
        source = rooms.of(tensor)
        for piece in whole.singly(bool(target.ring), bool(source.ring)):
            write = _walk(layer.output, piece.write, piece.write_steps)
            read = _walk(tensor, piece.read, piece.read_steps)
            found.append(Move(layer.name, target, write, source, read, piece.sizes))
    return [*found[:-1], dataclasses.replace(found[-1], completes=box.rows)]


def _walk(tensor: Tensor, place: Place, steps: Steps) -> Walk:
    """A walk through a tensor as one through its buffer, of which it may be some channels."""
    row, column, channel = place
    return Walk.of((row, column, channel + tensor.offset), steps)
