# SPDX-License-Identifier: Apache-2.0
"""The models' plain source on other array libraries: every intermediate is that of numpy.

`array_api_strict` has the standard's functions and no others, so that what runs on it runs on any
library; torch's tensors are tried where torch is installed.
"""

from __future__ import annotations

import ast
import dataclasses

import numpy as np
import pytest

from softnorm.flow.paths import ROOT
from softnorm.models import arrays
from softnorm.models.e2softmax import E2Softmax
from softnorm.models.quantise import quantise_logits
from tests.models.test_contract import draw, each_configuration

LIBRARIES = ("array_api_strict", "torch")


@pytest.fixture(params=LIBRARIES)
def library(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


def to_library(x, library):
    """numpy's arrays as the library's, all else as it is."""
    return library.asarray(x.copy()) if isinstance(x, np.ndarray) else x


def to_numpy(x):
    return np.asarray(x) if arrays.is_array(x) else x


def calls(unit, parameters, rows, monkeypatch):
    """What a descriptor calls its model with."""
    seen, run = [], unit.model.__call__
    with monkeypatch.context() as patched:
        patched.setattr(
            unit.model, "__call__", lambda *a, **given: seen.append((a, given)) or run(*a, **given)
        )
        unit.predict(parameters, rows)
    return seen


def differing(one, other):
    """Names of fields that are not the same to the bit."""
    names = [field.name for field in dataclasses.fields(one)]
    pairs = {name: (getattr(one, name), to_numpy(getattr(other, name))) for name in names}
    return [
        name
        for name, (want, got) in pairs.items()
        if np.asarray(want).dtype != np.asarray(got).dtype or not np.array_equal(want, got)
    ]


@each_configuration
def test_every_intermediate_is_the_same_in_every_library(unit, given, library, monkeypatch):
    parameters, rows = draw(unit, given, rows=30)
    for (model, *arguments), settings in calls(unit, parameters, rows, monkeypatch):
        want = model.trace(*arguments, **settings)
        there = [to_library(one, library) for one in arguments]
        settings = {name: to_library(one, library) for name, one in settings.items()}
        got = model.trace(*there, **settings)
        assert not differing(want, got)
        assert not isinstance(got.out, np.ndarray)
        called = model(*there, **settings)
        for name in (field.name for field in dataclasses.fields(called)):
            assert np.array_equal(getattr(want, name), to_numpy(getattr(called, name)))
        if not hasattr(want, "to_real"):
            continue
        step = (np.linspace(0.1, 2, want.out.shape[1]),) if "num" in vars(want) else ()
        assert np.array_equal(want.to_real(*step), to_numpy(got.to_real(*step)))


def test_a_planted_difference_is_found():
    """A fault: one intermediate that is off by 1 in one element."""
    unit, x = E2Softmax(), np.arange(64, dtype=np.int8).reshape(2, 32)
    trace = unit.trace(x, frac=4)
    changed = trace.code.copy()
    changed[1, 3] += 1
    assert differing(trace, dataclasses.replace(trace, code=changed)) == ["code"]
    assert differing(trace, dataclasses.replace(trace, sum=trace.sum.astype(np.int32))) == ["sum"]


@pytest.mark.parametrize("logits", [[0.5, -0.5, 0.49999997, 200, -200], [1.25, -0.03125]])
def test_quantisers_are_the_same_in_every_library(logits, library):
    x = np.array(logits, np.float32)
    for frac in (0, 4, 7):
        got = quantise_logits(library.asarray(x.copy()), frac)
        assert np.array_equal(to_numpy(got), quantise_logits(x, frac))
    with pytest.raises(ValueError, match="must be finite, got nan"):
        quantise_logits(library.asarray(np.array([0, np.nan])), 4)


def test_wrong_arrays_are_one_sentence(library):
    x = library.asarray(np.zeros((2, 8)))
    with pytest.raises(TypeError, match="x must be int8, got"):
        E2Softmax()(x, frac=4)
    with pytest.raises(TypeError, match="mask must be a bool array or None"):
        E2Softmax()(library.astype(x, library.int8) if library.__name__ != "torch" else x.char(), x)


def test_numpy_alone_needs_no_other_package():
    """array-api-compat is imported in functions of one module, when another array has come."""
    for path in (ROOT / "models").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "array_api_compat":
                assert path.name == "arrays.py"
                assert node in inside
