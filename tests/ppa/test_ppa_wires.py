# SPDX-License-Identifier: Apache-2.0
"""Wires: LEF and DEF are read, a small unit is placed and routed; constants of memories."""

import dataclasses
import itertools
import os
import shutil
import time
from pathlib import Path

import pytest

from softnorm.flow.errors import UserError
from softnorm.flow.ppa import (
    compare,
    liberty,
    measure,
    memories,
    netlist,
    page,
    simulation,
    store,
    timing,
)
from softnorm.flow.ppa.wires import buffers, design, figures, job, lef, place, route
from softnorm.units import UNITS
from tests.ppa import ppa_figures
from tests.ppa.test_ppa import TINY

LEF = """
LAYER m1
  TYPE ROUTING ;
  DIRECTION HORIZONTAL ;
  PITCH 1 ;
  WIDTH 0.3 ;
  CAPACITANCE CPERSQDIST 4e-05 ;
  EDGECAPACITANCE 8e-05 ;
END m1
LAYER cut
  TYPE CUT ;
END cut
LAYER m2
  TYPE ROUTING ;
  DIRECTION VERTICAL ;
  PITCH 0.8 ;
  OFFSET 0.4 ;
  WIDTH 0.3 ;
  CAPACITANCE CPERSQDIST 2e-05 ;
  EDGECAPACITANCE 6e-05 ;
END m2
LAYER m3
  TYPE ROUTING ;
  DIRECTION HORIZONTAL ;
  PITCH 1 ;
  WIDTH 0.3 ;
  CAPACITANCE CPERSQDIST 1e-05 ;
  EDGECAPACITANCE 5e-05 ;
END m3
SITE core
  SIZE 0.8 BY 10 ;
END core
MACRO INV
  SIZE 1.6 BY 10.000 ;
  PIN A
    DIRECTION INPUT ;
    PORT
      LAYER m1 ;
        RECT 0.2 1.0 0.4 1.2 ;
        RECT 0.2 2.0 0.6 3.0 ;
    END
  END A
  PIN Y
    PORT
      LAYER m1 ;
        RECT 1 1 1.2 9 ;
    END
  END Y
END INV
"""


def test_a_lef_file_is_read():
    read = lef.parse(LEF, Path("some.lef"))
    assert [(layer.name, layer.across) for layer in read.layers] == [
        ("m1", True),
        ("m2", False),
        ("m3", True),
    ]
    # Bottom and both edges: 0.3 * 0.04 + 2 * 0.08 femtofarads a micrometre.
    assert read.layer("m1").capacitance == pytest.approx(0.172)
    assert read.capacitance == pytest.approx((0.126 + 0.103) / 2)
    assert (read.site, read.height, read.macro("INV").width) == (0.8, 10.0, 1.6)
    assert read.macro("INV").pin("A") == pytest.approx((0.4, 2.5))  # the larger shape
    for wrong in (LEF.replace("EDGECAP", "CAP"), LEF.replace("MACRO", "MICRO"), ""):
        with pytest.raises(lef.LefError):
            lef.parse(wrong, Path("some.lef"))
    with pytest.raises(lef.LefError, match="no pin B"):
        read.macro("INV").pin("B")


ROUTED = """UNITS DISTANCE MICRONS 100 ;
NETS 3 ;
- n4
  ( c0 Y )
  ( c1 A )

+ ROUTED m1 ( 100 200 ) M2_M1
  NEW m2 ( 100 200 ) ( * 500 ) ( 400 * ) M3_M2
  NEW m3 ( 400 500 ) ( 1000 * ) ;
- n5
  ( c1 Y )
  ( PIN n5 )

;
- n6 ( c2 Y ) + ROUTED m1 ( 0 0 ) ( 50 * ) ;
END NETS
SPECIALNETS 1 ;
- n4
+ ROUTED m1 40 ( 0 0 ) ( * 5500 ) ;
END SPECIALNETS
"""


def test_the_routes_of_a_def_file_are_read():
    found = route.parse(ROUTED)
    assert found.segments[4] == [
        ("m2", 1.0, 2.0, 1.0, 5.0),
        ("m2", 1.0, 5.0, 4.0, 5.0),
        ("m3", 4.0, 5.0, 10.0, 5.0),
    ]
    assert (found.length(4), found.length(6)) == (12.0, 0.5)
    assert 5 not in found.segments  # not routed
    read = lef.parse(LEF, Path("some.lef"))
    assert found.capacitance(4, read) == pytest.approx(6 * 0.126 + 6 * 0.103)


def test_missing_programs_are_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "qrouter" else name)
    with pytest.raises(UserError, match=r"needs qrouter: run `apt-get install .* graywolf qrouter"):
        place.require()


def test_at_its_limit_a_program_ends_with_all_that_it_has_started(tmp_path):
    program = ["sh", "-c", "sleep 60 & echo $! > child; wait"]
    well, how = job.run(program, tmp_path, 0.4, lambda _: None)
    assert (well, how) == (False, "sh was ended after 0 s; LIMIT= gives it more")
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    for _ in range(200):  # a signal takes a moment on a machine with much to do
        # Gone, or not yet waited for by the system's first process.
        if not child.exists() or child.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what the program started goes on")
    assert job.run(["true"], tmp_path, 60, lambda _: None)[0]
    assert not job.run(["false"], tmp_path, 60, lambda _: None)[0]


def test_rows_do_not_overlap_and_keep_their_order():
    read = lef.parse(LEF, Path("some.lef"))
    cells = [design.Cell("INV", {}) for _ in range(6)]
    whole = design.Design(None, cells, {}, {}, 0, 1, 2)
    lines = [f"c{n} {x} {y} {x + 160} {y + 1000} 0 1" for n, x, y in [
        (0, 0, 0), (1, 40, 0), (2, 900, 0), (3, 0, 1000), (4, 700, 1000), (5, 300, 1000),
    ]]  # fmt: skip
    placed = place.rows(whole, read, [*lines, "twpin_p 1100 500 1180 600 0 -1"], 0.5)
    assert placed.rows == [[0, 1, 2], [3, 5, 4]]
    assert placed.width == pytest.approx(9.6)  # three cells of 1.6 take half of it
    for row in placed.rows:
        for one, other in itertools.pairwise(row):
            assert placed.left[other] >= placed.left[one] + 1.6 - 1e-9
        assert placed.left[row[-1]] <= placed.width - 1.6 + 1e-9
    assert (placed.way[0], placed.way[3]) == ("N", "FS")
    assert placed.ports["p"] == pytest.approx((9.6, 5.5), abs=0.1)
    with pytest.raises(place.PlaceError, match="placed 5 of 6"):
        place.rows(whole, read, lines[:5], 0.5)


INSTALLED = all(map(shutil.which, ("graywolf", "qrouter", "sta"))) and liberty.DEFAULT.exists()
needs_tools = pytest.mark.skipif(not INSTALLED, reason="graywolf, qrouter, OpenSTA or osu018")


@needs_tools
def test_a_cell_is_placed_and_routed_and_its_wires_take_time(monkeypatch):
    monkeypatch.setattr(figures, "EDGES", (0.15,))
    unit, library = UNITS["residual_add"], liberty.load()
    given = unit.resolve({"LANES": 1, "IN_W": 16})
    sram, said = measure.Sram.of(library), []
    found, layout = figures.wired(unit, given, library, 5.0, sram, False, 60, said.append)
    chosen, placed = layout.design, layout.placed
    assert found.routed == 1.0
    straight = sum(placed.half_perimeter(chosen, pins) for pins in chosen.nets().values())
    assert straight < found.wire < 2 * straight
    assert 0.6 < found.utilisation < 0.9
    assert any("placing" in words for words in said)
    again = chosen.save(chosen.netlist.folder / "again")
    assert timing.timing(again, 5.0).delay < found.delay
    # Without buffers and wires it is what static timing says of the mapped netlist.
    plain = design.design(chosen.netlist)
    alone = timing.timing(plain.save(chosen.netlist.folder / "again"), 5.0)
    assert alone.delay == pytest.approx(found.ideal)
    # Each buffer is a cell more; a limit that no gate comes near needs none.
    assert found.buffers == len(chosen.cells) - len(plain.cells) > 0
    lines = [f"c{place} {9 * place} 0 9 1000 0 1" for place in range(len(plain.cells))]
    laid = place.rows(plain, placed.technology, lines, 0.8)
    laid.ports = dict.fromkeys((*plain.inputs, *plain.outputs), (0.0, 0.0))
    assert buffers.buffered(plain, laid, 50.0)[2] == 0


@pytest.mark.slow
@needs_tools
def test_a_unit_with_buffers_does_what_its_rtl_does_and_a_swapped_net_is_seen():
    unit, library = UNITS["rexp"], liberty.load()
    given = unit.resolve({"LANES": 2, "MAX_LEN": 256})
    sram = measure.Sram.of(library)
    found, layout = figures.wired(unit, given, library, 5.0, sram, True, 300, lambda _: None)
    plain = measure.figures(unit, given, library, 5.0, sram, whole=False)
    assert found.logic_energy > plain.logic_energy
    assert found.energy["sram"] == pytest.approx(plain.energy["sram"])
    # The planted bug: the data of two flip-flops change places.
    chosen = layout.design
    registers = [
        cell for cell in chosen.cells if cell.kind == library.flip_flop and "Q" in cell.pins
    ]
    one, other = [cell for cell in registers if {"D", "Q"} <= cell.pins.keys()][:2]
    one.pins["D"], other.pins["D"] = other.pins["D"], one.pins["D"]
    with pytest.raises(simulation.GateError, match="are not its RTL"):
        measure.spent(chosen.save(chosen.netlist.folder / "wrong"), 5.0, sram)


# --- libraries and memories -----------------------------------------------------------------------


def test_a_library_that_takes_the_path_of_another_is_seen(tmp_path):
    """Yosys keeps a converted copy by path and date: another library must have another path."""
    path = tmp_path / "some.lib"
    unit = UNITS["residual_add"]
    found = []
    for text in (TINY, TINY.replace("NAND2", "NAND9")):
        path.write_text(text)
        os.utime(path, (1e9, 1e9))
        library = liberty.load(str(path))
        assert library.path.read_text() == text
        mapped = netlist.netlist(unit, {"LANES": 1, "IN_W": 16}, library, 5.0)
        found.append({cell for cell in mapped.cells if "NAND" in cell})
    assert found == [{"NAND2"}, {"NAND9"}]
    # The planted bug: both at the path that the user gave.
    first = dataclasses.replace(liberty.load(str(path)), path=path)
    netlist.netlist(unit, {"LANES": 1, "IN_W": 32}, first, 5.0)
    path.write_text(TINY)
    os.utime(path, (1e9, 1e9))
    second = dataclasses.replace(liberty.load(str(path)), path=path)
    with pytest.raises(netlist.SynthesisError):
        netlist.netlist(unit, {"LANES": 1, "IN_W": 32}, second, 5.0)


def test_constants_of_memories_are_scaled_from_what_their_sources_say(tmp_path):
    assumed, small, large = memories.bits("osu018_stdcells", 14.4, 1.0)
    assert (assumed.area, assumed.energy) == (14.4, 1.0)
    # 0.048725 mm2 for 64 words of 128 bits, times (180 / 90)^2.
    assert small.area == pytest.approx(23.79, abs=0.01)
    # The mean of 10.7867 and 16.9997 pJ for 128 bits, times 2 and (1.8 / 1.2)^2.
    assert small.energy == pytest.approx(0.488, abs=0.001)
    assert (large.area, large.energy) == pytest.approx((31.61, 0.647), abs=0.01)
    assert "24.1 um2 a bit" in memories.laid_out()
    wrong = tmp_path / "memories.hjson"
    wrong.write_text(memories.FILE.read_text().replace("mm2:", "mm3:"))
    with pytest.raises(UserError, match="a pair is wrong"):
        memories.bits("osu018", 14.4, 1.0, wrong)
    # In 130 nm a bit is smaller; of a node that is not known nothing is scaled.
    assert memories.bits("sky130_fd_sc_hd", 3.0, 1.0)[1].area == pytest.approx(12.41, abs=0.01)
    assert len(memories.bits("tiny", 3.0, 1.0)) == 1


def test_ratios_are_given_at_each_pair_of_constants():
    sides = [
        ppa_figures.figures(unit, logic=logic, energy=dict(ppa_figures.ENERGY))
        for unit, logic in (("e2softmax", 1000.0), ("softermax", 5000.0))
    ]
    bits = memories.bits("osu018", 14.4, 1.0)
    [line] = compare.bit_ratios(sides, compare.pairs(), bits)
    assert len(line) == len(compare.bit_titles(bits)) == 8
    areas = [(5000 + 80 * bit.area) / (1000 + 80 * bit.area) for bit in bits]
    assert line[2:5] == [f"{ratio:.2f}x" for ratio in areas]
    assert len({*line[2:5]}) == 3
    assert line[5:] == ["1.00x"] * 3


def test_another_library_lies_beside_the_first(tmp_path):
    first = ppa_figures.stored(ppa_figures.figures("e2softmax"))
    flow = dataclasses.replace(ppa_figures.FLOW, library="sky130_other")
    sides = [ppa_figures.figures(unit, logic=1.0) for unit in ("e2softmax", "softermax")]
    both = first.beside(store.Store().with_cells(sides, flow))
    (tmp_path / store.FILE).write_text(both.text())
    read = store.load(tmp_path)
    assert read.text() == both.text()
    assert read.of("tiny") is read
    assert [one.figures.logic for one in read.of("sky130_other").cells] == [1.0, 1.0]
    assert read.of("third") == store.Store()
    text = page.page(read)
    assert ppa_figures.cells(text, "Library sky130_other")["logic, um2"] == "1"
    # The planted bug: another library's figures among the first's.
    with pytest.raises(UserError, match="is of library tiny"):
        read.of("tiny").check(flow, tmp_path)


def test_a_baseline_of_equal_care_has_the_same_registers_at_its_ports():
    bare = {"IN_REG": 0, "OUT_REG": 0}
    found = [
        ppa_figures.figures(unit, logic, energy=dict(ppa_figures.ENERGY), **more)
        for unit, more, logic in (
            ("e2softmax", {}, 1000.0),
            ("e2softmax", bare, 800.0),
            ("e2softmax", {**bare, "FRAC": 2}, 600.0),
            ("softermax", {}, 5000.0),
            ("softermax", bare, 4000.0),
        )
    ]
    lines = compare.glance(found, compare.pairs())
    columns = [compare.GLANCE_TITLES.index(f"area, {one}") for one in ("equal care", "as built")]
    memory = found[0].with_sram - 1000
    wanted = [(5000, 5000, 1000), (4000, 5000, 800), (4000, 5000, 600)]
    assert [[line[one] for one in columns] for line in lines] == [
        [f"{(its + memory) / (mine + memory):.2f}x" for its in baselines]
        for *baselines, mine in wanted
    ]
    # A build of another port than any baseline has nothing of equal care.
    alone = ppa_figures.figures("e2softmax", 900.0, IN_REG=0)
    [line] = compare.glance([alone, found[3]], compare.pairs())
    assert line[columns[0]] == "-"
    assert line[columns[1]] != "-"
