"""xDSL's interactive explorer of passes, with our dialects and passes, on a model whose constants are at hand.

The text that a user sees and edits refers to constants by their hash. The first pass of every pipeline in the explorer
gives the constants of the model that was opened to whatever the text has become.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override
from xdsl.context import Context
from xdsl.dialects import get_all_dialects as get_xdsl_dialects
from xdsl.dialects.builtin import ModuleOp
from xdsl.interactive import app as xdsl_app
from xdsl.interactive.app import InputApp
from xdsl.passes import ModulePass

from dialects.recon import blobs, resolve
from passes.pipeline import PIPELINE
from tools.registry import get_all_dialects


class RecallConstantsPass(ModulePass):
    """Constants of the opened model by their hash; it runs in the explorer alone, where text is all there is."""

    name = "recall-constants"
    known: ClassVar[dict[str, memoryview]] = {}

    @override
    def apply(self, ctx: Context, op: ModuleOp) -> None:
        resolve(op, self.known)


class Explorer(InputApp):
    """The app on a module; the passes are those of the pipeline, in its order."""

    CSS_PATH = Path(xdsl_app.__file__).with_name("app.tcss")

    def __init__(self, module: ModuleOp, path: Path):
        RecallConstantsPass.known = {
            b.digest: memoryview(b.buffer()).cast("B") for b in blobs(module) if b.data is not None
        }
        dialects: tuple[Any, ...] = (*get_xdsl_dialects().items(), *get_all_dialects().items())
        passes = (
            (RecallConstantsPass.name, RecallConstantsPass),
            *((entry.name, entry.load()) for entry in PIPELINE),
        )
        super().__init__(dialects, passes, str(path), str(module), (RecallConstantsPass(),))
