# SPDX-License-Identifier: Apache-2.0
"""The speed bench of the models: all are timed, and the float functions are what they say."""

from itertools import product

import numpy as np
import pytest

from softnorm.flow.bench import model as bench_model
from softnorm.models import reference


def test_every_unit_and_variant_is_timed_once():
    times = bench_model.model_against_float(pairs=1, rows=3, length=40)
    kinds = {(t.model, t.against, t.masked) for t in times}
    assert len(kinds) == len(times) == 6 * 4 + 1
    assert {t.model.partition(" ")[0] for t in times} == {
        *("E2Softmax", "REXP", "2D-LUT", "AILayerNorm")
    }
    assert all(t.ratio == t.model_s / t.float_s > 0 for t in times)
    with pytest.raises(ValueError, match=r"^pairs and rows must be at least 1, got 0 and 4096"):
        bench_model.model_against_float(pairs=0)


def test_the_float_functions_are_exact_to_float32():
    x, mask = np.arange(-8, 8, dtype=np.int8).reshape(2, 8), np.eye(2, 8) < 1
    for m, maximum in product((None, mask), (False, True)):
        exact = reference.softmax(x * 2.0**-bench_model.FRAC, m)
        np.testing.assert_allclose(bench_model.float_softmax(x, m, maximum), exact, rtol=1e-5)
    scale, gamma, beta = np.random.default_rng(1).uniform(1, 2, (3, 8)).astype(np.float32)
    x = np.random.default_rng(2).integers(0, 256, (5, 8), np.uint8)
    exact = reference.layer_norm((x - 128.0) * scale, gamma, beta, eps=1e-5)
    norm = bench_model.float_layer_norm(x, scale, gamma, beta)
    np.testing.assert_allclose(norm, exact, atol=1e-5)
