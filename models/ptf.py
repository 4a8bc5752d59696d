# SPDX-License-Identifier: Apache-2.0
"""Power-of-two factors: from a float LayerNorm or RMSNorm to the unit's inputs and settings.

PTF (Lin et al., FQ-ViT, IJCAI 2022, arXiv 2111.13824; SOLE's input format) quantises activations by
one scale and one zero point for all channels, and a power of two for each:

    x = scale * 2^alpha_c * (q - zp),  q = sat(round(x / (scale * 2^alpha_c)) + zp, 0, 255)

A channel with outliers gets a coarse step, the others keep a fine one, and the unit's statistics
need no more than shifts. The search for the least squared error is this project's.
"""

from dataclasses import dataclass

import numpy as np

from .ailayernorm import AILayerNorm, reciprocal
from .arith import FRACS, INT8
from .arrays import adopt, cast, namespace
from .channels import MAX_ALPHA, Channels
from .quantise import check_finite, round_half_up
from .reference import row_statistics

ALPHAS = range(MAX_ALPHA + 1)
OCTAVES = range(8)  # of output steps; the unit knows nothing of them
FINEST = 3  # octaves below the scale that saturates nothing in which the search looks


@dataclass(frozen=True, eq=False)
class Ptf:
    """A quantiser for activations of a real value each; alpha: uint8 [channels], 0..3."""

    scale: float
    zp: int
    alpha: np.ndarray

    @property
    def step(self) -> np.ndarray:
        """Return each channel's step, scale * 2^alpha: float64 [channels]."""
        return np.ldexp(self.scale, self.alpha)

    def quantise(self, x: np.ndarray) -> np.ndarray:
        """Return x, real values [..., channels], as uint8: rounded half up, saturated.

        Raises ValueError if any is not finite.
        """
        x = check_finite("x", x)
        q = round_half_up(x / adopt(self.step, x)) + self.zp
        return cast(namespace(q).clip(q, 0, 255), "uint8")

    def dequantise(self, q: np.ndarray) -> np.ndarray:
        """Return the real values of q, integers [..., channels], as float64."""
        return (np.asarray(q, np.float64) - self.zp) * self.step


def calibrate_min_max(samples: np.ndarray) -> Ptf:
    """Return the PTF whose range holds all samples, real values [samples, channels].

    With alpha = 3 the 255 steps go from the smallest sample, or 0, to the largest, or 0; each
    channel then takes the smallest alpha at which it does not saturate. Raises ValueError for
    samples that are not finite, or all the same.
    """
    samples = _check_samples(samples)
    low, high = min(samples.min(), 0.0), max(samples.max(), 0.0)
    scale = float(np.ldexp((high - low) / 255, -MAX_ALPHA))
    zp = int(round_half_up(-low / ((high - low) / 255)))
    least = np.stack([samples.min(axis=0), samples.max(axis=0)])
    alpha = np.full(samples.shape[1], MAX_ALPHA)
    for smaller in reversed(range(MAX_ALPHA)):
        q = round_half_up(least / np.ldexp(scale, smaller)) + zp
        alpha[((q >= 0) & (q <= 255)).all(axis=0)] = smaller
    return Ptf(scale, zp, alpha.astype(np.uint8))


def calibrate_mse(samples: np.ndarray) -> Ptf:
    """Return the PTF of a small mean squared error on samples, real values [samples, channels].

    A search, never worse than `calibrate_min_max`: a grid of zero points and scales, the scales up
    to 8 times finer than what saturates nothing, then scale and zero point in turn around the best,
    with each channel's best alpha for every pair. It goes over the samples some 1000 times: a few
    hundred of them do. Raises ValueError as `calibrate_min_max` does.
    """
    samples = _check_samples(samples)
    start = calibrate_min_max(samples)
    return _search(samples, [(start.scale, start.zp)], range(256), ALPHAS)


def calibrate_output(
    samples: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray | None = None,
    octaves: int = 0,
) -> np.ndarray:
    """Return the int8 output's steps for outputs like these: float64 [channels], to `fold` with.

    samples: real values [samples, channels], what the float layer puts out. gamma, beta: the
    layer's, as `fold` takes them: no step is so small that one of them does not fit. octaves: 0 for
    one step for all channels, else each has that step times its own power of two, 2^0 to
    2^octaves; whatever takes the outputs then shifts by it, or has it folded into its weights. The
    steps have a small mean squared error, found as in `calibrate_mse`.

    3 is a good number of octaves. All gammas share one exponent, so that each octave takes a bit
    from the gamma of the channels with the coarsest step, and these hold the largest outputs.

    Raises ValueError as `calibrate_min_max` does, for a gamma or beta that is not finite or of
    another number of channels, and for octaves outside 0..7.
    """
    samples = _check_samples(samples)
    gamma, beta = _check_layer(gamma, beta, samples.shape[1], "samples")
    if octaves not in OCTAVES:
        raise ValueError(f"octaves must be in {OCTAVES[0]}..{OCTAVES[-1]}, got {octaves}")
    # A little less than what rounds to 127 or, with the largest exponent, to a gamma of 127.
    least = np.maximum(np.abs(beta), np.ldexp(np.abs(gamma), -FRACS[-1])) / (INT8[1] + 0.49)
    # int8 has its zero at uint8's 128.
    return _search(samples, [], range(128, 129), range(octaves + 1), least).step


def deviations(
    samples: np.ndarray, ptf: Ptf, unit: AILayerNorm, rms: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows' standard deviations as the unit has them, and exact ones: float64 [samples].

    samples: real values [samples, channels], each a row. ptf: how they are quantised. Both are in
    input steps, of the quantised rows; with `rms`, root mean squares. Compressed squares make the
    unit's too large, more so where a row's mean is far from 0 against its deviation: the mean of
    (unit's / exact) is what gamma may be multiplied by before `fold`. Raises what `Ptf.quantise`
    and the unit raise.
    """
    q, none = ptf.quantise(samples), np.zeros(len(ptf.alpha))
    folded = fold(none, none, ptf, 1.0, rms)
    trace = unit.trace(q, folded.channels, None, **folded.settings(q.shape[1]))
    return trace.statistics()[1], row_statistics(ptf.dequantise(q) / ptf.scale, rms=rms)[1]


@dataclass(frozen=True, eq=False)
class FoldedNorm:
    """A float layer as the unit takes it.

    channels, zp, gfrac, ofrac, rms: the unit's. step: float64 [channels], the real value of an
    output of 1: `to_real` of outputs takes it.
    """

    channels: Channels
    zp: int
    gfrac: int
    ofrac: int
    rms: int
    step: np.ndarray

    def settings(self, len: int | np.ndarray) -> dict[str, int | np.ndarray]:
        """Return AILayerNorm's settings, all but the bank, by the names of its pins.

        len: unmasked elements of a row, 1..65536, an integer or one a row.
        """
        mant, exp = reciprocal(len)
        return {
            "zp": self.zp,
            "len": len,
            "inv_mant": mant,
            "inv_exp": exp,
            "gfrac": self.gfrac,
            "ofrac": self.ofrac,
            "rms": self.rms,
        }


def fold(
    gamma: np.ndarray,
    beta: np.ndarray | None,
    ptf: Ptf,
    step: float | np.ndarray,
    rms: bool = False,
) -> FoldedNorm:
    """Return the unit's settings for a float layer with these parameters and output steps.

    gamma, beta: real values [channels]; a beta of None is 0. ptf: the input's. step: real value of
    an output of 1, one for all or [channels] of them; the unit needs no power of two. The unit
    computes out = 2^(ofrac - gfrac) * G * (x - mean)/sigma + B, so, with the smallest ofrac - gfrac
    that every G fits int8 with,

        G = round(gamma / step * 2^(gfrac - ofrac)),  B = round(beta / step)

    Only ofrac - gfrac acts: the smaller of both is 0, and ofrac alone does not say what an output
    is worth. The input's scale cancels, and the layer's epsilon is left to the unit, whose variance
    is at least (scale/16)^2.

    Raises ValueError, naming the channel, for a parameter that is not finite, a step that is not
    above 0 or so small that a beta or a gamma does not fit, and for a wrong number of channels.
    """
    width = len(ptf.alpha)
    gamma, beta = _check_layer(gamma, beta, width, "ptf")
    step = check_finite("step", step)
    if step.shape not in ((), (width,)):
        raise ValueError(f"step must be one number or one a channel, got shape {step.shape}")
    if not (step > 0).all():
        raise ValueError(f"step must be above 0, got {step.min()}")

    offset = _as_int8("beta", beta / step)
    scaled = gamma / step
    shift = -FRACS[-1]
    while shift < FRACS[-1] and not _fits(round_half_up(np.ldexp(scaled, -shift))).all():
        shift += 1
    return FoldedNorm(
        channels=Channels(ptf.alpha, _as_int8("gamma", np.ldexp(scaled, -shift)), offset),
        zp=ptf.zp,
        gfrac=max(-shift, 0),
        ofrac=max(shift, 0),
        rms=int(rms),
        step=np.array(np.broadcast_to(step, width)),
    )


def _fits(values: np.ndarray) -> np.ndarray:
    return (values >= INT8[0]) & (values <= INT8[1])


def _as_int8(name: str, values: np.ndarray) -> np.ndarray:
    """Return values [channels] rounded half up. Raises ValueError for one that int8 cannot hold."""
    rounded = round_half_up(values)
    excess = np.where(_fits(rounded), 0, np.abs(values))
    if excess.any():
        raise ValueError(
            f"{name} of channel {excess.argmax()} does not fit int8: use an output step "
            f"{excess.max() / INT8[1]:.2f} times as large, or what calibrate_output gives for it"
        )
    return rounded.astype(np.int8)


def _check_layer(
    gamma: np.ndarray, beta: np.ndarray | None, width: int, of: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's gamma and beta, checked, as float64 [width]; a beta of None is 0."""
    gamma = check_finite("gamma", gamma)
    beta = np.zeros(width) if beta is None else check_finite("beta", beta)
    for name, array in (("gamma", gamma), ("beta", beta)):
        if array.shape != (width,):
            raise ValueError(
                f"{name} must have one entry for each of the {width} channels of {of}, "
                f"got shape {array.shape}"
            )
    return gamma, beta


def _check_samples(samples: np.ndarray) -> np.ndarray:
    samples = check_finite("samples", samples)
    if samples.ndim != 2 or not samples.size:
        raise ValueError(
            f"samples must be [samples, channels] with at least one of each, got {samples.shape}"
        )
    if samples.min() == samples.max():
        raise ValueError(f"samples are all {samples.min()}: they have no scale, pass real ones")
    return samples


def _search(
    samples: np.ndarray,
    candidates: list[tuple[float, int]],
    zps: range,
    alphas: range,
    least: np.ndarray | float = 0.0,
) -> Ptf:
    """Return the best PTF found, no worse than the candidates (scale, zp); see `calibrate_mse`.

    least: the smallest step of a channel, one or [channels].
    """
    low, high = samples.min(), samples.max()
    candidates = list(candidates)
    for zp in zps[::16]:
        # The scale that saturates nothing at this zero point, and finer ones.
        widest = np.ldexp(max(-low / max(zp, 0.5), high / max(255 - zp, 0.5)), -alphas[-1])
        candidates += [(widest * 2.0 ** (-k / 4), zp) for k in range(4 * FINEST + 1)]
    best = _best(samples, candidates, alphas, least)
    if (best.step < least).any():  # so have all of them a step that is too small
        candidates = [(float(np.ldexp(np.max(least), -alphas[-1])), best.zp)]
        best = _best(samples, candidates, alphas, least)
    for octaves, step in ((1 / 16, 4), (1 / 64, 1)):
        scales = [best.scale * 2.0 ** (k * octaves) for k in range(-4, 5)]
        best = _best(samples, [(scale, best.zp) for scale in scales], alphas, least)
        nearby = [zp for zp in range(best.zp - 4 * step, best.zp + 5 * step, step) if zp in zps]
        best = _best(samples, [(best.scale, zp) for zp in nearby], alphas, least)
    return best


def _best(
    samples: np.ndarray,
    candidates: list[tuple[float, int]],
    alphas: range,
    least: np.ndarray | float,
) -> Ptf:
    """Return the (scale, zp) of the least squared error, with each channel's best alpha."""
    found = []
    for scale, zp in candidates:
        errors = []
        for alpha in alphas:
            step = np.ldexp(scale, alpha)
            lost = samples / step
            lost -= np.clip(round_half_up(lost), -zp, 255 - zp)
            error = np.einsum("sc,sc->c", lost, lost) * step**2
            errors.append(np.where(step < least, np.inf, error))
        best = np.argmin(errors, axis=0)
        total = float(np.min(errors, axis=0).sum())
        found.append((total, Ptf(float(scale), zp, best.astype(np.uint8))))
    return min(found, key=lambda pair: pair[0])[1]
