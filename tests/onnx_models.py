"""Small ONNX models that hear samples, and what they compute in numpy."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KERNEL, STRIDE, BANDS, DIM = 64, 32, 2, 3


def weights(seed):
    return np.random.default_rng(seed).normal(0, 1, (BANDS * DIM, 1, KERNEL)).astype(np.float32)


def model(*, seed=0, length="n", bands=False, inputs=1, dtype=TensorProto.FLOAT):
    """A filter bank: the absolute values of a convolution, ``(1, times, dim)`` or ``(1, times, bands, dim)``."""
    shape = [1, length]
    nodes = [
        helper.make_node("Unsqueeze", ["samples", "one"], ["channel"]),
        helper.make_node("Conv", ["channel", "weights"], ["filtered"], strides=[STRIDE]),
        helper.make_node("Abs", ["filtered"], ["absolute"]),
        helper.make_node("Transpose", ["absolute"], ["vectors"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["vectors", "shape"], ["out"]),
    ]
    last = [BANDS, DIM] if bands else [BANDS * DIM]
    constants = [
        numpy_helper.from_array(weights(seed), "weights"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
        numpy_helper.from_array(np.array([1, -1, *last], dtype=np.int64), "shape"),
    ]
    names = ["samples", "more"][:inputs]
    if inputs == 2:
        nodes[0].input[0] = "sum"
        nodes.insert(0, helper.make_node("Add", names, ["sum"]))
    graph = helper.make_graph(
        nodes,
        "filters",
        [helper.make_tensor_value_info(name, dtype, shape) for name in names],
        [helper.make_tensor_value_info("out", dtype, [1, "times", *last])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write(path, **options):
    onnx.save(model(**options), path)
    return str(path)


def restated(samples, *, seed=0):
    """What the model gives of samples, ``(times, bands * dim)`` float64."""
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), KERNEL)[::STRIDE]
    return np.abs(windows @ weights(seed)[:, 0].T.astype(np.float64))
