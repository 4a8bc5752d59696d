# SPDX-License-Identifier: Apache-2.0
"""A unit's RTL as a function of arrays: rows in, outputs out, on either simulator.

    from softnorm.flow.bulk import rtl
    outputs = rtl.run(unit, {"LANES": 8}, x, mask, {"frac": 4, "fmt": 1})

A batch goes through the simulator in one piece: numpy makes its beats, and compiled code drives
them under the stream contract (docs/stream.md) and collects what comes out. Assertions are on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from softnorm.tb.bulk import beats
from softnorm.tb.bulk.beats import Drive, Job, RtlOutputs
from softnorm.tb.check.contract import StreamShape
from softnorm.units.unit import ChannelSet, Parameters, Rows, Unit

from ..build.bulk import BulkBuild, bulk_build
from ..errors import UserError
from ..paths import RTL
from .icarus import Icarus
from .verilator import Verilator

Stalls = tuple[str, str]  # names in tb.stimulus.values.STALLS, of the source and of the sink


class RtlError(UserError):
    """The unit broke the contract: an assertion, a hang, beats that do not fit the rows."""

    exit_code = 1


def rows_of(
    unit: Unit,
    parameters: Parameters,
    x: np.ndarray,
    mask: np.ndarray | None = None,
    settings: Mapping[str, int | np.ndarray] | None = None,
    channels: ChannelSet | Sequence[ChannelSet] | None = None,
    *,
    length: np.ndarray | None = None,
    channel_set: np.ndarray | None = None,
    operands: Sequence[np.ndarray] = (),
) -> Rows:
    """A batch from arrays.

    x [rows, width] of the unit's input dtype, mask the same shape, bool; length [rows], default:
    all of the width. Settings are numbers or [rows]; those not given follow from the row
    (`Unit.complete`), or are the first of their values. Several channel sets need channel_set
    [rows]. operands: of each further input stream, as x; not given: 0. Raises ValueError for arrays
    of other shapes or dtypes, and settings out of range.
    """
    parameters = unit.resolve(parameters)
    x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"x must be [rows, width], not {x.shape}")
    count, width = x.shape
    lengths = np.full(count, width) if length is None else np.asarray(length)
    mask = np.ones(x.shape, bool) if mask is None else np.asarray(mask)
    if length is not None and mask.shape == x.shape and lengths.shape == (count,):
        exists = np.arange(width) < lengths[:, None]
        x, mask = np.where(exists, x, 0).astype(x.dtype), mask & exists
    given = dict(settings or {})
    wanted = unit.settings(parameters)
    unknown = sorted(given.keys() - {setting.name for setting in wanted})
    if unknown:
        raise ValueError(f"{unit.name} has no setting {unknown[0]}")
    if isinstance(channels, ChannelSet):
        channels = (channels,)
    if channels is not None and channel_set is None and len(channels) == 1:
        channel_set = np.zeros(count, int)
    follow = _completed(unit, parameters, lengths, mask) if len(given) < len(wanted) else {}
    values = {}
    for setting in wanted:
        value = given.get(setting.name, follow.get(setting.name, setting.values[0]))
        values[setting.name] = np.broadcast_to(np.asarray(value), (count,))
    rows = Rows(
        x,
        mask,
        lengths,
        values,
        tuple(channels or ()),
        None if channel_set is None else np.asarray(channel_set),
        tuple(operands) or tuple(np.zeros_like(x) for _ in unit.operands),
    )
    beats.check(unit, parameters, rows)
    return rows


def _completed(unit, parameters, lengths, mask) -> dict[str, np.ndarray]:
    """Settings that follow from the rows: name -> [rows]; equal masks are asked for once."""
    known: dict[bytes, int] = {}
    found: list[dict[str, int]] = []
    which = np.zeros(len(lengths), int)
    packed = np.packbits(mask, axis=1) if mask.ndim == 2 else mask
    for row, length in enumerate(lengths.tolist()):
        key = packed[row].tobytes() + length.to_bytes(4, "little")
        if key not in known:
            known[key] = len(found)
            found.append(unit.complete(parameters, mask[row, :length]))
        which[row] = known[key]
    names = found[0] if found else {}
    return {name: np.array([one[name] for one in found])[which] for name in names}


def run(
    unit: Unit,
    parameters: Parameters,
    x: np.ndarray | Rows,
    mask: np.ndarray | None = None,
    settings: Mapping[str, int | np.ndarray] | None = None,
    channels: ChannelSet | Sequence[ChannelSet] | None = None,
    *,
    length: np.ndarray | None = None,
    channel_set: np.ndarray | None = None,
    sim: str = "verilator",
    stalls: Stalls = ("none", "none"),
    seed: int = 1,
    instances: int = 1,
    rtl: Path = RTL,
) -> RtlOutputs:
    """The rows through the unit, from reset; x is `Rows`, or arrays as `rows_of` takes them.

    `seed` determines the stalls and the data on idle pins. With several `instances` each gets a
    share of the rows, in a thread of its own, and `clocks` is their sum. Raises RtlError;
    what `rows_of` and `bulk_build` raise.
    """
    parameters = unit.resolve(parameters)
    if not isinstance(x, Rows):
        x = rows_of(
            *(unit, parameters, x, mask, settings, channels),
            length=length,
            channel_set=channel_set,
        )
    build = bulk_build(unit, parameters, sim, rtl=rtl)
    with Instances(build, min(instances, max(len(x), 1)), seed) as several:
        return several.run(x, stalls=stalls, seed=seed)


def _joined(parts: Sequence[RtlOutputs]) -> RtlOutputs:
    arrays = ("out", "exponent", "err_len", "err_keep")
    sums = ("len_pulses", "keep_pulses", "beats", "clocks")
    first = parts[0]
    return RtlOutputs(
        unit=first.unit,
        parameters=first.parameters,
        user={name: np.concatenate([part.user[name] for part in parts]) for name in first.user},
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
        **{name: sum(getattr(part, name) for part in parts) for name in sums},
    )


class Instance:
    """One simulated unit. Use as a context; not from two threads at once."""

    def __init__(self, build: BulkBuild, seed: int = 1):
        """`seed`: the bits that registers and memories start with, where they are not X."""
        self.build = build
        self.shape = StreamShape.of(build.unit, build.parameters)
        self.simulator = (Icarus if build.sim == "icarus" else Verilator)(build, seed)

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *_) -> None:
        self.simulator.close()

    def run(
        self, rows: Rows, *, stalls: Stalls = ("none", "none"), seed: int = 1, reset: bool = True
    ) -> RtlOutputs:
        """Run the rows. Without `reset` the unit continues in the state after the previous batch.

        Raises RtlError, after which the next batch starts with a reset; ValueError for rows or
        stalls that cannot be driven.
        """
        drive = Drive(((0, *stalls),))
        job = Job.of(self.build.unit, self.build.parameters, rows, drive, seed)
        moved = self.simulator.drive(job, reset)
        error = moved.error
        if not error and moved.beats_out != len(job.room.last):
            error = "another number of beats came out than went in"
        if not error:
            try:
                out, user = beats.unpack(self.shape, rows, job.room)
            except beats.ShapeError as wrong:
                error = str(wrong)
        if error:
            words = " ".join(f"{name}={value}" for name, value in self.build.parameters.items())
            raise RtlError(
                f"{self.build.unit.name} on {self.build.sim}, clock {moved.clocks}: {error}\n"
                f"  {moved.beats_in} of {len(job.beats.last)} beats went in, {moved.beats_out} of "
                f"{len(job.room.last)} came out; seed {seed}, stalls {' '.join(stalls)}, {words}"
            )
        return RtlOutputs(
            out,
            (user[:, 0] & 31).astype(np.int8),
            (user[:, 0] & 32) != 0,
            self.shape.user_values(user),
            unit=self.build.unit,
            parameters=self.build.parameters,
            err_keep=(user[:, 0] & 64) != 0,
            len_pulses=moved.len_pulses,
            keep_pulses=moved.keep_pulses,
            beats=moved.beats_in,
            clocks=moved.clocks,
        )


class Instances:
    """Simulated units of one build that share each batch's rows, a thread each.

    Use as a context; not from two threads at once.
    """

    def __init__(self, build: BulkBuild, count: int = 1, seed: int = 1):
        """`count`, 1 or more: how many. `seed`: as `Instance` takes it."""
        self.build = build
        self._instances = [Instance(build, seed) for _ in range(count)]
        self._pool = ThreadPoolExecutor(count)

    def __enter__(self) -> Instances:
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown()  # an interruption may leave threads in the simulators
        for instance in self._instances:
            instance.simulator.close()

    def run(
        self, rows: Rows, *, stalls: Stalls = ("none", "none"), seed: int = 1, reset: bool = True
    ) -> RtlOutputs:
        """The rows through the units, in order; `clocks` is the sum of theirs.

        Arguments and errors are those of `Instance.run`.
        """
        how = {"stalls": stalls, "seed": seed, "reset": reset}
        if len(self._instances) == 1 or not len(rows):
            return self._instances[0].run(rows, **how)
        shares = np.array_split(np.arange(len(rows)), len(self._instances))
        running = [
            self._pool.submit(instance.run, rows.select(share), **how)
            for instance, share in zip(self._instances, shares, strict=True)
            if len(share)
        ]
        wait(running)  # none is left running when one has failed
        return _joined([one.result() for one in running])
