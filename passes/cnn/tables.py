"""Patterns that fold tables and clamps into the operation before them, and what joined operations keep."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import cnn
from dialects.blobs import to_array, to_blob
from dialects.meaning import kernels
from dialects.meaning.cnn import apply

CODES = np.arange(-128, 128).astype(np.int8)


def only_use(value: SSAValue) -> bool:
    """Whether a value has exactly one use."""
    return value.has_one_use()


def joined(first: cnn.CnnOp, second: cnn.CnnOp) -> dict[str, Attribute]:
    """Provenance of an operation that absorbs another: the first's layer, the nodes of both."""
    nodes = [*(first.nodes.data if first.nodes else ()), *(second.nodes.data if second.nodes else ())]
    properties: dict[str, Attribute] = {"nodes": ArrayAttr(list(dict.fromkeys(nodes)))} if nodes else {}
    if (layer := first.layer or second.layer) is not None:
        properties["layer"] = layer
    return properties


def clamp_of(table: kernels.Int8, lo: int, hi: int) -> cnn.ClampAttr | None:
    """The clamp that a table is on codes from ``lo`` to ``hi``; None if it does anything else."""
    part, codes = table[lo + 128 : hi + 129], CODES[lo + 128 : hi + 129]
    least, most = int(part.min()), int(part.max())
    return cnn.ClampAttr.of(least, most) if np.array_equal(np.clip(codes, least, most), part) else None


def _bounds(clamp: cnn.ClampAttr) -> tuple[int, int]:
    return clamp.lo.data, clamp.hi.data


class TableIntoConv(RewritePattern):
    """A table behind a convolution becomes its clamp, its table, or part of its table."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: cnn.TableOp, rewriter: PatternRewriter, /) -> None:
        conv = op.input.owner
        if not isinstance(conv, cnn.Conv2dOp | cnn.FullyConnectedOp) or not only_use(op.input):
            return
        table = to_array(op.table)
        properties = dict(conv.properties) | joined(conv, op)
        properties.pop("operandSegmentSizes", None)
        last = conv.sum.clamp if conv.sum is not None else conv.clamp
        narrowed = clamp_of(table, *_bounds(last)) if conv.output.type == op.output.type else None
        if conv.table is not None:
            properties["table"] = to_blob(kernels.table_lookup(to_array(conv.table), table))
        elif narrowed is None:
            properties["table"] = op.table
        elif conv.sum is not None:
            properties["sum"] = cnn.SumAttr(conv.sum.position, conv.sum.quant, narrowed)
        else:
            properties["clamp"] = narrowed
        made = type(conv).build(
            operands=[conv.input, conv.residual], result_types=[op.output.type], properties=properties
        )
        made.location = conv.location
        rewriter.insert(made)
        rewriter.replace(op, [], [made.output])
        rewriter.erase(conv)


class TableIntoTable(RewritePattern):
    """Two tables in a row are one."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: cnn.TableOp, rewriter: PatternRewriter, /) -> None:
        first = op.input.owner
        if not isinstance(first, cnn.TableOp) or not only_use(op.input):
            return
        table = kernels.table_lookup(to_array(first.table), to_array(op.table))
        names = [name.data for name in (first.function, op.function) if name is not None]
        properties: dict[str, Attribute] = {"table": to_blob(table), "function": StringAttr(" then ".join(names))}
        made = cnn.TableOp.build(
            operands=[first.input], result_types=[op.output.type], properties=properties | joined(first, op)
        )
        made.location = first.location
        rewriter.insert(made)
        rewriter.replace(op, [], [made.output])
        rewriter.erase(first)


class ClampIntoProducer(RewritePattern):
    """A table that only clamps narrows the clamp of whatever has one before it: a sum, a product, a mean."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: cnn.TableOp, rewriter: PatternRewriter, /) -> None:
        producer = op.input.owner
        if not isinstance(producer, cnn.ClampedOp) or not only_use(op.input) or op.input.type != op.output.type:
            return
        narrowed = clamp_of(to_array(op.table), *_bounds(producer.clamp))
        if narrowed is None:
            return
        producer.properties |= joined(producer, op) | {"clamp": narrowed}
        rewriter.notify_op_modified(producer)
        rewriter.replace(op, [], producer.results)


class OneTensorIntoTable(RewritePattern):
    """What two tensors make, a tensor and a table of itself or two tables of it, is one table."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: cnn.BinaryOp, rewriter: PatternRewriter, /) -> None:
        operands = (op.lhs, op.rhs)
        sources = [v.owner.input if isinstance(v.owner, cnn.TableOp) else v for v in operands]
        if sources[0] is not sources[1] or op.lhs is op.rhs or op.lhs.type == sources[0].type == op.rhs.type:
            return
        columns = [to_array(v.owner.table) if isinstance(v.owner, cnn.TableOp) else CODES for v in operands]
        table = apply(op, columns)
        tables = [v.owner for v in operands if isinstance(v.owner, cnn.TableOp)]
        names = [table_op.function.data for table_op in tables if table_op.function is not None]
        stays = any(use.operation is not op for use in tables[0].output.uses)
        provenance = joined(tables[0], op) | ({"layer": op.layer} if stays and op.layer is not None else {})
        kind = op.name.removeprefix("cnn.")
        properties: dict[str, Attribute] = {
            "table": to_blob(table),
            "function": StringAttr(f"{kind} of {' and '.join(names)}" if names else kind),
        }
        made = cnn.TableOp.build(
            operands=[sources[0]], result_types=[op.output.type], properties=properties | provenance
        )
        rewriter.replace(op, [made])
        for unused in tables:
            if unused.output.first_use is None and unused.parent is not None:
                rewriter.erase(unused)


FUSE_TABLES = (OneTensorIntoTable, TableIntoTable, TableIntoConv, ClampIntoProducer)
