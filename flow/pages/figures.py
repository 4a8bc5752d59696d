# SPDX-License-Identifier: Apache-2.0
"""What `make figures` measures: a unit's rows compared, its rate and its latency, by simulation."""

from __future__ import annotations

from softnorm.units.unit import Unit

from ..build.pins import build
from ..errors import UserError
from ..sim.simulate import Result, simulate
from . import kept


def command(unit: Unit) -> str:
    """The command that measures a unit: the key of its figures."""
    return kept.command("figures", {"UNIT": unit.name})


def measure(unit: Unit) -> kept.Kept:
    """Simulate the default build, as `make sim` does, and its timing. Raises UserError."""
    made = build(unit, unit.defaults, "verilator")
    compared, timed = (_passed(simulate(made, test, 1)).values for test in ("default", "timing"))
    return kept.new(
        kept.of_simulation(unit),
        facts={
            **{name: compared[name] for name in ("rows", "elements", "mismatches")},
            "beats a clock": round(timed["measured"]["input beats per clock"], 3),
            "latency": timed["measured"]["latency"],
        },
    )


def _passed(result: Result) -> Result:
    if not result.passed:
        raise UserError(f"no figures of a run that failed: {result.run.rerun}\n{result.report}")
    return result
