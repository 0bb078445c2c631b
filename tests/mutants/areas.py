"""What is mutated: the modules on which every number and every verdict rests, and the tests that vouch for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """Modules by their files, and the tests that must notice, the quickest first."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


AREAS: dict[str, Area] = {
    "laws": Area(
        ("sim/machine/laws.py",),
        ("tests/sim/machine/test_laws.py", "tests/sim/machine/test_clock.py", "tests/second_clock"),
    ),
    "clock": Area(
        ("sim/machine/clock.py", "sim/machine/order.py", "sim/machine/steady.py"),
        ("tests/sim/machine/test_clock.py", "tests/second_clock", "tests/sim/test_simulator.py",
         "tests/sim/test_faults.py", "tests/sim/test_frames.py"),
    ),
    "arithmetic": Area(
        ("sim/arithmetic.py", "sim/convolution.py", "sim/winograd.py"),
        ("tests/sim/test_conv.py", "tests/sim/test_vector.py", "tests/sim/test_winograd.py",
         "tests/sim/test_faults.py", "tests/test_instructions.py"),
    ),
    "bounds": Area(
        ("backend/bounds.py", "sim/machine/floors.py"),
        ("tests/backend", "tests/sim/machine/test_floors.py", "tests/tools/test_certificate.py"),
    ),
    "statistics": Area(
        ("sim/statistics.py",),
        ("tests/sim/test_simulator.py", "tests/sim/machine/test_clock.py", "tests/second_clock",
         "tests/sim/test_frames.py"),
    ),
    "hazards": Area(
        ("passes/proof/hazards.py", "passes/proof/touched.py", "passes/proof/limits.py"),
        ("tests/passes/proof", "tests/mutations/test_legality.py", "tests/test_operations.py",
         "tests/mutations/test_mutations.py"),
    ),
    "front end": Area(
        ("passes/onnx_to_cnn/products.py", "passes/onnx_to_cnn/scalar.py", "passes/onnx_to_cnn/reductions.py",
         "passes/onnx_to_cnn/settle.py", "passes/onnx_to_cnn/view.py", "passes/onnx/sizes.py",
         "passes/onnx/operand_sizes.py", "passes/onnx/onnx_file.py"),
        ("tests/passes/onnx", "tests/passes/onnx_to_cnn"),
    ),
}  # fmt: skip
"""By what they are."""

NAMED: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("backend/bounds.py", "stored[first + 1 :] - stored[first] - held", "stored[first + 1 :] + stored[first] - held",
     ("tests/backend/test_emit.py",)),
    ("backend/bounds.py", "_cycles(sum(weights) + certificate", "_cycles(-sum(weights) + certificate",
     ("tests/backend/test_emit.py",)),
    ("passes/proof/limits.py", "* 16 if fast", "* 15 if fast", ("tests/mutations/test_legality.py",)),
    ("passes/proof/limits.py", "* 16 if fast", "* 1000 if fast",
     ("tests/mutations/test_legality.py", "tests/passes/tile_to_accel/test_plans.py")),
    ("passes/proof/touched.py", "out.flat(f.where, SRAM, False, f[\"params\"]",
     "out.flat(f.where, SRAM, True, f[\"params\"]",
     ("tests/test_operations.py", "tests/mutations/test_mutations.py")),
    ("passes/proof/touched.py", 'last.where, SRAM, False, last["params"]', 'last.where, SRAM, True, last["params"]',
     ("tests/test_operations.py", "tests/mutations/test_mutations.py")),
    ("passes/onnx_to_cnn/products.py", "(np.abs(ratio) > 2**31 - 1)", "(np.abs(ratio) > 2**32 - 1)",
     ("tests/passes/onnx_to_cnn/test_unrounded.py", "tests/passes/onnx_to_cnn/test_exact.py")),
    ("passes/onnx_to_cnn/products.py", ".sum(axis=1)) <= 2**31 - 1", ".sum(axis=1)) <= 2**32 - 1",
     ("tests/passes/onnx_to_cnn/test_exact.py", "tests/passes/onnx_to_cnn")),
    ("sim/machine/description.py", "(1000 - self.dram.refresh_per_mille)", "1000",
     ("tests/sim/machine/test_shared.py",)),
)  # fmt: skip
"""Mutants that once survived: file, text before and after, and the tests that must notice."""
