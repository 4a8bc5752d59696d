# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a whole network with the units: MiniLM on STS-B, nothing retrained.

A method's softmax and LayerNorms (`minilm_units`) replace the float ones, as bit-exact models or
as RTL, whose embeddings are then compared with the models' bit for bit. Results are compared
with human scores, by Spearman's correlation, and with the float model, since the noise of human
scores would hide small differences. The data set is not in the repository; without it only the
second comparison is made, on the shipped sentences. Command: make accuracy NETWORK=minilm
STSB=path/to/sts-test.tsv
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import UserError
from . import int8, minilm, minilm_units
from .stand_in import ByRtl, Passed, UnitNorm, UnitSoftmax

SEED = 1
RESAMPLES = 1000
W8A8 = "W8A8"  # the method of int8 products alone
LAYER_PAIRS = 400  # pairs that the layers one by one are measured on
TOKENS, DOCUMENTS = (49, 128, 256, 512), 16  # of documents; how many of each
HUB = "mteb/stsbenchmark-sts"  # GLUE's own test set has no scores
HEADER = ("score", "sentence1", "sentence2")
NO_DATA = (
    "no STS-B test set: give STSB=path/to/sts-test.tsv (score, sentence1 and sentence2, a tab "
    "between), or install the package datasets; measured against the float model only"
)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of sentences: integers [pairs, 2] into `sentences`; gold scores [pairs], or None."""

    sentences: Sequence[str]
    places: np.ndarray
    gold: np.ndarray | None

    def cosines(self, embeddings: np.ndarray) -> np.ndarray:
        """Return each pair's cosine of unit-length embeddings [sentences, width]: [pairs]."""
        first, second = embeddings[self.places.T]
        return np.vecdot(first.astype(np.float64), second)

    def some(self, count: int, seed: int) -> Pairs:
        """Return at most so many of the pairs, drawn at random, and only their sentences."""
        chosen = np.random.default_rng(seed).permutation(len(self.places))[:count]
        used, places = np.unique(self.places[chosen], return_inverse=True)
        gold = None if self.gold is None else self.gold[chosen]
        return Pairs([self.sentences[n] for n in used], places.reshape(-1, 2), gold)


@dataclass(frozen=True)
class Result:
    """A method measured; correlations are times 100, as they are reported everywhere.

    spearman: with the gold scores. lost: by how much less than the float model, or than int8
    products alone where the method has them. interval: its 95 % bootstrap interval over pairs. All
    three None without scores. fidelity: rank correlation of the cosines with the float model's.
    cosine: mean cosine of the embeddings with the float ones.
    seconds: for all embeddings. calibration_s: for calibration, 0 where it was shared. rtl: how
    the RTL's embeddings differ, if the other figures are of them. saturated: share of the softmax's
    logits at an end of int8, on the calibration sentences; None without a unit there.
    """

    name: str
    spearman: float | None
    lost: float | None
    interval: tuple[float, float] | None
    fidelity: float
    cosine: float
    seconds: float
    calibration_s: float
    rtl: ThroughRtl | None = None
    saturated: float | None = None


@dataclass(frozen=True)
class ThroughRtl:
    """A method with the units' RTL, against the same with their models.

    values: of the embeddings. other_bits: how many of them the models give other bits. passed: what
    went through the RTL, by unit. seconds: of the network with the RTL in it.
    """

    values: int
    other_bits: int
    passed: Mapping[str, Passed]
    seconds: float


# --- data -----------------------------------------------------------------------------------------


def read_pairs(path: Path) -> Pairs:
    """Return the pairs of a file of tab-separated lines score, sentence1, sentence2.

    The first line may name these columns. Raises UserError for a file that is not like this.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read sentence pairs from {path}: {error}") from error
    found = []
    for place, line in enumerate(lines, 1):
        cells = line.rstrip("\r").split("\t")
        if not line.strip() or (place == 1 and tuple(cells) == HEADER):
            continue
        try:
            score, first, second = cells
            found.append((float(score), first, second))
        except ValueError:
            raise UserError(
                f"{path}:{place}: must be score, sentence1 and sentence2 with a tab between"
            ) from None
    if len(found) < 2:
        raise UserError(f"{path} holds {len(found)} pairs: a correlation needs two or more")
    return _pairs(*zip(*found, strict=True))


def find_pairs(path: Path | None) -> Pairs | None:
    """Return the pairs of `path`; if None, STS-B's test set by the package datasets, or None.

    Raises UserError for a bad file, and if datasets is installed but cannot get the set.
    """
    if path is not None:
        return read_pairs(path)
    try:
        import datasets
    except ImportError:
        return None
    try:
        rows = datasets.load_dataset(HUB, split="test")
    except Exception as error:  # whatever a download may raise
        raise UserError(f"datasets cannot load {HUB} ({error}): give STSB=<file>") from error
    return _pairs(*(rows[name] for name in HEADER))


def all_pairs(sentences: Sequence[str]) -> Pairs:
    """Return each pair of these sentences, without scores."""
    places = np.array(list(itertools.combinations(range(len(sentences)), 2)))
    return Pairs(sentences, places, None)


def _pairs(scores: Sequence[float], first: Sequence[str], second: Sequence[str]) -> Pairs:
    sentences = list(dict.fromkeys([*first, *second]))  # one that occurs twice is run once
    place = {sentence: n for n, sentence in enumerate(sentences)}
    places = np.array([(place[a], place[b]) for a, b in zip(first, second, strict=True)])
    return Pairs(sentences, places, np.array(scores, np.float64))


# --- figures --------------------------------------------------------------------------------------


def ranks(x: np.ndarray) -> np.ndarray:
    """Return the ranks of x [n], from 1, equal values sharing the mean of theirs: float64 [n]."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Return 100 times Spearman's rank correlation of x and y, both [n]; NaN if one is constant."""
    a, b = (r - r.mean() for r in (ranks(x), ranks(y)))
    power = (a @ a) * (b @ b)
    return 100 * float(a @ b / np.sqrt(power)) if power else float("nan")


def bootstrap(
    gold: np.ndarray, ours: np.ndarray, theirs: np.ndarray, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % interval of spearman(ours, gold) - spearman(theirs, gold) over pairs."""
    rng = np.random.default_rng(seed)
    lost = []
    for _ in range(resamples):
        some = rng.integers(0, len(gold), len(gold))
        lost.append(spearman(ours[some], gold[some]) - spearman(theirs[some], gold[some]))
    low, high = np.quantile(lost, (0.025, 0.975))
    return float(low), float(high)


# --- measuring ------------------------------------------------------------------------------------


def measure(
    pairs: Pairs,
    calibration: Sequence[str],
    seed: int = SEED,
    methods: Sequence[minilm_units.Method] = minilm_units.METHODS,
    progress: Callable[[str], None] = lambda _: None,
    instances: int = 0,
    in_int8: bool = False,
) -> list[Result]:
    """Return the float model's result, then each method's, calibrated on other sentences.

    instances: of each unit's RTL; 0 for the models alone. in_int8: the products, too
    (`int8`); int8 products alone are then a method, the first, and what the others have lost
    is against it. Raises UserError for a sentence that is
    too long, and if the model is not installed; with RTL what `flow.bulk.rtl.run` raises.
    """
    model = minilm.MiniLM()
    count = len(pairs.sentences)
    told = _Told("FP32", count, progress)
    float_embeddings = minilm_units.embed(model, pairs.sentences, progress=told)
    exact = pairs.cosines(float_embeddings)
    base = None if pairs.gold is None else spearman(exact, pairs.gold)
    nothing = None if base is None else 0.0
    results = [Result("FP32", base, nothing, None, 100.0, 1.0, told.seconds, 0.0)]
    calibrated = _calibrated(model, calibration, seed, in_int8)
    reference = exact
    if in_int8:
        methods = [minilm_units.Method(W8A8), *methods]
    for place, method in enumerate(methods, 1):
        what = f"[{place}/{len(methods)}] {method.name}"
        start = time.perf_counter()
        parts = calibrated.parts(method)
        calibration_s = time.perf_counter() - start
        told = _Told(what, count, progress)
        embeddings = minilm_units.embed(model, pairs.sentences, progress=told, **parts)
        seconds = told.seconds
        progress(f"{what}: {calibration_s + seconds:.1f} s")
        through = None
        if instances and method.has_unit:
            through, embeddings = _by_rtl(
                *(model, pairs.sentences, parts, embeddings, instances),
                lambda line, what=what: progress(f"{what}, RTL: {line}"),
            )
        cosines = pairs.cosines(embeddings)
        figures = (None, None, None)
        if base is not None:
            score = spearman(cosines, pairs.gold)
            lost = spearman(reference, pairs.gold) - score
            figures = (score, lost, bootstrap(pairs.gold, reference, cosines, seed))
        near = float(np.vecdot(embeddings, float_embeddings).mean())
        rank = spearman(cosines, exact)
        softmax = parts["softmax"]
        share = softmax.saturated if isinstance(softmax, UnitSoftmax) else None
        times = (seconds, calibration_s)
        results.append(Result(method.name, *figures, rank, near, *times, through, share))
        if method.name == W8A8:
            reference = cosines
    return results


def _calibrated(
    model: minilm.MiniLM, sentences: Sequence[str], seed: int, in_int8: bool
) -> minilm_units.Calibrated:
    """Return methods calibrated on sentences, for float or int8 products."""
    products = None
    if in_int8:
        rows = -(-int8.ROWS // len(list(minilm_units.batches(model, sentences))))
        seen = int8.Recorder(rows, seed)
        minilm_units.embed(model, sentences, products=seen)
        products = int8.Calibration(seen, minilm.NORM_READERS)
    return minilm_units.Calibrated(model, minilm_units.sample(model, sentences, seed), products)


def _by_rtl(
    model: minilm.MiniLM,
    sentences: Sequence[str],
    parts: Mapping[str, Callable | minilm.Products | None],
    want: np.ndarray,
    instances: int,
    progress: Callable[[str], None],
) -> tuple[ThroughRtl, np.ndarray]:
    """Return how the RTL's embeddings differ from those of the models, `want`, and themselves."""
    with ByRtl(instances) as engine:
        by_rtl = dict(parts)
        for name, part in parts.items():
            if isinstance(part, (UnitSoftmax, UnitNorm, int8.Tiled)):
                engine.start(part.unit, part.parameters)  # a build is not counted
                by_rtl[name] = replace(part, engine=engine)
        told = _Told("", len(sentences), progress)
        got = minilm_units.embed(model, sentences, progress=told, **by_rtl)
        seconds = told.seconds
    # Bits, not values: 0 and -0 are two, and NaN is one.
    other_bits = int((got.view(np.uint32) != want.view(np.uint32)).sum())
    progress(f"{other_bits} of {got.size} embedding values have other bits, {seconds:.1f} s")
    return ThroughRtl(got.size, other_bits, engine.passed, seconds), got


class _Told:
    """Progress of a run over sentences, a line every few seconds."""

    EVERY = 10.0  # seconds

    def __init__(self, what: str, sentences: int, progress: Callable[[str], None]):
        self._what = f"{what}: " if what else ""
        self._sentences, self._progress = sentences, progress
        self._start = self._last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    def __call__(self, done: int) -> None:
        if time.perf_counter() - self._last >= self.EVERY and done < self._sentences:
            self._last = time.perf_counter()
            self._progress(
                f"{self._what}{done} of {self._sentences} sentences, {self.seconds:.0f} s"
            )


@dataclass(frozen=True)
class Layer:
    """One softmax or LayerNorm replaced, all others float.

    fidelity, cosine: as in `Result`. mse: mean squared error of its outputs, what it makes of its
    inputs against what the float function makes of them; probabilities, or outputs of LayerNorm.
    relative: the same over the mean square of the float function's.
    """

    what: str
    fidelity: float
    cosine: float
    mse: float
    relative: float


def by_layer(
    pairs: Pairs, calibration: Sequence[str], method: minilm_units.Method, seed: int = SEED
) -> list[Layer]:
    """Return what each softmax and LayerNorm of a method costs alone, in the network's order.

    Arguments and errors are those of `measure`.
    """
    model = minilm.MiniLM()
    exact = minilm_units.embed(model, pairs.sentences)
    calibrated = _calibrated(model, calibration, seed, False)
    softmax, norm = calibrated.softmax(method), calibrated.norm(method)
    runs: list[tuple[str, str, _Only]] = []
    if softmax is not None:
        for layer in range(minilm.LAYERS):
            only = _Only(softmax, layer, minilm.float_softmax)
            runs.append((f"softmax {layer}", "softmax", only))
    if norm is not None:
        for n, (name, layer) in enumerate(minilm.NORM_INPUTS):
            what = f"{name.removesuffix('_input').replace('_', ' ')} {layer}"
            runs.append((what, "norm", _Only(norm, n, model.float_norm)))
    lines = []
    for what, kind, only in runs:
        got = minilm_units.embed(model, pairs.sentences, **{kind: only})
        fidelity = spearman(pairs.cosines(got), pairs.cosines(exact))
        cosine = float(np.vecdot(got, exact).mean())
        lines.append(
            Layer(what, fidelity, cosine, only.error / only.count, only.error / only.power)
        )
    return lines


class _Only:
    """A softmax or norm that is `replaced` at one layer or LayerNorm, else `other`.

    It adds up the squares of what `replaced` gives less what `other` does (error), of what `other`
    does (power), and their number (count).
    """

    def __init__(self, replaced: Callable, place: int, other: Callable):
        self._replaced, self._place, self._other = replaced, place, other
        self.error, self.power, self.count = 0.0, 0.0, 0

    def __call__(self, *arguments) -> np.ndarray:
        want = self._other(*arguments)
        if arguments[-1] != self._place:
            return want
        got = self._replaced(*arguments)
        self.error += float(np.square(got - want, dtype=np.float64).sum())
        self.power += float(np.square(want, dtype=np.float64).sum())
        self.count += want.size
        return got


@dataclass(frozen=True)
class Documents:
    """A method on documents of about so many tokens, against the float model.

    fidelity, cosine: as in `Result`, over all pairs of documents. row_sum: mean sum of a row of
    attention, over all layers, heads and tokens; NaN where no row is ever whole.
    """

    method: str
    tokens: int
    fidelity: float
    cosine: float
    row_sum: float


def join(sentences: Sequence[str], model: minilm.MiniLM, tokens: int, seed: int) -> list[str]:
    """Return DOCUMENTS texts of at most so many tokens, of sentences drawn and joined.

    Raises UserError for a sentence that alone has more.
    """
    rng = np.random.default_rng(seed)
    sizes = model.encode_tokens(sentences)[1].sum(axis=1) - 2  # without [CLS] and [SEP]
    if sizes.max() + 2 > tokens:
        raise UserError(f"a sentence has {sizes.max() + 2} tokens, too many for one of {tokens}")
    documents = []
    while len(documents) < DOCUMENTS:
        chosen = []
        for place in rng.permutation(len(sentences)):
            if sizes[[*chosen, place]].sum() + 2 > tokens:
                break
            chosen.append(place)
        documents.append(" ".join(sentences[place] for place in chosen))
    return documents


def by_length(
    sentences: Sequence[str],
    calibration: Sequence[str],
    methods: Sequence[minilm_units.Method],
    seed: int = SEED,
    progress: Callable[[str], None] = lambda _: None,
    in_int8: bool = False,
) -> list[Documents]:
    """Return what methods do to documents of TOKENS, joined of sentences. Raises UserError.

    in_int8: the products, too, which alone are then the first method.
    """
    model = minilm.MiniLM()
    fits = [one for one in sentences if len(one.split()) < min(TOKENS) // 2]
    texts = {tokens: join(fits, model, tokens, seed) for tokens in TOKENS}
    calibrated = _calibrated(model, calibration, seed, in_int8)
    exact = {tokens: minilm_units.embed(model, some) for tokens, some in texts.items()}
    lines = []
    for method in [*[minilm_units.Method(W8A8)] * in_int8, *methods]:
        parts = calibrated.parts(method)
        for tokens, some in texts.items():
            summed = _Summed(parts["softmax"] or minilm.float_softmax)
            got = minilm_units.embed(model, some, **{**parts, "softmax": summed})
            pairs = all_pairs(some)
            fidelity = spearman(pairs.cosines(got), pairs.cosines(exact[tokens]))
            cosine = float(np.vecdot(got, exact[tokens]).mean())
            lines.append(Documents(method.name, tokens, fidelity, cosine, summed.mean))
        progress(method.name)
    return lines


class _Summed:
    """A softmax that adds up what its rows sum to."""

    def __init__(self, softmax: minilm.Softmax):
        self._softmax, self._total, self._rows = softmax, 0.0, 0

    @property
    def mean(self) -> float:
        """Of the rows so far, NaN of none."""
        return self._total / self._rows if self._rows else float("nan")

    def __call__(self, logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
        shares = self._softmax(logits, mask, layer)
        self._total += float(shares.sum(dtype=np.float64))
        self._rows += shares[..., 0].size
        return shares


# --- the table ------------------------------------------------------------------------------------

TITLES = (
    *("method", "STS-B", "lost", "95 %", "fidelity", "cosine", "saturated"),
    *("s", "calibration s"),
)


def cells(results: Sequence[Result]) -> list[list[str]]:
    """Return the table's lines, under TITLES; what there are no scores for is a dash."""

    def shown(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    lines = []
    for one in results:
        low, high = one.interval or (None, None)
        interval = "-" if low is None else f"{low:+.2f} .. {high:+.2f}"
        figures = (shown(one.spearman, 2), shown(one.lost, 2), interval, shown(one.fidelity, 2))
        times = (shown(one.seconds, 1), shown(one.calibration_s, 1))
        share = "-" if one.saturated is None else f"{100 * one.saturated:.2f} %"
        lines.append([one.name, *figures, shown(one.cosine, 5), share, *times])
    return lines


RTL_TITLES = (
    *("method", "values", "other bits", "unit", "rows", "beats"),
    *("RTL s", "of network s", "share"),
)


def rtl_cells(results: Sequence[Result]) -> list[list[str]]:
    """Return the lines of what went through the RTL, under RTL_TITLES, one a unit of a method."""
    lines = []
    for one in results:
        if one.rtl is None:
            continue
        first = [one.name, str(one.rtl.values), str(one.rtl.other_bits)]
        for unit, passed in one.rtl.passed.items():
            share = f"{100 * passed.seconds / one.rtl.seconds:.0f} %"
            times = [f"{passed.seconds:.1f}", f"{one.rtl.seconds:.1f}", share]
            lines.append([*first, unit, str(passed.rows), str(passed.beats), *times])
            first = ["", "", ""]
    return lines


LAYER_TITLES = ("replaced", "fidelity", "cosine", "mse", "relative")


def layer_cells(lines: Sequence[Layer]) -> list[list[str]]:
    """Return the lines of `by_layer`, under LAYER_TITLES."""
    return [
        [
            *(one.what, f"{one.fidelity:.3f}", f"{one.cosine:.5f}"),
            *(f"{one.mse:.3e}", f"{one.relative:.3e}"),
        ]
        for one in lines
    ]


DOCUMENT_TITLES = ("method", "tokens", "fidelity", "cosine", "mean sum")


def document_cells(lines: Sequence[Documents]) -> list[list[str]]:
    """Return the lines of `by_length`, under DOCUMENT_TITLES."""
    return [
        [
            *(one.method, str(one.tokens), f"{one.fidelity:.2f}"),
            *(f"{one.cosine:.5f}", "-" if np.isnan(one.row_sum) else f"{one.row_sum:.3f}"),
        ]
        for one in lines
    ]


def chosen(
    name: str, rtl: bool = False, joined: bool = False, in_int8: bool = False
) -> list[minilm_units.Method]:
    """Return the method of this name, else those that have it in theirs. Raises UserError.

    Without a name, all of them, with `rtl` the key ones, and with `joined` those of a softmax unit
    alone, with an F a head and no gain. Those of int32 scores only with `in_int8`.
    """
    every = [one for one in minilm_units.METHODS if in_int8 or not one.of_scores]
    if joined and not name:
        alone = [one for one in every if one.has_unit and one.norm is None]
        return [one for one in alone if one.softmax.by != "layer" and not one.softmax.gain]
    if rtl and not name:
        return [one for one in every if one.key]
    exactly = [one for one in every if one.name == name]
    methods = exactly or [one for one in every if name in one.name]
    if not methods and any(name in one.name for one in minilm_units.METHODS):
        raise UserError(f"methods with {name!r} take scores of int8 products: give PRODUCTS=int8")
    if not methods:
        named = "; ".join(one.name for one in every)
        raise UserError(f"no method's name has {name!r} in it; there are: {named}")
    without = [one.name for one in methods if not one.has_unit]
    if rtl and without:
        raise UserError(f"the method {without[0]} has no RTL: leave out RTL=1")
    return methods
