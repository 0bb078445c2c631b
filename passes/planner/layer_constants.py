"""Parameters, tables and weights of layers: the rooms they lie in, and the loads that bring them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from dialects import cnn
from dialects.recon import BlobAttr
from passes.planner import numbers
from passes.planner.mapping import Block, ConvMapping, Span, cuts
from passes.planner.network import Layer
from passes.planner.rooms import Constant, Load, Room
from passes.planner.tuning import chunk_bytes, least_piece_bytes, piece_bytes
from sim.machine.description import Machine


def constants_of(layer: Layer, channels: Span) -> tuple[dict[str, Room], list[Load]]:
    """The parameters of some channels of a layer and its table (``params``, ``table``), each in a room of its own, and
    the loads."""
    found: dict[str, BlobAttr] = {}
    if layer.is_conv:
        found["params"] = numbers.parameters(layer.conv, layer.inputs[0].type)
        if layer.conv.table is not None:
            found["table"] = layer.conv.table
    elif isinstance(layer.op, cnn.AffineOp):
        found["params"] = numbers.affine_parameters(layer.op)
    elif isinstance(layer.op, cnn.TableOp):
        found["table"] = layer.op.table
    rooms: dict[str, Room] = {}
    loads: list[Load] = []
    for name, blob in found.items():
        first, shape = 0, blob.shape
        if name == "params":
            size = layer.output.channels // blob.shape[0]  # a float has more bytes than one
            first, shape = channels[0] // size, ((channels[1] - channels[0]) // size, *blob.shape[1:])
        room = rooms[name] = Room(f"{layer.name}_{name}", shape)
        origin = (0,) * len(shape)
        loads.append(Load(room, origin, Constant(blob, blob.shape), (first, *origin[1:]), shape, layer.name))
    return rooms, loads


def weight_rooms(
    machine: Machine, layer: Layer, mapping: ConvMapping, blocks: Sequence[Block], again: bool = False
) -> tuple[Mapping[Block, tuple[Room, int, int]], list[Load]]:
    """For each of these blocks its room, and the output and input channel the room starts at; and the loads of all.

    Blocks share a room up to ``chunk_bytes``; one that holds a part of the input channels has its own, and lies in DRAM
    as it is read.
    """
    shape, chunk = mapping.shape, chunk_bytes(machine)
    batches: list[list[Block]] = []
    for block in blocks:
        is_whole = block.inputs == shape.inputs
        held = sum(other.channels for other in batches[-1]) * shape.taps * block.inputs if batches else chunk
        if not (is_whole and held < chunk):
            batches.append([])
        batches[-1].append(block)
    found: dict[Block, tuple[Room, int, int]] = {}
    loads: list[Load] = []
    weights = layer.conv.weights
    for batch in batches:
        k, c = batch[0].first_channel(shape), batch[0].input
        outputs, inputs = batch[-1].first_channel(shape) + batch[-1].channels - k, batch[0].inputs
        room = Room(f"{layer.name}_w{k}", (outputs, shape.fy, shape.fx, inputs), again=again)
        source, origin = Constant(weights, weights.shape), k
        if inputs < shape.inputs:
            source, origin = Constant(laid_out(weights, k, outputs, c, inputs), room.shape), 0
        least = 1 if mapping.is_tapered else least_piece_bytes()
        for first, end in _pieces([block.channels for block in batch], shape.taps * inputs, least):
            sizes = (end - first, shape.fy, shape.fx, inputs)
            loads.append(Load(room, (first, 0, 0, 0), source, (origin + first, 0, 0, 0), sizes, layer.name))
        found |= dict.fromkeys(batch, (room, k, c))
    return found, loads


@functools.lru_cache(maxsize=4096)
def laid_out(weights: BlobAttr, k: int, outputs: int, c: int, inputs: int) -> BlobAttr:
    """A block's part of the weights as a constant of its own: in DRAM it lies as it is read, in whole bursts, and not
    in runs of a few input channels."""
    part = np.frombuffer(weights.data.buffer(), np.int8).reshape(weights.shape)[k : k + outputs, :, :, c : c + inputs]
    return BlobAttr.make(part.shape, "i8", part.tobytes())


def _pieces(channels: Sequence[int], size: int, least: int) -> list[Span]:
    """Output channels that come in one load of ``least`` bytes and more each, from blocks of so many; ``size`` bytes
    belong to a channel."""
    found: list[Span] = []
    first = end = 0
    for count in channels:
        end += count
        if (end - first) * size >= least:
            found += cuts(first, end, (end - first) * size // piece_bytes())
            first = end
    return [*found, (first, end)] if end > first else found
