# SPDX-License-Identifier: Apache-2.0
"""The models for accelerators against vectors of an independent implementation, bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from softnorm.models import vectors
from softnorm.models.ailayernorm import AILayerNorm, reciprocal
from softnorm.models.channels import Channels
from softnorm.models.e2softmax import E2Softmax
from softnorm.models.stream_cells import Quantise, ResidualAdd

FOLDER = Path(__file__).parents[1] / "vectors/section8"
VECTORS = sorted([*FOLDER.glob("*.npz"), *FOLDER.parent.glob("residual_add_*.npz")])
EXPECTED = {"out_max", "out_sum", "imprecise"}  # beside out and exponent
GIVEN = {"carry_max", "carry_sum", "residual"}

pytestmark = pytest.mark.skipif(not VECTORS, reason=f"no vectors in {FOLDER}")


def e2softmax(file):
    carry = {name: file.extra[name] for name in ("carry_max", "carry_sum") if name in file.extra}
    unit = E2Softmax(**file.parameters)
    for run in (unit, unit.trace):
        result = run(file.x, file.mask, **file.run_settings, **carry)
        yield result, {"out_max": result.out_max, "out_sum": result.out_sum}


def ailayernorm(file):
    unit = AILayerNorm(**file.parameters)
    count = file.mask.sum(axis=1)
    mant, exp = reciprocal(np.maximum(count, 1))
    channels = Channels(*(file.channels[name][0] for name in ("alpha", "gamma", "beta")))
    settings = {**file.run_settings, "len": count, "inv_mant": mant, "inv_exp": exp}
    for run in (unit, unit.trace):
        result = run(file.x, channels, file.mask, **settings)
        assert not result.err_len.any()
        yield result, {"imprecise": result.imprecise}


def sizes(file):
    """A stream cell has no MAX_LEN; the files name what would hold their rows."""
    return {name: value for name, value in file.parameters.items() if name != "MAX_LEN"}


def quantise(file):
    yield Quantise(**sizes(file))(file.x, file.mask, **file.run_settings), {}


def residual_add(file):
    residual = file.extra["residual"].astype(file.x.dtype)
    assert (residual == file.extra["residual"]).all()
    lengths = {"length": file.length, "residual_length": file.length}
    result = ResidualAdd(**sizes(file))(file.x, residual, file.mask, **lengths)
    assert not result.err_keep.any()
    yield result, {}


def compare(file):
    """Whether a file's unit gives every entry that the file expects. Unknown entries raise."""
    assert set(file.extra) <= EXPECTED | GIVEN
    wanted = {name: file.extra[name] for name in EXPECTED & set(file.extra)}
    for result, more in globals()[file.unit](file):
        if (result.out.astype(file.out.dtype) != file.out).any():
            return False
        if (result.exponent != file.exponent).any():
            return False
        if any((more[name] != array).any() for name, array in wanted.items()):
            return False
    return True


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_conformance(path):
    assert compare(vectors.load(path))


@pytest.mark.parametrize("name", ["out", "exponent", "out_max", "out_sum", "imprecise"])
def test_a_flipped_bit_of_any_entry_is_seen(name):
    found = 0
    for path in VECTORS[::7]:
        file = vectors.load(path)
        array = file.extra.get(name) if name in EXPECTED else getattr(file, name)
        if array is not None:
            array = array.view()
            array.setflags(write=True)
            array.reshape(-1)[np.flatnonzero(file.mask)[0] if name == "out" else -1] ^= 1
            found += 1
            assert not compare(file)
    assert found


def test_every_unit_and_every_entry_has_vectors():
    files = [vectors.load(path) for path in VECTORS]
    assert {file.unit for file in files} == {"e2softmax", "ailayernorm", "quantise", "residual_add"}
    assert set().union(*(file.extra for file in files)) == EXPECTED | GIVEN
