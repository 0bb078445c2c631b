"""Single shapes of networks that a planner gets wrong easily, each on a roomy and on a small machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dialects import cnn, tile
from sim.machine.errors import ReconError
from tests.passes.planner.nets import Net, Value
from tests.passes.planner.support import altered, check_everywhere, planned, write_machine

Q = (0.05, 3)
SAME = (1, 1, 1, 1)


def outputs_of_inputs(n: Net) -> Sequence[Value]:
    """Outputs that no layer makes: joined, sliced and reshaped inputs."""
    a, b = n.input(6, 5, 4, Q), n.input(6, 5, 3, Q)
    return n.concat(a, b), n.slice(a, 1, 2), n.reshape(b, (1, 1, 90)), n.conv(a, 8)


def input_in_a_concat(n: Net) -> Sequence[Value]:
    """An input lives in the buffer of the concat that takes it, also when it is read alone."""
    x = n.input(16, 16, 8, Q)
    y = n.conv(x, 8, (3, 3), SAME)
    return (n.conv(n.concat(x, n.table(y, Q)), 8), y)


def shared_part(n: Net) -> Sequence[Value]:
    """Parts of several concats and of one concat twice are copied, behind what they are made of."""
    x = n.input(8, 8, 8, Q)
    a, b = n.table(x, Q), n.table(n.conv(x, 4, (1, 1)), Q)
    joined, other = n.concat(a, b), n.concat(b, a, b)
    return n.conv(joined, 4), n.conv(other, 4), n.reshape(n.slice(joined, 8, 4), (1, 1, 256)), other


def dense_block(n: Net) -> Sequence[Value]:
    """Concats of concats grow in one buffer."""
    x = n.input(12, 12, 8, Q)
    for _ in range(4):
        x = n.concat(x, n.table(n.conv(n.affine(x), 8, (3, 3), SAME), Q))
    return (n.mean(x),)


def shape_of_a_slice(n: Net) -> Sequence[Value]:
    """Reshapes of slices, slices of reshapes, and joined reshapes."""
    x = n.input(4, 4, 8, Q)
    y = n.table(x, Q)
    flat = n.reshape(n.slice(y, 2, 4), (1, 1, 64))
    part = n.slice(n.reshape(y, (1, 1, 128)), 64, 32)
    return n.dense(flat, 8), n.dense(part, 8), n.concat(flat, part), n.reshape(y, (16, 8, 1))


def shape_of_a_concat(n: Net) -> Sequence[Value]:
    """A joined tensor seen in another shape is ready when all its parts are, and has none of their channels."""
    x = n.input(7, 12, 4, Q)
    joined = n.concat(n.table(x, Q), n.pool(x, (1, 1)))
    flat = n.reshape(joined, (1, 1, 672))
    return n.pad(flat, (2, 0, 1, 2)), n.reshape(joined, (84, 8, 1)), flat


def constants(n: Net) -> Sequence[Value]:
    """Constants are operands and parts, also of what is spilled."""
    x = n.input(32, 32, 8, Q)
    y = n.binary(cnn.AddOp, x, n.constant(32, 32, 8))
    z = n.concat(n.table(y, Q), n.table(n.constant(32, 32, 4), Q))
    return n.conv(z, 8, (3, 3), SAME), n.conv(y, 4)


def large_outputs(n: Net) -> Sequence[Value]:
    """Outputs that do not fit leave row by row, joined and alone, read again or not."""
    x = n.input(40, 32, 8, Q)
    a, b = n.conv(x, 16, (3, 3), SAME), n.conv(x, 8, (3, 3), SAME)
    joined = n.concat(n.table(a, Q), n.table(b, Q))
    return a, joined, n.conv(joined, 8, (3, 3), SAME)


def long_skip(n: Net) -> Sequence[Value]:
    """A residual over many layers."""
    x = n.input(24, 24, 16, Q)
    y = first = n.conv(x, 16, (3, 3), SAME)
    for _ in range(9):
        y = n.conv(y, 16, (3, 3), SAME)
    return (n.conv(y, 16, (3, 3), SAME, residual=first),)


def joined_late(n: Net) -> Sequence[Value]:
    """A route over many layers into a concat waits in a buffer of its own; a part that others join may not."""
    x = n.input(16, 16, 8, Q)
    y = route = n.table(n.conv(x, 8, (3, 3), SAME), Q)
    shared = n.table(route, Q)
    for _ in range(9):
        y = n.conv(y, 8, (3, 3), SAME)
    end = n.table(y, Q)
    return n.conv(n.concat(end, route), 8), n.conv(n.concat(shared, end), 4), n.conv(n.concat(shared, route), 4)


def in_place(n: Net) -> Sequence[Value]:
    """Sums take the memory of an operand that nobody reads later, and no other's."""
    x = n.input(12, 12, 16, Q)
    y = n.table(x, Q)
    for _ in range(3):
        y = n.conv(n.conv(y, 16, (3, 3), SAME), 16, (3, 3), SAME, residual=y)
    z = n.binary(cnn.AddOp, n.conv(y, 16, (3, 3), SAME), y)
    kept = n.binary(cnn.AddOp, z, n.conv(z, 16, (1, 1)))
    return n.binary(cnn.AddOp, kept, kept), n.binary(cnn.AddOp, x, kept), n.conv(z, 4)


def padded_with_a_value(n: Net) -> Sequence[Value]:
    """A pad's value need not be the zero point, and its windows may lie beside the image."""
    x = n.input(9, 9, 4, Q)
    return n.pad(x, (2, 3, 0, 1), -77), n.conv(n.pad(x, (4, 4, 4, 4)), 4), n.conv(x, 4, (1, 1), (2, 2, 3, 3))


def gates(n: Net) -> Sequence[Value]:
    """Squeeze and excite: a product with one pixel, which may be the tensor's own mean."""
    x = n.input(16, 16, 16, Q)
    gate = n.conv(n.conv(n.mean(x), 4, (1, 1)), 16, (1, 1), table=True)
    return n.binary(cnn.MulOp, x, gate), n.binary(cnn.MulOp, n.conv(x, 16), n.mean(x))


def deep_reduction(n: Net) -> Sequence[Value]:
    """A fully connected layer and a convolution whose reductions take several passes."""
    x = n.input(9, 9, 32, Q)
    return n.dense(n.conv(x, 32, (5, 5)), 30, table=True), n.conv(x, 20, (5, 5), (2, 2, 2, 2), (2, 1))


def groups(n: Net) -> Sequence[Value]:
    """Groups of several channels, depthwise with a multiplier, a weight zero point, dilation."""
    x = n.input(14, 14, 24, Q)
    a = n.conv(x, 48, (3, 3), SAME, groups=24)
    b = n.conv(a, 32, (3, 3), (2, 2, 2, 2), (1, 1), (2, 2), 8, zero=5)
    return (n.shuffle(b, 4),)


def same_names(n: Net) -> Sequence[Value]:
    """Layers without names, and an output read by others."""
    x = n.input(8, 8, 4, Q)
    y = n.conv(x, 4, (1, 1))
    for op in n.block.ops:
        op.properties.pop("layer")
    return y, n.resize(y, (2, 3)), n.lrn(y)


CASES: tuple[Callable[[Net], Sequence[Value]], ...] = (
    outputs_of_inputs, input_in_a_concat, shared_part, dense_block, shape_of_a_slice, shape_of_a_concat, constants,
    large_outputs, long_skip, joined_late, in_place, padded_with_a_value, gates, deep_reduction, groups, same_names,
)  # fmt: skip

SMALL = altered(
    array={"lanes": 64, "half_words": 32, "accumulators": 2048}, sram={"bytes": 24 * 1024},
    configuration={"image_bytes": 64}, instruction_memory={"bytes": 1 << 22},
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("size", ["roomy", "small"])
def test_shapes_of_networks(case: Callable[[Net], Sequence[Value]], size: str, tmp_path: Path) -> None:
    net = Net(11)
    module = net.module(case(net))
    plan = planned(module, "edge4k" if size == "roomy" else write_machine(SMALL, tmp_path))
    program = check_everywhere(module, plan)
    assert len(program.layers) >= len([op for op in net.block.ops if isinstance(op, cnn.Conv2dOp)])


def test_joining_and_slicing_cost_nothing() -> None:
    net = Net(3)
    x = net.input(8, 8, 8, Q)
    a, b = (net.table(net.conv(x, 8), Q) for _ in range(2))
    module = net.module([net.conv(net.slice(net.concat(a, b), 4, 8), 4)])
    kinds = [op.kind.data for op in planned(module, "edge4k").walk() if isinstance(op, tile.VectorOp)]
    assert kinds == ["table", "table"]


def test_a_route_waits_in_a_buffer_of_its_own() -> None:
    """Until the others come, it does not keep their room too."""
    net = Net(11)
    x = net.input(16, 16, 8, Q)
    y = route = net.table(net.conv(x, 8, (3, 3), SAME), Q)
    for _ in range(9):
        y = net.conv(y, 8, (3, 3), SAME)
    plan = planned(net.module([net.conv(net.concat(net.table(y, Q), route), 8)]), "edge4k")
    work = [op for op in plan.walk() if isinstance(op, tile.ConvOp | tile.VectorOp)]
    made = [op.kind.data if isinstance(op, tile.VectorOp) else "conv" for op in work]
    assert made == ["conv", "table", *["conv"] * 9, "copy", "table", "conv"]


def test_sums_share_the_memory_of_an_operand() -> None:
    net = Net(11)
    y = net.table(net.input(12, 12, 16, Q), Q)
    for _ in range(3):
        y = net.conv(net.conv(y, 16, (3, 3), SAME), 16, (3, 3), SAME, residual=y)
    plan = planned(net.module([net.mean(y)]), "edge4k")
    images = [op for op in plan.walk() if isinstance(op, tile.AllocOp) and "12x12x16" in str(op.output.type)]
    # The input, what all three sums live in, and one inside each block.
    assert len(images) == 5


def test_outputs_leave_as_they_are_made() -> None:
    net = Net(11)
    x = net.input(64, 64, 16, Q)
    plan = planned(net.module([net.conv(net.conv(x, 64, (3, 3), SAME), 64, (3, 3), SAME)]), "edge1k")
    work = [op for op in plan.walk() if isinstance(op, tile.ConvOp | tile.StoreOp)]
    stores = [place for place, op in enumerate(work) if isinstance(op, tile.StoreOp)]
    assert len(stores) > 2
    assert all(isinstance(work[place - 1], tile.ConvOp) for place in stores)


def test_an_input_that_does_not_fit_is_streamed(tmp_path: Path) -> None:
    net = Net(5)
    x = net.input(64, 32, 32, Q)
    module = net.module([net.pool(net.conv(x, 8, (3, 3), SAME), (2, 2), strides=(2, 2))])
    check_everywhere(module, planned(module, write_machine(SMALL, tmp_path)))


@pytest.mark.parametrize("freedom", ["residency", "fusion", "prefetch", "order", "single", "winograd", "level"])
def test_weights_that_do_not_fit_come_in_parts_whatever_is_taken_away(freedom: str, tmp_path: Path) -> None:
    net = Net(5)
    module = net.module([net.conv(net.conv(net.input(16, 16, 64, Q), 64, (3, 3), SAME), 128, (3, 3), SAME)])
    given = {"level": 0} if freedom == "level" else {freedom: freedom == "single"}
    check_everywhere(module, planned(module, write_machine(SMALL, tmp_path), **given))


def test_what_cannot_fit_is_said_with_its_layer(tmp_path: Path) -> None:
    net = Net(5)
    module = net.module([net.mean(net.input(256, 256, 1, Q))])
    with pytest.raises(ReconError) as caught:
        planned(module, write_machine(SMALL, tmp_path))
    assert str(caught.value) == (
        "Layer global_average_pool_0 does not fit in SRAM: its smallest tile takes 65,536 bytes, beside 1 bytes of "
        "tensors that stay whole, and there are 24,576: 40,961 too many. A machine with more SRAM, or a layer with a "
        "smaller window, would help."
    )


def test_a_batch_is_refused() -> None:
    net = Net(5)
    x = net.block.insert_arg(cnn.TensorType.of((2, 4, 4, 4), *Q), 0)
    net.inputs.append("x")
    made = cnn.ChannelShuffleOp.build(operands=[x], result_types=[x.type], properties={"groups": cnn.integer(2)})
    net.block.add_op(made)
    with pytest.raises(ReconError, match="a batch of 2 was not split; the machine works on one image at a time"):
        planned(net.module([made.results[0]]), "edge4k")
