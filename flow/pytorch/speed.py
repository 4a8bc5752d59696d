# SPDX-License-Identifier: Apache-2.0
"""Time of the units in PyTorch against torch's own functions, in pairs, on one thread.

Both of a pair run in one process, one right after the other, so that a busy machine slows both.
What is timed takes float tensors and gives float tensors: whatever the adapter does is in it. Of a
model it is a run after one of the same kind: the second of many tokens.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import nn

from ..errors import UserError
from .calibration import Samples, record
from .evaluation import Evaluation, evaluate_with
from .modules import UnitSoftmax

VERSION = torch.__version__
SHAPES = ((12, 384, 384), (32, 2048, 2048))
SOFTMAXES = {
    "E2Softmax, paper": "e2softmax MAX_LEN=2048",
    "E2Softmax, best": "e2softmax MAX_LEN=2048 DIV_BITS=3 EXP_FRAC=1 fmt=1",
}
BOTH = {"softmax": "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=1", "norm": "ailayernorm CMP_RANGES=3"}
TOKENS = 384
CACHED = 128
EXAMPLES = 8  # of calibration, of 128 tokens each
SHORT = 5  # times as many pairs of what takes milliseconds
FRAC = 4
SEED = 1


@dataclass(frozen=True)
class Speed:
    """Medians over pairs: seconds of torch's and of the units', and of the second over the first.

    what: ran, against what. pairs: how many there were.
    """

    what: str
    against: str
    float_s: float
    unit_s: float
    ratio: float
    pairs: int


def softmaxes(pairs: int) -> Iterator[Speed]:
    """Time `UnitSoftmax`, as it stands and compiled, against `torch.softmax` on `SHAPES`."""
    for shape in SHAPES:
        logits = 2 * torch.randn(shape, generator=_generator())
        for (name, words), how in product(SOFTMAXES.items(), (False, True)):
            unit = UnitSoftmax(words, FRAC, compile=how)
            if how:
                unit(logits)
            yield _pairs(
                f"{name}{', torch.compile' * how}, {list(shape)}",
                "torch.softmax",
                partial(_seconds, partial(torch.softmax, logits, -1)),
                partial(_seconds, partial(unit, logits)),
                pairs * (SHORT if shape == SHAPES[0] else 1),
            )


def layer(pairs: int) -> Iterator[Speed]:
    """Time a layer of BERT-base's shape with both units against the eager float one."""
    model = _bert(1)
    ids = torch.randint(0, 1000, (1, TOKENS), generator=_generator())
    samples = record(model, _examples())
    yield _placed(f"layer of BERT-base, {TOKENS} tokens", model, samples, lambda: model(ids), pairs)


def token(pairs: int) -> Iterator[Speed]:
    """Time a decoded token with a cache, four layers of GPT-2's shape, against eager float."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(SEED)
    config = GPT2Config(
        n_layer=4, vocab_size=1000, attn_implementation="eager", initializer_range=0.05
    )
    model = GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 1000, (1, CACHED + 1), generator=_generator())
    samples = record(model, _examples())
    cache = model(ids[:, :CACHED], use_cache=True).past_key_values

    def decode() -> None:
        model(ids[:, CACHED:], past_key_values=cache)
        cache.crop(-1)

    yield _placed(f"token of GPT-2, {CACHED} cached", model, samples, decode, pairs)


def calibration() -> float:
    """Return the processor seconds of a calibration of BERT-base's shape, recording included."""
    model, examples = _bert(12), _examples()
    start = time.process_time()
    with evaluate_with(model, examples, **BOTH):
        return time.process_time() - start


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute on one thread, without gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _bert(layers: int) -> nn.Module:
    from transformers import BertConfig, BertModel

    torch.manual_seed(SEED)
    config = BertConfig(
        num_hidden_layers=layers,
        vocab_size=1000,
        attn_implementation="eager",
        initializer_range=0.05,
    )
    return BertModel(config, add_pooling_layer=False).eval()


def _examples() -> list[torch.Tensor]:
    return [torch.randint(0, 1000, (EXAMPLES, 128), generator=_generator())]


def _placed(
    what: str, model: nn.Module, samples: Samples, run: Callable[[], object], pairs: int
) -> Speed:
    """Time a run of the model in float, and with both units in their places."""
    with evaluate_with(model, samples, **BOTH) as units:
        softmaxes, norms = units.softmaxes, units.norms

    def second() -> float:
        run()  # what is the same in all that follow
        return _seconds(run)

    def with_units() -> float:
        with Evaluation(model, softmaxes, norms, samples, {}):
            return second()

    return _pairs(what, "eager", second, with_units, SHORT * pairs)


def _pairs(
    what: str,
    against: str,
    other: Callable[[], float],
    mine: Callable[[], float],
    pairs: int,
) -> Speed:
    """other, mine: return seconds."""
    if pairs < 1:
        raise UserError(f"pairs must be at least 1, got {pairs}")
    found = []
    for _ in range(pairs + 1):
        float_s, unit_s = other(), mine()
        found.append((float_s, unit_s, unit_s / float_s))
    # The first pair warms up.
    return Speed(what, against, *map(statistics.median, zip(*found[1:], strict=True)), pairs)


def _seconds(run: Callable[[], object]) -> float:
    start = time.thread_time()  # of the processor: others may have it in between
    run()
    return time.thread_time() - start
