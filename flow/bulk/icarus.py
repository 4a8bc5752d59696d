# SPDX-License-Identifier: Apache-2.0
"""A batch through a unit on Icarus: files for the test top of `tb/bulk`, a process a batch."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np

from softnorm.tb.bulk.beats import Beats, Cut, Job, Loads, Moved, with_clock_low
from softnorm.tb.stimulus.values import AIM, STREAM_STATES, Reset

from .. import tools
from ..build.bulk import BulkBuild


class Icarus:
    """Runs jobs of one build; registers and memories start as X each time."""

    def __init__(self, build: BulkBuild, seed: int):
        """`seed` is Verilator's business."""
        self._program = build.program

    def close(self) -> None:
        """Nothing is kept between jobs."""

    def drive(self, job: Job, reset: bool) -> Moved:
        """Drive a job. Raises ValueError without `reset`: each has a process of its own."""
        if not reset:
            raise ValueError("icarus starts every batch with a reset")
        with tempfile.TemporaryDirectory(prefix="bulk-") as name:
            folder = Path(name)
            numbers = _write(job, folder)
            words = [f"+{key}={value}" for key, value in numbers.items()]
            ended = tools.run(["vvp", "-n", str(self._program), *words], folder)
            result = folder / "result.txt"
            text = result.read_text() if result.exists() else ""
            if not ended.ok or not text:
                said = "\n  ".join([*ended.stdout, *ended.stderr][-5:])
                return Moved(0, 0, 0, 0, 0, f"vvp ended without a result: {said}")
            *resets, end = text.splitlines()
            *counts, why = end.split(maxsplit=5)
            moved = [int(count) for count in counts]
            _read(job, folder, moved[2])
            reasons = {"done": "", "stuck": f"stuck: no beat moved for {job.limit} clocks"}
            several = bool(job.operands)
            cuts = tuple(_cut(several, *map(int, line.split())) for line in resets)
            error = reasons.get(why.strip(), why.strip())
            return Moved(*moved, error, cuts, _pulses(job, folder))


def _big(values: np.ndarray) -> np.ndarray:
    """[n] or [n, columns] unsigned as bytes [n, ..] of 32-bit words, the high byte first."""
    return values.reshape(len(values), math.prod(values.shape[1:])).astype(">u4").view(np.uint8)


def _records(beats: Beats, settings: np.ndarray, waits: np.ndarray) -> bytes:
    """Records of beats for sn_bulk_top.sv, the high byte first."""
    if not settings.shape[1]:  # as SN_SETTINGS has it
        settings = np.zeros((len(settings), 1), np.uint32)
    low = [settings[:, ::-1].astype(">u4").view(np.uint8)]
    low += [part[:, ::-1] for part in (beats.strb, beats.keep, beats.data)]
    return np.concatenate([_big(waits), beats.last[:, None], *low], axis=1).tobytes()


def _words(reset: Reset) -> list[int]:
    """A record of resets.bin."""
    states = [STREAM_STATES.index(one) for one in reset.aim] if reset.aim else [0, 0]
    aim = [AIM if reset.aim else 0, 3 * states[0] + states[1]]
    return [reset.clocks, int(with_clock_low(reset)), reset.held, *aim]


def _cut(several: bool, row, beat, part, out_row, out_beat, clock, source, sink, *other) -> Cut:
    """A line of result.txt; `several`: of two input streams."""
    r_row, r_beat, r_part = other
    operands = ((r_row, r_beat, bool(r_part)),) if several else ()
    return Cut(row, beat, bool(part), out_row, out_beat, clock, (source, sink), operands)


def _write(job: Job, folder: Path) -> dict[str, int]:
    """The files of a job; return the numbers that go with them."""
    beats, count = job.beats, len(job.beats.last)
    first = np.concatenate([np.ones(min(count, 1), np.uint8), beats.last[:-1]])
    row = np.cumsum(first, dtype=int) - 1
    waits = np.zeros(count, np.uint32) if job.loads is None else job.loads.row_loads[row]
    settings = np.ascontiguousarray(beats.settings[row])
    (folder / "beats.bin").write_bytes(_records(beats, settings, waits))
    none = np.zeros(len(job.noise.last), np.uint8)
    (folder / "noise.bin").write_bytes(_records(job.noise, job.noise.settings, none))
    phases = job.phases
    (folder / "pairs.bin").write_bytes(_big(phases.pairs).tobytes())
    columns = [column for name, column in vars(phases).items() if name not in ("pairs", "others")]
    table = np.stack(columns, axis=1)
    (folder / "phases.bin").write_bytes(_big(table).tobytes())
    resets = np.array([_words(reset) for reset in job.resets], np.uint32).reshape(-1, 5)
    (folder / "resets.bin").write_bytes(_big(resets).tobytes())
    writes = _writes(job.loads, *job.lines) if job.loads is not None else np.zeros((0, 1), np.uint8)
    (folder / "lines.bin").write_bytes(writes.tobytes())
    operand = np.zeros(0, np.uint8)
    for one, patterns in zip(job.operands, phases.others, strict=True):  # the test top has one
        operand = one.beats.last
        none = np.zeros(len(operand), np.uint32)
        settings = np.zeros((len(operand), beats.settings.shape[1]), np.uint32)
        (folder / "operand.bin").write_bytes(_records(one.beats, settings, none))
        table = np.stack([phases.row, *patterns], axis=1)
        (folder / "operand_phases.bin").write_bytes(_big(table).tobytes())
    return {
        "beats": count,
        "operand_beats": len(operand),
        "rows": len(beats.settings),
        "writes": len(writes),
        "noises": len(job.noise.last),
        "pairs": len(phases.pairs),
        "phases": len(phases.row),
        "resets": len(resets),
        "limit": job.limit,
        "settle": job.settle,
    }


def _writes(
    loads: Loads, begin: np.ndarray, count: np.ndarray, lines: np.ndarray, channels: np.ndarray
) -> np.ndarray:
    """Records of the writes of a channel table, [writes, bytes]."""
    lengths = count[loads.chosen].astype(int)
    load = np.repeat(np.arange(len(lengths)), lengths)
    number = np.arange(len(load)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    ends = number == lengths[load] - 1
    flags = (loads.bank[load] << 1 | ends).astype(np.uint8)[:, None]
    at = begin[loads.chosen][load].astype(int) + number
    parts = [_big(loads.after[load]), flags, _big(channels[at]), _big(lines[at][:, ::-1])]
    return np.concatenate(parts, axis=1)


def _pulses(job: Job, folder: Path) -> tuple[np.ndarray, ...]:
    """Clocks of the error outputs."""
    which, clocks = np.fromfile(folder / "pulses.bin", "<u4").reshape(-1, 2).T
    return tuple(clocks[which == one] for one in range(len(job.errors)))


def _read(job: Job, folder: Path, beats: int) -> None:
    """What the test top wrote of so many beats that came out, into the job's room.

    Words of 32 bits, the low byte first.
    """
    room = job.room
    parts = (room.user, room.keep, room.strb, room.data)  # no strb but of a cell
    sizes = [4, *(-(-part.shape[1] // 4) * 4 for part in parts), 12]
    raw = np.fromfile(folder / "out.bin", np.uint8).reshape(-1, sum(sizes))
    raw = raw[: min(beats, len(room.last))]
    last, *others, clocks = np.split(raw, np.cumsum(sizes)[:-1], axis=1)
    there = slice(len(raw))
    room.last[there] = last[:, 0]
    for part, words in zip(parts, others, strict=True):
        part[there] = words[: len(part), : part.shape[1]]
    if job.in_clocks is not None:
        job.out_clocks[there] = np.ascontiguousarray(clocks).view("<u4")
        moved = np.fromfile(folder / "in.bin", "<u4").reshape(-1, 3)
        job.in_clocks[moved[:, 0]] = moved[:, 1:]
        for one in job.operands:
            moved = np.fromfile(folder / "operand_in.bin", "<u4").reshape(-1, 3)
            one.clocks[moved[:, 0]] = moved[:, 1:]
