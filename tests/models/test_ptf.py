# SPDX-License-Identifier: Apache-2.0
"""PTF: quantisers against their equations, and float layers through the unit."""

import numpy as np
import pytest

from softnorm.models import metrics, reference
from softnorm.models.ailayernorm import AILayerNorm
from softnorm.models.ptf import (
    Ptf,
    calibrate_min_max,
    calibrate_mse,
    calibrate_output,
    deviations,
    fold,
)


def activations(seed=1, rows=200, channels=48):
    """Like a Transformer's: two channels far out, the rest of several sizes, all off centre."""
    rng = np.random.default_rng(seed)
    size = rng.choice([0.05, 0.1, 0.2], channels)
    x = rng.normal(size / 4, size, (rows, channels))
    x[:, 3] = rng.normal(-0.8, 0.2, rows)
    x[:, 7] = rng.normal(1.5, 0.3, rows)
    return x


def squared_error(ptf, x):
    return np.square(ptf.dequantise(ptf.quantise(x)) - x).sum()


def layer(seed=2, channels=48):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 1.5, channels), rng.normal(0, 0.3, channels)


# --- the quantiser --------------------------------------------------------------------------------


def test_quantise_by_hand():
    ptf = Ptf(0.5, 10, np.array([0, 2], np.uint8))
    assert ptf.step.tolist() == [0.5, 2]
    x = np.array([[0, 0], [0.25, 1], [-0.25, -1], [-0.26, -1.01], [1000, -1000], [122.5, 490]])
    q = ptf.quantise(x)
    assert q.tolist() == [[10, 10], [11, 11], [10, 10], [9, 9], [255, 0], [255, 255]]
    assert q.dtype == np.uint8
    assert ptf.dequantise(q)[[1, 5]].tolist() == [[0.5, 2], [122.5, 490]]
    assert ptf.quantise(x.reshape(2, 3, 2)).shape == (2, 3, 2)


@pytest.mark.parametrize("calibrate", [calibrate_min_max, calibrate_mse])
def test_what_comes_back_is_near(calibrate):
    ptf = calibrate(activations())
    q = np.arange(256)[:, None] * np.ones(48, int)
    np.testing.assert_array_equal(ptf.quantise(ptf.dequantise(q)), q)
    x = ptf.dequantise(np.random.default_rng(3).uniform(0, 255, (50, 48)))
    assert (np.abs(ptf.dequantise(ptf.quantise(x)) - x) <= ptf.step / 2 * (1 + 1e-9)).all()
    assert ptf.alpha.dtype == np.uint8


# --- calibration ----------------------------------------------------------------------------------


def test_min_max_by_hand():
    """A range of -64..191 makes a step of 1 at alpha = 3; each channel just fits its own."""
    x = np.array([[-64.0, -32, -31.9, -8, 0.1], [191, 95, 30, 24, 23.9]])
    ptf = calibrate_min_max(x)
    assert (ptf.scale, ptf.zp) == (1 / 8, 64)
    assert ptf.alpha.tolist() == [3, 2, 2, 1, 0]


def test_min_max_saturates_nothing():
    for seed in range(20):
        x = activations(seed)
        ptf = calibrate_min_max(x)
        assert (np.abs(ptf.dequantise(ptf.quantise(x)) - x) <= ptf.step * 1.001).all()
        narrower = Ptf(ptf.scale, ptf.zp, np.maximum(ptf.alpha, 1) - np.uint8(1))
        lost = np.abs(narrower.dequantise(narrower.quantise(x)) - x).max(axis=0)
        assert (lost[ptf.alpha > 0] > narrower.step[ptf.alpha > 0] / 2).all()


def test_min_max_of_one_sign_reaches_from_0():
    low, high = calibrate_min_max(np.array([[5.0, 51]])), calibrate_min_max(-np.array([[5.0, 51]]))
    assert (low.zp, high.zp) == (0, 255)
    assert low.scale == high.scale == pytest.approx(0.2 / 8)


def test_mse_is_better():
    """Most of all where the outliers lie on one side, and min/max leaves little below the zero."""
    for seed in range(3):
        x = activations(seed)
        x[:, 3] *= -1
        minmax, mse = calibrate_min_max(x), calibrate_mse(x)
        print("RATIO", squared_error(mse, x) / squared_error(minmax, x))
        # No other power of two would do better for any channel.
        mine = np.square(mse.dequantise(mse.quantise(x)) - x).sum(axis=0)
        for alpha in range(4):
            other = Ptf(mse.scale, mse.zp, np.full(48, alpha, np.uint8))
            assert (np.square(other.dequantise(other.quantise(x)) - x).sum(axis=0) >= mine).all()


def test_mse_is_never_worse():
    rng = np.random.default_rng(4)
    for shape in ((1, 2), (2, 1), (5, 3), (40, 10)):
        x = rng.standard_t(2, shape) * 10.0 ** rng.integers(-3, 4)
        if x.size == 2:
            x[...] = np.array([0.0, 255]).reshape(shape)  # min/max loses nothing here
        assert squared_error(calibrate_mse(x), x) <= squared_error(calibrate_min_max(x), x)


def test_mse_gives_up_a_lone_outlier():
    x = np.random.default_rng(5).normal(0, 0.1, (500, 16))
    x[0, 0] = 10
    mse, minmax = calibrate_mse(x), calibrate_min_max(x)
    assert np.median(mse.step) < np.median(minmax.step)


def test_the_scale_does_not_matter():
    x = activations()
    one, other = calibrate_mse(x), calibrate_mse(x * 1024)
    assert other.scale == one.scale * 1024
    assert other.zp == one.zp
    assert (other.alpha == one.alpha).all()


def calibrate_output_of_ones(samples):
    return calibrate_output(samples, np.ones(np.shape(samples)[-1]))


@pytest.mark.parametrize("calibrate", [calibrate_min_max, calibrate_mse, calibrate_output_of_ones])
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([[1.0, np.nan]]), "samples must be finite, got nan"),
        (np.array([[1.0, -np.inf]]), "samples must be finite, got -inf"),
        (np.full((3, 4), 2.5), "samples are all 2.5: they have no scale"),
        (np.zeros((3, 4)), "samples are all 0.0: they have no scale"),
        (np.zeros(4), r"samples must be \[samples, channels\] with at least one .*, got \(4,\)"),
        (np.zeros((0, 4)), r"samples must be \[samples, channels\] .* got \(0, 4\)"),
    ],
)
def test_refused_samples(calibrate, samples, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        calibrate(samples)


def test_refused_inputs():
    with pytest.raises(ValueError, match=r"^x must be finite, got nan"):
        calibrate_min_max(activations()).quantise(np.full(48, np.nan))


# --- output steps ---------------------------------------------------------------------------------


def test_output_steps():
    rng = np.random.default_rng(6)
    y = rng.normal(0, 2.0 ** rng.integers(-4, 2, 32), (400, 32))
    ones = np.ones(32)
    one, each = calibrate_output(y, ones), calibrate_output(y, ones, octaves=7)
    assert len(set(one)) == 1
    octaves = np.log2(each / each.min())
    assert set(octaves) <= {*range(8)}
    assert len(set(octaves)) > 3

    def error(step):
        return np.square(np.clip(np.floor(y / step + 0.5), -128, 127) * step - y).sum()

    assert error(one) < error(np.abs(y).max() / 127)
    assert error(each) < error(calibrate_output(y, ones, octaves=1)) < error(one)
    assert error(each) < error(one) / 2
    with pytest.raises(ValueError, match=r"^octaves must be in 0..7, got 8"):
        calibrate_output(y, ones, octaves=8)
    with pytest.raises(ValueError, match=r"^beta must have .* 32 channels of samples, .* \(31,\)"):
        calibrate_output(y, ones, ones[1:])
    with pytest.raises(ValueError, match=r"^gamma must be finite, got nan"):
        calibrate_output(y, ones * np.nan)


@pytest.mark.parametrize(("large", "octaves"), [("beta", 0), ("gamma", 0), ("gamma", 3)])
def test_what_is_calibrated_can_be_folded(large, octaves):
    """DeiT's LayerNorms have a beta far larger than what most channels put out: the least squared
    error cuts these outputs off, and would cut beta. Outputs of a channel that does not move say
    nothing of its gamma."""
    rng, width = np.random.default_rng(7), 768
    x = rng.normal(size=(100, width))
    gamma, beta = rng.uniform(0.1, 0.4, width), rng.normal(0, 0.1, width)
    if large == "beta":
        gamma[27], beta[27] = 0.01, -6.0
    else:
        gamma[27], x[:, 27] = 400.0, np.delete(x, 27, axis=1).mean(axis=1)
    exact = reference.layer_norm(x, gamma, beta)
    ptf = calibrate_mse(x)
    blind = calibrate_output(exact, np.zeros(width), octaves=octaves)
    with pytest.raises(ValueError, match=rf"^{large} of channel 27 does not fit int8"):
        fold(gamma, beta, ptf, blind)
    step = calibrate_output(exact, gamma, beta, octaves)
    folded = fold(gamma, beta, ptf, step)
    assert np.abs(folded.channels.beta * step - beta).max() <= step.max() / 2
    assert set(np.log2(step / step.min())) <= {*range(octaves + 1)}


# --- folding --------------------------------------------------------------------------------------


def test_fold_by_hand():
    ptf = Ptf(0.1, 7, np.array([0, 1, 3], np.uint8))
    folded = fold(np.array([1.0, -0.5, 0.013]), np.array([0.25, -1, 0.031]), ptf, 1 / 16)
    # gamma / step is 16, -8, 0.208; with three more bits 128 would not fit.
    assert folded.channels.gamma.tolist() == [64, -32, 1]
    assert (folded.gfrac, folded.ofrac) == (2, 0)
    assert folded.channels.beta.tolist() == [4, -16, 0]
    assert folded.channels.alpha is ptf.alpha
    assert (folded.zp, folded.rms) == (7, 0)
    assert folded.step.tolist() == [1 / 16] * 3
    reciprocal = {"len": 3, "inv_mant": 21845, "inv_exp": 1}
    assert folded.settings(3) == {"zp": 7, "gfrac": 2, "ofrac": 0, "rms": 0, **reciprocal}


@pytest.mark.parametrize(
    ("gamma", "mantissa", "gfrac", "ofrac"),
    [
        (127.4, 127, 0, 0),
        (127.5, 64, 0, 1),
        (-128.5, -128, 0, 0),  # half up
        (-128.6, -64, 0, 1),
        (63.7, 127, 1, 0),
        (0.5, 64, 7, 0),
        (0.004, 1, 7, 0),
        (0.0, 0, 7, 0),
        (127 * 128, 127, 0, 7),
    ],
)
def test_gamma_takes_the_bits_it_can(gamma, mantissa, gfrac, ofrac):
    ptf = Ptf(1.0, 0, np.zeros(2, np.uint8))
    folded = fold(np.array([gamma, 0]), None, ptf, 1, rms=True)
    assert folded.channels.gamma.tolist() == [mantissa, 0]
    assert (folded.gfrac, folded.ofrac) == (gfrac, ofrac)
    assert folded.channels.beta.tolist() == [0, 0]
    assert folded.settings(2)["rms"] == 1


@pytest.mark.parametrize(("octaves", "worst"), [(0, 0.016), (3, 0.0135)])
@pytest.mark.parametrize("rms", [False, True])
def test_a_layer_through_the_unit(rms, octaves, worst):
    """A float layer from its samples to int8 outputs, whose mean size is 0.4."""
    x = activations()
    gamma, beta = layer()
    if rms:
        beta = None
        exact = reference.rms_norm(x, gamma)
    else:
        exact = reference.layer_norm(x, gamma, beta)
    ptf = calibrate_mse(x)
    folded = fold(gamma, beta, ptf, calibrate_output(exact, gamma, beta, octaves), rms)
    unit = AILayerNorm(CMP_RANGES=3)
    result = unit(ptf.quantise(x), folded.channels, **folded.settings(48))
    errors = metrics.layer_norm_errors(result.to_real(folded.step), exact)
    assert not result.err_len.any()
    assert errors.mean_abs_error < worst


def test_lengths_by_row():
    folded = fold(*layer(), calibrate_min_max(activations()), 0.05)
    settings = folded.settings(np.array([48, 7]))
    assert settings["inv_exp"].tolist() == [5, 2]
    x = calibrate_min_max(activations()).quantise(activations(rows=2))
    mask = np.arange(48) < np.array([[48], [7]])
    assert not AILayerNorm()(x, folded.channels, mask, **settings).err_len.any()


GAMMA, BETA = layer()
PTF = calibrate_min_max(activations())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": GAMMA[:5]}, r"gamma must have one entry for each of the 48 .* shape \(5,\)"),
        ({"beta": BETA[:, None]}, r"beta must have one entry for .* shape \(48, 1\)"),
        ({"gamma": GAMMA * np.nan}, "gamma must be finite, got nan"),
        ({"beta": BETA + np.inf}, "beta must be finite, got inf"),
        ({"step": 0}, "step must be above 0, got 0.0"),
        ({"step": -GAMMA}, "step must be above 0, got -"),
        ({"step": np.inf}, "step must be finite, got inf"),
        ({"step": np.ones(3)}, r"step must be one number or one a channel, got shape \(3,\)"),
        ({"beta": np.arange(48) * 0.1}, "beta of channel 47 does not .* step 3.70 times as large"),
        ({"gamma": 4 * np.arange(48)}, "gamma of channel 47 does .* step 1.16 times as large"),
    ],
)
def test_refused_layers(arguments, message):
    right = {"gamma": GAMMA, "beta": BETA, "ptf": PTF, "step": 0.01}
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        fold(**right | arguments)
    assert "\n" not in str(caught.value)


# --- the unit's deviations ------------------------------------------------------------------------


def test_deviations_by_hand():
    """98 and 102 are both compressed to 96: less than the square of their mean, 100."""
    ptf = Ptf(0.5, 0, np.zeros(2, np.uint8))
    unit, exact = deviations(np.array([[49.0, 51.0]]), ptf, AILayerNorm())
    assert (unit.tolist(), exact.tolist()) == ([1 / 16], [2.0])
    unit, exact = deviations(np.array([[49.0, 51.0]]), ptf, AILayerNorm(), rms=True)
    assert unit.round().tolist() == [96]
    assert exact[0] == pytest.approx(np.sqrt((98**2 + 102**2) / 2))


def test_gamma_takes_the_bias_of_sigma_out():
    """By paper's squares sigma is too large on average: outputs too, until gamma has it in."""
    ptf = Ptf(1.0, 128, np.zeros(48, np.uint8))
    x = np.random.default_rng(1).normal(0, 16, (400, 48))
    paper, exact = deviations(x, ptf, AILayerNorm())
    fine = deviations(x / 4, ptf, AILayerNorm(CMP_RANGES=3))[0]
    gain = (paper / exact).mean()
    assert gain > 1.02
    assert abs((4 * fine / exact).mean() - 1) < 0.005
    gamma, beta = layer()
    want = reference.layer_norm(x, gamma, beta) - beta
    step = 4 * np.abs(want + beta).max() / 127
    slopes = []
    for times in (1, gain):
        folded = fold(gamma * times, beta, ptf, step)
        settings = folded.settings(48)
        got = folded.dequantise(AILayerNorm()(ptf.quantise(x), folded.channels, **settings).out)
        slopes.append(((got - beta) * want).sum() / np.square(want).sum())
    assert slopes[0] < 1 - 0.8 * (gain - 1)
    assert abs(slopes[1] - 1) < 0.005
