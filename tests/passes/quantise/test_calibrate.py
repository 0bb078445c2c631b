"""What ONNX Runtime says against a float model is passed on without its codes and the places in its own source."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from passes.common.problems import ModelError
from passes.onnx.import_onnx import import_model
from tests.attacks.named_models import model
from tools.driver import lower, make_context


@pytest.mark.parametrize(("name", "what"), [("g", "Gather 'g'"), ("", "an unnamed Gather")])
def test_the_runtime_is_quoted_without_its_own_affairs(name: str, what: str) -> None:
    nodes = [helper.make_node("Gather", ["x", "i"], ["t"], name=name, axis=1), helper.make_node("Relu", ["t"], ["y"])]
    module = import_model(model(nodes, (1, 3, 8, 8), i=np.array([9])), None, "m.onnx")
    with pytest.raises(ModelError) as caught:
        lower(module, "cnn", make_context(), machine="edge4k", assume_int8=True)
    assert str(caught.value).splitlines()[0] == (
        f"ONNX Runtime cannot run the float model, which --assume-int8 needs: {what}: indices element out of data "
        "bounds, idx=9 must be within the inclusive range [-3,2]."
    )
