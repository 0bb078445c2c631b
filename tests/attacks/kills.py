"""Tools ended at random moments: every file in the folder is then an old one, whole, or the new one, whole.

    python -m tests.attacks.kills --kills 1000 --seed 1

``recon`` and ``recon-opt`` get SIGKILL, SIGTERM or SIGINT (Ctrl-C) at a moment drawn from the time that they take, in a
folder with the output of an earlier command or without. Afterwards inputs are as they were, outputs are the older file
or the one that an undisturbed command writes, nothing else lies there, nobody has printed a traceback, and the rows of
an exploration that were kept are rows of a whole one. The commands start as an installed wheel has them. Ctrl-C before
the command has begun, while Python itself starts, is answered by Python, and counted by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from tests.attacks.processes import environment
from tests.conftest import ROOT
from tests.passes.onnx_to_cnn.spread_graphs import case

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

ENVIRONMENT = {name: value for name, value in environment().items() if name != "PYTHONPATH"}

ENDS = ("by the signal", "interrupted", "by Python", "finished")
"""How a process ends: at once, saying that it was interrupted, before the command began, or as if nothing were."""

BEGUN = ("recon_commands.py", "recon.py")
"""Without one of these in a traceback, the command has not begun."""

SPACE = """[[models]]
file = "m.onnx"
[machine]
base = "edge4k"
vary.sram = [{"sram.bytes" = "1MiB"}, {"sram.bytes" = "2MiB"}]
"""


@dataclass(frozen=True)
class Deed:
    """A command and what it writes; ``weight`` says how often it is drawn."""

    command: str
    outputs: tuple[str, ...]
    weight: int = 4


DEEDS = (
    Deed("recon compile m.onnx -q -o x.rbin", ("x.rbin",), 8),
    Deed("recon run good.rbin -q --stats x.json --output out", ("x.json", "out"), 8),
    Deed("recon quantize float.onnx --random 1 -q -o x.onnx", ("x.onnx",)),
    Deed("recon report m.onnx -q -o x.html", ("x.html",)),
    Deed("recon compare m.onnx -q --json x.json", ("x.json",)),
    Deed("recon disassemble good.rbin -o x.asm", ("x.asm",), 2),
    Deed("recon assemble good.asm --base good.rbin -o x.rbin", ("x.rbin",), 2),
    Deed("recon-opt m.onnx --to accel -o x.mlir", ("x.mlir", "x.safetensors"), 8),
    Deed("recon explore space.toml -q -o x.sqlite --workers 1 --csv x.csv", ("x.sqlite", "x.csv"), 1),
)


@dataclass
class Killed:
    """What came of all kills: how processes ended, by signal, and every sentence of what is wrong."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    wrong: list[str] = field(default_factory=list[str])

    def table(self) -> str:
        """Rows by signal: ended by it, or by itself before or in spite of it."""
        rows = [f"{'ended at a random moment':<26}" + "".join(f"{end:>16}" for end in ENDS)]
        for name in (each.name for each in SIGNALS):
            rows.append(f"{name:<26}" + "".join(f"{self.ends[name, end] or '-':>16}" for end in ENDS))
        return "\n".join(rows)


@dataclass
class Bench:
    """Folders to kill in: ``inputs`` for every deed; by deed, an older whole output, the new one, and seconds taken."""

    root: Path
    inputs: Path = field(init=False)
    older: dict[Deed, Path] = field(default_factory=dict[Deed, Path])
    newer: dict[Deed, Path] = field(default_factory=dict[Deed, Path])
    seconds: dict[Deed, float] = field(default_factory=dict[Deed, float])

    def __post_init__(self) -> None:
        self.inputs = self.root / "inputs"
        self.inputs.mkdir()
        self._install()
        onnx.save(case("residual").model(), self.inputs / "m.onnx")
        onnx.save(_float_model(), self.inputs / "float.onnx")
        (self.inputs / "space.toml").write_text(SPACE)
        for command in ("recon compile m.onnx -q -o good.rbin", "recon disassemble good.rbin -o good.asm"):
            subprocess.run(self.argv(command), cwd=self.inputs, env=ENVIRONMENT, check=True, capture_output=True)

    def argv(self, command: str) -> list[str]:
        """The command as a wheel installs it."""
        name, *rest = command.split()
        return [str(self.root / "env" / "bin" / name), *rest]

    def _install(self) -> None:
        """An environment that has this checkout and what is installed here, and scripts as pip writes them."""
        venv.create(self.root / "env", symlinks=True)
        (site,) = (self.root / "env" / "lib").glob("python*/site-packages")
        (site / "here.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
        for name, entry in (("recon", "main"), ("recon-opt", "opt")):
            script = self.root / "env" / "bin" / name
            script.write_text(
                f"#!{self.root / 'env' / 'bin' / 'python'}\nimport sys\nfrom recon_commands import {entry}\n"
                f"if __name__ == '__main__':\n    sys.exit({entry}())\n"
            )
            script.chmod(0o755)

    def undisturbed(self, deed: Deed) -> None:
        """Run the command once as it is, and once with another model for what may lie there from before."""
        for kept, name in ((self.older, "older"), (self.newer, "newer")):
            folder = self.root / f"{name}-{len(kept)}"
            shutil.copytree(self.inputs, folder)
            if name == "older":
                onnx.save(case("conv_relu_pool").model(), folder / "m.onnx")
            began = time.monotonic()
            done = subprocess.run(
                self.argv(deed.command), cwd=folder, env=ENVIRONMENT, capture_output=True, check=False
            )
            assert done.returncode == 0, (deed.command, done.stderr.decode())
            self.seconds[deed] = time.monotonic() - began
            kept[deed] = folder

    def kill(self, deed: Deed, how: signal.Signals, part: float, again: bool, result: Killed) -> None:
        """End the deed after this part of the time it takes; ``again``: over older output."""
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix="kill-"))
        shutil.copytree(self.inputs, folder, dirs_exist_ok=True)
        for name in deed.outputs if again else ():
            for path in self.older[deed].glob(f"{name}*"):
                _copy(path, folder / path.name)
        process = subprocess.Popen(
            self.argv(deed.command), cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(part * self.seconds[deed])
        process.send_signal(how)
        try:
            said = process.communicate(timeout=120)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1].decode(errors="replace") + "\nIt did not end."
        problems = [*_said(process.returncode, said, how), *self._left(deed, folder, again)]
        where = f"{deed.command}, {how.name} after {part:.3f} of {self.seconds[deed]:.2f} s"
        result.wrong += [f"{where}: {problem}" for problem in problems]
        end = {0: "finished", 130: "interrupted", 1: "by Python"}.get(process.returncode, "by the signal")
        result.ends[how.name, end] += 1
        shutil.rmtree(folder)

    def _left(self, deed: Deed, folder: Path, again: bool) -> Iterator[str]:
        """What is wrong with the files that are there."""
        good = _contents(self.newer[deed])
        older = _contents(self.older[deed]) if again else {}
        old = {name: content for name, content in older.items() if name.startswith(deed.outputs)}
        inputs = _contents(self.inputs)
        found = _contents(folder)
        for name, content in inputs.items():
            if found.get(name) != content:
                yield f"the input {name} is another"
        for name, content in found.items():
            if name.endswith(".sqlite"):
                yield from _rows(folder / name, [each / name for each in (self.newer[deed], self.older[deed])])
            elif name not in inputs and content not in (good.get(name), old.get(name)) and ".sqlite-" not in name:
                yield f"{name} is neither the older file nor the whole new one"
        for name in old:
            if name not in found and ".sqlite-" not in name:
                yield f"{name} is lost"


def _float_model() -> onnx.ModelProto:
    import numpy as np

    from tests.attacks.named_models import model

    weights = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="c")
    return onnx.load_from_string(model([node], (1, 3, 8, 8), w=weights))


def _copy(source: Path, target: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def _contents(folder: Path) -> dict[str, str]:
    """Digests of the files below a folder, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _rows(path: Path, whole: Sequence[Path]) -> Iterator[str]:
    """Rows of a store that no whole exploration has; all that it has come from one transaction each."""

    def rows(of: Path) -> set[tuple[object, ...]]:
        with sqlite3.connect(of) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            return set(connection.execute("select * from points")) if "points" in tables else set()

    try:
        if extra := rows(path) - set().union(*map(rows, whole)):
            yield f"{path.name} has {len(extra)} rows that no exploration makes"
    except sqlite3.DatabaseError as error:
        yield f"{path.name} cannot be read: {error}"


def _said(code: int, said: str, how: signal.Signals) -> Iterator[str]:
    if how is signal.SIGINT and "KeyboardInterrupt" in said and not any(name in said for name in BEGUN):
        return
    if "Traceback" in said or "itself failed" in said or "It did not end." in said or "KeyboardInterrupt" in said:
        yield f"it said {said[-300:]!r}"
    if code not in (0, 130 if how is signal.SIGINT else 0, -how):
        yield f"it ended with {code} and said {said[-300:]!r}"


def kill_often(count: int, seed: int) -> Iterator[Killed]:
    """So many kills; what came of them so far, after each."""
    dice, result = random.Random(seed), Killed()
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root))
        for number in range(count):
            (deed,) = dice.choices(DEEDS, [deed.weight for deed in DEEDS])
            if deed not in bench.newer:
                bench.undisturbed(deed)
            bench.kill(deed, SIGNALS[number % 3], dice.uniform(0, 1.05), dice.random() < 0.5, result)
            yield result


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.kills", description="End tools at random moments.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    shown, result = 0, Killed()
    for number, result in enumerate(kill_often(chosen.kills, chosen.seed), 1):  # noqa: B007
        for line in result.wrong[shown:]:
            print(line, flush=True)
        shown = len(result.wrong)
    print(result.table())
    print(f"{result.ends.total():,} kills, {len(result.wrong):,} wrong")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
