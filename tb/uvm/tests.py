# SPDX-License-Identifier: Apache-2.0
"""UVM tests, and the cocotb test that starts the one a run asks for.

BaseTest     builds the environment, runs a scenario on its virtual sequencer, waits, judges
  RowTest    nothing more
  ResetTest  resets at random times while rows are driven
  TimingTest accounts for every clock afterwards: throughput and latency
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

import cocotb
import numpy.ma  # noqa: F401  np.unique loads it at its first call: not in the middle of a run
from cocotb.clock import Clock
from cocotb.triggers import First, Timer
from pyuvm import uvm_root, uvm_test

from ..check.record import save_result
from ..check.timing import first_irregularity, measured
from ..run import Run
from ..stimulus.replay import Stimulus
from ..stimulus.scenarios import SCENARIOS, Bench
from ..stimulus.values import CLOCK_NS, Phase, Reset, RowMaker, random_resets
from .agents import RowItem
from .config import AnalysisImp, EnvConfig
from .env import StreamEnv
from .pins import Clocking, ResetLine
from .scoreboard import require
from .sequences import ScenarioSequence

STUCK_CLOCKS = 4000  # no transfer on either side for so long: something hangs


class _ErrorCount(logging.Handler):
    """pyuvm and cocotb log errors without failing anything: count them, the base test fails."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record):
        self.messages.append(record.getMessage())


class BaseTest(uvm_test):
    """A scenario from first to last row. Fails on any mismatch, broken rule, logged error, row
    left inside, row that never came, and when nothing was compared."""

    settle = False  # whether a phase begins when the channels of its first rows are loaded

    def build_phase(self):
        self.log_errors = _ErrorCount()
        logging.getLogger().addHandler(self.log_errors)
        self.run = run = Run.load()
        top = cocotb.top
        self.clocking = Clocking(top.clk_i)
        self.cfg = EnvConfig.of(
            run.descriptor,
            run.parameters,
            top,
            self.clocking,
            ResetLine(top.rst_ni, self.clocking, drive=True),
            has_x=run.sim == "icarus",
            rng=run.rng,
            seed=run.seed,
            rerun=run.rerun,
        )
        self.cdb_set("cfg", self.cfg, "env")
        self.stimulus = None
        if run.stimulus is not None:
            self.stimulus = Stimulus.load(run.stimulus, run.descriptor, run.parameters)
        self.env = StreamEnv.create("env", self)
        self.driven = AnalysisImp("driven", self, self._driven)
        self.sent = self.aborted = 0
        self.waited: set[int] = set()  # rows that had to wait for their channels
        self._progress_at = 0.0
        self.seconds = 0.0  # wall time from the first row to the last one compared

    def connect_phase(self):
        self.env.driven.connect(self.driven)

    def end_of_elaboration_phase(self):
        # Components' loggers do not pass on what they get.
        self.add_logging_handler_hier(self.log_errors)

    # ------------------------------------------------------------------------------ the run

    async def run_phase(self):
        self.raise_objection()
        Clock(cocotb.top.clk_i, CLOCK_NS, "ns").start()
        cocotb.start_soon(self.clocking.run())
        self.scenario = self.make_scenario()
        work = cocotb.start_soon(self._work())
        watch = cocotb.start_soon(self._watchdog())
        await First(work.complete, watch.complete, self.env.failed.wait())
        for task in (work, watch):
            if task.done() and not self.env.failed.is_set():
                task.result()  # an exception of theirs is ours; a failure is for check_phase
            task.cancel()
        self.scenario.kill()
        self.drop_objection()

    async def _work(self):
        started = time.perf_counter()
        await self.scenario.start(self.env.vseqr)
        await self.env.drain()
        self.seconds = time.perf_counter() - started

    def make_scenario(self) -> ScenarioSequence:
        """The virtual sequence of this run."""
        sequence = ScenarioSequence.create("scenario")
        sequence.phases, sequence.resets = self.phases(), self.resets()
        sequence.settle = self.settle
        return sequence

    def phases(self) -> Iterable[Phase]:
        """What is driven: the file's rows, or what the scenario makes of the seed."""
        if self.stimulus is not None:
            return self.stimulus.phases
        run = self.run
        make = RowMaker(run.rng("rows"), run.descriptor, run.parameters)
        return SCENARIOS[run.test].phases(Bench(make, run.rows, run.tensors))

    def resets(self) -> Iterable[Reset]:
        """Those beside the rows."""
        return ()

    def _driven(self, item: RowItem) -> None:
        """A row is in, or cut off."""
        if item.waited:
            self.waited.add(self.sent)
        self.sent += 1
        self.aborted += item.aborted
        now = time.perf_counter()
        if now - self._progress_at > 0.25:
            self._progress_at = now
            self.run.progress({"rows": self.sent, "beats": self.env.beats[0]})

    async def _watchdog(self):
        """Ends the run when nothing moves on either side."""
        before = None
        while True:
            await Timer(STUCK_CLOCKS * CLOCK_NS, "ns")
            went, came = self.env.beats
            now = (went, came, self.env.writes)
            state = (
                f"{went} beats went in, {came} came out, {self.env.inside} rows are inside"
                f"\nrerun: {self.run.rerun}"
            )
            require(now != before, f"stuck: no beat moved for {STUCK_CLOCKS} clocks; {state}")
            require(came <= went, f"more beats come out than go in: {state}")
            before = now

    # ------------------------------------------------------------------------------ the verdict

    def extract_phase(self):
        # All that is left when the verdict is a bad one.
        save_result(self.run, {"driven": self.sent})

    def check_phase(self):
        """What the scoreboard, which checks before, cannot know."""
        rerun = f"\nrerun: {self.run.rerun}"
        accounted = self.env.accounted + self.aborted
        require(
            accounted >= self.sent,
            f"{self.sent} rows were driven, {accounted} are accounted for{rerun}",
        )
        logged = self.log_errors.messages
        require(not logged, f"an error was logged: {logged[:1]}{rerun}")

    def report_phase(self):
        counts = {"seconds": self.seconds, "measured": self.measured()}
        self.env.save(self.run, self.scenario.real, self.aborted, counts)

    def measured(self) -> dict:
        """More figures for the result."""
        return {}


class RowTest(BaseTest):
    """The rows and nothing else."""


class ResetTest(BaseTest):
    """Resets of random length at random times, within clocks too, while rows are driven."""

    def resets(self) -> Iterable[Reset]:
        if self.stimulus is not None:
            return self.stimulus.resets
        return random_resets(self.run.rng("resets"))

    def check_phase(self):
        super().check_phase()
        wanted = self.stimulus is None or self.stimulus.resets
        require(self.cfg.reset.reset.count or not wanted, "no reset came: more rows are needed")


class TimingTest(BaseTest):
    """With no stall on either side, every clock is known in advance (tb/check/timing.py)."""

    settle = True

    def check_phase(self):
        super().check_phase()
        clocks = self.env.clocks
        # Rows that had to wait for their channels: the bench's own gap.
        paused = {number: clocks[number][0][0] for number in self.waited}
        latency = self.cfg.unit.latency(self.cfg.parameters)
        wrong = first_irregularity(clocks, latency, paused, self.cfg.unit.cell)
        require(wrong is None, f"{wrong}\nrerun: {self.run.rerun}")

    def measured(self) -> dict:
        return measured(self.env.clocks, self.cfg.unit.cell)


@cocotb.test()
async def run(_):
    """The scenario of this run, under its UVM test."""
    test = {cls.__name__: cls for cls in (RowTest, ResetTest, TimingTest)}
    await uvm_root().run_test(test[SCENARIOS[Run.load().test].test])
