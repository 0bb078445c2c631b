"""``legalize``: everything the machine cannot run is found here, all of it at once.

Choices. The rules stand in ``limits``. Of an ONNX model little arrives here that breaks one: ``assign-host`` asks the
same rules and leaves such nodes to the host; what ONNX Runtime cannot run there is found here too.

    module with a batch of 8 and a kernel of 300x300   →   ModelError naming both, and what would help
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from dialects import cnn
from dialects.host import unsupported
from dialects.onnx_export import export_block, main_function, opsets_of, strings_of
from passes.cnn.limits import RULES, sentence
from passes.common.problems import Problems, place_in_text


def place_of(op: cnn.CnnOp) -> str:
    """What a message calls an operation: its place in the text, and the ONNX node it stands for (a host region for
    several), else its layer."""
    nodes = strings_of(op.nodes)
    named = ", ".join(nodes if isinstance(op, cnn.HostOp) else nodes[:1])
    return ", ".join(filter(None, [place_in_text(op), named or (op.layer.data if op.layer is not None else op.name)]))


def _cannot_run(module: ModuleOp, op: cnn.HostOp) -> str:
    """What ONNX Runtime has against a host region; empty if it runs it."""
    names = [f"in{at}" for at in range(len(op.inputs))], [f"out{at}" for at in range(len(op.outputs))]
    return unsupported(export_block(op.body.block, *names, opsets_of(module)).proto)


@dataclass(frozen=True)
class LegalizePass(ModulePass):
    """Raises ModelError with everything the machine cannot run; changes nothing."""

    name = "legalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        model = op.attributes.get("recon.model")
        problems = Problems(model.data if isinstance(model, StringAttr) else "the model")
        for inner in main_function(op).body.block.ops:
            if isinstance(inner, cnn.CnnOp) and not isinstance(inner, cnn.HostOp):
                for rule in RULES:
                    if said := sentence(rule, inner):
                        problems.add(place_of(inner), said)
            elif isinstance(inner, cnn.HostOp) and (reason := _cannot_run(op, inner)):
                problems.add(
                    place_of(inner), f"ONNX Runtime, which runs the host's operators, cannot run it: {reason}."
                )
        for other in op.body.block.ops:
            if isinstance(other, FuncOp) and other.sym_name.data != "main" and other.body.blocks:
                name = ", ".join(filter(None, [place_in_text(other), f"@{other.sym_name.data}"]))
                problems.add(name, "Only @main becomes a program; put what it does there.")
        problems.raise_if_any()
