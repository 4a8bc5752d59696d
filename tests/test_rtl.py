"""The RTL of every unit under every scenario, on both simulators, at 0 LSB against the models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flow import conform, tools
from flow.build import SIMULATORS
from tb.coverage import Coverage
from tb.scenarios import SCENARIOS
from tb.units import UNITS

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.npz"))
SMALL = {"LANES": 8, "MAX_LEN": 64}
PLAIN = [name for name, scenario in SCENARIOS.items() if not scenario.tensors]

units = pytest.mark.parametrize("unit", UNITS)


@units
@pytest.mark.parametrize("test", PLAIN)
def test_scenario(run, sim, unit, test):
    run(sim, test, unit=unit, **SMALL)


@units
def test_real_tensors(run, sim, unit):
    result = run(sim, "default", unit=unit, rows=60, **SMALL | {"MAX_LEN": 384})
    shipped = np.load(result.run.tensors)["x"]
    assert result.values["rows"] == len(shipped) + 60  # every shipped row fits


@units
def test_same_seed_same_stimulus_on_both_simulators(run, unit):
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    seen = {}
    for sim in SIMULATORS:
        result = run(sim, "random", unit=unit, seed=7, rows=60, **SMALL)
        with np.load(result.run.folder / "outputs.npz") as file:
            seen[sim] = (dict(file), result.values["clocks"])
    (first, clocks), (second, other_clocks) = seen.values()
    assert clocks == other_clocks
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@units
def test_another_seed_is_another_stimulus(run, unit):
    rows = []
    for seed in (1, 2):
        result = run("verilator", "random", unit=unit, seed=seed, rows=20, **SMALL)
        with np.load(result.run.folder / "outputs.npz") as file:
            rows.append(file["x"].tobytes())
    assert rows[0] != rows[1]


# Corners of the parameters: no lane tree, one beat a row, a last beat that MAX_LEN cuts, 64 lanes.
@pytest.mark.parametrize(
    "parameters",
    [
        {"LANES": 1, "MAX_LEN": 1},
        {"LANES": 1, "MAX_LEN": 64, "DIV_BITS": 2},
        {"LANES": 2, "MAX_LEN": 3, "EXP_FRAC": 1},
        {"LANES": 4, "MAX_LEN": 4, "DIV_BITS": 4},
        {"LANES": 8, "MAX_LEN": 100, "DIV_BITS": 3, "EXP_FRAC": 1},
        {"LANES": 16, "MAX_LEN": 785, "DIV_BITS": 4},
        {"LANES": 32, "MAX_LEN": 33},
    ],
    ids=lambda p: " ".join(f"{k}={v}" for k, v in p.items()),
)
@pytest.mark.parametrize("test", ["random", "errors", "reset", "timing"])
def test_corner_configuration(run, sim, parameters, test):
    if sim == "icarus" and parameters["LANES"] >= 16 and test != "random":
        pytest.skip("wide builds crawl on Icarus; one test shows that they run")
    run(sim, test, rows=40 if sim == "icarus" else 200, **parameters)


@pytest.mark.parametrize("lanes", [32, 64])
def test_full_rate_and_latency_at_full_size(run, lanes):
    """One beat a clock at every row length: each clock is accounted for by the timing test."""
    parameters = {"LANES": lanes, "MAX_LEN": 4096 if lanes == 64 else 1024}
    parameters |= {"DIV_BITS": 4} if lanes == 64 else {}
    result = run("verilator", "timing", **parameters)
    measured = result.values["measured"]
    assert measured["input beats per clock"] == 1.0
    assert measured["latency"] == sum(UNITS["e2softmax"].latency(result.run.parameters))


@pytest.mark.parametrize("length", [1, 31, 32, 33, 384, 1024])
def test_one_beat_per_clock(run, tmp_path, length):
    """The rate at one row length alone, on real-shaped data, at 32 lanes."""
    rng = np.random.default_rng(length)
    rows = max(8, 256 // -(-length // 32))
    tensors = tmp_path / "rows.npz"
    np.savez(
        tensors,
        meta=np.array('{"unit": "e2softmax", "parameters": {}, "settings": {"frac": 3, "fmt": 1}}'),
        x=rng.normal(0, 20, (rows, length)).round().clip(-128, 127).astype(np.int8),
    )
    result = run("verilator", "timing_tensors", tensors=tensors)
    assert result.values["measured"]["input beats per clock"] == 1.0


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_conformance(sim, path):
    if path.stem.partition("_")[0] not in UNITS:
        pytest.skip("no such unit yet")
    result = conform.conform_rtl(path, sim)
    assert result.mismatches == 0, result.report
    assert result.rows > 0


@units
def test_coverage_of_a_run_is_saved_and_adds_up(run, unit):
    runs = [run("verilator", test, unit=unit, **SMALL) for test in ("masks", "reset")]
    parts = [Coverage.load(r.run.folder / "coverage.json") for r in runs]
    whole = Coverage()
    for part in reversed(parts):
        whole.merge(part)
    other = Coverage()
    for part in parts:
        other.merge(part)
    for name, point in whole.points.items():
        np.testing.assert_array_equal(point.counts, sum(p.points[name].counts for p in parts))
        np.testing.assert_array_equal(point.counts, other.points[name].counts)
    assert parts[0].points["mask"].hit == 6
    assert parts[1].points["input at reset"].hit == 3
