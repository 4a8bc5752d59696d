# SPDX-License-Identifier: Apache-2.0
"""Synthesis: sizes are reported, and memories that are not the descriptor's are an error."""

import json
import shutil
from pathlib import Path

import pytest

from softnorm.flow import tools
from softnorm.flow.errors import UserError
from softnorm.flow.pages import kept
from softnorm.flow.paths import RTL
from softnorm.flow.static import lint, synth
from softnorm.units import UNITS
from softnorm.units.unit import ParameterError

UNIT = UNITS["e2softmax"]
GIVEN = {"LANES": 1, "MAX_LEN": 2}
SMALL = UNIT.resolve(GIVEN)


@pytest.fixture(scope="module")
def result():
    return synth.synthesise(UNIT, SMALL)


def test_memories_are_the_descriptors(result):
    promised = UNIT.storage(SMALL)
    assert sorted(result.memories.values()) == sorted(promised.values())
    assert result.memory_bits == sum(words * bits for words, bits in promised.values())
    assert result.row_bits == 2 * sum(
        bits for name, (_, bits) in promised.items() if "beats" in name
    )


def test_every_cell_is_counted_once(result):
    assert result.latches == 0
    assert result.flip_flops > 100
    assert result.gates > 500
    counted = result.gates + result.flip_flops + len(result.memories)
    assert counted == sum(result.cells.values())


def test_a_wrong_storage_is_an_error(monkeypatch, capsys, tmp_path):
    right = UNIT.storage(SMALL)
    words, bits = right["beats"]
    wrong = {**right, "beats": (words, bits + 1)}
    monkeypatch.setattr(type(UNIT), "storage", lambda self, parameters: wrong)
    assert synth.synth(UNIT.name, GIVEN, tmp_path) == 1
    out = capsys.readouterr().out
    assert f"{words} x {bits}," in out
    assert f"beats {words} x {bits + 1}" in out
    assert list(tmp_path.iterdir()) == []


def test_the_table_and_the_files_say_the_same(capsys, tmp_path, result, monkeypatch):
    monkeypatch.setattr(synth, "synthesise", lambda unit, parameters: result)
    found = []
    assert synth.synth(UNIT.name, GIVEN, tmp_path, found.extend) == 0
    [(by, kept_)] = map(kept.of_synthesis, found)
    assert by == f"make synth UNIT={UNIT.name} LANES=1 MAX_LEN=2"
    assert kept_.facts == {"gates": result.gates, "flip-flops": result.flip_flops}
    assert kept_.sources == kept.of_gates(UNIT)
    lines = capsys.readouterr().out.splitlines()
    title = next(n for n, line in enumerate(lines) if line.startswith("unit"))
    # The line of dashes under the titles says how wide each column is.
    widths = [len(dashes) for dashes in lines[title + 1].split("  ")]
    cells, at = [], 0
    for width in widths:
        cells.append(lines[title + 2][at : at + width].strip())
        at += width + 2
    shown = dict(zip(synth.HEADER, cells, strict=True))
    [file] = tmp_path.iterdir()
    saved = json.loads(file.read_text())
    assert saved["parameters"] == SMALL
    assert saved["memories"].keys() == result.memories.keys()
    assert saved["tools"] == tools.versions("yosys")
    assert shown["unit"] == saved["unit"] == UNIT.name
    assert shown["configuration"] == "LANES=1 MAX_LEN=2"
    assert int(shown["gates"]) == saved["gates"] == result.gates
    assert int(shown["flip-flops"]) == saved["flip_flops"] == result.flip_flops
    assert int(shown["memory bits"]) == saved["memory_bits"] == result.memory_bits
    assert int(shown["bits a row"]) == saved["row_bits"] == result.row_bits
    assert float(shown["an element"]) == result.row_bits / 2


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("always_latch if (data_i[0]) held = data_i[1];", "[$]dlatch"),
        ("assign held = data_i[0]; assign held = data_i[1];", "conflicting drivers"),
    ],
    ids=["latch", "two drivers"],
)
def test_a_planted_fault_is_an_error(tmp_path, monkeypatch, fault, message):
    shutil.copytree(RTL, tmp_path / "rtl")
    monkeypatch.setattr(lint, "RTL", tmp_path / "rtl")
    path = tmp_path / "rtl/common/sn_leading_one.sv"
    path.write_text(path.read_text().replace("endmodule", f"logic held; {fault}\nendmodule"))
    with pytest.raises(synth.SynthesisError, match=message):
        synth.synthesise(UNIT, SMALL)


def test_arguments():
    assert synth.arguments([]) == (None, {}, None)
    assert synth.arguments(["e2softmax"]) == ("e2softmax", {}, None)
    assert synth.arguments(["LANES=8", "e2softmax"]) == ("e2softmax", {"LANES": 8}, None)
    assert synth.arguments(["UNIT=e2softmax", "LANES=8"]) == ("e2softmax", {"LANES": 8}, None)
    assert synth.arguments(["OUT=docs"]) == (None, {}, Path("docs"))
    for wrong in (["LANES=8"], ["e2softmax", "rexp"], ["e2softmax", "LANES=many"]):
        with pytest.raises((UserError, ParameterError)):
            synth.arguments(wrong)


def test_wrong_parameters_stop_before_yosys(tmp_path):
    with pytest.raises(ParameterError):
        synth.synth(UNIT.name, {"LANES": 3}, tmp_path)
    with pytest.raises(ParameterError):
        synth.synth(UNIT.name, {"WIDTH": 3}, tmp_path)
