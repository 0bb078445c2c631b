"""Real CNNs for measurements and tests: published topologies with seeded weights, built on demand and cached.

    python benchmarks/networks.py                    build every network and print the table
    python benchmarks/networks.py yolov3-608 vgg19   only these; NAME-SIZE chooses another input size

Trained weights would be hundreds of megabytes to download and change neither a cycle nor a byte of traffic; random
ones of He's variance do catch layout errors, which constant weights do not. `NETWORKS` is the one list of names, each
with its source and the published counts that the tests check.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
import onnx.backend.test
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

import net_pictures
import net_topologies
from net_graph import IR_VERSION, OPSET
from net_macs import count_macs, infer_shapes, macs_by_node
from net_weights import count_parameters, materialise, write

__all__ = [
    "NETWORKS",
    "Network",
    "build",
    "cached",
    "chain",
    "count_macs",
    "count_parameters",
    "infer_shapes",
    "load_light",
    "macs_by_node",
    "parse",
]

CACHE = Path(__file__).resolve().parent.parent / "build" / "networks"


@dataclass(frozen=True)
class Network:
    """A row of the table. `size` is the default input height in pixels (for `chain`, the depth)."""

    source: str
    size: int
    macs: int | None
    """Published multiply-accumulates at the default size, padding included; None where this variant has none."""
    parameters: int | None
    """Published parameters, None likewise."""
    light: Callable[[int], onnx.ModelProto]
    """Size -> the model with `ConstantOfShape` weights."""
    multiple: int = 1
    """Sizes must be multiples of this; 0 where the size is fixed."""


def _load_wheel(stem: str, _size: int) -> onnx.ModelProto:
    """A test model of the `onnx` wheel, in today's form: opset 13, initialisers that are no graph inputs.

    `_size` is fixed in the file, and `parse` lets no other through.
    """
    path = Path(onnx.backend.test.__file__).parent / "data" / "light" / f"light_{stem}.onnx"
    model = onnx.load(path)
    graph = model.graph
    graph.name = stem
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    for node in graph.node:
        _to_opset_13(node, graph)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    return model


def _to_opset_13(node: onnx.NodeProto, graph: onnx.GraphProto) -> None:
    """From opset 9, in place. What is not named here reads the same in both."""
    match node.op_type:
        case "Unsqueeze":  # axes became an operand
            axes = helper.make_tensor(f"{node.output[0]}__AXES", TensorProto.INT64, [2], list(node.attribute[0].ints))
            graph.initializer.append(axes)
            node.input.append(axes.name)
            del node.attribute[:]
        case "Dropout":  # so did the ratio; inference passes the data through, and nobody reads the mask
            ratio = helper.make_tensor(f"{node.output[0]}__RATIO", TensorProto.FLOAT, [], [node.attribute[0].f])
            graph.initializer.append(ratio)
            node.input.append(ratio.name)
            del node.attribute[:]
            del node.output[1:]
        case "Softmax":  # flattened from axis 1 on; here the later axes are 1, so axis 1 alone means the same
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("axis", 1))
        case _:
            pass


NETWORKS: dict[str, Network] = {
    "yolov3": Network(
        "Redmon & Farhadi, arXiv 1804.02767, 2018; counts: darknet's 65.86 BFLOP, its weight file",
        416,
        32_930_000_000,
        61_949_149,
        net_topologies.yolov3,
        multiple=32,
    ),
    "yolov3_tiny": Network(
        "Redmon & Farhadi, darknet yolov3-tiny, 2018; counts: darknet's 5.57 BFLOP, its weight file",
        416,
        2_785_000_000,
        8_858_734,
        net_topologies.yolov3_tiny,
        multiple=32,
    ),
    "mobilenetv1": Network(
        "Howard et al., arXiv 1704.04861, 2017; counts: its table 8",
        224,
        569_000_000,
        4_200_000,
        net_topologies.mobilenetv1,
    ),
    "mobilenetv2": Network(
        "Sandler et al., CVPR 2018; counts: its table 4, torchvision's parameters",
        224,
        300_000_000,
        3_504_872,
        net_topologies.mobilenetv2,
    ),
    "resnet18": Network(
        "He et al., CVPR 2016; counts: torchvision",
        224,
        1_814_073_344,
        11_689_512,
        net_topologies.resnet18,
    ),
    "unet": Network(
        "Ronneberger et al., MICCAI 2015, padded; parameters: as commonly counted for its widths",
        224,
        None,
        31_030_000,
        net_topologies.unet,
        multiple=16,
    ),
    "inception_v3": Network(
        "Szegedy et al., arXiv 1512.00567, 2015; counts: torchvision's, without its auxiliary classifier",
        299,
        5_713_000_000,
        23_834_568,
        net_topologies.inception_v3,
    ),
    "resnet50": Network(
        "He et al., CVPR 2016, with the stride on the 3x3 convolution; counts: torchvision",
        224,
        4_089_000_000,
        25_557_032,
        partial(_load_wheel, "resnet50"),
        multiple=0,
    ),
    "inception_v1": Network(
        "Szegedy et al., CVPR 2015", 224, None, 6_998_552, partial(_load_wheel, "inception_v1"), multiple=0
    ),
    "inception_v2": Network(
        "Ioffe & Szegedy, ICML 2015", 224, None, None, partial(_load_wheel, "inception_v2"), multiple=0
    ),
    "squeezenet": Network(
        "Iandola et al., arXiv 1602.07360, 2016, release 1.1; counts: torchvision",
        224,
        349_000_000,
        1_235_496,
        partial(_load_wheel, "squeezenet"),
        multiple=0,
    ),
    "vgg19": Network(
        "Simonyan & Zisserman, ICLR 2015; MACs: He et al., CVPR 2016",
        224,
        19_600_000_000,
        143_667_240,
        partial(_load_wheel, "vgg19"),
        multiple=0,
    ),
    "bvlc_alexnet": Network(
        "Krizhevsky et al., NIPS 2012, as trained with Caffe",
        224,
        None,
        60_965_224,
        partial(_load_wheel, "bvlc_alexnet"),
        multiple=0,
    ),
    "densenet121": Network(
        "Huang et al., CVPR 2017; counts: torchvision",
        224,
        2_834_000_000,
        7_978_856,
        partial(_load_wheel, "densenet121"),
        multiple=0,
    ),
    "shufflenet": Network(
        "Zhang et al., CVPR 2018, 4 groups", 224, None, None, partial(_load_wheel, "shufflenet"), multiple=0
    ),
    "shufflenetv2": Network(
        "Ma et al., ECCV 2018; counts: its table 5, torchvision's parameters",
        224,
        146_000_000,
        2_278_604,
        net_topologies.shufflenetv2,
    ),
    "zfnet512": Network("Zeiler & Fergus, ECCV 2014", 224, None, None, partial(_load_wheel, "zfnet512"), multiple=0),
    "mobilenetv3_large": Network(
        "Howard et al., ICCV 2019; counts: torchvision",
        224,
        217_000_000,
        5_483_032,
        net_pictures.mobilenetv3_large,
    ),
    "efficientnet_b0": Network(
        "Tan & Le, ICML 2019; counts: torchvision",
        224,
        386_000_000,
        5_288_548,
        net_pictures.efficientnet_b0,
    ),
    "fsrcnn": Network(
        "Dong et al., ECCV 2016; counts: its table 1",
        540,
        None,
        12_464,
        net_pictures.fsrcnn,
        multiple=9,
    ),
    "fcn_resnet50": Network(
        "Long et al., CVPR 2015, on ResNet-50 of output stride 8",
        256,
        None,
        None,
        net_pictures.fcn_resnet50,
        multiple=8,
    ),
    "vgg19_features": Network(
        "Simonyan & Zisserman, ICLR 2015, without its classifier",
        1024,
        None,
        None,
        net_pictures.vgg19_features,
        multiple=32,
    ),
    "mobilenetv2_wide": Network(
        "Sandler et al., CVPR 2018, on a picture of 16:9",
        1080,
        None,
        None,
        net_pictures.mobilenetv2_wide,
        multiple=9,
    ),
    "chain": Network("synthetic, for growth over depth", 16, None, None, net_topologies.chain),
}


def parse(name: str) -> tuple[str, int]:
    """`yolov3-608` -> ("yolov3", 608); without a number the table's size.

    Raises ValueError for what cannot be built.
    """
    base, _, number = name.partition("-")
    if base not in NETWORKS:
        raise ValueError(f"There is no network '{base}'. Choose one of: {', '.join(NETWORKS)}.")
    row = NETWORKS[base]
    if not number:
        return base, row.size
    if not number.isdecimal():
        raise ValueError(f"'{number}' in '{name}' is no size: write NAME-SIZE, for example {base}-{row.size}.")
    size = int(number)
    if row.multiple == 0 and size != row.size:
        raise ValueError(f"{base} has a fixed input size, {row.size}, and cannot be built for {size}.")
    if size < 1 or (row.multiple and size % row.multiple):
        raise ValueError(f"{base} needs a positive multiple of {row.multiple} as its size, not {size}.")
    return base, size


def build(name: str, size: int | None = None, weights: bool = True) -> onnx.ModelProto:
    """A network of the table; `name` may carry the size (`yolov3-608`).

    float32, NCHW, batch 1, opset 13. With `weights=False` every weight stays a `ConstantOfShape` node: the model is
    valid and has all shapes, costs milliseconds, but its values mean nothing.
    Raises ValueError for an unknown name or a size that does not suit it.
    """
    base, size = parse(name if size is None else f"{name}-{size}")
    model = NETWORKS[base].light(size)
    return materialise(model, base) if weights else model


def load_light(name: str, weights: bool = True) -> onnx.ModelProto:
    """A test model of the `onnx` wheel (`light_NAME.onnx`) with drawn weights, raised from opset 9 to 13.

    Otherwise as its exporter left it: BatchNormalization, also followed by Mul and Add, Sum for residuals, Dropout.
    Raises ValueError for a name that is not in the wheel.
    """
    light = [key for key, row in NETWORKS.items() if row.multiple == 0]
    if name not in light:
        raise ValueError(f"The onnx wheel has no light model '{name}'. Choose one of: {', '.join(light)}.")
    return build(name, weights=weights)


def chain(n: int, weights: bool = True) -> onnx.ModelProto:
    """`n` 3x3 convolutions of 64 channels at 28x28, each with Relu; input and output float32 [1, 64, 28, 28]."""
    return build("chain", n, weights)


def cached(name: str, folder: Path = CACHE) -> Path:
    """The network's file, written first if it is absent or older than the scripts that define it.

    One file with its weights inside, named NAME-SIZE.onnx; equal, field by field, to `build(name)`.
    Safe with several processes: each writes its own temporary file and renames it.
    """
    base, size = parse(name)
    path = folder / f"{base}-{size}.onnx"
    scripts = [Path(__file__), *Path(__file__).parent.glob("net_*.py")]
    if not path.exists() or path.stat().st_mtime < max(script.stat().st_mtime for script in scripts):
        write(build(base, size, weights=False), base, path)
    return path


def main() -> None:
    """Build files and print a row for each."""
    parser = argparse.ArgumentParser(description="Build networks into the cache and print what they are.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"NAME or NAME-SIZE: {', '.join(NETWORKS)}")
    names: list[str] = parser.parse_args().names or list(NETWORKS)
    try:
        sizes = [parse(name) for name in names]
    except ValueError as error:
        parser.error(str(error))
    print(f"{'network':<18}{'nodes':>6}{'M params':>10}{'M MACs':>10}{'on data':>10}{'MB':>8}  file")
    for base, size in sizes:
        light = build(base, size, weights=False)
        nodes = sum(node.op_type != "ConstantOfShape" for node in light.graph.node)
        macs, real = count_macs(light) / 1e6, count_macs(light, padding=False) / 1e6
        path = cached(f"{base}-{size}")
        megabytes = path.stat().st_size / 1e6
        title, millions = f"{base}-{size}", count_parameters(light) / 1e6
        print(f"{title:<18}{nodes:>6}{millions:>10.3f}{macs:>10.1f}{real:>10.1f}{megabytes:>8.1f}  {path}", flush=True)


if __name__ == "__main__":
    main()
