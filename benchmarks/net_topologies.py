"""CNN topologies written from their published tables, BatchNorm already folded into the convolutions.

Each function takes the input's height = width in pixels (or the depth, for `chain`) and gives a light model: shapes
without weight values (see `benchmarks.net_graph`). Input float32 [1, 3, size, size]; classifiers end at the logits
[1, 1000], detectors at the raw maps [1, 255, rows, columns] before box decoding.
"""

from __future__ import annotations

import onnx
from net_graph import GraphWriter

IMAGENET = 1000
COCO_MAP = 3 * (4 + 1 + 80)  # anchors per cell x (box, objectness, classes)


def yolov3(size: int) -> onnx.ModelProto:
    """YOLOv3: Darknet-53 without its classifier (Redmon & Farhadi, arXiv 1804.02767, 2018, table 1), three heads."""
    g = GraphWriter("yolov3", "YOLOv3, Redmon & Farhadi 2018")
    x = g.conv(g.input(3, size, size), 32, 3, activation="leaky")
    stages: list[str] = []
    for channels, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = g.conv(x, channels, 3, 2, activation="leaky")
        for _ in range(blocks):
            squeezed = g.conv(x, channels // 2, 1, activation="leaky")
            x = g.add(g.conv(squeezed, channels, 3, activation="leaky"), x)
        stages.append(x)
    heads: list[str] = []
    for channels, stride, finer in ((1024, 32, stages[3]), (512, 16, stages[2]), (256, 8, None)):
        for _ in range(2):
            x = g.conv(x, channels // 2, 1, activation="leaky")
            x = g.conv(x, channels, 3, activation="leaky")
        x = g.conv(x, channels // 2, 1, activation="leaky")
        heads.append(_yolo_head(g, x, channels, stride))
        if finer is not None:
            x = g.concat(g.upsample(g.conv(x, channels // 4, 1, activation="leaky")), finer)
    return g.finish(*heads)


def yolov3_tiny(size: int) -> onnx.ModelProto:
    """YOLOv3-tiny: the darknet project's configuration of that name (Redmon & Farhadi 2018), two heads.

    Its sixth max pool has stride 1 and pads one row below and one column right, so the map keeps its size.
    """
    g = GraphWriter("yolov3_tiny", "YOLOv3-tiny, Redmon & Farhadi 2018")
    x = g.input(3, size, size)
    for channels in (16, 32, 64, 128):
        x = g.max_pool(g.conv(x, channels, 3, activation="leaky"), 2, 2)
    finer = g.conv(x, 256, 3, activation="leaky")
    x = g.conv(g.max_pool(finer, 2, 2), 512, 3, activation="leaky")
    x = g.conv(g.max_pool(x, 2, 1, pads=(0, 0, 1, 1)), 1024, 3, activation="leaky")
    x = g.conv(x, 256, 1, activation="leaky")
    coarse = _yolo_head(g, x, 512, 32)
    x = g.concat(g.upsample(g.conv(x, 128, 1, activation="leaky")), finer)
    return g.finish(coarse, _yolo_head(g, x, 256, 16))


def _yolo_head(g: GraphWriter, x: str, channels: int, stride: int) -> str:
    x = g.conv(x, channels, 3, activation="leaky")
    return g.conv(x, COCO_MAP, 1, activation=None, name=f"map_stride{stride}")


def mobilenetv1(size: int) -> onnx.ModelProto:
    """MobileNetV1, width 1 (Howard et al., arXiv 1704.04861, 2017, table 1)."""
    g = GraphWriter("mobilenetv1", "MobileNetV1, Howard et al. 2017")
    x = g.conv(g.input(3, size, size), 32, 3, 2)
    pointwise = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for channels, stride in pointwise:
        width = g.shapes[x][0]
        x = g.conv(g.conv(x, width, 3, stride, group=width), channels, 1)
    return g.finish(g.classifier(x, IMAGENET))


def mobilenetv2(size: int, width: int = 0) -> onnx.ModelProto:
    """MobileNetV2, width 1 (Sandler et al., CVPR 2018, table 2): inverted residuals, linear bottlenecks, Clip 0..6.

    The picture is ``width`` pixels wide, or as wide as high.
    """
    g = GraphWriter("mobilenetv2", "MobileNetV2, Sandler et al. 2018")
    x = g.conv(g.input(3, size, width or size), 32, 3, 2, activation="relu6")
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, channels, repeats, first_stride in rows:
        for stride in (first_stride, *[1] * (repeats - 1)):
            before, hidden = g.shapes[x][0], g.shapes[x][0] * expansion
            y = g.conv(x, hidden, 1, activation="relu6") if expansion > 1 else x
            y = g.conv(y, hidden, 3, stride, group=hidden, activation="relu6")
            y = g.conv(y, channels, 1, activation=None)
            x = g.add(x, y) if stride == 1 and before == channels else y
    return g.finish(g.classifier(g.conv(x, 1280, 1, activation="relu6"), IMAGENET))


def shufflenetv2(size: int) -> onnx.ModelProto:
    """ShuffleNetV2, width 1 (Ma et al., ECCV 2018, figure 3 c and d, table 5): half pass, then a shuffle."""
    g = GraphWriter("shufflenetv2", "ShuffleNetV2, Ma et al. 2018")
    x = g.max_pool(g.conv(g.input(3, size, size), 24, 3, 2), 3, 2, (1, 1, 1, 1))
    for channels, repeats in ((116, 4), (232, 8), (464, 4)):
        half = channels // 2
        for stride in (2, *[1] * (repeats - 1)):
            left, right = (x, x) if stride == 2 else (g.half(x, second=False), g.half(x, second=True))
            if stride == 2:
                left = g.conv(left, g.shapes[left][0], 3, 2, group=g.shapes[left][0], activation=None)
                left = g.conv(left, half, 1)
            right = g.conv(right, half, 1)
            right = g.conv(g.conv(right, half, 3, stride, group=half, activation=None), half, 1)
            x = g.shuffle(g.concat(left, right), 2)
    return g.finish(g.classifier(g.conv(x, 1024, 1), IMAGENET))


def resnet18(size: int) -> onnx.ModelProto:
    """ResNet-18 (He et al., CVPR 2016, table 1): basic blocks, 1x1 convolutions where the shape changes."""
    g = GraphWriter("resnet18", "ResNet-18, He et al. 2016")
    x = g.max_pool(g.conv(g.input(3, size, size), 64, 7, 2), 3, 2, (1, 1, 1, 1))
    for channels, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            same = stride == 1 and g.shapes[x][0] == channels
            skip = x if same else g.conv(x, channels, 1, stride, activation=None)
            x = g.activate(g.add(g.conv(g.conv(x, channels, 3, stride), channels, 3, activation=None), skip), "relu")
    return g.finish(g.classifier(x, IMAGENET))


def inception_v3(size: int) -> onnx.ModelProto:
    """Inception-v3 without auxiliary classifier (Szegedy et al., arXiv 1512.00567, 2015, table 1 and figures 5-7).

    Branch widths as in the authors' released model, which the paper leaves open.
    """
    g = GraphWriter("inception_v3", "Inception-v3, Szegedy et al. 2015")
    x = g.conv(g.input(3, size, size), 32, 3, 2, pads=_VALID)
    x = g.conv(g.conv(x, 32, 3, pads=_VALID), 64, 3)
    x = g.conv(g.max_pool(x, 3, 2), 80, 1)
    x = g.max_pool(g.conv(x, 192, 3, pads=_VALID), 3, 2)
    for pooled in (32, 64, 64):
        x = _inception_5x5(g, x, pooled)
    double = g.conv(g.conv(x, 64, 1), 96, 3)
    x = g.concat(g.conv(x, 384, 3, 2, pads=_VALID), g.conv(double, 96, 3, 2, pads=_VALID), g.max_pool(x, 3, 2))
    for width in (128, 160, 160, 192):
        x = _inception_7x7(g, x, width)
    triple = g.conv(g.conv(x, 192, 1), 320, 3, 2, pads=_VALID)
    seven = g.conv(g.conv(g.conv(g.conv(x, 192, 1), 192, (1, 7)), 192, (7, 1)), 192, 3, 2, pads=_VALID)
    x = g.concat(triple, seven, g.max_pool(x, 3, 2))
    for _ in range(2):
        x = _inception_wide(g, x)
    return g.finish(g.classifier(x, IMAGENET))


_VALID = (0, 0, 0, 0)


def _pool_branch(g: GraphWriter, x: str, channels: int) -> str:
    return g.conv(g.average_pool(x, 3, 1, pads=(1, 1, 1, 1)), channels, 1)


def _inception_5x5(g: GraphWriter, x: str, pooled: int) -> str:
    """Modules at 35 x 35 (figure 5)."""
    five = g.conv(g.conv(x, 48, 1), 64, 5)
    double = g.conv(g.conv(g.conv(x, 64, 1), 96, 3), 96, 3)
    return g.concat(g.conv(x, 64, 1), five, double, _pool_branch(g, x, pooled))


def _inception_7x7(g: GraphWriter, x: str, width: int) -> str:
    """Modules at 17 x 17 with factorised 7 x 7 convolutions (figure 6)."""
    once = g.conv(g.conv(g.conv(x, width, 1), width, (1, 7)), 192, (7, 1))
    twice = g.conv(g.conv(g.conv(x, width, 1), width, (7, 1)), width, (1, 7))
    twice = g.conv(g.conv(twice, width, (7, 1)), 192, (1, 7))
    return g.concat(g.conv(x, 192, 1), once, twice, _pool_branch(g, x, 192))


def _inception_wide(g: GraphWriter, x: str) -> str:
    """Modules at 8 x 8 with expanded filter banks (figure 7)."""

    def fork(stem: str) -> str:
        return g.concat(g.conv(stem, 384, (1, 3)), g.conv(stem, 384, (3, 1)))

    once = fork(g.conv(x, 384, 1))
    twice = fork(g.conv(g.conv(x, 448, 1), 384, 3))
    return g.concat(g.conv(x, 320, 1), once, twice, _pool_branch(g, x, 192))


def unet(size: int) -> onnx.ModelProto:
    """U-Net (Ronneberger et al., MICCAI 2015, figure 1) padded, so that the map has the picture's size.

    An up-convolution is what its text says: nearest upsampling, then a 2x2 convolution to half the channels; 21 classes
    come out.
    """
    g = GraphWriter("unet", "U-Net, Ronneberger et al. 2015, padded")
    x = g.input(3, size, size)
    skips: list[str] = []
    for width in (64, 128, 256, 512):
        skips.append(g.conv(g.conv(x, width, 3), width, 3))
        x = g.max_pool(skips[-1], 2, 2)
    x = g.conv(g.conv(x, 1024, 3), 1024, 3)
    for width in (512, 256, 128, 64):
        up = g.conv(g.upsample(x), width, 2, pads=(0, 0, 1, 1), activation=None)
        x = g.conv(g.conv(g.concat(skips.pop(), up), width, 3), width, 3)
    return g.finish(g.conv(x, 21, 1, activation=None, name="classes"))


def chain(n: int) -> onnx.ModelProto:
    """`n` equal layers for measuring how cost grows with depth: 3x3, 64 to 64 channels at 28x28, Relu; no paper."""
    if n < 1:
        raise ValueError(f"A chain needs at least one convolution, not {n}.")
    g = GraphWriter("chain", f"{n} equal convolutions")
    x = g.input(64, 28, 28)
    for _ in range(n):
        x = g.conv(x, 64, 3)
    return g.finish(x)
