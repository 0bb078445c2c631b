"""Textual tests: every .mlir under this folder is a test whose RUN lines say what to do."""

import os
import sys
from pathlib import Path

import lit.formats

config = globals()["config"]  # lit puts it there
here = Path(__file__).resolve().parent
config.name = "recon"
config.test_format = lit.formats.ShTest()
config.suffixes = [".mlir"]
config.test_source_root = str(here)
config.test_exec_root = str(here.parent.parent / "build" / "filecheck")
config.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
config.environment["PYTHONPATH"] = str(here.parent.parent)  # the checkout that these tests stand in
config.substitutions.append(
    ("RECON_ROUNDTRIP", "recon-opt %s --split-input-file | recon-opt --split-input-file | filecheck %s")
)
config.substitutions.append(
    (
        "RECON_GENERIC_ROUNDTRIP",
        "recon-opt %s --print-op-generic --split-input-file | recon-opt --split-input-file | filecheck %s",
    )
)
