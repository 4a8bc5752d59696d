#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# onnxruntime's integer softmax never says 255 with a scale of 1/255
#
# Tool: onnxruntime 1.32.0 (CPU), onnx 1.23.2, numpy 2.4.6.
#
# Expected: the operator QLinearSoftmax divides by y_scale; fusing DequantizeLinear, Softmax,
# QuantizeLinear into it, which the graph optimisation does by default, keeps the codes.
#
# Seen: it multiplies by floor(1 / y_scale). 1/255, the scale that a calibration from 0 to 1 gives,
# is as a float32 a little over 1/255, so the floor is 254. A probability of 1 becomes 254, and most
# rows differ from the unfused three operators in one code or more. Scales of 1/k lose a step for 35
# of the k from 1 to 255 (7, 13, 14, 15, ... 255), not for 256.
#     scale 1/255: probability 1 is code 254; 178 of 200 rows differ from the unfused graph
#     scale 1/256: probability 1 is code 255;   0 of 200 rows differ from the unfused graph
#     scales 1/k that lose a step: 35 of 255
#
# Why it bites: one .onnx file has two integer results, with and without optimisation. A bit-exact
# model of a softmax unit that divides by the scale fails against the runtime in nine rows of ten,
# and attention weights that should add up to one are short by up to one part in 255.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -qq onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 ||
  { echo "not checked: onnx 1.23.2 or onnxruntime 1.32.0 does not install here"; exit 2; }

cat > codes.py <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

N = 8
U8 = TensorProto.UINT8
LEVEL = onnxruntime.GraphOptimizationLevel


def session(nodes, y_scale, level):
    graph = helper.make_graph(
        nodes,
        "softmax",
        [helper.make_tensor_value_info("x", U8, [1, N])],
        [helper.make_tensor_value_info("y", U8, [1, N])],
        [
            helper.make_tensor("x_scale", TensorProto.FLOAT, [], [0.1]),
            helper.make_tensor("y_scale", TensorProto.FLOAT, [], [y_scale]),
            helper.make_tensor("zero", U8, [], [0]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def graph(y_scale, level):
    return session(
        [
            helper.make_node("DequantizeLinear", ["x", "x_scale", "zero"], ["xf"]),
            helper.make_node("Softmax", ["xf"], ["yf"], axis=-1),
            helper.make_node("QuantizeLinear", ["yf", "y_scale", "zero"], ["y"]),
        ],
        y_scale,
        level,
    )


def operator(y_scale):
    names = ["x", "x_scale", "zero", "y_scale", "zero"]
    node = helper.make_node(
        "QLinearSoftmax", names, ["y"], domain="com.microsoft", axis=-1, opset=13
    )
    return session([node], y_scale, LEVEL.ORT_ENABLE_ALL)


def codes(run, x):
    return run.run(None, {"x": x})[0].astype(int)


one = np.array([[255] + [0] * (N - 1)], np.uint8)
rows = [np.random.default_rng(k).integers(0, 256, (1, N)).astype(np.uint8) for k in range(200)]
seen = {}
for k in (255, 256):
    plain, fused = graph(1 / k, LEVEL.ORT_DISABLE_ALL), graph(1 / k, LEVEL.ORT_ENABLE_ALL)
    differ = sum(int((codes(plain, x) != codes(fused, x)).any()) for x in rows)
    top = codes(fused, one).max()
    seen[k] = (top, codes(plain, one).max(), differ)
    print(
        f"scale 1/{k}: probability 1 is code {top}; {differ:3d} of {len(rows)} rows differ "
        "from the unfused graph"
    )
lost = [k for k in range(1, 256) if codes(operator(1 / k), one).max() == k - 1]
print(f"scales 1/k that lose a step: {len(lost)} of 255")
if not (seen[255][:2] == (254, 255) and seen[255][2] > 100 and seen[256] == (255, 255, 0)):
    sys.exit("changed: the fused softmax gives other codes at scale 1/255 or 1/256")
if len(lost) != 35:
    sys.exit("changed: another number of scales 1/k loses a step")
PY
venv/bin/python codes.py
