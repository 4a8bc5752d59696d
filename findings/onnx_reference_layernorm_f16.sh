#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ONNX' own reference LayerNormalization gives zeros or NaN for float16 rows
#
# Tool: onnx 1.23.2 (onnx.reference.ReferenceEvaluator), onnxruntime 1.32.0 beside it, numpy 2.4.6.
#
# Expected: the operator has stash_type = 1 by default: mean and variance of a float16 row are
# computed in float32. The package's reference evaluator, there to show what an operator gives, does
# that.
#
# Seen: it sums in the row's own type. One value of 300 among small ones is enough: its square is
# above float16's largest number, 65504, so the variance is infinite and every output is 0. So it is
# with 768 values of a standard deviation of 30. A mean of 100 makes the sum itself infinite: every
# output is NaN. onnxruntime, given the same model, is right to half a unit in the last place.
#     one 300        reference: 768 of 768 outputs are 0     onnxruntime: largest error 0.0050
#     deviation 30   reference: 768 of 768 outputs are 0     onnxruntime: largest error 0.0010
#     mean 100       reference: 768 of 768 outputs are NaN   onnxruntime: largest error 0.0010
#
# Why it bites: Transformers are known for single channels of such size. Who takes the reference
# evaluator as the golden model of LayerNorm hardware compares with zeros and blames the hardware,
# or, with milder rows, sets tolerances by float16 sums that the runtime does not make.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -qq onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 ||
  { echo "not checked: onnx 1.23.2 or onnxruntime 1.32.0 does not install here"; exit 2; }

cat > rows.py <<'PY'
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

warnings.simplefilter("ignore")  # numpy's own note of the overflow
N = 768
F16 = TensorProto.FLOAT16
model = helper.make_model(
    helper.make_graph(
        [helper.make_node("LayerNormalization", ["x", "scale"], ["y"], axis=-1, stash_type=1)],
        "one_row",
        [
            helper.make_tensor_value_info("x", F16, [1, N]),
            helper.make_tensor_value_info("scale", F16, [N]),
        ],
        [helper.make_tensor_value_info("y", F16, [1, N])],
    ),
    opset_imports=[helper.make_opsetid("", 17)],
    ir_version=10,
)
onnx.checker.check_model(model, full_check=True)
reference = ReferenceEvaluator(model)
runtime = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
)

same = True
random = np.random.default_rng(1)
for what, mean, deviation, first, kind in (
    ("one 300", 0, 1, 300, "0"),
    ("deviation 30", 0, 30, None, "0"),
    ("mean 100", 100, 1, None, "NaN"),
):
    x = (mean + deviation * random.standard_normal((1, N))).astype(np.float16)
    if first is not None:
        x[0, 0] = first
    feed = {"x": x, "scale": np.ones(N, np.float16)}
    exact = x.astype(np.float64)
    exact = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-5)
    (got,) = reference.run(None, feed)
    (ort,) = runtime.run(None, feed)
    bad = np.isnan(got) if kind == "NaN" else got == 0
    error = np.abs(ort - exact).max()
    print(
        f"{what:13s}  reference: {bad.sum()} of {N} outputs are {kind}   "
        f"onnxruntime: largest error {error:.4f}"
    )
    same &= bool(bad.all()) and error < 0.02
if not same:
    sys.exit("changed: the reference, or onnxruntime, treats these float16 rows otherwise")
PY
venv/bin/python rows.py
