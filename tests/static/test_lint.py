# SPDX-License-Identifier: Apache-2.0
"""Lint finds nothing in the sources, finds faults put into a copy, and stops cleanly."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from softnorm.flow import tools
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.static import lint
from softnorm.flow.static.systems import SYSTEMS
from softnorm.units import UNITS
from softnorm.units.unit import ParameterError

UNIT = UNITS["e2softmax"]
SMALL = UNIT.resolve({"LANES": 1, "MAX_LEN": 2})

front_ends = pytest.mark.parametrize(
    "front_end",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name == "icarus" and tools.icarus() is None, reason="iverilog is not installed"
            ),
        )
        for name in lint.FRONT_ENDS
    ],
)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A function that changes a file in a copy of the RTL, and has lint read that copy."""
    shutil.copytree(RTL, tmp_path / "rtl")
    monkeypatch.setattr(lint, "RTL", tmp_path / "rtl")

    def plant(file, old, new, parameters=SMALL):
        path = tmp_path / "rtl" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return lint.source(UNIT, parameters)

    return plant


# --- the sources as they are ----------------------------------------------------------------------


@front_ends
def test_a_small_configuration_is_clean(front_end):
    assert lint.clean(lint.FRONT_ENDS[front_end], lint.source(UNIT, SMALL)) == []


def test_systems_are_checked_by_each_front_end_that_reads_them():
    """All of the RTL is in lint, whether a unit's or a system's."""
    for system in SYSTEMS.values():
        jobs = lint.checks([system], lint.TOOLS[:4])
        each = len(system.configurations) + len(system.bad_configurations)
        assert len(jobs) == each * (len(lint.FRONT_ENDS) - len(system.cannot_read))
        assert {*system.cannot_read} <= {*lint.FRONT_ENDS}
        assert system.configurations
    of = {file for one in (*UNITS.values(), *SYSTEMS.values()) for file in one.rtl}
    assert of == {path.relative_to(RTL).as_posix() for path in RTL.rglob("*.sv")}


def test_a_system_is_clean_and_a_bug_in_it_is_seen(planted):
    """With slang, which reads both; what PeakRDL makes has names that nothing uses."""
    wrap = SYSTEMS["e2softmax_axil"]
    assert lint.slang(lint.source(wrap, {})).said == []
    assert lint.slang(replace(lint.source(wrap, {}), generated=())).said
    assert lint.refused(lint.slang, lint.source(wrap, {"DEPTH": 0}), ["DEPTH"]) == []
    planted("wrap/sn_row_queue.sv", "endmodule", "  logic nothing;\nendmodule")
    assert "nothing" in "".join(lint.slang(lint.source(wrap, {})).said)


def public(unit, folder, rtl=RTL):
    """What Verilator says of a unit with all signals public, as cocotb's runner has it built."""
    parameters = unit.rtl_parameters(unit.resolve({"LANES": 2, "MAX_LEN": 4}))
    command = ["verilator", "--cc", "-Wall", "--quiet", "--vpi", "--public-flat-rw"]
    command += ["--Mdir", str(folder), "--top-module", unit.name]
    command += [f"-G{name}={value}" for name, value in parameters.items()]
    ended = tools.run([*command, *unit.rtl], rtl, tools.verilator_env())
    return [*ended.stdout, *ended.stderr]


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_verilator_builds_it_for_cocotb_without_a_warning(unit, tmp_path):
    assert public(unit, tmp_path) == []


def test_a_warning_where_all_is_public_is_seen(planted, tmp_path):
    planted("common/sn_multiply.sv", "// verilator lint_off UNOPTFLAT", "")
    said = public(UNITS["softermax"], tmp_path / "build", tmp_path / "rtl")
    assert any("UNOPTFLAT" in line for line in said)


@front_ends
def test_wrong_parameters_are_refused(front_end):
    wrong = {"DIV_BITS": 5}
    source = lint.source(UNIT, UNIT.defaults | wrong)
    assert lint.refused(lint.FRONT_ENDS[front_end], source, wrong) == []


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_a_descriptor_refuses_what_the_rtl_must_refuse(unit):
    assert unit.bad_configurations
    for given in unit.bad_configurations:
        with pytest.raises(ParameterError):
            unit.resolve(given)


def test_all_of_a_descriptors_configurations_are_checked_by_all_front_ends():
    jobs = lint.checks([UNIT], lint.TOOLS)
    configurations = len(UNIT.configurations) + len(UNIT.bad_configurations)
    assert len(jobs) == configurations * len(lint.FRONT_ENDS) + len(("check", "format", "pyright"))


def nested_members(text: str) -> list[str]:
    """What Icarus 12 takes for as wide as the whole struct where it stands at a port: `a.b.c`."""
    code = re.sub(r"//.*", "", text)
    select = r"(?:\[[^\]\n]*\])*"
    return re.findall(rf"\b[a-z_]\w*{select}\.[a-z_]\w*{select}\.[a-z_]\w*", code)


# Icarus 11 says nothing of it; with 12 the night's test in fresh roots has all of lint.
def test_no_member_of_a_struct_is_a_struct():
    files = [*RTL.rglob("*.sv"), *(ROOT / "tb/bulk").rglob("*.sv")]  # all that Icarus reads
    assert {str(file): found for file in files if (found := nested_members(file.read_text()))} == {}


def test_a_member_of_a_struct_in_a_struct_is_found():
    top = (RTL / "baseline/nnlut_layernorm/nnlut_layernorm.sv").read_text()
    planted = top.replace("(p1_sum_run.inv_mant)", "(p1_sum_ctl.run.inv_mant)")
    assert nested_members(planted) == ["p1_sum_ctl.run.inv_mant"]


# --- docs/install.md: which tools read the RTL ----------------------------------------------------


def tools_told() -> dict[tuple[str, str], tuple[str, str]]:
    """Its table: (tool, version) -> (where it is from, what it says to the RTL)."""
    rows = re.findall(
        r"^\| (Verilator|Icarus Verilog|slang|Yosys) \| ([\d.]+), (.*?) \| (.*?) \|$",
        (ROOT / "docs/install.md").read_text(encoding="utf-8"),
        re.M,
    )
    return {(tool, version): (source, said) for tool, version, source, said in rows}


def test_the_table_of_tools_has_what_lint_runs():
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    told = tools_told()
    packages = {"verilator": "Verilator", "pyslang": "slang", "pyosys": "Yosys"}
    for package, tool in packages.items():
        version = re.search(rf"^{package}==(\S+)", pinned, re.M)[1]
        source, said = told[tool, version]
        assert source.startswith("the Python package")
        assert said == "nothing"
    itself = tools.versions("verilator")["verilator"].partition(" (it ")[2].rstrip(")")
    verilator = re.search(r"^verilator==(\S+)", pinned, re.M)[1]
    assert told["Verilator", verilator][0] == f"the Python package, which {itself}"
    front_ends = {name.partition("+")[0] for name in lint.FRONT_ENDS}
    assert {tool.partition(" ")[0].lower() for tool, _ in told} == front_ends


@pytest.mark.skipif(tools.icarus() is None, reason="iverilog is not installed")
def test_the_installed_icarus_says_what_the_table_says():
    number = re.search(r"version ([\d.]+)", tools.versions("icarus")["iverilog"])[1]
    if ("Icarus Verilog", number) not in tools_told():
        pytest.skip(f"the table has no Icarus {number}")
    found = [lint.clean(lint.icarus, lint.source(unit, unit.defaults)) for unit in UNITS.values()]
    assert [bool(one) for one in found] == [False] * len(UNITS)
    assert tools_told()["Icarus Verilog", number][1] == "nothing"


# --- planted faults -------------------------------------------------------------------------------


def at_the_end(lines):
    return "endmodule", f"{lines}\nendmodule"


COMBINATIONAL = "common/sn_leading_one.sv"
CLOCKED = "common/sn_ram_1r1w.sv"
LATCH = "    pos_o  = '0;\n", ""
ASKED_FOR_LATCH = at_the_end("logic held; always_latch if (data_i[0]) held = data_i[1];")
UNUSED = at_the_end("logic never;")
TRUNCATION = at_the_end("logic [3:0] wide; logic narrow; assign wide = '1; assign narrow = wide;")
TWO_DRIVERS = at_the_end("always_ff @(posedge clk_i) rd_data_o[0] <= wr_en_i;")
THROUGH = "assign ready_o = ready_q;", "assign ready_o = ready_q && advance_i;"
LOOP = "frac_o = '0;", "frac_o = FRAC'(^{frac_o, data_i[0]});"


@pytest.mark.parametrize(
    ("front_end", "file", "fault", "message"),
    [
        ("verilator", COMBINATIONAL, LATCH, "LATCH"),
        ("slang", COMBINATIONAL, LATCH, "inferred-latch"),
        ("yosys", COMBINATIONAL, LATCH, "Latch inferred"),
        ("yosys+slang", COMBINATIONAL, LATCH, "logic loop"),  # that is what it makes of it
        ("yosys", COMBINATIONAL, ASKED_FOR_LATCH, "t:$dlatch"),
        ("yosys+slang", COMBINATIONAL, ASKED_FOR_LATCH, "t:$dlatch"),
        ("verilator", COMBINATIONAL, UNUSED, "UNUSEDSIGNAL"),
        ("slang", COMBINATIONAL, UNUSED, "unused-variable"),
        ("verilator", COMBINATIONAL, TRUNCATION, "WIDTHTRUNC"),
        ("slang", COMBINATIONAL, TRUNCATION, "width-trunc"),
        ("slang", CLOCKED, TWO_DRIVERS, "multiple-always-assigns"),
        ("yosys", CLOCKED, TWO_DRIVERS, "multiple conflicting drivers"),
        ("yosys+slang", CLOCKED, TWO_DRIVERS, "multiple conflicting drivers"),
        ("yosys", "common/sn_row_buffer.sv", THROUGH, "i:* %i"),
        ("yosys+slang", "common/sn_row_buffer.sv", THROUGH, "i:* %i"),
        ("yosys", COMBINATIONAL, LOOP, "logic loop"),
        ("yosys+slang", COMBINATIONAL, LOOP, "logic loop"),
    ],
)
def test_a_planted_fault_is_found(planted, front_end, file, fault, message):
    findings = lint.clean(lint.FRONT_ENDS[front_end], planted(file, *fault))
    assert any(message in line for line in findings), findings


@front_ends
def test_a_syntax_error_is_found_where_it_is(planted, front_end):
    findings = lint.clean(
        lint.FRONT_ENDS[front_end], planted(COMBINATIONAL, *at_the_end("logic = ;"))
    )
    assert any(f"rtl/{COMBINATIONAL}:" in line for line in findings), findings


@front_ends
def test_a_parameter_check_that_is_gone_is_found(planted, front_end):
    wrong = {"EXP_FRAC": 2}
    check = "if (EXP_FRAC < 0 || EXP_FRAC > 1)"
    source = planted("e2softmax/e2softmax.sv", check, "if (0)", UNIT.defaults | wrong)
    assert lint.refused(lint.FRONT_ENDS[front_end], source, wrong)


# --- the command ----------------------------------------------------------------------------------


def test_findings_are_counted_and_printed(planted, capsys):
    planted(COMBINATIONAL, *UNUSED)
    unit = UNITS["softermax"]
    assert lint.lint([unit.name], ["slang"]) == len(unit.configurations)
    assert "rtl/common/sn_leading_one.sv" in capsys.readouterr().out


def test_a_missing_icarus_is_one_line_unless_it_is_left_out(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt-get install iverilog"):
        lint.lint(["residual_add"], ["icarus"])
    assert lint.lint(["residual_add"], ["slang"]) == 0


def test_an_unknown_tool_and_an_unknown_unit_are_refused():
    with pytest.raises(UserError, match="no tool 'lint'"):
        lint.lint([], ["lint"])
    with pytest.raises(ParameterError, match="no unit 'softmin'"):
        lint.lint(["softmin"], ["slang"])


def test_arguments(monkeypatch):
    monkeypatch.setattr(lint.types, "installed", lambda: True)
    assert lint.arguments([]) == ([], list(lint.TOOLS))
    assert lint.arguments(["e2softmax", "ONLY=slang,ruff"]) == (["e2softmax"], ["slang", "ruff"])
    assert lint.arguments(["UNIT=e2softmax"]) == (["e2softmax"], list(lint.TOOLS))
    with pytest.raises(UserError, match="not LANES="):
        lint.arguments(["LANES=8"])


def test_exit_code_of_a_users_error():
    done = subprocess.run(
        [sys.executable, "scripts/lint.py", "--only", "lint"],
        cwd=ROOT,
        env=os.environ | {"SOFTNORM_PYTHON": "current"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "there is no tool 'lint'" in done.stderr
