"""Topologies that small machines meet: networks for large pictures, and those made for little memory.

As in `net_topologies`: written from published tables, BatchNorm folded, light models. `size` is the height in pixels;
where a picture is wide it is 16/9 of that wide.
"""

from __future__ import annotations

import net_topologies
import onnx
from net_graph import Activation, GraphWriter

CLASSES = 21
"""Of the segmentation data sets that FCN is trained for."""


def mobilenetv2_wide(size: int) -> onnx.ModelProto:
    """MobileNetV2 on a wide picture."""
    return net_topologies.mobilenetv2(size, size * 16 // 9)


def vgg19_features(size: int) -> onnx.ModelProto:
    """The convolutions and pools of VGG-19 (Simonyan & Zisserman, ICLR 2015, table 1, column E)."""
    g = GraphWriter("vgg19_features", "VGG-19, Simonyan & Zisserman 2015")
    x = g.input(3, size, size)
    for channels, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            x = g.conv(x, channels, 3)
        x = g.max_pool(x, 2, 2)
    return g.finish(x)


def fsrcnn(size: int) -> onnx.ModelProto:
    """FSRCNN(56, 12, 4) (Dong et al., ECCV 2016), a wide picture of luminance made twice as large."""
    g = GraphWriter("fsrcnn", "FSRCNN, Dong et al. 2016")
    x = g.conv(g.input(1, size, size * 16 // 9), 56, 5, activation="prelu")
    x = g.conv(x, 12, 1, activation="prelu")
    for _ in range(4):
        x = g.conv(x, 12, 3, activation="prelu")
    x = g.conv(x, 56, 1, activation="prelu")
    return g.finish(g.deconv(x, 1, 9, 2, 4, 1))


def fcn_resnet50(size: int) -> onnx.ModelProto:
    """FCN on a dilated ResNet-50 (Long et al., CVPR 2015; backbone as torchvision builds it, output stride 8)."""
    g = GraphWriter("fcn_resnet50", "FCN-ResNet-50, Long et al. 2015")
    x = g.max_pool(g.conv(g.input(3, size, size), 64, 7, 2), 3, 2, pads=(1, 1, 1, 1))
    dilation = 1
    for width, blocks, stride, step in ((64, 3, 1, 1), (128, 4, 2, 1), (256, 6, 1, 2), (512, 3, 1, 2)):
        for block in range(blocks):
            first = stride if block == 0 else 1
            y = g.conv(g.conv(x, width, 1), width, 3, first, dilation=dilation)
            y = g.conv(y, 4 * width, 1, activation=None)
            if block == 0:
                x = g.conv(x, 4 * width, 1, first, activation=None)
                dilation *= step
            x = g.activate(g.add(y, x), "relu")
    x = g.conv(g.conv(x, 512, 3), CLASSES, 1, activation=None)
    return g.finish(g.resize_linear(x, 8))


def mobilenetv3_large(size: int) -> onnx.ModelProto:
    """MobileNetV3-Large (Howard et al., ICCV 2019, table 1)."""
    g = GraphWriter("mobilenetv3_large", "MobileNetV3-Large, Howard et al. 2019")
    x = g.conv(g.input(3, size, size), 16, 3, 2, activation="hardswish")
    rows: tuple[tuple[int, int, int, bool, Activation, int], ...] = (
        (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hardswish", 2), (3, 200, 80, False, "hardswish", 1),
        (3, 184, 80, False, "hardswish", 1), (3, 184, 80, False, "hardswish", 1),
        (3, 480, 112, True, "hardswish", 1), (3, 672, 112, True, "hardswish", 1),
        (5, 672, 160, True, "hardswish", 2), (5, 960, 160, True, "hardswish", 1), (5, 960, 160, True, "hardswish", 1),
    )  # fmt: skip
    for kernel, hidden, channels, gated, activation, stride in rows:
        y = g.conv(x, hidden, 1, activation=activation) if hidden != g.shapes[x][0] else x
        y = g.conv(y, hidden, kernel, stride, group=hidden, activation=activation)
        if gated:
            y = g.squeeze(y, _eighths(hidden / 4), "relu", "hardsigmoid")
        y = g.conv(y, channels, 1, activation=None)
        x = g.add(x, y) if stride == 1 and channels == g.shapes[x][0] else y
    x = g.conv(x, 960, 1, activation="hardswish")
    return g.finish(g.classifier(x, 1280, net_topologies.IMAGENET, activation="hardswish"))


def _eighths(width: float) -> int:
    """A width as these networks round it: to a multiple of 8, never by more than a tenth down."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def efficientnet_b0(size: int) -> onnx.ModelProto:
    """EfficientNet-B0 (Tan & Le, ICML 2019, table 1)."""
    g = GraphWriter("efficientnet_b0", "EfficientNet-B0, Tan & Le 2019")
    x = g.conv(g.input(3, size, size), 32, 3, 2, activation="silu")
    rows = ((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1),
            (6, 5, 192, 4, 2), (6, 3, 320, 1, 1))  # fmt: skip
    for expansion, kernel, channels, repeats, first_stride in rows:
        for stride in (first_stride, *[1] * (repeats - 1)):
            before = g.shapes[x][0]
            y = g.conv(x, before * expansion, 1, activation="silu") if expansion > 1 else x
            y = g.conv(y, before * expansion, kernel, stride, group=before * expansion, activation="silu")
            y = g.conv(g.squeeze(y, before // 4, "silu", "sigmoid"), channels, 1, activation=None)
            x = g.add(x, y) if stride == 1 and before == channels else y
    return g.finish(g.classifier(g.conv(x, 1280, 1, activation="silu"), net_topologies.IMAGENET))
