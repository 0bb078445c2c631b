"""Layer names: the ONNX node's name, made short, readable and unique."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dialects.onnx import NodeOp
from dialects.onnx_export import strings_of

_LONGEST = 40

_TELLING = {
    "Conv": ("conv",),
    "MatMul": ("dense", "fc", "matmul", "logits", "predictions"),
    "Gemm": ("dense", "fc", "gemm", "logits", "classifier"),
    "Add": ("add",),
    "AveragePool": ("pool",),
    "GlobalAveragePool": ("pool",),
    "MaxPool": ("pool",),
}
"""What a part of a long name contains if it speaks of the operator."""

_GENERIC = re.compile(
    r"^(conv2d|conv|depthwise|depthwiseconv\w*|matmul|biasadd|relu6?|add(v2)?|avgpool|maxpool|mean|pad|concat(v2)?|mul|"
    r"fusedbatchnormv3|batchnorm|reshape|readvariableop|resource|quant\w*|dequant\w*|prequant)\d*$",
    re.IGNORECASE,
)

SPOKEN = {"QuantizeLinear": "requantise", "DequantizeLinear": "requantise", "MatMul": "matmul"}
"""What an unnamed node's layer is called where the operator type reads badly."""


class Names:
    """Hands out names, each once."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.counts: dict[str, int] = {}

    def of(self, node: NodeOp) -> str:
        """A new layer name for an operation that stands for this node."""
        kind = node.op_type.data
        given = shorten(node.node_name.data if node.node_name is not None else "", kind)
        if not given or (kind in SPOKEN and kind != "MatMul"):
            stem = SPOKEN.get(kind, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower())
            return self.numbered(stem)
        if given not in self.taken:
            self.taken.add(given)
            return given
        return self.numbered(given)

    def numbered(self, stem: str) -> str:
        while True:
            number = self.counts.get(stem, 0)
            self.counts[stem] = number + 1
            if (name := f"{stem}_{number}") not in self.taken:
                self.taken.add(name)
                return name


def shorten(name: str, op_type: str) -> str:
    """A node's name without the folders and suffixes converters put there; at most 40 letters, digits, ``_ . -``."""
    parts = name.split(";")
    if len(name) > _LONGEST or len(parts) > 1:
        telling = _TELLING.get(op_type, ())
        chosen = next((p for p in parts if any(word in p.rpartition("/")[0].lower() for word in telling)), parts[0])
        pieces = [piece for piece in re.split(r"[/:]", re.sub(r"_(pre)?quant$", "", chosen)) if piece]
        while len(pieces) > 1 and _GENERIC.match(pieces[-1]) and pieces[:-1] != ["model"]:
            pieces.pop()
        name = pieces[-1] if pieces else ""
    name = re.sub(r"_(pre)?quant$", "", name.removeprefix("model/"))
    cleaned = re.sub(r"[^A-Za-z0-9_.\-]+", "_", name).strip("_.-")
    return cleaned[-_LONGEST:].strip("_.-")


def labels(nodes: Sequence[NodeOp]) -> list[str]:
    """The names of the nodes an operation absorbs, in order, without the quantisers if there is anything else."""
    quantisers: list[str] = []
    computing: list[str] = []
    for node in nodes:
        found = quantisers if node.op_type.data in ("QuantizeLinear", "DequantizeLinear") else computing
        found.extend([node.node_name.data] if node.node_name is not None else [])
        found.extend(strings_of(node.attributes.get("absorbed")))
    return list(dict.fromkeys(computing or quantisers))
