"""A batch through a unit on Icarus: files for the test top of `tb/bulk`, a process a batch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from flow import tools
from flow.bulk_build import BulkBuild
from tb.bulk.beats import Beats, Job, Loads, Moved


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
            *counts, why = text.split(maxsplit=5)
            moved = [int(count) for count in counts]
            why = why.strip()
            if why == "done" and moved[2] != len(job.room.last):
                why = f"{moved[2]} beats came out"
            if why == "done":
                _read(job, folder / "out.bin")
            reasons = {"done": "", "stuck": f"stuck: no beat moved for {job.limit} clocks"}
            return Moved(*moved, reasons.get(why, why))


def _big(values: np.ndarray) -> np.ndarray:
    """[n] or [n, columns] unsigned as bytes [n, ..] of 32-bit words, the high byte first."""
    return values.reshape(len(values), -1).astype(">u4").view(np.uint8)


def _records(beats: Beats, settings: np.ndarray, pause, waits, first) -> bytes:
    """Records of beats for sn_bulk_top.sv, the high byte first."""
    if not settings.shape[1]:  # as SN_SETTINGS has it
        settings = np.zeros((len(settings), 1), np.uint32)
    low = [settings[:, ::-1].astype(">u4").view(np.uint8)]
    low += [part[:, ::-1] for part in (beats.strb, beats.keep, beats.data)]
    flags = (beats.last | first << np.uint8(1)).astype(np.uint8)[:, None]
    return np.concatenate([_big(pause), _big(waits), flags, *low], axis=1).tobytes()


def pauses(pairs: np.ndarray, beats: int) -> np.ndarray:
    """Clocks that a source pauses before each beat: (on, off) pairs, on in beats, coming round."""
    pause = np.zeros(beats, np.uint32)
    if len(pairs):
        rounds = beats // int(pairs[:, 0].sum()) + 1
        every = np.tile(pairs, (rounds, 1))
        at = np.cumsum(every[:, 0], dtype=np.int64)
        pause[at[at < beats]] = every[at < beats, 1]
    return pause


def _write(job: Job, folder: Path) -> dict[str, int]:
    """The files of a job; return the numbers that go with them."""
    beats, count = job.beats, len(job.beats.last)
    first = np.concatenate([np.ones(min(count, 1), np.uint8), beats.last[:-1]])
    row = np.cumsum(first, dtype=int) - 1
    waits = np.zeros(count, np.uint32) if job.loads is None else job.loads.row_loads[row]
    settings = np.ascontiguousarray(beats.settings[row])
    pause = pauses(job.source, count)
    (folder / "beats.bin").write_bytes(_records(beats, settings, pause, waits, first))
    none = np.zeros(len(job.noise.last), np.uint8)
    (folder / "noise.bin").write_bytes(_records(job.noise, job.noise.settings, none, none, none))
    (folder / "sink.bin").write_bytes(job.sink.astype(">u4").tobytes())
    writes = _writes(job.loads, *job.lines) if job.loads is not None else np.zeros((0, 1), np.uint8)
    (folder / "lines.bin").write_bytes(writes.tobytes())
    return {
        "beats": count,
        "rows": len(beats.settings),
        "writes": len(writes),
        "noises": len(job.noise.last),
        "pairs": len(job.sink),
        "limit": job.limit,
        "settle": job.settle,
    }


def _writes(loads: Loads, begin: np.ndarray, count: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Records of the writes of a channel table, [writes, bytes]."""
    lengths = count[loads.chosen].astype(int)
    load = np.repeat(np.arange(len(lengths)), lengths)
    channel = np.arange(len(load)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    ends = channel == lengths[load] - 1
    flags = (loads.bank[load] << 1 | ends).astype(np.uint8)[:, None]
    line = lines[begin[loads.chosen][load].astype(int) + channel]
    parts = [_big(loads.after[load]), flags, _big(channel), _big(line[:, ::-1])]
    return np.concatenate(parts, axis=1)


def _read(job: Job, path: Path) -> None:
    """What the test top wrote, into the job's room: words of 32 bits, the low byte first."""
    room = job.room
    sizes = [4, -(-room.keep.shape[1] // 4) * 4, -(-room.data.shape[1] // 4) * 4]
    raw = np.fromfile(path, np.uint8).reshape(-1, sum(sizes))
    flags, keep, data = np.split(raw, np.cumsum(sizes)[:2], axis=1)
    room.user[:] = flags[:, 0] & 127
    room.last[:] = flags[:, 0] >> 7
    room.keep[:] = keep[:, : room.keep.shape[1]]
    room.data[:] = data[:, : room.data.shape[1]]
