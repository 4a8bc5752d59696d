# SPDX-License-Identifier: Apache-2.0
"""Area, timing, energy: known answers on a hand-made library, and faults that must be detected."""

import dataclasses
import itertools
import json
import re
import shutil

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.bulk import icarus as bulk_icarus
from softnorm.flow.bulk import rtl
from softnorm.flow.bulk import verilator as bulk_verilator
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT
from softnorm.flow.ppa import (
    baseline,
    compare,
    gates,
    liberty,
    measure,
    netlist,
    power,
    simulation,
    timing,
)
from softnorm.tb.bulk.beats import Drive, Job
from softnorm.tb.stimulus import values as stimulus
from softnorm.tb.stimulus.values import RowMaker
from softnorm.units import ROW_UNITS, UNITS
from tests.ppa import ppa_figures
from tests.test_commands import refused

UNIT = UNITS["lut2d"]
SMALL = UNIT.resolve({"LANES": 1, "MAX_LEN": 8})
PERIOD = 5.0

TINY = """
/* Three gates and two flip-flops; every arc takes the same time. */
library (tiny) {
  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V"; capacitive_load_unit (1,pf);
  leakage_power_unit : "1nW"; nom_voltage : 2.0;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  lu_table_template (delay) { variable_1 : input_net_transition; index_1 ("0.0, 1.0"); }
  lu_table_template (check) { variable_1 : constrained_pin_transition; index_1 ("0.0, 1.0"); }
  power_lut_template (energy) { variable_1 : total_output_net_capacitance;
    variable_2 : input_transition_time; index_1 ("0.0, 1.0"); index_2 ("0.0, 1.0"); }
  cell (INV) {
    area : 1; cell_leakage_power : 1.0;
    pin (A) { direction : input; capacitance : 0.01; }
    pin (Y) { direction : output; function : "A'"; timing () { related_pin : "A"; ARC }
      internal_power () { related_pin : "A";
        rise_power (energy) { values ("0.1, 0.3", "0.5, 0.7"); }
        fall_power (energy) { values ("0.3, 0.5", "0.7, 0.9"); } } }
  }
  cell (BUF) {
    area : 2;
    pin (A) { direction : input; capacitance : 0.01; }
    pin (Y) { direction : output; function : "A"; timing () { related_pin : "A"; ARC } }
  }
  cell (NAND2) {
    area : 2;
    pin (A) { direction : input; capacitance : 0.02; }
    pin (B) { direction : input; capacitance : 0.02; }
    pin (Y) { direction : output; function : "!(A B)"
      timing () { related_pin : "A"; ARC }
      timing () { related_pin : "B"; ARC } }
  }
  cell (DFF) {
    area : 5;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "CLK"; }
    pin (CLK) { direction : input; clock : true; capacitance : 0.05;
      internal_power () { rise_power (scalar) { values ("0.2"); }
                          fall_power (scalar) { values ("0.1"); } } }
    pin (D) { direction : input; capacitance : 0.03; SETUP }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "CLK"; timing_type : rising_edge; LAUNCH } }
  }
  cell (DFFSR) {
    area : 6;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "CLK"; clear : "R'"; preset : "S'";
      clear_preset_var1 : L; }
    pin (CLK) { direction : input; clock : true; capacitance : 0.05; }
    pin (D) { direction : input; capacitance : 0.03; SETUP }
    pin (R) { direction : input; capacitance : 0.03; RECOVERY }
    pin (S) { direction : input; capacitance : 0.03; }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "CLK"; timing_type : rising_edge; LAUNCH }
      timing () { related_pin : "R"; timing_type : clear; timing_sense : positive_unate; ARC } }
  }
}
"""


def constants(template, **values):
    """Tables that have the same value everywhere."""
    return " ".join(
        f'{kind} ({template}) {{ values ("{value}, {value}"); }}' for kind, value in values.items()
    )


def delays(delay):
    return constants(
        "delay", cell_rise=delay, cell_fall=delay, rise_transition=0.1, fall_transition=0.2
    )


TINY = (
    TINY.replace("ARC", delays(0.1))
    .replace("LAUNCH", delays(0.3))
    .replace(
        "SETUP",
        'timing () { related_pin : "CLK"; timing_type : setup_rising; '
        + constants("check", rise_constraint=0.05, fall_constraint=0.07)
        + " }",
    )
    .replace(
        "RECOVERY",
        'timing () { related_pin : "CLK"; timing_type : recovery_rising; '
        + constants("check", rise_constraint=0.2)
        + " }",
    )
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "tiny.lib"
    path.write_text(TINY)
    return liberty.load(str(path))


# --- liberty --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("A", {"1"}),
        ("A'", {"0"}),
        ("!(A B)", {"00", "01", "10"}),
        ("!A^B", {"00", "11"}),
        ("A B'", {"10"}),
        ("(A')'", {"1"}),
        ("A+B C", {"011", "100", "101", "110", "111"}),
        ("A&B|C", {"001", "011", "101", "110", "111"}),
        ("A B^C", {"101", "110"}),
        ("(A+B)*!C", {"010", "100", "110"}),
        ("(!((C A) + (!C B)))", {"000", "001", "011", "100"}),
    ],
)
def test_functions_bind_as_liberty_says(text, table):
    tree = liberty.function(text)
    names = sorted(liberty.variables(tree))
    found = set()
    for row in range(1 << len(names)):
        bits = f"{row:0{len(names)}b}"
        if liberty.evaluate(tree, dict(zip(names, map(int, bits), strict=True))):
            found.add(bits)
    assert found == table


@pytest.mark.parametrize("text", ["", "A +", "(A", "A)", "!", "A @ B"])
def test_a_function_that_is_none_is_refused(text):
    with pytest.raises(liberty.LibertyError):
        liberty.function(text)


def test_a_library_is_read(library):
    assert library.name == "tiny"
    assert sorted(library.cells) == ["BUF", "DFF", "DFFSR", "INV", "NAND2"]
    assert (library.nand2, library.driver, library.flip_flop) == ("NAND2", "INV", "DFF")
    assert library.area("DFF") == 5
    assert (library.voltage, library.farads, library.leakage_watts) == (2.0, 1e-12, 1e-9)
    assert library.pins("INV")["A"].number("capacitance") == 0.01


@pytest.mark.parametrize("text", ["", "library (a) {", "library (a) { } }", "cell (a) { }", "\\"])
def test_what_is_no_library_is_refused(text):
    with pytest.raises(liberty.LibertyError):
        liberty.parse(text)


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(liberty, "DEFAULT", tmp_path / "none.lib")
    with pytest.raises(UserError, match=r"apt-get install .* qflow-tech-osu018 opensta"):
        liberty.load()
    with pytest.raises(UserError, match="cannot read LIBERTY="):
        liberty.load(str(tmp_path / "none.lib"))
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(UserError, match=r"apt-get install .* opensta"):
        timing.timing(None, PERIOD)


# --- energy ---------------------------------------------------------------------------------------


def by_hand(tmp_path, library, cells, ports):
    module = {
        "cells": {
            name: {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}
            for name, (kind, pins) in cells.items()
        },
        "ports": {name: {"direction": way, "bits": [bit]} for name, (way, bit) in ports.items()},
    }
    (tmp_path / "mapped.json").write_text(json.dumps({"modules": {UNIT.name: module}}))
    return netlist.Netlist(UNIT, SMALL, library, tmp_path)


def test_energy_of_a_netlist_by_hand(tmp_path, library):
    """A flip-flop and an inverter: every term from the tables of TINY."""
    made = by_hand(
        tmp_path,
        library,
        {
            "register": ("DFF", {"CLK": 2, "D": 5, "Q": 3}),
            "inverter": ("INV", {"A": 3, "Y": 4}),
        },
        {"clk_i": ("input", 2), "in": ("input", 5), "out": ("output", 4)},
    )
    counted = simulation.Activity(
        clocks=10, toggles={2: 20, 3: 6, 4: 6, 5: 8}, high=dict.fromkeys(range(6), 0.5), elements=4
    )
    found = power.energy(made, counted, PERIOD)
    pico = 1e-12
    half = 2.0**2 / 2
    # Clock: 20 edges of 0.05 pF, and 0.2 or 0.1 pJ inside.
    assert found.clock == pytest.approx(20 * (0.05 * half + 0.15) * pico)
    # Q drives the inverter's 0.01 pF; DFF gives no energy for its output.
    assert found.registers == pytest.approx(6 * 0.01 * half * pico)
    # The inverter drives the load of an output, 4 x 0.01 pF, and gets Q's slower edge, 0.2 ns:
    # rise 0.1 + 0.4 * 0.04 + 0.2 * 0.2, fall 0.2 more. D's net has 8 toggles of 0.03 pF.
    inside = 0.1 + 0.4 * 0.04 + 0.2 * 0.2 + 0.1
    switching = 6 * 0.04 * half + 8 * 0.03 * half
    assert found.logic == pytest.approx((6 * inside + switching) * pico)
    assert found.leakage == pytest.approx(1e-9 * 10 * PERIOD * 1e-9)  # the inverter's alone
    assert found.per_element == pytest.approx(found.total / 4 / pico)


def test_tables_go_on_in_a_straight_line(library):
    templates = {group.name: group for group in library.group.all("power_lut_template")}
    group = library.pins("INV")["Y"].first("internal_power").first("rise_power")
    table = power.Table(group, templates)
    assert table(0.5, 0.5) == pytest.approx(0.4)
    assert table(2.0, 0.0) == pytest.approx(0.9)
    assert table(0.0, 2.0) == pytest.approx(0.5)


def test_a_state_counts_for_as_long_as_it_lasts():
    when = liberty.function("A & !B")
    assert power._chance(when, {"A": 1, "B": 2}, {1: 0.25, 2: 0.4}) == pytest.approx(0.15)
    assert power._chance(when, {"A": "1", "B": 2}, {2: 0.4}) == pytest.approx(0.6)


# --- timing ---------------------------------------------------------------------------------------

needs_sta = pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")


@needs_sta
def test_timing_of_a_netlist_by_hand(tmp_path, library):
    """Launch 0.3, three cells of 0.1, set-up 0.07 of a falling edge; the reset is slower still."""
    (tmp_path / "timing.v").write_text(f"""
module {UNIT.name} (clk_i, rst_ni, in, out);
  input clk_i, rst_ni, in;
  output out;
  wire a, b, c, d, r1, r2, r3, r4, r5;
  DFF \\first_q\\DFF (.CLK(clk_i), .D(in), .Q(a));
  INV i1 (.A(a), .Y(b));
  INV i2 (.A(b), .Y(c));
  INV i3 (.A(c), .Y(d));
  INV x1 (.A(rst_ni), .Y(r1));
  INV x2 (.A(r1), .Y(r2));
  INV x3 (.A(r2), .Y(r3));
  INV x4 (.A(r3), .Y(r4));
  INV x5 (.A(r4), .Y(r5));
  DFFSR \\second_q[3]\\DFFSR (.CLK(clk_i), .D(d), .R(r5), .S(1'b1), .Q(out));
endmodule
""")
    found = timing.timing(netlist.Netlist(UNIT, SMALL, library, tmp_path), PERIOD)
    assert found.delay == pytest.approx(0.3 + 3 * 0.1 + 0.07, abs=1e-4)
    assert (found.start, found.end) == ("first_q", "second_q[3]")
    assert found.stages == 4


# --- a unit through the flow ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def mapped(library):
    return netlist.netlist(UNIT, SMALL, library, PERIOD)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    x = rng.integers(-40, 40, (12, 8)).astype(np.int8)
    return rtl.rows_of(UNIT, SMALL, x, rng.random((12, 8)) < 0.9, {"frac": 3})


@pytest.fixture(scope="module")
def icarus():
    if tools.icarus() is None:
        pytest.skip("Icarus is not installed")


def test_a_mapped_unit_holds_its_memories(mapped):
    shapes = sorted((memory.words, memory.bits) for memory in mapped.memories.values())
    assert shapes == sorted(UNIT.storage(SMALL).values())
    assert mapped.area == sum(n * mapped.library.area(cell) for cell, n in mapped.cells.items())
    assert mapped.flip_flops > 100


def test_a_cell_without_an_area_is_no_cell_for_nothing(tmp_path):
    none = tmp_path / "none.lib"
    none.write_text(TINY.replace("area : 5;", "area : 0;"))
    with pytest.raises(liberty.LibertyError, match="has no area of DFF"):
        liberty.load(str(none)).area("DFF")


def test_two_runs_give_the_same_netlist(mapped):
    before, text = mapped.json.read_text(), mapped.verilog.read_text()
    shutil.rmtree(mapped.folder)
    again = netlist.netlist(UNIT, SMALL, mapped.library, PERIOD)
    assert (again.json.read_text(), again.verilog.read_text()) == (before, text)


@pytest.mark.slow  # make ppa scores the gates' outputs, and CI runs it
def test_gates_do_what_the_rtl_does(mapped, rows):
    counted = simulation.activity(mapped, rows)
    clock = mapped.module["ports"]["clk_i"]["bits"][0]
    assert abs(counted.toggles[clock] - 2 * counted.clocks) <= 2
    assert counted.elements == rows.mask.sum()
    assert counted.high[clock] == pytest.approx(0.5, abs=0.01)
    assert power.energy(mapped, counted, PERIOD).per_element > 0
    assert power.memory_accesses(mapped, counted) > 0


LATCH = """
  cell (LATCH) {
    area : 3;
    latch (IQ, IQN) { data_in : "D"; enable : "G"; }
    pin (G) { direction : input; clock : true; capacitance : 0.02; }
    pin (D) { direction : input; capacitance : 0.02; }
    pin (Q) { direction : output; function : "IQ"; timing () { related_pin : "D"; ARC }
      timing () { related_pin : "G"; timing_type : rising_edge; ARC } }
  }
  cell (AND2) {
    area : 3;
    pin (A) { direction : input; capacitance : 0.02; }
    pin (B) { direction : input; capacitance : 0.02; }
    pin (Y) { direction : output; function : "A B"
      timing () { related_pin : "A"; ARC }
      timing () { related_pin : "B"; ARC } }
  }
}
"""


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "latched.lib"
    path.write_text(TINY.rstrip().removesuffix("}") + LATCH.replace("ARC", delays(0.1)))
    return netlist.netlist(UNIT, SMALL, liberty.load(str(path)), PERIOD, gated=True)


def test_gated_clocks_hold_what_enables_held(mapped, gated, rows):
    waits = gates.clock_gates(gated)
    assert len(waits) == gated.cells["LATCH"] > 1
    counted = simulation.activity(gated, rows)  # its outputs are the RTL's
    share = [counted.toggles[net] / (2 * counted.clocks) for net in waits]
    assert 0 < min(share) < 0.9
    assert max(share) <= 1
    plain = simulation.activity(mapped, rows)
    spent = [power.energy(n, c, PERIOD).clock for n, c in ((gated, counted), (mapped, plain))]
    assert spent[0] < spent[1]
    assert gates.clock_gates(mapped) == {}
    slowest = timing.timing(gated, PERIOD)
    assert slowest.delay == pytest.approx(timing.timing(mapped, PERIOD).delay, abs=0.6)


def test_a_clock_that_is_let_through_is_seen(gated, rows, tmp_path):
    module = json.loads(gated.json.read_text())
    cells = module["modules"][UNIT.name]["cells"].values()
    for cell in cells:
        if cell["type"] == "LATCH":
            cell["connections"]["D"] = ["1"]
    (tmp_path / gated.json.name).write_text(json.dumps(module))
    wrong = dataclasses.replace(gated, folder=tmp_path)
    with pytest.raises(simulation.GateError, match="are not its RTL"):
        simulation.activity(wrong, rows)
    for cell in cells:
        if cell["type"] == "LATCH":
            cell["connections"]["G"] = cell["connections"]["D"]
    (tmp_path / gated.json.name).write_text(json.dumps(module))
    with pytest.raises(simulation.GateError, match="is no latch of a clock gate"):
        simulation.activity(dataclasses.replace(gated, folder=tmp_path), rows)


def test_a_wrong_cell_is_seen(mapped, rows, tmp_path):
    wrong = tmp_path / "wrong.lib"
    wrong.write_text(TINY.replace("!(A B)", "!(A B')"))
    other = netlist.Netlist(UNIT, SMALL, liberty.load(str(wrong)), mapped.folder)
    with pytest.raises(simulation.GateError, match="are not its RTL"):
        simulation.activity(other, rows)


# TINY's cells for Icarus, written from what its data sheet would say.
MODELS = """
module INV (input A, output Y); assign Y = ~A; endmodule
module BUF (input A, output Y); assign Y = A; endmodule
module NAND2 (input A, B, output Y); nand (Y, A, B); endmodule
module DFF (input CLK, D, output reg Q); always @(posedge CLK) Q <= D; endmodule
module DFFSR (input CLK, D, R, S, output reg Q);
  always @(posedge CLK or negedge R or negedge S)
    if (!R) Q <= 0; else if (!S) Q <= 1; else Q <= D;
endmodule
"""


def structure(mapped, models, waves):
    """The netlist as instances of the library's models and of the RTL's memory, for Icarus."""
    module = mapped.module
    numbers = mapped.unit.rtl_parameters(mapped.parameters)
    parameters = ", ".join(f"parameter {name} = 0" for name in numbers)

    def bus(bits):
        return "{" + ", ".join(net(bit) for bit in reversed(bits)) + "}"

    def net(bit):
        return f"n{bit}" if isinstance(bit, int) else f"1'b{bit}"

    ports, body = [], [f"wire n{bit};" for bit in gates.nets(mapped)]
    for name, port in module["ports"].items():
        ports.append(f"{port['direction']} wire [{len(port['bits']) - 1}:0] {name}")
        sides = (bus(port["bits"]), name)
        body.append("assign {} = {};".format(*sides[:: 1 if port["direction"] == "input" else -1]))
    for number, cell in enumerate(module["cells"].values()):
        pins = cell["connections"]
        if cell["type"] != netlist.MEMORY:
            given = ", ".join(f".{pin}({bus(bits)})" for pin, bits in pins.items())
            body.append(f"{cell['type']} c{number} ({given});")
            continue
        words, width = (int(cell["parameters"][name], 2) for name in ("SIZE", "WIDTH"))
        # Some models' outputs change with the clock: the memory is to see what was before.
        late = {name: f"m{number}_{name}" for name in ("WR_EN", "WR_ADDR", "WR_DATA", "RD_ADDR")}
        body += [
            f"wire [{len(pins[name]) - 1}:0] #0.01 {wire} = {bus(pins[name])};"
            for name, wire in late.items()
        ]
        body.append(f"wire #0.01 m{number}_RD_EN = {bus(pins['RD_EN'])};")
        body.append(
            f"sn_ram_1r1w #(.DEPTH({words}), .WIDTH({width}), .PARTS({width})) c{number} "
            f"({bus(pins['RD_CLK'])}, {', '.join(late[name] for name in list(late)[:3])}, "
            f"m{number}_RD_EN, {late['RD_ADDR']}, {bus(pins['RD_DATA'])});"
        )
    # Gates make more X of an X than the RTL does: memories start with zeros, as registers can.
    memory = (ROOT / "rtl/common/sn_ram_1r1w.sv").read_text()
    zeros = "initial begin rd_data_o = 0; for (int w = 0; w < DEPTH; w++) mem[w] = 0; end"
    memory = memory.replace("endmodule", f"{zeros}\nendmodule")
    lines = ["`timescale 1ns/1ps", memory, models]
    lines += ["`timescale 1ns/1ps", f"module {mapped.unit.name} #({parameters})"]
    lines += [f"({', '.join(ports)});", "reg start = 1; initial #0.5 start = 0;", *body]
    lines += [f'initial begin $dumpfile("{waves}"); $dumpvars(1, {mapped.unit.name}); end']
    return "\n".join([*lines, "endmodule", ""])


def changes(waves):
    """Of a VCD: net -> [(time, value), ..]."""
    names, found, now = {}, {}, 0
    for line in waves.read_text().splitlines():
        if line.startswith("$var wire 1 "):
            _, _, _, code, name, *_ = line.split()
            if name[1:].isdigit():
                names.setdefault(code, []).append(int(name[1:]))
        elif line.startswith("#"):
            now = int(line[1:])
        elif line[:1] in tuple("01xz"):
            for net in names.get(line[1:], ()):
                values = found.setdefault(net, [])
                if not values or values[-1][1] != line[0]:  # a glitch may leave what was before
                    values.append((now, line[0]))
    return found


def quiet(mapped, rows):
    """A job of the rows, from reset; what its idle pins carry never changes.

    (The two harnesses go through the noise at different speeds.)
    """
    job = Job.of(mapped.unit, mapped.parameters, rows, Drive(((0, "none", "none"),)), 1)
    noise = {name: array[:1].copy() for name, array in vars(job.noise).items()}
    return dataclasses.replace(job, noise=dataclasses.replace(job.noise, **noise))


def counted_by_icarus(mapped, models, job, halves, tmp_path):
    """(toggles, half clocks at 1) of the last half clocks."""
    waves = tmp_path / "gates.vcd"
    (tmp_path / "gates.sv").write_text(structure(mapped, models, waves))
    unit = dataclasses.replace(mapped.unit, rtl=("gates.sv",))
    build = bulk_build(unit, mapped.parameters, "icarus", rtl=tmp_path)
    assert bulk_icarus.Icarus(build, 1).drive(job, True).error == ""
    found = changes(waves)
    clock = [time for time, _ in found[mapped.module["ports"]["clk_i"]["bits"][0]]]
    *_, last, end = clock  # the harness lets it fall once more
    half = end - last
    begin = last - halves * half
    toggles, high = {}, {}
    for net, all_changes in found.items():
        before = [value for time, value in all_changes if time <= begin][-1]
        inside = [(time, value) for time, value in all_changes if begin < time <= last]
        edges = [(begin + half, before), *inside, (end, "0")]
        assert {value for _, value in edges} <= set("01"), f"n{net} is {before}"
        toggles[net] = len(inside)
        lasting = ((b - a, value) for (a, value), (b, _) in itertools.pairwise(edges))
        high[net] = sum(time for time, value in lasting if value == "1") // half
    return toggles, high


def counted_late(mapped, job, clocks):
    """(half clocks, toggles, half clocks at 1) of all clocks but so many."""
    made = gates.tables(mapped)
    numbers, arrays = bulk_verilator._members(job)
    batch = bulk_verilator._Batch(**numbers, **{k: a.ctypes.data for k, a in arrays.items()})
    with rtl.Instance(gates.gate_build(mapped, made)) as instance:
        simulator = instance.simulator
        library, handle = simulator._library, simulator._handle
        assert library.sn_reset(handle, bulk_verilator._RESET) == bulk_verilator._DONE
        library.sn_begin(handle)
        assert library.sn_run(handle, batch, clocks) == bulk_verilator._MORE
        simulator.count_toggles()
        assert library.sn_run(handle, batch, 1 << 20) == bulk_verilator._DONE
        halves, *counted = simulator.toggles(made.count)
    return halves, *(dict(zip(made.nets, one[2:].tolist(), strict=False)) for one in counted)


def against_icarus(mapped, models, rows, clocks, tmp_path):
    """All toggles and times at 1 behind so many clocks are those of the library's own models."""
    job, other = quiet(mapped, rows), quiet(mapped, rows)
    halves, *got = counted_late(mapped, job, clocks)
    want = counted_by_icarus(mapped, models, other, halves, tmp_path)
    for name, array in vars(job.room).items():
        assert np.array_equal(array, getattr(other.room, name)), name
    # Where nothing is written, Icarus' harness has a noise of its own on them.
    ports = mapped.module["ports"].items()
    idle = {bit for name, p in ports if re.match("chan_(?!we)", name) for bit in p["bits"]}
    for ours, theirs in zip(got, want, strict=True):
        wrong = {
            net: (ours[net], theirs[net]) for net in ours.keys() - idle if ours[net] != theirs[net]
        }
        assert not wrong, f"{len(wrong)} of {len(ours)} nets differ: {list(wrong.items())[:5]}"
        assert ours.keys() == theirs.keys()
    assert sum(got[0].values()) > 5 * len(got[0])


def test_toggles_are_those_of_icarus(mapped, rows, icarus, tmp_path):
    against_icarus(mapped, MODELS, rows, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not liberty.DEFAULT.exists(), reason="osu018 is not installed")
def test_toggles_are_those_of_the_models_of_a_library(icarus, tmp_path):
    """Memories whose words are written in parts, cells of many inputs."""
    unit = UNITS["ailayernorm"]
    parameters = unit.resolve({"LANES": 2, "MAX_LEN": 64})
    made = netlist.netlist(unit, parameters, liberty.load(), PERIOD)
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = stimulus.batch(unit, parameters, [make.row() for _ in range(24)])
    models = liberty.DEFAULT.with_suffix(".v").read_text()
    # Registers without a reset are cleared as the simulation starts.
    models = models.replace("1'B0, 1'B0, NOTIFIER", f"{unit.name}.start, 1'B0, NOTIFIER")
    against_icarus(made, models, rows, 400, tmp_path)


@pytest.mark.parametrize("name", ["out", "exponent", "err_len", "clocks"])
def test_each_difference_is_one(rows, name):
    want = rtl.run(UNIT, SMALL, rows)
    assert simulation.difference(want, want) == ""
    value = getattr(want, name)
    other = value + 1 if isinstance(value, int) else value ^ 1
    assert name in simulation.difference(dataclasses.replace(want, **{name: other}), want)


# --- figures, baselines ---------------------------------------------------------------------------


def figures(unit="one", logic=1000.0, delay=2.0, **more):
    made_up = ppa_figures.figures(logic=logic, delay=delay, **more)
    return dataclasses.replace(made_up, unit=unit, parameters={"LANES": 2, "MAX_LEN": 64})


def test_figures_follow_from_each_other():
    energy = {"clock": 1, "registers": 2, "logic": 3, "leakage": 0, "sram": 10, "flip_flops": 20}
    one = figures(buffers=400.0, energy=energy)
    assert (one.with_sram, one.with_flip_flops) == (1040, 1400)
    assert (one.logic_energy, one.energy_with_sram, one.energy_with_flip_flops) == (6, 16, 26)
    assert one.fmax == 500
    assert one.rate == 2 * 500e6 / 1000


def test_other_names_are_another_run_of_the_same_gates(monkeypatch, library, rows):
    # 12 rows, not 512. Where energy is taken, the gates of each run are scored against the RTL.
    monkeypatch.setattr(measure, "rows_of", lambda *_: rows)
    monkeypatch.setattr(measure, "ROWS", len(rows))
    sram = measure.Sram.of(library)
    one = measure.figures(UNIT, SMALL, library, PERIOD, sram, whole=False, runs=3)
    first = measure.figures(UNIT, SMALL, library, PERIOD, sram, whole=False)
    assert [one.runs[name][0] for name in ("logic", "delay")] == [first.logic, first.delay]
    assert len(set(one.runs["logic"])) > 1  # or the names moved nothing
    for name, found in one.runs.items():
        assert getattr(one, name) == sorted(found)[1]
    memories = first.with_sram - first.logic
    least, most = min(one.runs["logic"]), max(one.runs["logic"])
    assert one.spread("with_sram") == pytest.approx((least + memories, most + memories))
    assert (first.runs, first.spread("delay")) == ({}, None)


def test_ratios_are_the_baselines_over_the_units():
    compared = [
        compare.Pair("one", "other", {"area": 2.5, "source": "a paper"}),
        compare.Pair("one", "not there", {}),
    ]
    [line] = compare.ratios([figures(), figures("other", 3000.0, 3.0)], compared)
    cells = dict(zip(compare.RATIO_TITLES, line, strict=True))
    assert line[:4] == ["one", "other", "2", "64"]
    assert (cells["area, logic"], cells["delay"], cells["clocks a row"]) == (
        *("3.00x", "1.50x", "1.00x"),
    )
    assert cells["energy, logic"] == "-"  # not measured
    assert cells["elements/s/um2"] == "4.50x"  # a third of the area, 1.5 times as fast
    assert line[-3:] == ["2.50x", "-", "a paper"]


def test_pairs_name_units_and_a_source():
    for pair in compare.pairs():
        assert {pair.unit, pair.baseline} <= {*UNITS}
        assert not pair.paper or pair.paper["source"]


@pytest.mark.parametrize(
    ("logic", "delay", "says"),
    [
        (1029.0, 2.05, None),
        (500.0, 1.0, None),
        (1040.0, 2.0, "area 1040 is 4.0 % more"),
        (1000.0, 2.08, "delay 2.08 is 4.0 % more"),
    ],
)
def test_what_got_worse_is_said(tmp_path, logic, delay, says):
    file = tmp_path / "reference.json"
    file.write_text(baseline.written([figures()]))
    lines = baseline.worse([figures(logic=logic, delay=delay)], file)
    assert (says in lines[0]) if says else lines == []


def test_a_baseline_that_does_not_fit_is_refused(tmp_path):
    file = tmp_path / "reference.json"
    with pytest.raises(UserError, match="UPDATE=1"):
        baseline.worse([figures()], file)
    file.write_text(baseline.written([figures()]).replace("tiny", "other"))
    with pytest.raises(UserError, match="library other, not tiny"):
        baseline.worse([figures()], file)
    file.write_text(baseline.written([figures()]))
    assert "UPDATE=1" in baseline.worse([figures("new")], file)[0]


@pytest.mark.parametrize(("growth", "code"), [(1.0, 0), (1.04, 1)])
def test_a_check_exits_with_1_where_something_got_worse(tmp_path, capsys, growth, code):
    file = tmp_path / "reference.json"
    file.write_text(baseline.written([figures()]))
    assert baseline.check([figures(logic=1000 * growth)], file) == code
    assert ("4.0 % more than 1000" in capsys.readouterr().out) == bool(code)


def test_reference_figures_are_of_every_unit():
    reference = json.loads(baseline.FILE.read_text())
    assert sorted(reference["units"]) == sorted(ROW_UNITS)


def test_wrong_words_are_refused():
    for words in (
        ["SET=other"],
        ["PERIOD=x"],
        ["CHECK=1"],
        ["SET=smallest", "CHECK=1", "LANES=4"],
        ["RUNS=2"],
        # The reference figures are of one run without gated clocks.
        ["SET=smallest", "UPDATE=1", "GATED=1"],
        ["SET=smallest", "UPDATE=1", "RUNS=3"],
    ):
        code, _, err = refused("ppa", *words)
        assert code == 2, words
        assert err.startswith("error: "), err
