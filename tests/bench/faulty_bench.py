# SPDX-License-Identifier: Apache-2.0
"""Test benches with a fault of their own, for test_bench.py: cocotb runs this, pytest does not.

A fault is a class that the factory makes in the place of the right one, which is how a UVM bench is
changed from outside. The fault to have is named in a file of the run's folder. Each run is a fork.
"""

import cocotb
from pyuvm import uvm_factory, uvm_root

from softnorm.tb.check.scoring import Scorer
from softnorm.tb.run import Run
from softnorm.tb.stimulus import values as stimulus
from softnorm.tb.stimulus.channels import Banks
from softnorm.tb.uvm.agents import ErrorMonitor, RowDriver, SinkMonitor, SourceMonitor
from softnorm.tb.uvm.channel_agent import ChannelMonitor, ChannelSequencer
from softnorm.tb.uvm.env import StreamEnv
from softnorm.tb.uvm.scoreboard import Scoreboard
from softnorm.tb.uvm.tests import RowTest


class ImpatientEnv(StreamEnv):
    """Does not wait for rows that are inside."""

    async def drain(self):
        pass


class MuteSource(SourceMonitor):
    """Sees rows and tells nobody, as when a connection is forgotten."""

    def publish(self, row):
        pass


class MuteSink(SinkMonitor):
    """The same at the output."""

    def publish(self, row):
        pass


class LoggingDriver(RowDriver):
    """Logs an error and goes on."""

    def start_of_simulation_phase(self):
        self.logger.error("something is wrong here")


class ForgetfulDriver(RowDriver):
    """The first row never gets to the pins."""

    lost = False

    async def drive(self, item):
        if self.lost:
            await super().drive(item)
        self.lost = True


class WrongScorer(Scorer):
    """The expected bytes are off by one in one element."""

    @staticmethod
    def _padded(model, expected):
        want = Scorer._padded(model, expected)
        want[2, 0] ^= 1
        return want


class WrongScoreboard(Scoreboard):
    """Compares with a model that is wrong."""

    def make_scorer(self):
        return WrongScorer(self.cfg.unit, self.cfg.parameters, self.cfg.seed)


class MiscountingMonitor(ErrorMonitor):
    """An error pulse more than the rows account for."""

    def start_of_simulation_phase(self):
        self.pulses["err_keep"].clocks.append(1)


class BlindChannelMonitor(ChannelMonitor):
    """Does not see what is written to channel 0."""

    def written(self, bank, address, values):
        if address:
            super().written(bank, address, values)


class CarelessBanks(Banks):
    """Take any bank for free."""

    def in_use(self, bank):
        return False


class CarelessSequencer(ChannelSequencer):
    """Has channels loaded over those of rows that are inside."""

    def build_phase(self):
        super().build_phase()
        self.banks = CarelessBanks(self.cfg.table.count)


class DeafSequencer(ChannelSequencer):
    """Does not hear that a row has come out and needs its bank no longer."""

    def _row_out(self, _):
        pass


class FaultyTest(RowTest):
    """RowTest with the fault of the run."""

    def build_phase(self):
        FAULTS[(Run.load().folder / "fault").read_text()]()
        super().build_phase()


def instead(of, fault, path=None):
    """Have the factory make `fault` in the place of `of`: everywhere, or at one path."""
    if path is None:
        uvm_factory().set_type_override_by_type(of, fault)
    else:
        uvm_factory().set_inst_override_by_type(of, fault, f"uvm_test_top.{path}")


def nothing_reaches_the_scoreboard():
    instead(SourceMonitor, MuteSource)
    instead(SinkMonitor, MuteSink)


def outputs_are_not_seen():
    instead(SinkMonitor, MuteSink, "env.sink.monitor")
    instead(StreamEnv, ImpatientEnv)


def fresh_channels():
    """Every row wants channels that no bank holds: a base for two faults."""
    stimulus._FRESH_SET = 1.0


def banks_are_written_while_in_use():
    fresh_channels()
    instead(ChannelSequencer, CarelessSequencer, "env.channels.seqr")


def banks_are_never_free():
    fresh_channels()
    instead(ChannelSequencer, DeafSequencer, "env.channels.seqr")


FAULTS = {
    "NothingReachesTheScoreboard": nothing_reaches_the_scoreboard,
    "OutputsAreNotSeen": outputs_are_not_seen,
    "AnErrorIsLogged": lambda: instead(RowDriver, LoggingDriver),
    "ARowIsLost": lambda: instead(RowDriver, ForgetfulDriver, "env.source.driver"),
    "ARowOfTheOtherStreamIsLost": lambda: instead(
        RowDriver, ForgetfulDriver, "env.source_2.driver"
    ),
    "TheOtherStreamIsNotSeen": lambda: instead(SourceMonitor, MuteSource, "env.source_2.monitor"),
    "TheModelIsWrong": lambda: instead(Scoreboard, WrongScoreboard),
    "PulsesAreMiscounted": lambda: instead(ErrorMonitor, MiscountingMonitor),
    "ChannelWritesAreMissed": lambda: instead(ChannelMonitor, BlindChannelMonitor),
    "FreshChannels": fresh_channels,
    "BanksAreWrittenWhileInUse": banks_are_written_while_in_use,
    "BanksAreNeverFree": banks_are_never_free,
}


@cocotb.test()
async def run(_):
    """The test with the fault."""
    await uvm_root().run_test(FaultyTest)


import softnorm.tb.uvm.forked  # noqa: E402, F401  each run goes on from here
