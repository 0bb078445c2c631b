"""From an operation of any level back to the ONNX nodes that it comes from, as MLIR's ``loc(…)``.

Decisions. Provenance is what the IR carries anyway: the name of an ``onnx.node``, the ``nodes`` of a ``cnn`` operation,
the ``layer`` of everything below, whose row names its nodes; the debug table of a program file is made from the same
rows. So a location is derived when it is printed, and no pass can forget it: ``loc("conv1")``, of several nodes
``loc(fused["conv1", "relu1"])``. An operation that was read from a text has its place there as well.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FusedLoc,
    LocationAttr,
    ModuleOp,
    NameLoc,
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Operation

from dialects.recon import LayerOp
from dialects.text import file_place, names_in


def nodes_of(op: Operation, layers: Mapping[str, list[str]]) -> list[str]:
    """The ONNX nodes that an operation comes from, by its own words and the ``layers`` table; else those that its
    location names."""
    layer, nodes, name = (op.properties.get(key) for key in ("layer", "nodes", "node_name"))
    if isinstance(name, StringAttr):
        absorbed = op.attributes.get("absorbed")
        return [name.data, *(one for one in _strings(absorbed) if one != name.data)]
    if nodes is not None:
        return _strings(nodes)
    if isinstance(layer, SymbolRefAttr) and layer.root_reference.data in layers:
        return layers[layer.root_reference.data]
    return names_in(op.location)


def location_of(op: Operation, layers: Mapping[str, list[str]]) -> LocationAttr:
    """Nodes, and behind them the place in a text if there is one; what the operation says already where neither is."""
    names, place = list(dict.fromkeys(nodes_of(op, layers))), file_place(op.location)
    if not names:
        return op.location
    if len(names) == 1:
        return _named(names[0], place)
    parts = [*(_named(name, None) for name in names), *([place] if place is not None else [])]
    return FusedLoc(tuple(parts), NoneAttr())


def layers_of(module: ModuleOp) -> dict[str, list[str]]:
    """The ONNX nodes of every layer of the layer table."""
    return {op.sym_name.data: _strings(op.nodes) for op in module.body.block.ops if isinstance(op, LayerOp)}


@contextmanager
def located(module: ModuleOp) -> Generator[None]:
    """Within, every operation's location is the one that people are shown."""
    layers, kept = layers_of(module), {op: op.location for op in module.walk()}
    for op, own in kept.items():
        shown = location_of(op, layers)
        if shown is not own:
            op.location = shown
    try:
        yield
    finally:
        for op, own in kept.items():
            op.location = own


def _named(name: str, place: FileLineColLoc | None) -> NameLoc:
    return NameLoc(StringAttr(name), place if place is not None else NoneAttr())


def _strings(attribute: object) -> list[str]:
    items = attribute.data if isinstance(attribute, ArrayAttr) else ()
    return [item.data for item in items if isinstance(item, StringAttr)]
