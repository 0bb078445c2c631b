"""One reader, fuzzed by atheris in this process: inputs are kept that reach code that no input before has reached.

    python -m tests.fuzz.guided READER RUNS SEED FOLDER

``FOLDER/findings`` receives one input for each finding, and the last line printed is what was done, as JSON. Needs the
extra ``fuzz``; an input that hangs ends the process with a file ``timeout-…`` among the findings.
"""

from __future__ import annotations

import atexit
import json
import re
import resource
import sys
import traceback
from pathlib import Path

INSTRUMENTED = ["backend", "dialects", "passes", "sim", "tools", "xdsl"]

SLOW = 15
"""Seconds after which an input hangs; instrumented code is some times slower than the code that is judged."""

MEMORY = 3 << 30
"""Bytes of address space, so that a flood ends in an error and not in a dead machine."""


def main(name: str, runs: int, seed: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.judging import Finding, judge
        from tests.fuzz.mutators import mutated
        from tests.fuzz.readers import READERS
    reader = READERS[name]
    corpus, findings = folder / "corpus", folder / "findings"
    for made in (corpus, findings):
        made.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(reader.seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    done = {"executions": 0, "taken": 0, "refused": 0}
    seen: dict[str, str] = {}

    def once(data: bytes) -> None:
        done["executions"] += 1
        try:
            done[judge(reader, data, SLOW)] += 1
        except Finding as finding:
            cause = finding.__cause__ or finding
            where = traceback.extract_tb(cause.__traceback__)[-1]
            key = f"{type(cause).__name__} {Path(where.filename).name}:{where.lineno}"
            if key not in seen:
                seen[key] = str(finding)
                (findings / re.sub(r"\W+", "-", key)).write_bytes(data)

    def mutator(data: bytes, most: int, number: int) -> bytes:
        made = mutated(reader.kind, bytes(data), number)
        return made if made is not None and len(made) <= most else atheris.Mutate(data, most)

    atexit.register(lambda: print(json.dumps({**done, "findings": seen}), flush=True))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    longest = 4 * max(len(path.read_bytes()) for path in corpus.iterdir())
    options = [f"-atheris_runs={runs}", f"-seed={seed}", f"-timeout={SLOW}", f"-max_len={longest}", "-verbosity=0"]
    options += ["-rss_limit_mb=0", f"-artifact_prefix={findings}/", str(corpus)]
    extra = {} if reader.kind == "bytes" else {"custom_mutator": mutator}
    atheris.Setup([sys.argv[0], *options], once, internal_libfuzzer=True, **extra)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
