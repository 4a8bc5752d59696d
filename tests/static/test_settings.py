# SPDX-License-Identifier: Apache-2.0
"""A setting has one name, and one width, from the pin to Python, in every unit."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

from softnorm.flow.paths import ROOT, RTL
from softnorm.models.ptf import calibrate_mse, fold
from softnorm.units import UNITS
from softnorm.units.softmax import SoftmaxUnit

# Settings of parameters that only the models have so far (`arith.MODEL_ONLY`): they have no pin.
LATER = {
    "e2softmax": set(),
    "ailayernorm": set(),
}

each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def pins(unit, parameters):
    """The inputs cfg_<name>_i and chan_<name>_i of the RTL: name -> bits, in order."""
    text = (RTL / unit.rtl[-1]).read_text(encoding="utf-8")
    header = re.sub(r"//.*", "", text[text.index(f"module {unit.name} ") : text.index(");")])
    names = {**unit.features, **unit.rtl_parameters(parameters)}
    names["clog2"] = lambda n: (n - 1).bit_length()
    for name, value in re.findall(r"localparam +int (\w+) *= ([^\n]+?),?\n", header):
        python = re.sub(r"(\(.+?\)) \? (.+) : (.+)", r"(\2) if \1 else (\3)", value)
        names[name] = eval(python.replace("$", ""), {}, names)
    found = {}
    for width, name in re.findall(r"input +logic +(?:\[(.+?):0\])? *((?:cfg|chan)_\w+)_i", header):
        found[name] = eval(width or "0", {}, names) + 1
    return found


def settings_of(unit, max_len):
    """Every setting that some build has, by its name: the pins are there in all of them."""
    found = {}
    for given in unit.configurations:
        parameters = unit.resolve({**given, "LANES": 1, "MAX_LEN": max_len})
        found |= {one.name: one for one in unit.settings(parameters)}
    return found


def folded():
    """A quantiser and a folded layer of eight channels, and real rows for them."""
    x = np.random.default_rng(1).normal(size=(5, 8))
    ptf = calibrate_mse(x)
    return x, ptf, fold(np.ones(8), None, ptf, 1 / 32)


def disagreements(unit):
    """Where the descriptor's settings are others than elsewhere."""
    found = []
    for max_len in (1, 2, 100, 1024, 65536):
        of_all = [*settings_of(unit, max_len).values(), *unit.channels]
        for given in unit.configurations:
            parameters = unit.resolve({**given, "LANES": 1, "MAX_LEN": max_len})
            of_build = (*unit.settings(parameters), *unit.channels)
            wanted = {one.port: one.bits for one in of_build}
            there = {f"{name}_i": bits for name, bits in pins(unit, parameters).items()}
            for ours in ("chan_we_i", "chan_bank_i", "chan_addr_i"):
                there.pop(ours, None)
            used = {name: bits for name, bits in there.items() if name in wanted}
            if sorted(there) != sorted(one.port for one in of_all) or [*used.items()] != [
                *wanted.items()
            ]:
                found.append(f"pins at MAX_LEN = {max_len}, {dict(given)}: {there}")
                break
    names = [one.name for one in unit.settings(unit.defaults)]
    free = set(settings_of(unit, 1024)) - {
        "bank"
    }  # where the RTL has the channels: of no use to a model
    later = set()
    if len(dataclasses.fields(unit.model)) > len(unit.defaults) + len(unit.features):
        later = LATER[unit.name]
    if unit.operands:  # rows that do not fit: of the bench these are the join's
        later = {"length", *(f"{operand.name}_length" for operand in unit.operands)}
    for call in (unit.model.__call__, *([] if unit.cell else [unit.model.trace])):
        arguments = inspect.signature(call).parameters.values()
        if {one.name for one in arguments if one.kind is one.KEYWORD_ONLY} != free | later:
            found.append(f"{call.__name__} of the model")
    if isinstance(unit, SoftmaxUnit):
        if not set(unit.quantise(np.zeros((1, 1)), 4)[1]) <= free:
            found.append("quantise")
    elif not unit.cell and set(unit.quantise(*folded())[1]) != {*names} - {"bank"}:
        found.append("quantise")
    page = (ROOT / f"docs/units/{unit.name}.md").read_text(encoding="utf-8")
    if re.findall(r"^\| setting `cfg_(\w+)_i` \|", page, re.M) != names:
        found.append("the unit's page")
    table = (ROOT / "docs/vectors.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{unit.name}` \|.*\| ([^|]+) \|$", table, re.M)[1].partition(";")[0]
    given = [one.name for one in unit.settings(unit.defaults) if one.drawn]
    if re.findall(r"`(\w+)`", row) != given:
        found.append("docs/vectors.md")
    return found


@each_unit
def test_a_setting_has_the_name_of_its_pin_everywhere(unit):
    assert not disagreements(unit)


def test_what_is_folded_has_the_names_of_ailayernorms_pins():
    unit = UNITS["ailayernorm"]
    names = [one.name for one in unit.settings(unit.defaults)]
    assert sorted(folded()[2].settings(8)) == sorted(set(names) - {"bank"})


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"name": "fraction"}, 10),  # five sizes, both calls, quantise, both pages
        ({"values": range(9)}, 5),  # a bit more
    ],
)
def test_another_name_or_width_is_found(change, places, monkeypatch):
    unit = UNITS["e2softmax"]
    own = type(unit).settings

    def changed(self, parameters):
        for one in own(self, parameters):
            yield dataclasses.replace(one, **change) if one.name == "frac" else one

    monkeypatch.setattr(type(unit), "settings", lambda *args: tuple(changed(*args)))
    assert len(disagreements(unit)) == places


@pytest.mark.parametrize("unit", [u for u in UNITS.values() if isinstance(u, SoftmaxUnit)])
def test_a_fraction_of_each_row_is_the_rows(unit):
    """As many rows as columns: nothing but the place says which they are of."""
    logits = np.random.default_rng(1).normal(size=(8, 8))
    frac = np.arange(8)
    x, settings = unit.quantise(logits, frac)
    for row, f in enumerate(frac):
        assert (x[row] == unit.quantise(logits[row], int(f))[0]).all()
    assert unit.model()(x, **settings).out.any()  # the settings are the model's as they are
