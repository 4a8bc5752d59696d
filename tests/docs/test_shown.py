# SPDX-License-Identifier: Apache-2.0
"""Every command line that a page shows: its words are taken, and at its defaults it runs."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from unittest import mock

import pytest

import softnorm.__main__
from softnorm.flow.paths import ROOT
from tests.copies import Checkout
from tests.docs import shown
from tests.test_commands import refused

LINES = shown.lines()
# Where the work of a command begins, when all that it was told has been looked at.
WORK = {
    "sim": ("flow.build.pins.build", "flow.build.bulk.bulk_build"),
    "conform": ("flow.sim.conform.conform_model",),
    "formal": ("flow.formal.results.run",),
    "regress": ("flow.regress.regression.Regression",),
    "report": ("flow.regress.folder.find",),
    "coverage": ("flow.regress.folder.find",),
    "mutate": ("flow.mutate.run.analyse",),
    "lint": ("flow.static.lint.lint",),
    "synth": ("flow.static.synth.synth",),
    "ppa": ("flow.ppa.liberty.load", "flow.ppa.page.write", "flow.ppa.fpga.require"),
    "accuracy": (
        *(f"flow.accuracy.{name}" for name in ("tables.measure", "frontier.points")),
        *(f"flow.accuracy.reach.{name}" for name in ("lengths", "means", "scales")),
        "flow.accuracy.tiles.tiles",
        *(f"flow.networks.digits_accuracy.{name}" for name in ("measure", "rtl_differs")),
        "flow.networks.minilm_accuracy.find_pairs",
    ),
    "figures": ("flow.pages.figures.measure",),
    "generate": ("flow.static.generate.files",),
    "bench": (
        *("flow.bench.model.model_against_float", "flow.bench.pins.pins_against_bare_loop"),
        *("flow.bench.cost.rows_scored", "flow.bench.regression.regression_against_loop"),
        "flow.bench.bulk.bulk_against_loop",
    ),
    "capture": ("flow.capture.logits.capture_logits", "flow.capture.norms.capture_norms"),
    "train": ("flow.networks.digits_train.train", "flow.networks.digits_train.collect"),
    "new-unit": ("flow.static.scaffold.new_unit",),
    "site": ("flow.tools.is_installed",),
    "softnorm": ("flow.onnx.network.load",),
}
# Beside other words: alone they are refused, with the word that is missing.
NEEDS = {
    "conform": "VECTORS=tests/vectors",
    "regress": "SET=ci",
    "mutate": "UNIT=lut2d",
    "new-unit": "NAME=mynorm KIND=softmax",
}
ALONE = {"CHECK=1": "SET=smallest", "UPDATE=1": "SET=smallest", "RTL=1": "NETWORK=digits"}
ALONE |= {"PRODUCTS=int8": "NETWORK=digits", "LAYERS=1": "NETWORK=minilm"}
ALONE |= {"DOCUMENTS=1": "NETWORK=minilm"}


class Reached(Exception):
    """The work of a command."""


def reached(*_, **__):
    raise Reached(sys.stdout.getvalue() + sys.stderr.getvalue())


# Commands that say something before they work for more than a few seconds.
SAY = ("sim", "bench", "capture", "figures", "train")


def completed(line):
    """A command line with the words that go with those of its table."""
    name, given = shown.words(line)
    named = {word.partition("=")[0] for word in given}
    more = NEEDS.get(name, "").split() if name != "accuracy" else []
    if name in ("accuracy", "ppa"):
        more = [ALONE[word] for word in given if word in ALONE]
    return name, [*given, *(word for word in more if word.partition("=")[0] not in named)]


def test_the_pages_show_commands():
    assert len(LINES) > 60
    for line in ("make sim", "make sim UNIT=ailayernorm BULK=1", "make conform RTL=1"):
        assert line in LINES
    assert any("<<" in line for line in LINES)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_every_command_that_is_shown_gets_to_its_work(line, monkeypatch):
    """In this process, up to where the work begins."""
    name, given = completed(line)
    if name == "test":
        monkeypatch.setattr(pytest, "main", reached)
    elif name in ("help", "clean"):
        return
    elif name == "regress":
        given = [*(word for word in given if "NAME=" not in word), "NAME=of-no-regression"]
    places = WORK.get(name, ())
    if "ARCHITECTURES=1" in given:
        for package in ("torch", "transformers"):
            pytest.importorskip(package, reason="the extra torch is not installed")
        places = ("flow.pytorch.architectures.measure_all",)
    if "ONLY=pytorch" in given:
        pytest.importorskip("torch", reason="the extra torch is not installed")
        places = ("flow.pytorch.speed.softmaxes",)
    if any(word.startswith("ONNX=") for word in given):
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
        places = ("flow.onnx.packages.measured",)
    for place in places:
        module, _, function = place.rpartition(".")
        monkeypatch.setattr(importlib.import_module(f"softnorm.{module}"), function, reached)
    if "LIST=1" in given or "DRY=1" in given:
        assert refused(name, *given)[0] == 0
        return
    files = [word.partition("=")[2] for word in given if word.endswith(".npz")]
    if name in ("sim", "conform") and not all((ROOT / file).exists() for file in files):
        code, _, err = refused(name, *given)  # which the page writes first
        assert (code, err.count("\n")) == (2, 1)
        assert "no such file" in err or "no file or folder" in err
        return
    with pytest.raises(Reached) as caught:
        refused(name, *given)
    assert str(caught.value) or name not in SAY or "IMAGES=" in line


SOFTNORM = ".venv/bin/softnorm "


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith(SOFTNORM)])
def test_softnorm_lines_get_to_their_work(line, monkeypatch):
    """The package's own command, which needs no checkout."""
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    for place in WORK["softnorm"]:
        module, _, function = place.rpartition(".")
        work = mock.Mock(side_effect=Reached)
        monkeypatch.setattr(importlib.import_module(f"softnorm.{module}"), function, work)
    with pytest.raises(Reached):
        softnorm.__main__.command(shlex.split(line)[1:])


# --- they run -------------------------------------------------------------------------------------

LIMITS = {"sim": 600, "conform": 240, "synth": 300, "figures": 300, "generate": 120}
LIMIT = 60  # seconds; what takes longer is interrupted then
# What a command may end with where somebody's file, an extra or a regression is not there.
ABSENT = (
    r"^error: .*"
    r"(not installed|cannot read|no such file|no regression|needs|say which|missing|already)"
    r"|^make: verilator: No such file"  # FuseSoC looks for it in PATH
)


def share_cache(checkout):
    """The compiler's, with this checkout."""
    (checkout.root / "build").mkdir()
    (checkout.root / "build/ccache").symlink_to(ROOT / "build/ccache")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy with what the page on vector files writes, and this one's compiler cache."""
    made = Checkout(tmp_path_factory.mktemp("shown"))
    share_cache(made)
    for number, block in enumerate(shown.blocks("docs/vectors.md", "python")):
        (made.root / f"block{number}.py").write_text(block, encoding="utf-8")
        code, said = made.run(f"python block{number}.py")
        assert code == 0, said
    return made


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_every_command_that_is_shown_runs(line, checkout):
    """To its end, or as long as it may; then Ctrl-C. None ends in a traceback."""
    typed = line
    if line.startswith("make "):
        name, given = completed(line)
        typed = shown.joined(name, given)
        limit = LIMITS.get(name, LIMIT)
    else:
        limit = LIMIT
    code, said, ended = checkout.run_for(typed, limit)
    if not (checkout.root / "build").exists():  # make clean
        share_cache(checkout)
    assert "Traceback" not in said, said
    if not ended:
        assert "interrupted" in said, said
    elif code:
        assert re.search(ABSENT, said, re.M) or "FAIL" in said, said
