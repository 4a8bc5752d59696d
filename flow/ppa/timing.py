# SPDX-License-Identifier: Apache-2.0
"""Static timing of a netlist with OpenSTA: its speed and its slowest path.

One clock, ideal: no skew; wires only where their loads are given. Inputs come from flip-flops,
outputs go to flip-flops, as in a chain of units. Paths from the asynchronous reset are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import tools
from ..errors import UserError
from .liberty import Library
from .netlist import Netlist

REPORT = "timing.rpt"


class TimingError(UserError):
    """OpenSTA did not give a path."""

    exit_code = 1


@dataclass(frozen=True)
class Timing:
    """The slowest path.

    delay   including set-up time, in nanoseconds
    sram    the same where memories give what they read as late as an SRAM does
    start   register (or input) where it begins; `end` where it ends
    stages  cells on it, the register where it begins among them
    report  file with the whole path and those behind it
    """

    delay: float
    sram: float
    start: str
    end: str
    stages: int
    report: Path

    @property
    def fmax(self) -> float:
        """In megahertz."""
        return 1000 / self.delay


_SCRIPT = """
read_liberty {liberty}
read_verilog {verilog}
link_design {top}
create_clock -name clk -period {period} [get_ports clk_i]
set inputs {{}}
foreach port [all_inputs] {{
  if {{[lsearch {{clk_i rst_ni}} [get_property $port full_name]] < 0}} {{ lappend inputs $port }}
}}
set_driving_cell -lib_cell {driver} $inputs
set_input_delay -clock clk {launch} $inputs
set_output_delay -clock clk {setup} [all_outputs]
set_load {load} [all_outputs]
{wires}
set_false_path -from [get_ports rst_ni]
foreach path [find_timing_paths -path_delay max] {{
  puts "PATH [get_property $path slack] [get_property [get_property $path startpoint] full_name]\\
 [get_property [get_property $path endpoint] full_name]"
}}
report_checks -path_delay max -format full -fields {{slew cap input nets fanout}} -digits 4\\
 -group_count {count} > {report}
foreach pin [get_pins -quiet *.rd_data/{clock}] {{ set_clock_latency {access} $pin }}
foreach path [find_timing_paths -path_delay max] {{ puts "SRAM [get_property $path slack]" }}
"""
# Nanoseconds from the clock's edge to what a memory's read port gives: `dout1` in the .lib of the
# macro that memories.hjson names, in the middle of its table, typical, 1.8 V, in 130 nm.
ACCESS = 3.07
_COUNT = 50  # paths in the report, one an end


def timing(netlist: Netlist, period: float, wires: Mapping[str, float] | None = None) -> Timing:
    """The slowest path at a clock of `period` nanoseconds, with `wires` of so many farads on nets
    of its Verilog. Raises UserError without OpenSTA, TimingError."""
    tools.require_opensta()
    library = netlist.library
    launch, setup = _flip_flop(library)
    report = netlist.folder / REPORT
    script = netlist.folder / "timing.tcl"
    script.write_text(
        _SCRIPT.format(
            liberty=library.path,
            verilog=netlist.timing_verilog,
            top=netlist.unit.name,
            driver=library.driver,
            load=library.load * 1e-12 / library.farads,
            period=period * 1e-9 / library.seconds,
            launch=launch,
            setup=setup,
            count=_COUNT,
            report=report,
            clock=library.clock,
            access=max(ACCESS * 1e-9 / library.seconds - launch, 0.0),
            wires="\n".join(
                f"set_load -wire_load {load / library.farads:.6g} [get_nets {net}]"
                for net, load in (wires or {}).items()
            ),
        )
    )
    command = ["sta", "-no_init", "-no_splash", "-exit", str(script)]
    ended = tools.run(command, netlist.folder)
    said = [*ended.stdout, *ended.stderr]
    # A path of each group: gated clocks have one of their own.
    found = re.findall(r"^PATH (\S+) (\S+) (\S+)$", "\n".join(said), re.M)
    sram = re.findall(r"^SRAM (\S+)$", "\n".join(said), re.M)
    if not ended.ok or not found or not sram or any(line.startswith("Error") for line in said):
        raise TimingError(
            "\n    ".join(
                [f"OpenSTA fails on {netlist.unit.name}:", *(said or ["it found no path"])[-10:]]
            )
        )
    slack, start, end = min(found, key=lambda path: float(path[0]))
    first = min(report.read_text().split("Startpoint:")[1:], key=_slack)
    stages = len(re.findall(r"^ +\S+ +\S+ +\S+ [v^] \S+ \(\w+\)$", first, re.M)) // 2
    delay, late = (
        period - float(s) * library.seconds / 1e-9 for s in (slack, min(sram, key=float))
    )
    return Timing(delay, late, _register(start), _register(end), stages, report)


def _slack(path: str) -> float:
    return float(re.search(r"(\S+) +slack", path)[1])


def _register(name: str) -> str:
    """A register's name as the RTL has it: `u_sum.q[3]\\DFFX1/D` is u_sum.q[3]."""
    return re.sub(r"(\\+\w+)?/\w+$", "", name)


def _flip_flop(library: Library) -> tuple[float, float]:
    """(clock to output, set-up) of the least flip-flop, at the middle of its tables, in the
    library's unit of time."""
    name = library.flip_flop
    output = next(p for p in library.pins(name).values() if p.text("direction") == "output")
    launch = max(
        _middle(table)
        for arc in output.all("timing")
        for kind in ("cell_rise", "cell_fall")
        for table in arc.all(kind)
    )
    setup = max(
        _middle(table)
        for pin in library.pins(name).values()
        for arc in pin.all("timing")
        if arc.text("timing_type").startswith("setup")
        for kind in ("rise_constraint", "fall_constraint")
        for table in arc.all(kind)
    )
    return launch, setup


def _middle(table) -> float:
    rows = [[float(x) for x in row.split(",")] for row in table.values["values"]]
    row = rows[len(rows) // 2]
    return row[len(row) // 2]
