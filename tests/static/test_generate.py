# SPDX-License-Identifier: Apache-2.0
"""Derived files: what the command makes, and tables that are the equations'."""

import itertools
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

import pytest

from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.static import generate
from softnorm.units import UNITS

DERIVED = generate.files()  # once: other programs make some of them
WIDTHS = {"rexp": (2, 4, 8, 15), "lut2d": (2, 4, 8)}


@pytest.mark.parametrize("path", DERIVED, ids=lambda path: path.name)
def test_the_committed_file_is_the_derived_one(path):
    assert path.read_text() == DERIVED[path], "run: make generate"


def test_writing_mends_what_was_changed(tmp_path):
    files = {tmp_path / "a": "one\n", tmp_path / "b": "two\n"}
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "b").write_text("2\n")
    assert generate.write(files) == [tmp_path / "b"]
    assert (tmp_path / "b").read_text() == "two\n"
    assert generate.write(files) == []


def test_common_files_come_in_an_order_that_every_unit_agrees_with():
    assert generate._in_order([["a", "c"], ["b", "c"], ["a", "b"]], ["c", "b", "a"]) == [*"abc"]
    with pytest.raises(ValueError, match="disagree on the order"):
        generate._in_order([["a", "b"], ["b", "a"]], ["a", "b"])


# --- tables, from the text of the SystemVerilog ---------------------------------------------------


def tables(unit):
    """function name -> list of entries, each a list of its columns, the first one low."""
    text = (RTL / generate.package_file(UNITS[unit])).read_text()
    found = {}
    for body in re.findall(r"function automatic.*?endfunction", text, re.S):
        width, name, index = re.match(
            r"function automatic logic \[(\d+):0\] (\w+)\(input logic \[(\d+):0\] i\);", body
        ).groups()
        entries = []
        for label, value in re.findall(rf"^ +(\S+): {name} = (.+);$", body, re.M):
            columns = [word.split("'d") for word in re.findall(r"\d+'d\d+", value)][::-1]
            assert sum(int(bits) for bits, _ in columns) == int(width) + 1, (name, label)
            expected = f"{int(index) + 1}'d{len(entries)}"
            assert label in (expected, "default"), (name, label)
            entries.append([int(number) for _, number in columns])
            assert label != "default" or body.count(f": {name} =") == len(entries)
        assert len(entries) <= 1 << (int(index) + 1)
        found[name] = entries
    return found


def half_up(value):
    """Exact rounding of a Decimal, halves up."""
    return int((value + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def flat(entries):
    assert all(len(columns) == 1 for columns in entries)
    return [columns[0] for columns in entries]


@pytest.fixture(autouse=True)
def exact():
    with localcontext() as context:
        context.prec = 60
        yield


def test_every_package_is_looked_at():
    softmaxes = {"e2softmax", "rexp", "lut2d", "softermax", "exact_softmax"}
    looked_at = softmaxes | {"ailayernorm", "nnlut_layernorm"}
    assert {unit for unit in UNITS if UNITS[unit].roms()} == looked_at


def test_e2softmax_tables():
    found = tables("e2softmax")
    assert found.keys() == {f"div_c{bits}" for bits in range(1, 5)}
    assert flat(found["div_c1"]) == [209, 145]  # the paper's 0.818 and 0.568
    for bits in range(2, 5):
        bins = 1 << bits
        means = [bins * (Decimal(bins + j + 1) / (bins + j)).ln() for j in range(bins)]
        assert flat(found[f"div_c{bits}"]) == [half_up(256 * mean) for mean in means]


def test_ailayernorm_tables():
    found = tables("ailayernorm")
    assert found.keys() == {"square", "rsqrt", "rsqrt8"}
    assert flat(found["square"]) == [y * y for y in range(16)]
    rsqrt = [half_up(1024 / ((Decimal(v) + Decimal("0.5")) / 32).sqrt()) for v in range(32, 128)]
    assert flat(found["rsqrt"]) == rsqrt
    assert (len(rsqrt), rsqrt[0], rsqrt[-1]) == (96, 1016, 513)
    assert flat(found["rsqrt8"]) == [(one + 2) // 4 for one in rsqrt]


def test_rexp_tables():
    found = tables("rexp")
    assert found.keys() == {f"{table}_w{w}" for table in ("t1", "ta") for w in WIDTHS["rexp"]}
    for w in WIDTHS["rexp"]:
        p = Decimal(2**w - 1)
        xq = int(p.ln().to_integral_value(ROUND_CEILING))
        assert flat(found[f"t1_w{w}"]) == [half_up(p * Decimal(-i).exp()) for i in range(xq + 2)]
        assert flat(found[f"ta_w{w}"]) == [half_up(p / j) for j in range(1, 513)]
    assert flat(found["t1_w8"]) == [255, 94, 35, 13, 5, 2, 1, 0]
    assert flat(found["ta_w8"])[1] == 128  # 127.5: a tie


def test_lut2d_tables():
    found = tables("lut2d")
    kinds = ("e", "col", "t2")
    assert found.keys() == {f"{table}_w{w}" for table in kinds for w in WIDTHS["lut2d"]}
    for w in WIDTHS["lut2d"]:
        p = Decimal(2**w - 1)
        e = [half_up(p * (Decimal(-i) / 10).exp()) for i in range(101)]
        assert flat(found[f"e_w{w}"]) == e
        assert flat(found[f"col_w{w}"]) == [half_up(10 * Decimal(value) / p) for value in e]
        t2 = [[min(int(p), half_up(p * c / 10 / row)) for c in range(11)] for row in range(1, 61)]
        assert found[f"t2_w{w}"] == t2
    sizes = len(found["e_w8"]) + sum(map(len, found["t2_w8"]))
    assert sizes == 761


def test_nnlut_layernorm_tables():
    """Places in a geometric row; lines halfway between chord and tangent."""
    found = tables("nnlut_layernorm")
    assert found.keys() == {"place", "slope", "intercept"}
    b = [half_up(2**14 * Decimal(4) ** (Decimal(k) / 16)) for k in range(17)]
    assert flat(found["place"]) == b[1:-1]
    slopes, intercepts = [], []
    for low, high in itertools.pairwise(Decimal(place) / 2**14 for place in b):
        s = (1 / low.sqrt() - 1 / high.sqrt()) / (high - low)
        c = (2 * s) ** (Decimal(-2) / 3)
        slopes.append(half_up(s * 2**16))
        intercepts.append(half_up((1 / low.sqrt() + s * low + 1 / c.sqrt() + s * c) * 2**15))
    assert flat(found["slope"]) == slopes
    assert flat(found["intercept"]) == intercepts
    assert (slopes[0], slopes[-1], intercepts[0], intercepts[-1]) == (30699, 4370, 96212, 50236)


def test_softermax_tables():
    found = tables("softermax")
    assert found.keys() == {"pow2", "intercept", "slope"}
    powers = [half_up(Decimal(2) ** (15 + Decimal(f) / 4)) for f in range(4)]
    assert flat(found["pow2"]) == powers
    intercepts, slopes = [], []
    for a in (1 + Decimal(j) / 8 for j in range(8)):
        b = a + Decimal("0.125")
        gap = (1 / a.sqrt() - 1 / b.sqrt()) ** 2
        intercepts.append(half_up(2**15 * (1 / a - 1 / (512 * a * b) - gap / 2)))
        slopes.append(half_up(2**15 / (256 * a * b)))
    assert flat(found["intercept"]) == intercepts
    assert flat(found["slope"]) == slopes


def test_exact_softmax_tables():
    found = tables("exact_softmax")
    parts = {"exp_0": (1, 256), "exp_256": (2, 128), "exp_512": (4, 128), "exp_1024": (8, 64)}
    assert found.keys() == parts.keys()
    for name, (step, entries) in parts.items():
        first = int(name.partition("_")[2])
        z = [Decimal(first + step * i) for i in range(entries)]
        assert flat(found[name]) == [half_up(65535 * (-one / 128).exp()) for one in z]


def test_a_changed_entry_is_seen(monkeypatch, tmp_path):
    package = RTL / "rexp/rexp_tables_pkg.sv"
    text = package.read_text()
    assert text.count("3'd1: t1_w8 = 8'd94;") == 1
    (tmp_path / "rexp").mkdir()
    changed = text.replace("3'd1: t1_w8 = 8'd94;", "3'd1: t1_w8 = 8'd95;")
    (tmp_path / "rexp/rexp_tables_pkg.sv").write_text(changed)
    monkeypatch.setattr(f"{__name__}.RTL", tmp_path)
    with pytest.raises(AssertionError):
        test_rexp_tables()
    assert changed != DERIVED[package]
    assert (ROOT / "softnorm.core") in DERIVED
