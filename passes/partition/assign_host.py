"""``assign-host``: every node that the host has to run gets its verdict, and the reason, before anything is converted.

Choices. The conversion itself is asked, on a block that is thrown away: a node that it cannot read, or whose operation
breaks a limit of the machine, is the host's, and it alone; then the rest is asked again, until nothing new is found.
What waits between such a node and the nearest QuantizeLinear or DequantizeLinear goes with it, because only int8
crosses to the machine. Nothing is refused here, unless ``no-host`` asks for that: then everything is, at once.

    %1 = onnx.node "TopK"(%0, %k)       →       %1 = onnx.node "TopK"(%0, %k) host "The machine has no operation …"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block
from xdsl.passes import ModulePass

from dialects import cnn
from dialects.blobs import to_array
from dialects.host import RANDOM
from dialects.onnx import NodeOp, constant_of, shape_of
from dialects.onnx_export import main_function, opsets_of
from dialects.onnx_work import macs
from passes.cnn.limits import HOST_CAN, RULES, sentence
from passes.common import tally
from passes.common.notes import add_note
from passes.common.problems import Problems
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.read import discard, read, refuse_float
from passes.onnx_to_cnn.regions import Regions
from passes.partition.idle import idle


@dataclass(frozen=True)
class AssignHostPass(ModulePass):
    """Mark what the host has to run, with the reason; with ``no-host`` ModelError lists all of it instead.

    ``exact`` puts no quantiser in, as in ``convert-onnx-to-cnn``.
    """

    name = "assign-host"
    no_host: bool = False
    exact: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        refuse_float(op)
        block = main_function(op).body.block
        one = _one_image(block)
        while True:
            conversion = read(block, opsets_of(op), self.exact)
            found = _failures(conversion, one)
            regions = Regions(conversion, block)
            hosted = regions.hosted() if not found else {}
            if not found:
                found = {node: why for node, why in idle(conversion, regions).items() if node.host is None}
            only = {node: why for node, why in hosted.items() if node not in regions.shared()}
            discard(conversion.block)
            if not found:
                break
            _mark(found)
        model = op.attributes.get("recon.model")
        problems = Problems(model.data if isinstance(model, StringAttr) else "the model")
        for node, why in hosted.items():
            if _random(node):
                problems.add(node.label, f"{node.kind} makes random numbers, another result in every run; export the "
                             "model for inference.")  # fmt: skip
            elif self.no_host:
                problems.add(node.label, why)
        problems.raise_if_any()
        _mark(only)
        tally.count("nodes for the host", len(hosted))
        if hosted:
            add_note(op, _summary(block, hosted))


def _one_image(block: Block) -> bool:
    """Whether the model takes one image: an input has 1 in front, and what others have there is no batch then."""
    batches = {shape[0] for value in block.args if len(shape := shape_of(value)) > 1}
    return not batches or 1 in batches


def _summary(block: Block, hosted: Mapping[NodeOp, str]) -> str:
    """What the user has to know at once: how many nodes, of which operators, and how much of the model's work."""
    operators = ", ".join(dict.fromkeys(node.kind for node in hosted))
    whole = sum(macs(node) for node in block.ops if isinstance(node, NodeOp))
    part = sum(macs(node) for node in hosted)
    work = f" and {part:,} of {whole:,} multiplications" if part else ""
    some = "1 node" if len(hosted) == 1 else f"{len(hosted)} nodes"
    return f"The host runs {some} of the model ({operators}){work}; its time is not in the cycles."


def _mark(verdicts: Mapping[NodeOp, str]) -> None:
    for node, why in verdicts.items():
        node.host = StringAttr(why)


def _random(node: NodeOp) -> bool:
    """Whether a node's result is another in every run: a Dropout is, in training."""
    if node.kind != "Dropout":
        return node.kind in RANDOM
    training = node.operand(2)
    blob = constant_of(training)
    return training is not None and (blob is None or bool(to_array(blob).any()))


def _failures(conversion: Conversion, one_image: bool) -> dict[NodeOp, str]:
    """Nodes without a verdict that the machine cannot do: those without a cnn form, and those beyond its limits.

    With ``one_image`` the model takes one, and what has a batch all the same is the host's; else the batch is refused.
    """
    rules = RULES if one_image else HOST_CAN
    found = {node: why for node, why in conversion.failures.items() if node.host is None}
    for op in conversion.block.ops:
        node = conversion.origin.get(op)
        if isinstance(op, cnn.CnnOp) and node is not None and node.host is None and node not in found:
            why = next((text for rule in rules if (text := sentence(rule, op))), "")
            if why:
                found[node] = why
    return found
