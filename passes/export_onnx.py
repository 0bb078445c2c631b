"""``onnx`` IR back to a ModelProto; the code stands one floor down, where the reference meanings need it too."""

from __future__ import annotations

from dialects.meaning.export import Exported, export_block, export_module, main_function, opsets_of, strings_of

__all__ = ["Exported", "export_block", "export_module", "main_function", "opsets_of", "strings_of"]
