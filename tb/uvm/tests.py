"""UVM tests, and the cocotb test that starts the one a run asks for.

BaseTest   builds the environment, drives a scenario's rows, waits for the last one, judges
  RowTest    nothing more
  ResetTest  resets at random times while rows are driven
  TimingTest accounts for every clock afterwards: throughput and latency
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import cocotb
import numpy as np
import numpy.ma  # np.unique loads it at its first call: better now than in the middle of a run
from cocotb.clock import Clock
from cocotb.triggers import Event, First, Timer
from pyuvm import ConfigDB, uvm_root, uvm_sequence, uvm_test

from softnorm.units.unit import Unit

from ..check.contract import StreamShape
from ..check.coverage import state_of
from ..check.record import save_result, save_run
from ..check.timing import first_irregularity, measured
from ..run import Run
from ..stimulus.replay import Stimulus
from ..stimulus.scenarios import SCENARIOS, Bench
from ..stimulus.values import AIM, CLOCK_NS, STREAM_STATES, Phase, Reset, RowMaker, random_resets
from .agents import RowItem
from .env import StreamEnv
from .pins import Clocking, ResetLine
from .scoreboard import require

STUCK_CLOCKS = 4000  # no transfer on either side for so long: something hangs


@dataclass
class BenchConfig:
    """What components of the bench share; in the ConfigDB as BENCH."""

    run: Run
    unit: Unit
    parameters: dict[str, int]
    shape: StreamShape
    clocking: Clocking
    reset: ResetLine
    setting_values: dict[str, range] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def rerun(self) -> str:
        return self.run.rerun

    @property
    def has_x(self) -> bool:
        return self.run.sim == "icarus"

    def rng(self, use: str) -> np.random.Generator:
        """A generator of its own for each use."""
        return self.run.rng(use)


class _ErrorCount(logging.Handler):
    """pyuvm and cocotb log errors without failing anything: count them, the base test fails."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record):
        self.messages.append(record.getMessage())


class PhaseSequence(uvm_sequence):
    """Sends the rows of one phase, an item a row.

    Of a unit with a channel table, `channels` (its driver) is told of the rows ahead; with `settle`
    the first row waits until theirs are loaded.
    """

    AHEAD = 64  # rows

    def __init__(self, name, rows, on_row, channels=None, settle=False):
        super().__init__(name)
        self._rows = iter(rows)
        self._on_row = on_row
        self._channels = channels
        self._settle = settle

    async def body(self):
        rows = self._rows if self._channels is None else self._planned()
        for number, row in enumerate(rows):
            item = RowItem(f"row {number}", row)
            if self._settle and number == 0 and self._channels is not None:
                item.waited = await self._channels.settled()
            await self.start_item(item)
            await self.finish_item(item)
            self._on_row(item)

    def _planned(self):
        """The rows, each after the channels' driver has been told of it and of those behind it."""
        ahead = deque(itertools.islice(self._rows, self.AHEAD))
        while ahead:
            self._channels.plan(ahead)
            yield ahead.popleft()
            ahead.extend(itertools.islice(self._rows, 1))


class BaseTest(uvm_test):
    """A scenario from first to last row. Fails on any mismatch, broken rule, logged error, row
    left inside, row that never came, and when nothing was compared."""

    settle = False  # whether a phase begins when the channels of its first rows are loaded

    def build_phase(self):
        self.log_errors = _ErrorCount()
        logging.getLogger().addHandler(self.log_errors)
        run = Run.load()
        unit = run.descriptor
        top = cocotb.top
        clocking = Clocking(top.clk_i)
        self.bench = BenchConfig(
            run=run,
            unit=unit,
            parameters=run.parameters,
            shape=StreamShape.of(unit, run.parameters),
            clocking=clocking,
            reset=ResetLine(top.rst_ni, clocking),
            setting_values={s.name: s.values for s in unit.settings(run.parameters)},
        )
        ConfigDB().set(None, "*", "BENCH", self.bench)
        self.stimulus = None
        if run.stimulus is not None:
            self.stimulus = Stimulus.load(run.stimulus, unit, run.parameters)
        self.env = StreamEnv.create("env", self)
        self.sent = self.aborted = 0
        self.real = 0  # rows of a tensor file; they come first
        self._progress_at = 0.0
        self.seconds = 0.0  # wall time from the first row to the last one compared

    def end_of_elaboration_phase(self):
        # Components' loggers do not pass on what they get.
        self.add_logging_handler_hier(self.log_errors)
        self._failed = Event()
        self.env.scoreboard.on_failure = self._failed.set

    def start_of_simulation_phase(self):
        # Late in the phases: the monitors' pins are made in theirs.
        for agent in (self.env.source, self.env.sink):
            agent.monitor.on_error(self._failed.set)

    # ------------------------------------------------------------------------------ the run

    async def run_phase(self):
        self.raise_objection()
        top, bench = cocotb.top, self.bench
        for name, values in bench.setting_values.items():
            getattr(top, f"cfg_{name}_i").value = values[0]
        Clock(top.clk_i, CLOCK_NS, "ns").start()
        cocotb.start_soon(bench.clocking.run())
        await bench.clocking.wait(3)
        self.at_rest()
        await bench.reset.release()
        work = cocotb.start_soon(self._drive_all())
        watch = cocotb.start_soon(self._watchdog())
        await First(work.complete, watch.complete, self._failed.wait())
        found = self.env.protocol_errors or self.env.scoreboard.failure  # check_phase reports it
        for task in (work, watch):
            if task.done() and not found:
                task.result()  # an exception of theirs is ours
            task.cancel()
        self.drop_objection()

    def at_rest(self) -> None:
        """Reset is asynchronous: outputs are at rest at once, with no clock."""
        for name in ("m_axis_tvalid", "s_axis_tready", "err_len_o", "err_keep_o"):
            value = str(getattr(cocotb.top, name).value)
            require(value == "0", f"{name} is {value} in reset\nrerun: {self.bench.rerun}")

    def phases(self) -> Iterable[Phase]:
        """What is driven: the file's rows, or what the scenario makes of the seed."""
        if self.stimulus is not None:
            return self.stimulus.phases
        bench, run = self.bench, self.bench.run
        make = RowMaker(bench.rng("rows"), bench.unit, bench.parameters)
        return SCENARIOS[run.test].phases(Bench(make, run.rows, run.tensors))

    async def _drive_all(self):
        started = time.perf_counter()
        for number, phase in enumerate(self.phases()):
            self.env.source.driver.set_stalls(phase.source)
            self.env.sink.driver.set_stalls(phase.sink)
            sequence = PhaseSequence(
                f"phase {number}",
                phase.rows,
                self._count,
                self.env.channels and self.env.channels.driver,
                self.settle,
            )
            await sequence.start(self.env.source.seqr)
            self.real += self.sent - self.real if phase.real else 0
        self.env.sink.driver.set_stalls("none")
        await self.drain()
        self.seconds = time.perf_counter() - started

    def _count(self, item: RowItem) -> None:
        self.sent += 1
        self.aborted += item.aborted
        now = time.perf_counter()
        if now - self._progress_at > 0.25:
            self._progress_at = now
            self.bench.run.progress(
                {"rows": self.sent, "beats": self.env.source.monitor.pins.beats}
            )

    async def drain(self):
        """Wait until every row that went in has come out, and what was compared is judged."""
        clocking = self.bench.clocking
        await clocking.wait(2)  # until the monitors have seen the last row go in
        while self.env.scoreboard.inside:
            await clocking.edge
        await clocking.wait(20)  # nothing more may come
        self.env.scoreboard.compare()

    async def _watchdog(self):
        """Ends the run when nothing moves on either side."""
        pins = (self.env.source.monitor.pins, self.env.sink.monitor.pins)
        before = None
        while True:
            await Timer(STUCK_CLOCKS * CLOCK_NS, "ns")
            now = tuple(p.beats for p in pins)
            if self.env.channels is not None:
                now += (self.env.channels.driver.writes,)
            state = (
                f"{now[0]} beats went in, {now[1]} came out, {self.env.scoreboard.inside} rows are "
                f"inside\nrerun: {self.bench.rerun}"
            )
            require(now != before, f"stuck: no beat moved for {STUCK_CLOCKS} clocks; {state}")
            require(now[1] <= now[0], f"more beats come out than go in: {state}")
            before = now

    # ------------------------------------------------------------------------------ the verdict

    def check_phase(self):
        env, rerun = self.env, f"\nrerun: {self.bench.rerun}"
        # All that is left when the verdict is a bad one.
        save_result(self.bench.run, {"driven": self.sent})
        # A broken rule comes first: a mismatch may be no more than what follows from it.
        if env.protocol_errors:
            more = len(env.protocol_errors) - 1
            also = f", and {more} more" if more else ""
            raise AssertionError(f"{env.protocol_errors[0]}{also}{rerun}")
        complaint = env.scoreboard.complaint()
        require(complaint is None, complaint)
        wrong = env.scoreboard.scorer.judge_pulses(env.errors.counts)
        require(wrong is None, f"{wrong}{rerun}")
        accounted = env.scoreboard.scorer.rows + env.scoreboard.dropped + self.aborted
        require(
            accounted >= self.sent,
            f"{self.sent} rows were driven, {accounted} are accounted for{rerun}",
        )
        logged = self.log_errors.messages
        require(not logged, f"an error was logged: {logged[:1]}{rerun}")

    def report_phase(self):
        env = self.env
        counts = {
            "rows": env.scoreboard.scorer.rows,
            "elements": env.scoreboard.scorer.elements,
            "mismatches": env.scoreboard.mismatches,
            "beats": env.source.monitor.pins.beats,
            "resets": self.bench.reset.count,
            "aborted": self.aborted + env.scoreboard.dropped,
            "seconds": self.seconds,
            "measured": self.measured(),
        }
        save_run(self.bench.run, env.collector, env.recorder, self.real, counts)

    def measured(self) -> dict:
        """More figures for the result."""
        return {}


class RowTest(BaseTest):
    """The rows and nothing else."""


class ResetTest(BaseTest):
    """Resets of random length at random times, within clocks too, while rows are driven."""

    async def run_phase(self):
        resets = cocotb.start_soon(self._resets())
        await super().run_phase()
        resets.cancel()

    def resets(self) -> Iterable[Reset]:
        """When they come."""
        if self.stimulus is not None:
            return self.stimulus.resets
        return random_resets(self.bench.rng("resets"))

    async def _resets(self):
        reset = self.bench.reset
        stream = self.env.collector.stream
        pins = (self.env.source.monitor.pins, self.env.sink.monitor.pins)
        # The first reset has no edge, and takes effect at the first clock only.
        while reset.active:
            await self.bench.clocking.edge
        for clocks, within, held, aim in self.resets():
            await self.bench.clocking.wait(clocks)
            for _ in range(AIM if aim else 0):
                if tuple(STREAM_STATES[state_of(one)] for one in pins) == aim:
                    break
                await self.bench.clocking.edge
            await Timer(within, "ps")
            # Before the monitors hear of it and forget what they are in the middle of.
            stream.sample_reset(*map(state_of, pins))
            reset.assert_now()
            await Timer(1, "ps")
            self.at_rest()
            await self.bench.clocking.wait(held)
            await reset.release()

    def check_phase(self):
        super().check_phase()
        wanted = self.stimulus is None or self.stimulus.resets
        require(self.bench.reset.count > 0 or not wanted, "no reset came: more rows are needed")


class TimingTest(BaseTest):
    """With no stall on either side, every clock is known in advance (tb/check/timing.py)."""

    settle = True

    def check_phase(self):
        super().check_phase()
        clocks = self.env.recorder.clocks
        # Rows that had to wait for their channels: the bench's own gap.
        paused = {number: clocks[number][0][0] for number in self.env.source.driver.waited}
        latency = self.bench.unit.latency(self.bench.parameters)
        wrong = first_irregularity(clocks, latency, paused)
        require(wrong is None, f"{wrong}\nrerun: {self.bench.rerun}")

    def measured(self) -> dict:
        return measured(self.env.recorder.clocks)


@cocotb.test()
async def run(_):
    """The scenario of this run, under its UVM test."""
    test = {cls.__name__: cls for cls in (RowTest, ResetTest, TimingTest)}
    await uvm_root().run_test(test[SCENARIOS[Run.load().test].test])
