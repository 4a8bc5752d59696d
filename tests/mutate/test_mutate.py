# SPDX-License-Identifier: Apache-2.0
"""Mutation analysis: the draw, the guard, what counts as a kill, proofs, interruption."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from softnorm.flow import tools
from softnorm.flow.build import bulk
from softnorm.flow.mutate import induct, netlist, play, prove, report, results, run
from softnorm.flow.mutate.netlist import Mutant, MutateError
from softnorm.flow.mutate.results import HOLE, KILLED, PROVED, Result, Verdict, Waiver
from softnorm.units import UNITS, get

UNIT, SMALLEST = get("e2softmax"), {"LANES": 2, "MAX_LEN": 3}
SEED = 3
FEW = [play.Scenario(test, 1, 50) for test in ("smoke", "errors", "timing")]


def quiet(_):
    pass


@pytest.fixture(scope="module")
def drawn():
    return netlist.mutants(UNIT, SMALLEST, 20, SEED)


@pytest.fixture(scope="module")
def built(drawn):
    """Compiled as all builds of the tests are: their runtime is there already."""
    make = bulk._verilate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_verilate", lambda *of, effort: make(*of))
        return netlist.library(drawn)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """All mutants of twin.sv, by what is done to what, and its circuit."""
    unit = dataclasses.replace(UNIT, name="twin", rtl=("twin.sv",))
    parameters = {"LANES": 1, "MAX_LEN": 1}
    toy = dataclasses.replace(unit, model=_Two)
    made = netlist.mutants(toy, parameters, 500, 1, rtl=Path(__file__).parent)
    return made, prove.Circuit.of(made)


@dataclasses.dataclass(frozen=True)
class _Two:
    LANES: int = 1
    MAX_LEN: int = 1


# --- the draw -------------------------------------------------------------------------------------


def test_a_seed_draws_the_same_mutants_and_another_one_others(drawn, tmp_path):
    lists = {}
    for name, seed in (("again", SEED), ("other", 1)):
        folder = tmp_path / name
        folder.mkdir()
        netlist.draw(UNIT, UNIT.resolve(SMALLEST), 20, seed, netlist.RTL, folder)
        lists[name] = json.loads((folder / "mutants.json").read_text())
    first = json.loads((drawn.folder / "mutants.json").read_text())
    assert lists["again"] == first
    assert lists["other"] != first
    assert [one.number for one in drawn.mutants] == list(range(1, 21))


def test_no_clock_is_mutated_and_every_mode_is_drawn(twin):
    made, _ = twin
    assert {one.mode for one in made.mutants} == set(netlist.MODES[:3])  # no pin has two bits
    assert all("CLK" not in one.port for one in made.mutants)
    assert all(one.lines for one in made.mutants if "proc" not in one.cell)


def test_what_a_memory_read_without_a_clock_has_not_is_not_mutated():
    """Yosys stops at a memory whose read port, without a clock, has an enable that is not 1."""
    line = "mutate -mode const0 -module m -cell ring.mem -port {} -portbit 0 -src rtl/a.sv:26.21"
    ports = ("RD_EN", "RD_SRST", "RD_ARST", "RD_CLK", "RD_ADDR", "WR_EN")
    found = netlist._read([line.format(port) for port in ports], 9)
    assert [(one.number, one.port) for one in found] == [(1, "RD_ADDR"), (2, "WR_EN")]


@pytest.mark.parametrize("end", ["sn_chosen);", "sn_chosen\n);"])
def test_a_list_of_ports_may_end_in_a_line_of_its_own(end):
    """As Yosys writes that of a unit with many ports."""
    declared = "  input [1:0] sn_chosen;\n  wire [1:0] sn_chosen;\n"
    verilog = netlist.chosen_by_register(f"module m(a, {end}\n{declared}", 2)
    assert verilog.startswith("module m(a, sn_select, sn_load);\n  input [1:0] sn_select;")
    with pytest.raises(MutateError, match="no input sn_chosen of 3 bits"):
        netlist.chosen_by_register(f"module m(a, {end}\n{declared}", 3)


# --- kills ----------------------------------------------------------------------------------------


def test_mutants_are_killed_by_named_checks_and_a_resumed_analysis_repeats_none(
    drawn, built, monkeypatch
):
    """To fail at a proof takes longer than all else: with little effort."""
    monkeypatch.setattr(induct, "Effort", functools.partial(induct.Effort, rounds=9))
    found, verdicts, folder = run.analyse(UNIT, SMALLEST, 20, SEED, jobs=2, wanted=FEW, say=quiet)
    assert found.mutants == 20
    assert found.killed + found.proved + len(found.holes) == 20
    assert found.killed > 10
    assert all(one.by and one.scenario for one in verdicts if one.outcome == KILLED)
    lines = []
    again, same, _ = run.analyse(UNIT, SMALLEST, 20, SEED, jobs=2, wanted=FEW, say=lines.append)
    assert same == verdicts
    assert len(lines) == 1  # nothing was played or proved
    assert "killed" in report.text(again)
    assert report.write(found, verdicts, folder).endswith("report.txt")


def test_a_netlist_that_is_not_the_rtl_is_refused(drawn, built, monkeypatch):
    ready = play.prepare(built, FEW)
    wrong = next(
        one.number
        for one in drawn.mutants
        if any(scenario.see(one.number).check for scenario in ready)
    )
    right = play.Verilator
    monkeypatch.setattr(
        play, "Verilator", lambda build, bits: right(dataclasses.replace(build, chosen=wrong), bits)
    )
    with pytest.raises(MutateError, match="the netlist without a fault fails in "):
        play.prepare(built, FEW)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("clock 9: stuck: no beat moved for 1064 clocks; 3 beats went in, 1 came out", "progress"),
        ("x: row 3 does not match the model\n  beat 0, lane 1, tkeep: expected 1, got 0", "tkeep"),
        ("x: row 3 does not match the model\n  beat 0, tuser {..}: expected 1, got 0", "tuser"),
        ("err_len_o was high for 1 clocks, expected 0: at clock 3", "pulses of err_len_o"),
        (
            "clock 3: [9] %Error: a.sv:41: Assertion failed in top.u.a_valid_stays: tvalid fell",
            "assertion a_valid_stays",
        ),
        ("clock 3: m_axis_tvalid is 1 in reset; 1 beats", "quiet in reset"),
        # No check: the simulator, or the scenario.
        ("clock 3: the simulation stopped; 1 beats went in, 0 came out", ""),
        ("clock 3: %Error: a.v:1: Settle region did not converge after 100 tries", ""),
        ("nothing was compared", ""),
        ("no reset came: more rows are needed", ""),
        ("clock 9: not all has been driven; 3 beats went in, 1 came out", ""),
    ],
)
def test_a_kill_is_a_check_of_the_project(text, check):
    assert play.check_of(text) == check


def test_a_crash_and_a_lost_worker_are_no_kill(tmp_path):
    mutants = [Mutant(n, "inv", "m", "c", "Y", 0, None, "", ("rtl/a.sv:1",)) for n in (1, 2, 3)]

    def crash(mutant):
        if mutant.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"check": "tdata", "scenario": "smoke", "broken": ""}

    lines = run.Lines(tmp_path / "lines.jsonl")
    run.each(mutants, crash, 2, lines, len, quiet, 3)
    assert [bool(lines.found[n]["check"]) for n in (1, 2, 3)] == [True, False, True]
    assert "-9" in lines.found[2]["broken"]


def test_an_interruption_keeps_what_is_finished(tmp_path):
    mutants = [Mutant(n, "inv", "m", "c", "Y", 0, None, "", ()) for n in range(1, 9)]
    path = tmp_path / "lines.jsonl"

    class Interrupted(run.Lines):
        def add(self, one):
            super().add(one)
            if len(self.found) == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.each(mutants, lambda _: {"check": "a"}, 2, Interrupted(path), len, quiet, 8)
    with path.open("a") as file:
        file.write('{"number": 4, "che')  # cut off
    kept = run.Lines(path)
    assert len(kept.found) == 3
    assert not kept.whole(mutants)


# --- proofs ---------------------------------------------------------------------------------------


def test_proofs_are_of_what_cannot_be_seen_and_of_nothing_else(twin):
    made, circuit = twin
    text = (Path(__file__).parent / "twin.sv").read_text().splitlines()

    def proved(part):
        number = next(n for n, line in enumerate(text, 1) if part in line)
        some = [one for one in made.mutants if one.lines[0].endswith(f"twin.sv:{number}")]
        found = {f"{one.port} {one.mode}": circuit.prove(one)["by"] for one in some}
        return {what: by for what, by in found.items() if by}

    # Absorbed: what m_axis_tready does to the inner AND gate.
    assert "same in every state" in proved("s_axis_tready = one_q").values()
    # Needs the reset, and that both flip-flops are the same.
    assert proved("m_axis_tvalid = one_q") == {"A const1": "invariant", "B const1": "invariant"}
    # Where tvalid is 0 the payload is not looked at.
    assert proved("assign idle")
    assert not proved("err_len_o     = data_q")


@pytest.mark.parametrize(
    ("wide", "found"),
    [
        (0, True),  # one bit takes what the other does not
        (2, False),  # random runs show both
        (24, False),  # they hardly ever do: what they suggest is wrong, and the solver says so
    ],
)
def test_an_invariant_is_what_follows_from_itself(wide, found):
    aig = prove._Aig()
    started, valid, apart, one = (aig.new() for _ in range(4))
    takes = one ^ 1
    if wide:
        takes = functools.reduce(aig.both, (aig.new() for _ in range(wide)))
    bad = aig.both(aig.both(valid, apart), started)
    flip_flops = [(started, 1), (valid, one), (apart, takes)]
    circuit = induct.Simulation(aig.size, aig.gates, flip_flops)
    bits = [(valid, one), (apart, takes)]
    with induct.Induction(circuit, started, one >> 1, bits, {}, induct.Effort()) as work:
        assert work.never(bad) == found


def test_an_invariant_proves_nothing_that_can_be_seen(twin):
    made, circuit = twin
    every = [literal for literal, _ in circuit.states]
    seen = [one for one in made.mutants[::3] if circuit.prove(one)["tried"].startswith("differs")]
    assert seen
    for one in seen[:: len(seen) // 4]:
        assert not prove._Pair(circuit, one, every).invariant(induct.Effort())[0], one.name


def test_a_proof_is_of_the_selection_that_is_simulated(tmp_path):
    """Of two inputs that are selected at once the netlist has the first."""
    (tmp_path / "top.v").write_text("""
        module top(input [1:0] s, input [2:0] d, output differs);
          wire selected;
          \\$pmux #(.WIDTH(1), .S_WIDTH(2)) mux (.A(d[2]), .B(d[1:0]), .S(s), .Y(selected));
          assign differs = selected ^ (s[0] ? d[0] : s[1] ? d[1] : d[2]);
        endmodule
    """)
    lowered = ["read_verilog -icells top.v", *prove.LOWER, "sat -verify -prove differs 0 top"]
    assert tools.yosys(lowered, tmp_path).ok


# --- results --------------------------------------------------------------------------------------


def verdict(number, outcome):
    return Verdict(number, f"$1 Y[{number}] inverted", "", ("rtl/a.sv:1",), outcome, "by", "smoke")


def test_the_number_is_of_mutants_that_are_not_proved(tmp_path):
    every = [verdict(n, KILLED) for n in range(98)]
    every += [verdict(98, HOLE), verdict(99, HOLE), *(verdict(n, PROVED) for n in range(100, 110))]
    found = Result.of(UNIT, UNIT.resolve(SMALLEST), 1, every, ["smoke", "masks"], 9.0)
    assert found.percent == 98.0
    assert found.kills == {"smoke": 98, "masks": 0}
    assert found.lines == {"rtl/a.sv:1": [98, 10, 2]}
    results.put(found, tmp_path)
    assert results.load(tmp_path) == {found.command: found}
    status = results.status(UNITS, tmp_path)["e2softmax"]
    assert (status.percent, status.good, status.older) == (98.0, False, False)


def test_figures_age_by_what_a_unit_s_mutants_are_played_with():
    judges = {name: set(results.judges(unit)) for name, unit in UNITS.items()}
    models, values = results.ROOT / "models", results.ROOT / "tb/stimulus/values.py"
    assert {name for name in UNITS if models / "rexp.py" in judges[name]} == {"rexp"}
    own = {
        name: models / f"{unit.model.__module__.split('.')[-1]}.py" for name, unit in UNITS.items()
    }
    assert all(own[name] in judges[name] for name in UNITS)
    assert all(values in of for of in judges.values())
    # What is loaded in fact; beside it nothing but the registry, which has every unit.
    text = """
        import sys
        from softnorm.flow.mutate import play
        for one in sys.modules.values():
            print(getattr(one, "__file__", None))
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, check=True
    )
    folders = [results.ROOT / name for name in results._JUDGES]
    loaded = {Path(line).resolve() for line in said.stdout.splitlines() if line != "None"}
    loaded = {path for path in loaded if path.parent in folders and path != results._REGISTRY}
    missing = loaded.difference(*judges.values())
    assert len(missing) < len(loaded)
    for path in missing:
        assert not results.sources.code(path.read_text(), python=True), path  # nothing to hash


def test_a_waiver_explains_a_hole_of_its_line_and_changes_no_number():
    guard = (results.ROOT / "rtl/common/sn_row_guard.sv").read_text().splitlines()
    number = next(n for n, line in enumerate(guard, 1) if "assign run " in line)
    place = f"rtl/common/sn_row_guard.sv:{number}"
    hole = Verdict(1, "$1 Y[3] stuck at 0", "", (place,), HOLE)
    waiver = Waiver("e2softmax", "common/sn_row_guard.sv", "assign run ", "stuck at 0", "a reason")
    assert waiver.covers("e2softmax", hole)
    assert not waiver.covers("rexp", hole)
    assert not dataclasses.replace(waiver, mutant="inverted").covers("e2softmax", hole)
    assert not dataclasses.replace(waiver, text="assign first").covers("e2softmax", hole)


def test_every_waiver_is_of_a_unit_and_of_a_line_that_exists():
    for one in results.waivers():
        assert one.unit == "*" or one.unit in UNITS
        assert one.text in (results.RTL / one.file).read_text(encoding="utf-8")
        assert one.why


def test_the_pages_say_what_the_code_does():
    commands = (results.DOCS / "commands.md").read_text(encoding="utf-8")
    page = (results.DOCS / "mutation.md").read_text(encoding="utf-8")
    script = (results.ROOT / "scripts/mutate.py").read_text(encoding="utf-8")
    goal = f"{results.GOAL:g}"
    assert f"fewer than {goal} %" in commands
    assert f"The goal is {goal}." in page
    assert 'given.pop("COUNT", "1000")' in script
    assert "default 1000" in commands
