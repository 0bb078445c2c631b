"""Numbers as people write them, and machines with other values."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.description import MACHINES, Configuration, borrowed_name, load, with_settings
from sim.machine.errors import MachineFileError
from sim.machine.quantities import UNITS, whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4096", 4096), ("4_096", 4096), ("4MiB", 4 << 20), ("4 mib", 4 << 20), ("1.5GiB", 3 << 29),
        ("34e9", 34 * 10**9),
        ("17.064GB/s", 17_064_000_000), ("933MHz", 933_000_000), ("0.1kB", 100), ("9007199254740993", 2**53 + 1),
    ],
)  # fmt: skip
def test_numbers_of_people(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_counts_what_it_says(unit: str) -> None:
    assert whole(f"3{unit}") == 3 * UNITS[unit]


@pytest.mark.parametrize("text", ["", "MiB", "4MiX", "-4", "4..2", "0.5B", "1e-3", "nan", "1e999", "4 Mi B"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (number such as 4096, 4MiB, 933MHz or 34e9|whole number)$"):
        whole(text)


def test_a_machine_file_takes_them(tmp_path: Path) -> None:
    text = (MACHINES / "edge4k.toml").read_text()
    for old, new in (("bytes = 12_582_912", 'bytes = "12MiB"'), ("17_064_000_000", '"17.064 GB/s"'),
                     ("933_000_000", "933e6")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mine.toml").write_text(text)
    assert load(str(tmp_path / "mine.toml")) == load("edge4k")


def test_a_systolic_array_is_one_line() -> None:
    assert Configuration.parse("systolic 64x32") == Configuration("direct", 1, 32, 64, 1)
    machine = load("edge4k with array.configurations=systolic 64x64")
    assert machine.array.configurations == ("direct g1 k64 r64 p1",)
    assert machine.configurations == load("edge4k-fixed").configurations


def test_settings_make_a_machine_that_is_called_by_them() -> None:
    machine = load(with_settings("edge4k", ["sram.bytes=4MiB", "array.flatten=false", "dram.bytes_per_second=34e9"]))
    assert machine.name == "edge4k with sram.bytes=4194304, array.flatten=false, dram.bytes_per_second=34000000000"
    assert (machine.sram.bytes, machine.array.flatten) == (4 << 20, False)
    assert load(machine.name).fingerprint == machine.fingerprint != load("edge4k").fingerprint
    assert with_settings("edge4k", []) == "edge4k"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sram.byte=1", "--set sram.byte=1: write KEY=VALUE, for example sram.bytes=4MiB; did you mean sram.bytes?"),
        ("sram.bytes", "--set sram.bytes: write KEY=VALUE, for example sram.bytes=4MiB; did you mean sram.bytes?"),
        ("sram.bytes=4MiX", "--set sram.bytes=4MiX: key 'sram.bytes' must be a whole number, not '4MiX'."),
        ("sram.bytes=0", "--set sram.bytes=0: key 'sram.bytes' must be at least 1, not 0."),
        ("array.flatten=maybe", "--set array.flatten=maybe: key 'array.flatten' must be true or false, not 'maybe'."),
        ("array.winograd=maybe", "--set array.winograd=maybe: key 'array.winograd' must be one of "
         "none, on_fill, not 'maybe'."),
    ],
)  # fmt: skip
def test_wrong_settings(setting: str, message: str) -> None:
    with pytest.raises(MachineFileError) as caught:
        load(with_settings("edge4k", [setting]))
    assert str(caught.value) == message


def test_a_borrowed_name_is_noticed(tmp_path: Path) -> None:
    text = (MACHINES / "edge4k.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert borrowed_name(str(path)) == borrowed_name("edge4k") == ""
    path.write_text(text.replace("12_582_912", "4_194_304"))
    assert borrowed_name(str(path)) == (
        f"{path}: this machine is called edge4k like one that comes with the project, and differs from it in "
        "sram.bytes; give it a name of its own."
    )
