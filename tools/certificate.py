"""Check a program's certificate: the bound that it claims, recomputed from the program file and the model alone.

This file shares nothing with what made the claim (an import contract): it reads the head of the file as JSON, takes
shapes from ``onnx.shape_inference``, and works every figure out anew from docs/bounds.md. A layer may claim no more
cycles and bytes than its ONNX nodes give, an ONNX node gives once, and a layer with a convolution in it gives the
vector unit nothing. The terms must be those of docs/bounds.md, of this machine and of these layers, and add up to the
bound in the head.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
from onnx import helper, shape_inference

WEIGHTS = {"Conv": 1, "FusedConv": 1, "QLinearConv": 3, "ConvTranspose": 1, "Gemm": 1, "QGemm": 3, "MatMul": 1,
           "QLinearMatMul": 3, "ConvInteger": 1, "MatMulInteger": 1}  # fmt: skip
"""Where the operators that multiply by weights have them."""

Table = dict[str, Any]


def check(program: bytes, model: onnx.ModelProto) -> list[str]:
    """What is wrong with the certificate of a program file made from ``model``; nothing if it holds."""
    size = int.from_bytes(program[:8], "little")
    head: Table = json.loads(json.loads(program[8 : 8 + size])["__metadata__"]["recon"])
    claim, machine, faults = head["certificate"], head["machine"], list[str]()
    nodes = _Nodes(model, {port["name"]: port["shape"] for port in head["inputs"]}, machine)
    told = defaultdict[str, list[str]](list, {layer["name"]: layer["onnx"] for layer in head["layers"]})
    left: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for layer in claim["layers"]:
        for what in ("array", "vector", "weight_bytes"):
            names = told[layer["name"]]
            convolved = [name for name in names if name in nodes.costs]
            names = ([] if what == "vector" else convolved) if convolved else names
            given = [(left.setdefault((name, what), nodes.grants(name, what)), name) for name in names]
            given = sorted(given)[-1:] if what == "vector" else given
            rest = layer[what]
            for most, name in given:
                left[name, what] = max(0, most - rest)
                rest -= min(rest, most)
            if rest:
                faults.append(
                    f"layer {layer['name']} claims {layer[what]:,} of {what}, {rest:,} more than its nodes give"
                )
        seen.update(told[layer["name"]])
    taken = [each for name, costs in nodes.costs.items() if name in seen for each in costs]
    for name, most, claimed in zip(("1", "2", "any"), _by_images(taken), claim["array_by_images"], strict=True):
        if claimed > most:
            faults.append(
                f"the array is said to take {claimed:,} cycles with {name} configurations, and takes {most:,}"
            )
    for what in ("input", "output"):
        regions = [region for part in head["segments"] if part["kind"] == "machine" for region in part[f"{what}s"]]
        sizes = [math.prod(region["shape"]) * np.dtype(region["dtype"]).itemsize for region in regions]
        if claim[f"{what}_bytes"] != sum(sizes):
            faults.append(f"the {what}s of the machine's segments are not {claim[f'{what}_bytes']:,} bytes")
    terms = _terms(claim, machine, head["batch"])
    if [list(term) for term in claim["terms"]] != terms:
        faults.append(f"the terms are {claim['terms']} and follow as {terms}")
    if (total := sum(cycles for _, cycles in claim["terms"])) != head["bounds"]["bound3"]:
        faults.append(f"the terms add up to {total:,} and the program claims {head['bounds']['bound3']:,}")
    return faults


def _terms(claim: Table, machine: Table, batch: int) -> list[list[Any]]:
    """The terms of the largest bound, by docs/bounds.md, from the claimed figures of layers and images."""
    dram, streams, layers = machine["dram"], machine["streams"], claim["layers"]
    rate = dram["bytes_per_second"] * (1000 - dram["refresh_per_mille"])

    def cycles(size: int) -> int:
        return -(-size * machine["clock_hz"] * 1000 // rate)

    def total(name: str, rows: Any = layers) -> int:
        return sum(row[name] for row in rows)

    held = machine["sram"]["bytes"] + 2 * machine["array"]["half_words"] * machine["array"]["lanes"]
    latency, given, taken = dram["latency"], claim["input_bytes"], claim["output_bytes"]
    image = machine["configuration"]["image_bytes"] if claim["array_by_images"][-1] else 0
    leaves = [["last result", 1 + latency]] if taken else []
    worked = [machine["array"]["conv_overhead"]] * bool(image) + [streams["vector_overhead"]] * bool(total("vector"))

    def of_images(count: int) -> list[list[list[Any]]]:
        loaded = total("weight_bytes") + given + count * image
        begins, swaps = (cycles(image) + latency, count * machine["configuration"]["swap"]) if image else (0, 0)
        turn = dram["turn"] if loaded and taken else 0
        last = [
            ["bytes", cycles(loaded)],
            ["latency", latency],
            ["last instruction", min(worked, default=0) + 1],
            *leaves,
        ]
        return [
            [["bytes", cycles(loaded + taken)], ["turn", turn], ["latency", latency]],
            last if worked and taken else [],
            [["first image", begins], ["swaps", swaps], ["array", claim["array_by_images"][count - 1]], *leaves],
        ]

    def length(terms: list[list[Any]]) -> int:
        return sum(term[1] for term in terms)

    if not claim["images"]:  # a frame of many: what must come for each, after what may stay
        bytes_moved = cycles(max(0, total("weight_bytes") - held) + given + taken)
        frame = {"channel": ["bytes", bytes_moved], "array": ["array", batch * claim["array_by_images"][-1]],
                 "vector": ["vector unit", batch * total("vector")]}  # fmt: skip
        return [frame[claim["limit"]]]
    best = min((max(of_images(count), key=length) for count in ((1, 2, 3) if image else (1,))), key=length)
    begins = 1 + latency if given and total("vector") else 0
    vector = [["first bytes", begins], ["vector unit", total("vector")], *leaves]
    first, last = claim["window"]
    excess = cycles(max(0, total("weight_bytes", layers[first : last + 1]) - held))
    order = [["array before", total("array", layers[:first])], ["excess weights", excess],
             ["array after", total("array", layers[last + 1 :])], *leaves]  # fmt: skip
    return {"vector": vector, "order": order}.get(claim["limit"], best)


def _by_images(costs: list[Any]) -> list[int]:
    """Most cycles of the array that may be claimed for all convolutions with one, two and any configurations."""
    if not costs:
        return [0, 0, 0]
    every = np.unique(np.concatenate([each[0] for each in costs]), axis=0)
    kept = list[int]()
    for index in np.argsort(every.sum(axis=0), kind="stable"):
        if not np.any(np.all(every[:, kept] <= every[:, [index]], axis=0)):
            kept.append(int(index))
    some = [(each[0][:, kept], *each[1:]) for each in costs]
    one = min(np.array([_least(each, each[0].sum(axis=0)) for each in some]).sum(axis=0))
    two = min(
        min(np.array([_least(each, np.minimum(each[0], each[0][:, [index]]).sum(axis=0)) for each in some]).sum(axis=0))
        for index in range(len(kept))
    )
    return [int(one), int(two), int(sum(_least(each, each[0].min(axis=1).sum()) for each in some))]


def _least(costs: Any, reached: Any) -> Any:
    return costs[2] + np.ceil(np.maximum(reached, costs[1]))


class _Nodes:
    """What each node of the model needs: ``costs`` of the array by name, one entry per convolution that it is."""

    def __init__(self, model: onnx.ModelProto, inputs: Mapping[str, list[int]], machine: Table):
        self.machine = machine
        fixed = onnx.ModelProto.FromString(model.SerializeToString())
        for value in fixed.graph.input:
            if value.name in inputs:
                value.CopyFrom(helper.make_tensor_value_info(
                    value.name, value.type.tensor_type.elem_type, inputs[value.name]))  # fmt: skip
        fixed = shape_inference.infer_shapes(fixed, data_prop=True)
        graph = fixed.graph
        self.shapes = {each.name: list(each.dims) for each in graph.initializer}
        self.shapes |= {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self.makers = {name: node for node in graph.node for name in node.output}
        self.constants = {each.name for each in graph.initializer}
        if any(0 in self._shape(node.output[0]) for node in graph.node if node.op_type in WEIGHTS):
            self.shapes |= _measured(fixed)
        self.nodes = {node.name or node.output[0]: node for node in graph.node}
        self.taken: set[str] = set()
        self.costs = {name: self._convolutions(node) for name, node in self.nodes.items() if node.op_type in WEIGHTS}

    def grants(self, name: str, what: str) -> int:
        """The most cycles, or bytes, that a layer may claim for this node."""
        node = self.nodes.get(name)
        if node is None:
            return 0
        if what == "array":
            return int(sum(_least(each, each[0].min(axis=1).sum()) for each in self.costs.get(name, [])))
        if what == "vector":
            return self.machine["streams"]["vector_overhead"] + -(
                -self._elements(node) // self.machine["streams"]["vector"]
            )
        if node.op_type not in WEIGHTS:
            return 8 * self._shape(node.output[0])[1] if node.op_type in ("BatchNormalization", "Mul", "Add") else 0
        source, shape = self._constant(node.input[WEIGHTS[node.op_type]])
        size = math.prod(shape) if source and source not in self.taken else 0
        self.taken.add(source)
        return size + 8 * self._channels(node) if size else 0

    def _shape(self, name: str) -> list[int]:
        return self.shapes.get(name) or [0]

    def _constant(self, name: str) -> tuple[str, list[int]]:
        """The initialiser behind quantisers and changes of layout, "" if a value is computed; its shape here."""
        shape = self.shapes.get(name)
        while name not in self.constants:
            node = self.makers.get(name)
            if node is None or not node.input:
                return (name if node is not None else ""), shape or [0]
            name = node.input[0]
        return name, shape or self._shape(name)

    def _channels(self, node: onnx.NodeProto) -> int:
        return self._shape(node.output[0])[1 if "Conv" in node.op_type else -1]

    def _elements(self, node: onnx.NodeProto) -> int:
        """Elements that the vector unit reads or writes for a node, channels in runs of 16."""
        out, attributes = self._shape(node.output[0]), _attributes(node)
        run, written = 16 * -(-out[1] // 16) if len(out) > 1 else 16, math.prod(out[2:])
        source = self._shape(node.input[0])
        if node.op_type.startswith(("Global", "QLinearGlobal", "Reduce")):
            return max(math.prod(out), 16 * -(-source[1] // 16) * math.prod(source[2:]))
        if "kernel_shape" in attributes:
            rows, columns = self._windows(attributes, source[2:], out[2:], attributes["kernel_shape"])
            step = attributes.get("strides", [1])[-1] if len(columns) > 1 else columns[0]
            return run * max(written, int(rows.sum()) * int(np.minimum(step, columns).sum()))
        return run * written

    def _windows(self, attributes: Table, size: list[int], out: list[int], kernel: list[int]) -> list[Any]:
        """Per axis of a window: how many taps of each output meet a real input."""
        pads = attributes.get("pads") or [0] * (2 * len(size))
        found: list[Any] = [np.array([1])] if len(size) == 1 else []
        for axis, (length, outputs, taps) in enumerate(zip(size, out, kernel, strict=True)):
            stride, dilation = (attributes.get(key, [1] * len(size))[axis] for key in ("strides", "dilations"))
            before = pads[axis]
            if attributes.get("auto_pad", b"").startswith(b"SAME"):
                total = max(0, (outputs - 1) * stride + (taps - 1) * dilation + 1 - length)
                before = (total + attributes["auto_pad"].endswith(b"LOWER")) // 2
            at = np.arange(outputs)[:, None] * stride - before + np.arange(taps) * dilation
            found.append(((at >= 0) & (at < length)).sum(axis=1))
        return found

    def _convolutions(self, node: onnx.NodeProto) -> list[Any]:
        """(cycles[border classes, configurations], cycles that outputs take, cycles of overheads) of a node."""
        weights, out = self._constant(node.input[WEIGHTS[node.op_type]])[1], self._shape(node.output[0])
        attributes = _attributes(node)
        if "Conv" not in node.op_type:
            inputs = math.prod(weights) // max(1, weights[0 if attributes.get("transB") else -1])
            return [self._costs(1, out[-1], inputs, [np.array([1]), np.ones(math.prod(out[:-1]), int)], 1, [1, 1], 1)]
        source, groups, kernel = self._shape(node.input[0])[2:], attributes.get("group", 1), weights[2:]
        dims = len(kernel)
        strides, dilations = (attributes.get(key, [1] * dims) for key in ("strides", "dilations"))
        if node.op_type != "ConvTranspose":
            real = self._windows(attributes, source, out[2:], kernel)
            phase = [s // math.gcd(s, d) for s, d in zip(strides, dilations, strict=True)]
            step = 1 if dilations[-1] > 1 else strides[-1]
            return [
                self._costs(groups, weights[0] // groups, weights[1], real, step, [1, *phase][-2:], math.prod(kernel))
            ]
        pieces: list[Any] = []
        axes = [self._phases(*each) for each in zip(source, out[2:], kernel, strides, attributes.get("pads", [0] * 4),
                                                    dilations, strict=False)]  # fmt: skip
        for piece in product(*axes):
            taps = math.prod(tap for tap, _ in piece)
            real = [counts for _, counts in piece]
            pieces.append(self._costs(groups, weights[1], weights[0] // groups, real, 1, [1, 1], taps))
        return pieces

    @staticmethod
    def _phases(size: int, outputs: int, taps: int, stride: int, before: int, dilation: int) -> list[tuple[int, Any]]:
        """The convolutions of stride 1 that an axis of a transposed one is: their taps, and real ones by output."""
        at = np.arange(outputs)[:, None] + before - np.arange(taps) * dilation
        real = (at % stride == 0) & (at >= 0) & (at < size * stride)
        used = ((np.arange(outputs)[:, None] + before - np.arange(taps) * dilation) % stride == 0).sum(axis=1)
        return [(int(used[first]), real[first::stride].sum(axis=1)) for first in range(min(stride, outputs))]

    def _costs(
        self, groups: int, outputs: int, inputs: int, real: list[Any], step: int, phase: list[int], taps: int
    ) -> Any:
        """docs/bounds.md, "One convolution": numbers 4, 5 and 6 for every configuration at once."""
        array, streams = self.machine["array"], self.machine["streams"]
        winograd, g, k, r, p = self._settings()
        winograd = winograd.astype(bool)
        pixels = math.prod(len(each) for each in real)
        g, k, p = np.minimum(g, groups), np.minimum(k, outputs), np.minimum(p, pixels)
        classes: list[Any] = []
        for (fy, ny), (fx, nx) in product(*(zip(*np.unique(each, return_counts=True), strict=True) for each in real)):
            if fy * fx == 0:
                continue
            split = [min(int(f), each) for f, each in zip((fy, fx), phase, strict=True)]
            block = min(9, -(-int(fy) // split[0]) * -(-int(fx) // split[1]))
            tiles = max(fy * fx / block, split[0] * split[1])
            flat = inputs * np.where(winograd | (not array["flatten"]), 1, fy * fx)
            multiply = groups * outputs * inputs * fy * fx / (g * k * np.minimum(r, flat) * p)
            word = outputs / k * groups * np.maximum(inputs, 16 / g)
            fill = np.where(winograd, word * 2 * tiles, word * fy * min(step, fx)) / streams["input"]
            multiply = np.where(winograd, multiply * 4 * tiles / (fy * fx), multiply)
            cost = np.maximum(multiply, fill) * int(ny) * int(nx)
            classes.append(cost)
        written = pixels * 16 * -(-groups * outputs // 16) / streams["output"]
        passes = -(-groups * outputs * inputs * taps // (array["half_words"] * array["lanes"]))
        return np.array(classes).reshape(-1, len(g)), written, array["conv_overhead"] * passes

    def _settings(self) -> list[Any]:
        """Winograd or not, g, k, r, p of every configuration: those of the machine file, or all."""
        array = self.machine["array"]
        if array["configurations"]:
            words = [each.split() for each in array["configurations"]]
            rows = [[each[0] == "winograd", *(int(word[1:]) for word in each[1:])] for each in words]
        else:
            powers = [1 << bit for bit in range(array["lanes"].bit_length())]
            kinds = (False, True) if array["winograd"] != "none" else (False,)
            rows = [list(each) for each in product(kinds, *[powers] * 4) if math.prod(each[1:]) == powers[-1]]
        return list(np.array(rows, np.int64).T)


def _measured(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of all results by running the model once on zeros, where operators of other domains hide them."""
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    results = [name for node in probe.graph.node for name in node.output if name]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in results)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {
        value.name: np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim],
                             helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        for value in probe.graph.input if value.name in {each.name for each in session.get_inputs()}
    }  # fmt: skip
    return {
        name: [*np.asarray(cast("Any", found)).shape]
        for name, found in zip(results, session.run(results, given), strict=True)
    }


def _attributes(node: onnx.NodeProto) -> Table:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
