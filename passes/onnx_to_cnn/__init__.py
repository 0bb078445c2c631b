"""Parts of ``convert-onnx-to-cnn``, in the order in which a value passes through them.

``names`` layer names, ``view`` where the elements of a tensor lie, ``values`` what a tensor can be between a
DequantizeLinear and the next QuantizeLinear, ``scalar`` functions of one number, ``operators`` from node to value,
``settle`` from value to cnn operations, ``host`` the regions before and after the machine.
"""
