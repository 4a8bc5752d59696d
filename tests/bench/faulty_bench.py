"""Test benches with a fault of their own, for test_bench.py: cocotb runs this, pytest does not.

The fault to have is named in SOFTNORM_FAULT.
"""

import os

import cocotb
from pyuvm import uvm_root

from softnorm.tb.stimulus import values as stimulus
from softnorm.tb.uvm.tests import RowTest


class NothingReachesTheScoreboard(RowTest):
    """As when a connection is forgotten."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        for agent in (self.env.source, self.env.sink):
            agent.monitor.pins._callbacks.clear()


class OutputsAreNotSeen(RowTest):
    """Rows go in and are never seen to come out."""

    async def drain(self):
        pass

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.env.sink.monitor.pins._callbacks.clear()


class AnErrorIsLogged(RowTest):
    """A component logs an error and goes on."""

    def report(self):
        self.env.source.driver.logger.error("something is wrong here")

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.report()


class ARowIsLost(RowTest):
    """A row that the sequence sent never gets to the pins, and nobody else notices."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.sent += 1


class TheModelIsWrong(RowTest):
    """The expected bytes are off by one in one element."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        scorer = self.env.scoreboard.scorer
        padded = scorer._padded

        def wrong(model, expected):
            want = padded(model, expected)
            want[2, 0] ^= 1
            return want

        scorer._padded = wrong


class PulsesAreMiscounted(RowTest):
    """An error pulse more than the rows account for."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.env.errors.pulses["err_keep"].count = 1


class ChannelWritesAreMissed(RowTest):
    """The monitor of the channel table does not see what is written to channel 0."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        monitor = self.env.channels.monitor
        subscribers = self.bench.clocking._subscribers

        def clock():
            if monitor._enable.value != "1" or int(monitor._address.value) != 0:
                monitor._clock()

        subscribers[subscribers.index(monitor._clock)] = clock


class FreshChannels(RowTest):
    """Every row wants channels that no bank holds: a base for the faults below."""

    def build_phase(self):
        super().build_phase()
        stimulus._FRESH_SET = 1.0


class BanksAreWrittenWhileInUse(FreshChannels):
    """Channels are loaded over those of rows that are inside."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.env.channels.driver.banks.in_use = lambda bank: False


class BanksAreNeverFree(FreshChannels):
    """Nobody hears that a row has come out and needs its bank no longer."""

    def start_of_simulation_phase(self):
        super().start_of_simulation_phase()
        self.env.channels.driver.banks.row_out = lambda: None


FAULTS = {
    cls.__name__: cls
    for cls in (
        NothingReachesTheScoreboard,
        OutputsAreNotSeen,
        AnErrorIsLogged,
        ARowIsLost,
        TheModelIsWrong,
        PulsesAreMiscounted,
        ChannelWritesAreMissed,
        FreshChannels,
        BanksAreWrittenWhileInUse,
        BanksAreNeverFree,
    )
}


@cocotb.test()
async def run(_):
    """The test with the fault."""
    await uvm_root().run_test(FAULTS[os.environ["SOFTNORM_FAULT"]])
