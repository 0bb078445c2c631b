"""Memory of the accel dialect: regions of DRAM and buffers in SRAM, each with its address once it is placed.

Decisions. Nothing here knows what instructions do with memory, so placement and the writer of program files need no
more than this; that both stand in an ``accel.program`` is checked by its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, StringAttr, i64
from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation, irdl_op_definition, opt_prop_def, prop_def, result_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import OpTrait
from xdsl.utils.exceptions import VerifyException

from dialects.accel_attributes import DRAM, SRAM
from dialects.integers import integer, pair
from dialects.recon import BlobAttr, parse_shape
from dialects.tile_attributes import ConfigurationAttr
from sim.machine.description import Configuration

DRAM_KINDS = ("input", "output", "scratch", "constant", "image")
"""What a region of DRAM is for."""

WINDOW_UNIT = 64
"""The halves of the ports' window are whole multiples of this, so that both lie alike to the bursts of DRAM."""


class InProgram(OpTrait):
    """Stands in an ``accel.program``, which is defined above what it holds."""

    def verify(self, op: Operation) -> None:
        parent = op.parent_op()
        if parent is not None and parent.name != "accel.program":  # a detached op is on its way somewhere
            raise VerifyException(f"'{op.name}' expects parent op 'accel.program'")


class MemoryOp(IRDLOperation):
    """Base of what has an address: ``address`` is absent until it is placed."""

    address = opt_prop_def(IntegerAttr.constr(i64))

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        raise NotImplementedError

    @property
    def at(self) -> int:
        """Its address; ValueError before it has one."""
        if self.address is None:
            raise ValueError(f"{self.label} has no address yet: allocate-sram gives it one")
        return self.address.value.data

    @property
    def label(self) -> str:
        """Its name for people: ``%x``."""
        return f"%{self.results[0].name_hint}" if self.results[0].name_hint else f"an unnamed {self.name}"

    def put(self, address: int | None) -> None:
        """Set or clear its address."""
        if address is None:
            self.properties.pop("address", None)
        else:
            self.properties["address"] = integer(address)

    def _verify_address(self) -> None:
        if self.address is not None and self.address.value.data < 0:
            raise VerifyException(f"an address is at least 0, not {self.address.value.data}")

    def _print_address(self, printer: Printer) -> None:
        if self.address is not None:
            printer.print_string(f" at {self.address.value.data}")


@irdl_op_definition
class DramOp(MemoryOp):
    """A region of DRAM: a network input or output, scratch, a constant, or a configuration image.

    Text: ``accel.dram input "x" 56x56x64xi8``, ``accel.dram scratch 4096xi8``,
    ``accel.dram constant <3x3xi8, seed 1>``, ``accel.dram image <direct g1 k64 r16 p4> 16384xi8``, each optionally
    ``at`` an address.
    """

    name = "accel.dram"
    kind = prop_def(StringAttr)
    port = opt_prop_def(StringAttr)
    shape = opt_prop_def(DenseArrayBase.constr(i64))
    value = opt_prop_def(BlobAttr)
    configuration = opt_prop_def(ConfigurationAttr)
    output = result_def(DRAM)
    traits = traits_def(InProgram())

    def __init__(
        self,
        kind: str,
        shape: Sequence[int] = (),
        *,
        port: str = "",
        value: BlobAttr | None = None,
        configuration: Configuration | None = None,
        address: int | None = None,
    ):
        super().__init__(
            result_types=[DRAM],
            properties={
                "kind": StringAttr(kind),
                "port": StringAttr(port) if port else None,
                "value": value,
                "shape": DenseArrayBase.from_list(i64, list(shape)) if shape else None,
                "configuration": ConfigurationAttr(configuration) if configuration else None,
                "address": integer(address) if address is not None else None,
            },
        )

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape of its int8 tensor."""
        if self.shape is not None:
            return tuple(cast(Sequence[int], self.shape.get_values()))
        return (self.nbytes,)

    @property
    def content(self) -> object:
        """What it holds before the program runs: regions of equal content may share an address; None: nothing."""
        if self.value is not None:
            return self.value.data.digest
        return self.configuration.data if self.configuration is not None else None

    @property
    def nbytes(self) -> int:
        return self.value.data.nbytes if self.value is not None else math.prod(self.dims)

    @classmethod
    def parse(cls, parser: Parser) -> DramOp:
        kind = parser.parse_identifier()
        if kind not in DRAM_KINDS:
            parser.raise_error(f"'{kind}' is no kind of DRAM region; allowed are {', '.join(DRAM_KINDS)}")
        port, shape, value, configuration = "", (), None, None
        if kind in ("input", "output"):
            port = parser.parse_str_literal()
        if kind == "constant":
            value = BlobAttr(BlobAttr.parse_parameter(parser))
        else:
            if kind == "image":
                configuration = ConfigurationAttr.parse_parameter(parser)
            shape, element = parse_shape(parser)
            if element != "i8":
                parser.raise_error("a region of DRAM holds i8")
        return cls(kind, shape, port=port, value=value, configuration=configuration, address=_parse_address(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {self.kind.data}")
        if self.port is not None:
            printer.print_string(" ")
            printer.print_string_literal(self.port.data)
        if self.configuration is not None:
            printer.print_string(f" <{self.configuration.data}>")
        if self.value is not None:
            printer.print_string(" ")
            self.value.print_parameter(printer)
        else:
            printer.print_string(" " + "x".join(map(str, self.dims)) + "xi8")
        self._print_address(printer)

    def verify_(self) -> None:
        kind = self.kind.data
        if kind not in DRAM_KINDS:
            raise VerifyException(f"'{kind}' is no kind of DRAM region; allowed are {', '.join(DRAM_KINDS)}")
        wanted = {"input": "port", "output": "port", "constant": "value", "image": "configuration"}.get(kind)
        for name in ("port", "value", "configuration"):
            if (name == wanted) != (name in self.properties):
                raise VerifyException(f"a region of kind {kind} has {'a' if name == wanted else 'no'} {name}")
        if (kind == "constant") == (self.shape is not None):
            raise VerifyException("a constant, and no other region, has its shape from its value")
        if self.nbytes < 1 or min(self.dims) < 1:
            raise VerifyException(f"a region has at least one byte, not {'x'.join(map(str, self.dims))}")
        if kind == "image" and self.nbytes < LEAST_IMAGE:
            raise VerifyException(f"a configuration image has at least {LEAST_IMAGE} bytes, not {self.nbytes}")
        self._verify_address()


LEAST_IMAGE = 64
"""Bytes of the smallest image that a machine's file may ask for."""


@irdl_op_definition
class BufferOp(MemoryOp):
    """A buffer of ``size`` bytes in SRAM.

    ``plan`` says between which instructions the plan allocates and frees it: before instruction ``plan[0]`` and before
    instruction ``plan[1]`` of the program as it was lowered. What counts for placement is first to last use.
    """

    name = "accel.buffer"
    size = prop_def(IntegerAttr.constr(i64))
    plan = opt_prop_def(DenseArrayBase.constr(i64))
    output = result_def(SRAM)
    traits = traits_def(InProgram())

    def __init__(self, size: int, plan: tuple[int, int] | None = None, address: int | None = None):
        super().__init__(
            result_types=[SRAM],
            properties={
                "size": integer(size),
                "plan": pair(*plan) if plan else None,
                "address": integer(address) if address is not None else None,
            },
        )

    @property
    def nbytes(self) -> int:
        return self.size.value.data

    def plan_between(self, born: int, freed: int) -> None:
        """Set ``plan``."""
        self.properties["plan"] = pair(born, freed)

    @classmethod
    def parse(cls, parser: Parser) -> BufferOp:
        size = parser.parse_integer(allow_boolean=False, allow_negative=False)
        plan = None
        if parser.parse_optional_keyword("plan") is not None:
            plan = parser.parse_integer(allow_boolean=False), parser.parse_integer(allow_boolean=False)
        return cls(size, plan, _parse_address(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {self.nbytes}")
        if self.plan is not None:
            printer.print_string(f" plan {' '.join(map(str, self.plan.get_values()))}")
        self._print_address(printer)

    def verify_(self) -> None:
        if self.nbytes < 1:
            raise VerifyException(f"a buffer has at least one byte, not {self.nbytes}")
        if self.plan is not None:
            born, freed = self.plan.get_values()
            if not 0 <= born <= freed:
                raise VerifyException(
                    f"a buffer's plan is the numbers of two instructions in their order, not {born} {freed}"
                )
        self._verify_address()


def shared_bytes(regions: Iterable[DramOp]) -> tuple[DramOp, str] | None:
    """A region that shares a byte with one before it, and the sentence that says so; None if all is well.

    Constants of equal bytes and images of one configuration may share an address.
    """
    last: DramOp | None = None
    for region in sorted((region for region in regions if region.address is not None), key=lambda region: region.at):
        if last is not None and region.at < last.at + last.nbytes:
            same = region.at == last.at and region.content is not None and region.content == last.content
            if not same:
                return region, (
                    f"{last.label} is bytes {last.at} to {last.at + last.nbytes - 1} of DRAM, and {region.label} "
                    f"begins at {region.at}; regions share no byte"
                )
        if last is None or region.at + region.nbytes > last.at + last.nbytes:
            last = region
    return None


def window(regions: Iterable[DramOp]) -> tuple[int, int]:
    """Where in DRAM the ports of placed regions begin and how many bytes they span, in whole bursts; those of odd
    frames lie directly behind them."""
    ports = [region for region in regions if region.kind.data in ("input", "output")]
    if not ports:
        return 0, 0
    start = min(region.at for region in ports) // WINDOW_UNIT * WINDOW_UNIT
    end = -(-max(region.at + region.nbytes for region in ports) // WINDOW_UNIT) * WINDOW_UNIT
    return start, end - start


def _parse_address(parser: Parser) -> int | None:
    if parser.parse_optional_keyword("at") is None:
        return None
    return parser.parse_integer(allow_boolean=False, allow_negative=False)
