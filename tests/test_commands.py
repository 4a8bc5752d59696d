# SPDX-License-Identifier: Apache-2.0
"""The commands as a user types them: bad input is one clear line and exit code 2, help explains."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import runpy
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from softnorm.flow.cli import words
from softnorm.flow.errors import UserError
from softnorm.flow.paths import DATA, ROOT

VECTOR = ROOT / "tests/vectors/e2softmax_l8_b1_e0_f4_fmt0_s1.npz"
SHIPPED = DATA / "e2softmax_minilm.npz"


def command(name, *words, **environment):
    """Run scripts/<name>.py in this Python; return (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / f"{name.replace('-', '_')}.py", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "SOFTNORM_PYTHON": "current", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def refused(name, *words):
    """Run scripts/<name>.py in this process, where its imports are done: as `command` does."""
    path = ROOT / "scripts" / f"{name.replace('-', '_')}.py"
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(ROOT),
        mock.patch.dict(os.environ, {"SOFTNORM_PYTHON": "current"}),
        mock.patch.object(sys, "argv", [str(path), *map(str, words)]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        runpy.run_path(str(path), run_name="__main__")
    return ended.value.code or 0, out.getvalue(), err.getvalue()


def tensor_file(path, x, unit="e2softmax", settings=(("frac", 4), ("fmt", 0)), **entries):
    meta = {"unit": unit, "parameters": {}, "settings": dict(settings)}
    np.savez(path, meta=np.array(json.dumps(meta)), x=x, **entries)
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["UNIT=softmin"], "no unit 'softmin'; there are: e2softmax"),
        (["SIM=vcs"], "no simulator 'vcs' here; there are: verilator, icarus"),
        (["TEST=everything"], "no test 'everything'; there are: default"),
        (["LANES=3"], "LANES must be one of 1, 2, 4, 8, 16, 32, 64, got 3"),
        (["LANES=eight"], "LANES must be a whole number, not 'eight'"),
        (["LANES=32", "MAX_LEN=16"], "MAX_LEN must be in 32.."),
        (["DIV_BITS=5"], "DIV_BITS must be in 1..4, got 5"),
        (["LANE=8"], "there is no LANE; there are: UNIT SIM TEST"),
        (["SEED=-1"], "SEED must be at least 0"),
        (["ROWS=0"], "ROWS must be at least 1"),
        (["WAVES=yes"], "WAVES must be 0 or 1, not 'yes'"),
        (["lanes"], "cannot read 'lanes': arguments have the form NAME=VALUE"),
        (["TENSORS=none.npz"], "none.npz: no such file"),
        (["TENSORS=docs"], "docs: is a folder, not a file"),
        (["TENSORS=/dev/zero"], "/dev/zero: is a device or a pipe, not a file"),
        (["TENSORS="], ".: is a folder, not a file"),
        (["STIMULUS=none.json"], "none.json: no such file"),
        (["STIMULUS=docs"], "docs: is a folder, not a file"),
        (["STIMULUS=/dev/zero"], "/dev/zero: is a device or a pipe, not a file"),
        (["TEST=random", f"TENSORS={SHIPPED}"], "test random reads no tensors"),
        (["TEST=tensors", "MAX_LEN=64", f"TENSORS={SHIPPED}"], "build with MAX_LEN=348 or more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_sim_refuses_bad_input_in_one_line(words, message):
    code, out, err = refused("sim", *words)
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "build" not in out  # before the first slow step


def test_sim_refuses_bad_tensor_files(tmp_path):
    rows = np.zeros((2, 8), np.int8)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, meta=np.array("{}"), x=np.array([{"a": 1}], dtype=object))
    text = tmp_path / "text.npz"
    text.write_text("not a zip file")
    cases = {
        pickled: "pickled",
        text: "text.npz",
        tensor_file(tmp_path / "float.npz", rows.astype(float)): "float64",
        tensor_file(tmp_path / "flat.npz", rows.ravel()): "flat.npz",
        tensor_file(tmp_path / "unsigned.npz", rows.view(np.uint8)): "e2softmax takes int8",
        tensor_file(tmp_path / "other.npz", rows, unit="rexp"): "rows for rexp, not for e2softmax",
        tensor_file(tmp_path / "long.npz", rows, length=np.array([8, 9])): "length",
        tensor_file(tmp_path / "mask.npz", rows, mask=np.ones((2, 7), bool)): "mask",
        tensor_file(tmp_path / "wide.npz", rows, settings={"frac": 9}): (
            "setting frac must be 0 to 7, is 9 in row 0"
        ),
        tensor_file(tmp_path / "huge.npz", rows, settings={"frac": 1 << 99}): (
            "setting frac must be (2,) integers"  # more than any of numpy's
        ),
        tensor_file(tmp_path / "row.npz", rows, row_frac=np.array([0, -1])): (
            "setting frac must be 0 to 7, is -1 in row 1"
        ),
        tensor_file(tmp_path / "name.npz", rows, settings={"frak": 3}): (
            "e2softmax has no setting frak; there are: frac, fmt"
        ),
        tensor_file(tmp_path / "nan.npz", rows * np.nan): "float64",
        tensor_file(tmp_path / "none.npz", rows[:0]): "needs at least one",
    }
    for path, message in cases.items():
        for asked in (["sim", f"TENSORS={path}", "TEST=tensors"], ["conform", f"VECTORS={path}"]):
            if asked[0] == "conform" and not conforms(path):
                continue
            code, out, err = refused(*asked)
            assert code == 2, asked
            assert message in err
            assert path.name in err
            assert err.count("\n") == 1, err
            assert "mismatch" not in out.lower()


def conforms(path):
    """Add outputs to a tensor file that can be read, of settings that are not; or False."""
    try:
        with np.load(path) as file:
            entries = dict(file)
    except ValueError:
        return False
    if entries["x"].dtype != np.int8 or entries["x"].ndim != 2 or entries["x"].size == 0:
        return False
    entries |= {"out": np.zeros(entries["x"].shape, np.uint8), "exponent": np.zeros(2, np.int8)}
    np.savez(path, **entries)
    return json.loads(str(entries["meta"]))["unit"] == "e2softmax"


def test_a_file_without_channels_for_a_unit_that_needs_them_is_refused(tmp_path):
    rows = np.zeros((2, 8), np.uint8)
    path = tensor_file(tmp_path / "rows.npz", rows, unit="ailayernorm", settings={"zp": 0})
    code, _, err = refused("sim", "UNIT=ailayernorm", f"TENSORS={path}", "BULK=1")
    assert (code, err) == (
        2,
        f"error: {path} has no alpha: ailayernorm needs it for each channel\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say which vectors: VECTORS="),
        (["VECTORS=nowhere"], "no file or folder nowhere"),
        ([f"VECTORS={VECTOR}", "SPEED=1"], "there is no SPEED; there are: VECTORS RTL SIM"),
        ([f"VECTORS={VECTOR}", "RTL=2"], "RTL must be 0 or 1"),
        ([f"VECTORS={VECTOR}", "RTL=1", "SIM=vcs"], "no simulator 'vcs'"),
        ([f"VECTORS={SHIPPED}"], "holds inputs only"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_conform_refuses_bad_input_in_one_line(words, message):
    code, _, err = refused("conform", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_conform_finds_a_wrong_byte_and_a_wrong_exponent(tmp_path, run_here):
    code, out, _ = run_here("conform", f"VECTORS={VECTOR}")
    assert code == 0
    assert "16 rows, 1757 elements, 0 mismatches" in out
    with np.load(VECTOR) as file:
        entries = dict(file)
    row, at = np.argwhere(entries["out"] > 0)[0]
    entries["out"][row, at] ^= 1
    entries["exponent"][3] += 1
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, **entries)
    code, out, _ = run_here("conform", f"VECTORS={wrong}")
    assert code == 1
    assert "2 mismatches" in out


def test_missing_tools_are_one_line(tmp_path):
    code, _, err = command("sim", "SIM=icarus", PATH=str(tmp_path))
    assert code == 2
    assert "apt-get install iverilog" in err
    code, _, err = command("sim", PATH=str(tmp_path))
    assert code == 2
    assert "apt-get install" in err
    assert err.count("\n") == 1


COMMANDS = re.search(r"^COMMANDS := (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_and_make_knows_the_command(name, run_here):
    code, out, _ = run_here(name.replace("-", "_"), "--help")
    assert code == 0
    assert "exit code" in out.lower() or name in ("bench", "capture")
    assert f"'make {name} " in (ROOT / "Makefile").read_text()


def test_make_prints_its_help():
    run = ["make", "-s", "help"]
    said = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("name", ["tests", "docs", "regression", "sims"])
def test_make_says_that_it_does_not_know_a_command(name):
    """Names of folders, too, of which make alone says that nothing is to be done."""
    done = subprocess.run(
        ["make", "-s", "sim", name, "LIST=1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no command `make {name}`; there are: help clean sim " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("slow", [False, True])
def test_slow_tests_are_left_out_unless_asked_for(slow):
    mutations = "tests/rtl/test_mutations.py::test_a_mutation_is_caught_on_pins"
    code, out, _ = command("test", f"ARGS=-n 0 --collect-only -q {mutations}", *["SLOW=1"] * slow)
    assert code == 0
    assert "-e2softmax: " in out
    assert ("-softermax: " in out) == slow


def test_list_names_every_unit_and_test(run_here):
    from softnorm.tb.stimulus.scenarios import SCENARIOS
    from softnorm.units import UNITS

    code, out, _ = run_here("sim", "LIST=1")
    assert code == 0
    for name in (*UNITS, *SCENARIOS):
        assert name in out


def test_a_run_prints_its_table_and_its_rerun_line_repeats_it():
    words = ["TEST=smoke", "LANES=8", "MAX_LEN=64", "SEED=5"]
    code, out, _ = command("sim", *words)
    assert code == 0
    assert "mismatches" in out
    assert out.count("PASS") == 1
    rerun = next(line for line in out.splitlines() if line.startswith("rerun: make sim "))
    # In another shell, in which cocotb, make and Verilator have been told other things.
    foreign = {
        "COCOTB_TEST_FILTER": "nothing",
        "COCOTB_TESTCASE": "nothing",
        "COCOTB_TEST_MODULES": "nothing",
        "COCOTB_USER_COVERAGE": "1",
        "COCOTB_RESULTS_FILE": "elsewhere.xml",
        "GPI_EXTRA": "nothing",
        "PYGPI_USERS": "nothing",
        "PYTHONOPTIMIZE": "2",
        "VERILATOR_ROOT": "/nowhere",
        "MAKEFLAGS": "-n",
        "WAVES": "1",
        "SIM_CMD_PREFIX": "false",
    }
    code, again, _ = command("sim", *rerun.removeprefix("rerun: make sim ").split(), **foreign)
    assert code == 0
    assert "build: as before" in again

    def facts(text):
        return [
            line for line in text.splitlines() if line.startswith(("rows", "elem", "vs", "cov"))
        ]

    assert facts(out) == facts(again)


def test_bench_refuses_bad_input(run_here):
    code, _, err = run_here("bench", "ONLY=all")
    assert code == 2
    assert "ONLY=model, pytorch, pins, bulk or regression" in err


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["UNIT=rexp", "SEED=3"], {"UNIT": "rexp", "SEED": "3"}),
        (["--cluster", "slurm", "--failed"], {"CLUSTER": "slurm", "FAILED": "1"}),
        (["--failed", "SET=ci"], {"FAILED": "1", "SET": "ci"}),
        (["--max-len=64", "--failed", "--dry"], {"MAX_LEN": "64", "FAILED": "1", "DRY": "1"}),
        (["TENSORS=a=b.npz"], {"TENSORS": "a=b.npz"}),
    ],
)
def test_options_are_words_in_another_dress(arguments, given):
    assert words(arguments) == given


@pytest.mark.parametrize("wrong", ["rexp", "=3", "-x", "--"])
def test_anything_else_is_refused(wrong):
    with pytest.raises(UserError, match=f"cannot read '{wrong}'"):
        words([wrong])
