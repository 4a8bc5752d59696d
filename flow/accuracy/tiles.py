# SPDX-License-Identifier: Apache-2.0
"""Attention in tiles through the RTL, over the number of keys, against whole rows in the same unit.

Queries, keys and values are random, int8; logits have a deviation of SIGMA nats, at a scale that is
no power of two. Twice they go through FlashAttention's loop (`..networks.flash`), by Verilator: in
tiles of BLOCK keys through a unit whose rows have no more, and in one tile of all keys through one
that holds the longest row. The state at the end must be the same to the bit; outputs are compared
with each other and with float64, in steps of the values.

Nothing here names a unit. Command: make accuracy TILES=1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import numpy as np

from softnorm.models.attention import scores_of
from softnorm.units.unit import Parameters, Rows, Unit, Variant

from ..build.bulk import bulk_build
from ..bulk.rtl import Instance
from ..networks import advice, digits_accuracy, flash
from . import tables

KEYS = (256, 1024, 4096, 16384, 65536)
LANES, BLOCK = 32, 64
QUERIES, HEAD, WIDTH = 64, 32, 32  # rows in turn; elements of a query, of a value
SIGMA = 2
WIDE = {"IN_W": 32, "SCALE": 1, "BLOCKS": 1, "FORMATS": 1}  # what the loop needs of a unit
TITLES = (
    *("build", "keys", "rows", "other state", "early", "largest difference", "mean difference"),
    *("mean error, tiles", "mean error, whole", "beats", "clocks", "in turn", "one at a time"),
)
FACTS = {"lanes": LANES, "keys of a tile": BLOCK, "longest row": KEYS[-1]}
FACTS |= {"queries": QUERIES, "nats": int(SIGMA)}


def tiles(
    units: Iterable[Unit],
    progress: Callable[[str], None] = lambda _: None,
    keys: Sequence[int] = KEYS,
    sim: str = "verilator",
) -> list[list[str]]:
    """Return a line for each number of keys, of each build of the units that can do it: TITLES.

    "other state" counts rows whose state in tiles is not that of the whole row, "early" blocks that
    went in before the state that they go on from was out (`flash.Ran`): both are 0 in a right unit.
    """
    lines = []
    for unit in units:
        if not {*WIDE} <= {*unit.features}:
            continue
        for variant in _builds(unit):
            parameters = {**variant.parameters, **WIDE, "LANES": LANES}
            lines += _lines(unit, parameters, variant, progress, keys, sim)
    return lines


def _builds(unit: Unit) -> list[Variant]:
    """The unit's default, and the build to take for long rows."""
    first, *others = unit.variants
    better = [one for one in others if digits_accuracy.label(unit, one) == advice.RECOMMENDED]
    return [Variant(one.parameters) for one in (first, *better)]


def _lines(
    unit: Unit,
    parameters: Parameters,
    variant: Variant,
    progress: Callable[[str], None],
    keys: Sequence[int],
    sim: str,
) -> list[list[str]]:
    name = digits_accuracy.label(unit, variant)
    short, long = (unit.resolve({**parameters, "MAX_LEN": n}) for n in (BLOCK, max(keys)))
    progress(f"{name}: building")
    lines = []
    with ExitStack() as opened:
        units = [opened.enter_context(Instance(bulk_build(unit, p, sim))) for p in (short, long)]
        for count in keys:
            lines.append([name, str(count), *_line(*units, count)])
            progress(f"{name}, {count} keys")
    return lines


def _line(tiled: Instance, whole: Instance, keys: int) -> list[str]:
    rng = np.random.default_rng(1)
    q, k = (np.clip(np.rint(rng.normal(0, 30, (n, HEAD))), -128, 127) for n in (QUERIES, keys))
    q, k = q.astype(np.int8), k.astype(np.int8)
    v = rng.integers(-128, 128, (keys, WIDTH)).astype(np.int8)
    step = SIGMA / (900 * HEAD**0.5)
    scale = tiled.build.unit.model(**tiled.build.parameters).scale_of(step)

    ran = flash.flash_attention(tiled, q, k, v, block=BLOCK, **scale)

    def in_whole(unit: Unit, parameters: Parameters, rows: Rows):
        return whole.run(rows)

    unit, parameters = whole.build.unit, whole.build.parameters
    want = flash.attend(unit, parameters, q, k, v, block=keys, engine=in_whole, **scale)
    other = int(((ran.state.max != want.max) | (ran.state.sum != want.sum)).sum())
    outputs, wanted = ran.state.finish(), want.finish()
    logits = scores_of(q, k) * step
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact = weights / weights.sum(axis=1, keepdims=True) @ v.astype(np.float64)
    between = np.abs(outputs - wanted)
    errors = [np.abs(one - exact).mean() for one in (outputs, wanted)]
    return [
        *(str(len(q)), str(other), str(ran.early)),
        *(tables.figure(one) for one in (between.max(), between.mean(), *errors)),
        *(str(ran.beats), str(ran.together)),
        *(f"{share:.3f}" for share in ran.utilisation),
    ]


def wrong(lines: Iterable[Sequence[str]]) -> bool:
    """Whether a state was another one, or a block too early."""
    places = [TITLES.index(title) for title in ("other state", "early")]
    return any(int(line[place]) for line in lines for place in places)
