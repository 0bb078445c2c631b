"""Attributes and inputs that a handler never looked at: what they say would be lost, so the model is refused.

Every look at an attribute is noted; once the model has run, whatever was not looked at has to be ONNX's default.
"""

from __future__ import annotations

from typing import Any, TypeVar

import onnx
from onnx import defs, helper

T = TypeVar("T")

WITHOUT_EFFECT = frozenset({
    ("BatchNormalization", "momentum"), ("MaxPool", "storage_order"), ("Dropout", "seed"), ("Dropout", "ratio"),
    ("QuantizeLinear", "saturate"), ("Cast", "saturate"), ("Resize", "cubic_coeff_a"), ("Conv", "kernel_shape"),
    ("QLinearConv", "kernel_shape"), ("ConvTranspose", "kernel_shape"), ("Split", "num_outputs"),
})  # fmt: skip
"""Attributes that do not bear on what the handlers compute: on training, on other types, on what shapes say already."""


class Heard(dict[str, Any]):
    """A node's attributes, and the names that were asked for."""

    def __init__(self, node: onnx.NodeProto) -> None:
        super().__init__({item.name: helper.get_attribute_value(item) for item in node.attribute})
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def unheard(self, node: onnx.NodeProto, opset: int) -> str | None:
        """An attribute that nobody asked for and that is not the default; None if there is none."""
        for name, value in self.items():
            if name in self.asked or (node.op_type, name) in WITHOUT_EFFECT:
                continue
            if node.domain not in ("", "ai.onnx") or value != default_of(node.op_type, name, opset):
                return name
        return None


def default_of(op_type: str, attribute: str, opset: int) -> Any:
    """ONNX's default, None where there is none."""
    try:
        schema = defs.get_schema(op_type, opset)
    except defs.SchemaError:
        return None
    given = schema.attributes[attribute].default_value if attribute in schema.attributes else None
    return helper.get_attribute_value(given) if given is not None and given.type else None
