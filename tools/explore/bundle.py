"""What a worker is given once, and what it computes: everything of the engine that knows nothing of Dask."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.machine.errors import ReconError
from tools.driver import make_context
from tools.explore.area import AreaCosts
from tools.explore.frontend import PreparedModel, rebased, version
from tools.explore.point import PointRow, evaluate
from tools.explore.store import PointEffort
from tools.options import Planning

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp


@dataclass(frozen=True)
class Point:
    """What is computed once: a model by its digest, a machine as ``load`` takes it, and the planner's options."""

    key: str
    model: str
    machine: str
    planning: Planning


@dataclass(frozen=True)
class Done:
    """A point's row and what it took."""

    point: Point
    row: PointRow
    effort: PointEffort


@dataclass
class Bundle:
    """All that workers need beside points: models by digest, texts of base machines by name, unit costs of area."""

    models: Mapping[str, PreparedModel]
    bases: Mapping[str, str]
    area: AreaCosts
    version: str
    opened: dict[str, ModuleOp] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    context: Context | None = None
    count: int = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "opened": {}, "files": {}, "context": None, "count": 0}

    def prepare(self) -> None:
        """Put what this process needs in its place; ReconError where our sources are not those of the client."""
        gc.set_threshold(100_000, 50, 100)  # as in tools.main: IR is many small objects that live to the end
        if version() != self.version:
            raise ReconError("A worker has another version of recon than this client; install the same on both.")
        self.context = make_context()
        folder = tempfile.mkdtemp(prefix="recon-")
        for number, (name, text) in enumerate(sorted(self.bases.items())):
            if text:
                path = Path(folder, f"machine{number}.toml")
                path.write_text(text, encoding="utf-8")
                self.files[name] = str(path)

    def compute(self, point: Point) -> Done:
        """A point's row, in this process."""
        start = time.process_time()
        assert self.context is not None
        if point.model not in self.opened:
            self.opened[point.model] = self.models[point.model].open(self.context)
            gc.collect()
            gc.freeze()  # what stays is looked through no more
        module = self.opened[point.model]
        row = evaluate(module, self.context, rebased(point.machine, self.files), point.planning, self.area)
        gc.collect()  # IR is full of circles; thousands of points would keep gigabytes of them
        self.count += 1
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        process = f"{os.uname().nodename}:{os.getpid()}"
        return Done(point, row, PointEffort(time.process_time() - start, process, peak, self.count))
