#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# onnxruntime's static quantisation takes a mask's -3.4e38 for a logit: attention becomes uniform
#
# Tool: onnxruntime 1.32.0 (onnxruntime.quantization.quantize_static, all defaults), onnx 1.23.2, numpy 2.4.6.
#
# Expected: attention's logits, the sum of scores and a mask of 0 and the least float32, as exporters
# of Transformers write it, are quantised over the range of the scores. What is masked saturates at
# the lowest code, or the quantiser says that the range is none.
#
# Seen: the range goes from -3.4e38. One step of the logits is 1.3e36, every score is the code of 0,
# and every row of attention is level over its unmasked keys, in all layers. Calibration, quantising
# and running say nothing, and the file is valid. With a mask of -30 the same call is right.
#     mask        scale of the logits   largest weight, mean   in float
#     -3.4e+38                1.3e+36                 0.0824     0.4922
#     -30                        0.17                 0.4881     0.4922
#
# Why it bites: a network loses its attention and keeps much of its accuracy, since feed-forward
# layers and residual sums are left; the loss is put down to 8 bits. Softmax hardware that is
# compared on such a file sees rows of equal logits only, and has no errors.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -qq onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 ||
  { echo "not checked: onnx 1.23.2 or onnxruntime 1.32.0 does not install here"; exit 2; }

cat > mask.py <<'PY'
import logging
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)  # it asks for preprocessing
warnings.simplefilter("ignore")
N, D, LIVE = 16, 32, 12
random = np.random.default_rng(1)
rows = [
    {name: random.standard_normal((1, N, D)).astype(np.float32) for name in "qk"} for _ in range(8)
]


class Reader(CalibrationDataReader):
    def __init__(self):
        self.rows = iter(rows)

    def get_next(self):
        return next(self.rows, None)


def attention(masked):
    mask = np.where(np.arange(N) < LIVE, 0, masked).astype(np.float32)
    weights = np.random.default_rng(2).standard_normal((D, D)).astype(np.float32) / D**0.5
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["q", "w"], ["p"]),
                helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
                helper.make_node("MatMul", ["p", "kt"], ["s"]),
                helper.make_node("Mul", ["s", "scale"], ["scores"]),
                helper.make_node("Add", ["scores", "mask"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["shares"], axis=-1),
            ],
            "attention",
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, N, D]) for x in "qk"],
            [helper.make_tensor_value_info("shares", TensorProto.FLOAT, [1, N, N])],
            [
                numpy_helper.from_array(weights, "w"),
                numpy_helper.from_array(mask, "mask"),
                numpy_helper.from_array(np.float32(2 / D**0.5), "scale"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )


def largest(file):
    """The mean over rows of a row's largest weight."""
    run = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return np.mean([run.run(None, row)[0].max(axis=-1) for row in rows])


print("mask        scale of the logits   largest weight, mean   in float")
seen = {}
for masked in (np.finfo(np.float32).min, -30.0):
    onnx.save(attention(masked), "float.onnx")
    quantize_static("float.onnx", "int8.onnx", Reader())
    constants = {one.name: one for one in onnx.load("int8.onnx").graph.initializer}
    scale = float(numpy_helper.to_array(constants["logits_scale"]))
    seen[masked] = largest("int8.onnx"), largest("float.onnx"), scale
    print(f"{masked:<10.2g}  {scale:19.2g}   {seen[masked][0]:20.4f}   {seen[masked][1]:8.4f}")
bad, good = seen.values()
if not (abs(bad[0] - 1 / LIVE) < 0.005 and bad[2] > 1e30 and abs(good[0] - good[1]) < 0.05):
    sys.exit("changed: a mask of the least float32 no longer makes attention uniform")
PY
venv/bin/python mask.py
