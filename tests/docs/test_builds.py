# SPDX-License-Identifier: Apache-2.0
"""The table of builds: every feature has a line, costs are the descriptors' and measured."""

from __future__ import annotations

import dataclasses

import pytest

from softnorm.flow.errors import UserError
from softnorm.flow.pages import builds, made
from softnorm.flow.ppa.store import Store
from softnorm.units import ROW_UNITS, UNITS
from softnorm.units.unit import IN_REG, OUT_REG
from tests.ppa.ppa_figures import figures, stored


def test_every_feature_of_a_unit_has_a_line():
    for unit in ROW_UNITS.values():
        takes = {name for one in builds.BUILDS if one.unit == unit.name for name in one.takes}
        elsewhere = {IN_REG, OUT_REG} | ({"BANKS"} if unit.baseline else set())
        assert {*unit.features} - elsewhere <= takes  # docs/stream.md says when
        assert takes <= {*unit.features, *unit.defaults}


def test_costs_are_the_descriptors():
    """Of two by hand: wide lanes have clocks more, and a wide maximum beside each beat."""
    found = {" ".join(one.takes): builds.costs(one, Store()) for one in builds.BUILDS}
    beats, clocks = 32 + 7 + 1, 5
    wide = (beats + clocks) * (33 + 5 * 32 + 2 + 1 + 13 + 32 + 4 + 3)
    narrow = beats * (9 + 5 * 32 + 2 + 1 + 3 + 8 + 4 + 3)
    assert found["IN_W SCALE"] == [
        f"{clocks} clocks of latency",
        f"memory of {wide:,} bits, not {narrow:,}",
        "logic",
    ]
    assert found["EXACT_SQ"] == ["logic"]


@pytest.mark.parametrize("older", [False, True])
def test_an_area_that_was_measured_is_among_the_costs(older):
    unit = UNITS["ailayernorm"]
    sides = [unit.resolve({**builds.SIZE, **more}) for more in ({}, {"EXACT_SQ": 1})]
    kept = stored(
        *(
            dataclasses.replace(figures("ailayernorm", logic=logic), parameters=side)
            for logic, side in zip((2000.0, 2140.0), sides, strict=True)
        )
    )
    if older:
        cells = (dataclasses.replace(kept.cells[0], gates="0"), *kept.cells[1:])
        kept = dataclasses.replace(kept, cells=cells)
    [build] = [one for one in builds.BUILDS if "EXACT_SQ" in one.takes]
    assert builds.costs(build, kept) == ["1.07 times the logic" + " (older)" * older]
    assert builds.costs(build, dataclasses.replace(kept, cells=kept.cells[:1])) == ["logic"]


def test_what_a_build_buys_is_of_the_tables():
    """Numbers are where they are kept; one that is nowhere is said."""
    asked = []

    def number(*wanted):
        asked.append(wanted)
        return f"<{len(asked)}>"

    lines = builds.table(number, Store())
    assert {len(line) for line in lines} == {len(builds.TITLES)}
    text = str(lines)
    assert all(f"<{n}>" in text for n in range(1, len(asked) + 1))
    tables = made.Made()
    for table, first, column in asked:
        if table == "accuracy":
            assert float(tables._mean_error(*first)) > 0
        else:
            assert tables.table(table)[0].row(*first)[column]
    with pytest.raises(UserError, match=r"no figures of e2softmax W=9"):
        tables._mean_error("e2softmax W=9")
