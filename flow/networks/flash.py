# SPDX-License-Identifier: Apache-2.0
"""FlashAttention's loop with the unit in it, its RTL, and what the RTL's clocks are used for.

    made = bulk_build(E2SOFTMAX, {"IN_W": 32, "SCALE": 1, "BLOCKS": 1, "FORMATS": 1, ..})
    with Instance(made) as instance:
        ran = flash_attention(instance, q, k, v, block=64, mult=60, shift=21)
    ran.state.finish()  # outputs; ran.together, ran.alone: clocks

The loop is that of `softnorm.models.attention`, with the RTL in the place of the model: a block of
each query, one query behind the other, then the next block of each, from the states that came out.
`attend` is the loop alone, with anything that runs rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from softnorm.models.attention import Flash, scores_of, tiles
from softnorm.tb.bulk import beats
from softnorm.tb.bulk.beats import Drive, Job
from softnorm.units.softmax import SoftmaxUnit
from softnorm.units.unit import Outputs, Parameters, Rows

from ..bulk.rtl import Instance, RtlError, rows_of
from .stand_in import Engine, by_model

STATE = {"carry_max": "out_max", "carry_sum": "out_sum"}  # setting -> field of tuser


@dataclass(frozen=True)
class Ran:
    """What the loop came to.

    state     as `softnorm.models.attention.flash_attention` gives it
    beats     that went into the unit
    together  clocks of all blocks in one go, the queries in turn: from the first beat to the last
              one that goes in
    alone     the same of one query after the other, each block as soon as the state of the one
              before is on the pins: LATENCY clocks after its last beat
    early     blocks that went in before the state that they go on from had come out: with so few
              queries in turn the unit would have to wait. `together` then means nothing
    """

    state: Flash
    beats: int
    together: int
    alone: int
    early: int

    @property
    def utilisation(self) -> tuple[float, float]:
        """Beats a clock, the queries in turn and one at a time."""
        return self.beats / self.together, self.beats / self.alone


def attend(
    unit: SoftmaxUnit,
    parameters: Parameters,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    block: int,
    engine: Engine = by_model,
    **scale: int | np.ndarray,
) -> Flash:
    """Run attention in tiles of `block` keys through what runs the rows of all queries.

    unit, parameters: all of a build with IN_W = 32, SCALE = 1, BLOCKS = 1, FORMATS = 1. The others
    are those of `softnorm.models.attention.flash_attention`, which raises the same.
    """
    shape = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    state = Flash(unit.model(**parameters), (*shape, q.shape[-2]), v.shape[-1], **scale)
    for keys in tiles(state.unit, k.shape[-2], block):
        scores = scores_of(q, k[..., keys, :])
        wide = scores.shape[-1]
        some = None
        if mask is not None:
            part = mask if mask.shape[-1] == 1 else mask[..., keys]
            some = np.broadcast_to(part, scores.shape).reshape(-1, wide)
        rows = rows_of(unit, parameters, scores.reshape(-1, wide), some, state.settings)
        out = engine(unit, parameters, rows)
        result = unit.result(parameters, out, rows.settings)
        carried = {name: out.user[name] for name in STATE.values()}
        state.take(replace(result, **carried), v[..., keys, :])
    return state


def flash_attention(
    instance: Instance,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    block: int,
    **scale: int | np.ndarray,
) -> Ran:
    """Run attention in tiles of `block` keys through the RTL.

    instance: of a build with IN_W = 32, SCALE = 1, BLOCKS = 1, FORMATS = 1. The others are those of
    `softnorm.models.attention.flash_attention`, which raises the same. Raises RtlError if the RTL
    gives something else in one go than block by block.
    """
    parts: list[Rows] = []
    outs: list[dict[str, np.ndarray]] = []

    def engine(unit: SoftmaxUnit, parameters: Parameters, rows: Rows) -> Outputs:
        out = instance.run(rows)
        parts.append(rows)
        outs.append(dict(out.user))
        return out

    build = instance.build
    state = attend(build.unit, build.parameters, q, k, v, mask, block=block, engine=engine, **scale)
    return Ran(state, *_clocks(instance, parts, outs))


def _clocks(
    instance: Instance, parts: list[Rows], outs: list[dict[str, np.ndarray]]
) -> tuple[int, int, int, int]:
    """Beats, clocks in turn, clocks one at a time, and blocks that went in too early.

    All blocks are driven once more, in one go and with the states that came out before.
    """
    unit, parameters, shape = instance.build.unit, instance.build.parameters, instance.shape
    rows = Rows.joined(parts)
    job = Job.of(unit, parameters, rows, Drive(clocks=True), 1)
    moved = instance.simulator.drive(job, True)
    if moved.error:
        raise RtlError(f"{unit.name} on {instance.build.sim}, clock {moved.clocks}: {moved.error}")
    _, user = beats.unpack(shape, rows, job.room)
    seen = shape.user_values(user)
    for name in STATE.values():
        if (seen[name] != np.concatenate([one[name] for one in outs])).any():
            raise RtlError(f"{unit.name}: {name} in one go is not that of block by block")
    queries = len(parts[0])
    # A block may begin in the clock behind the one that shows the state it goes on from.
    queries, latency = len(parts[0]), unit.latency(parameters)[0]
    goes_in = job.in_clocks[_firsts(job.beats.last), 1].astype(int)
    shown = job.out_clocks[_firsts(job.room.last), 0].astype(int)
    early = int((goes_in[queries:] <= shown[:-queries]).sum())
    total, last = len(job.beats.last), job.in_clocks[-1, 1]
    alone = total + latency * queries * (len(parts) - 1)
    return total, int(last - job.in_clocks[0, 1]) + 1, alone, early


def _firsts(last: np.ndarray) -> np.ndarray:
    """The first beats of rows, of which these are the last ones."""
    return np.append(0, np.flatnonzero(last)[:-1] + 1)
