# SPDX-License-Identifier: Apache-2.0
"""What an evaluation found, as tables and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .. import cli
from . import runtimes
from .evaluation import NodeResult, OutputResult, Result
from .sites import NORM, SOFTMAX

FEW = 4  # warnings that are shown; JSON has them all


def text(result: Result) -> str:
    """The result as tables."""
    parts = []
    for kind, title in ((SOFTMAX, "softmaxes"), (NORM, "norms")):
        nodes = [one for one in result.nodes if one.site.kind == kind]
        if nodes:
            parts.append(f"{len(nodes)} {title}: {nodes[0].choice}\n{_table(nodes)}")
    with_runtimes = [one for one in result.nodes if one.runtimes]
    if with_runtimes:
        parts.append(
            "softmaxes in int8 on calibration's rows, errors against float\n"
            + "\n".join([_runtimes(with_runtimes), *runtimes.missing()])
        )
    parts.append(f"outputs of {result.examples} examples against float\n{_outputs(result)}")
    left = [f"left float: {one.name} ({one.op}): {one.why}" for one in result.left]
    parts.append("\n".join(left) or "left float: nothing")
    shown = [f"warning: {one}" for one in result.warnings[:FEW]]
    if len(result.warnings) > FEW:
        shown.append(f"and {len(result.warnings) - FEW} more warnings")
    if result.reference:
        shown.append(f"by onnx's reference evaluator, in part: {'; '.join(result.reference)}")
    return "\n\n".join([*parts, *(["\n".join(shown)] if shown else [])])


def _figure(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _table(nodes: list[NodeResult]) -> str:
    rows = [
        [
            *(one.site.name, one.site.op, one.rows, _lengths(one), _settings(one.registers)),
            *(_figure(one.error.value), _figure(one.against_exact.value)),
            _figure(one.exact.value),
        ]
        for one in nodes
    ]
    errors = ["error", "to exact 8 bit", "of exact 8 bit"]
    return cli.table(rows, ["node", "operator", "rows", "length", "settings", *errors])


def _lengths(one: NodeResult) -> str:
    same = one.shortest == one.longest
    return str(one.longest) if same else f"{one.shortest}..{one.longest}"


def _settings(registers: Mapping) -> str:
    """The settings in a few words: ranges over heads."""
    heads = registers.get("heads")
    if heads is None:
        names = ("zp", "gfrac", "ofrac")
        settings = registers["settings"]
        return " ".join(f"{name}={settings[name]}" for name in names if name in settings)
    words = []
    for name in ("frac", "mult", "shift"):
        values = [head[name] for head in heads if name in head]
        if values:
            low, high = min(values), max(values)
            words.append(f"{name}={low}" if low == high else f"{name}={low}..{high}")
    return " ".join(words)


def _runtimes(nodes: list[NodeResult]) -> str:
    names = list(nodes[0].runtimes)
    rows = [[one.site.name, *(_figure(one.runtimes[name]) for name in names)] for one in nodes]
    return cli.table(rows, ["node", *names])


def _outputs(result: Result) -> str:
    rows = []
    for what, outputs in (("units", result.outputs), ("exact 8 bit", result.exact_outputs)):
        for one in outputs:
            its = _of_output(one)
            cells = [_figure(its["error"]), _figure(its["cosine"], 4)]
            rows.append([one.name, what, one.rows, *cells, f"{100 * its['agrees']:.2f} %"])
    return cli.table(rows, ["output", "with", "rows", "error", "cosine", "agrees"])


def _of_output(one: OutputResult) -> dict[str, float]:
    count, error = max(one.rows, 1), one.error.value
    cosine = error if math.isnan(error) else one.cosine / count
    return {"error": error, "cosine": cosine, "agrees": one.agrees / count}


def plain(result: Result) -> dict[str, object]:
    """The same as plain data, for JSON: NaN is None. `registers` has the settings."""
    return {
        "examples": result.examples,
        "nodes": [
            {
                "name": one.site.name,
                "kind": one.site.kind,
                "operator": one.site.op,
                "unit": str(one.choice),
                "rows": one.rows,
                "shortest": one.shortest,
                "longest": one.longest,
                "settings": _settings(one.registers),
                "saturated": _or_none(one.saturated),
                "error": _or_none(one.error.value),
                "error_against_exact_8_bit": _or_none(one.against_exact.value),
                "error_of_exact_8_bit": _or_none(one.exact.value),
                "int8_softmaxes": {k: _or_none(v) for k, v in one.runtimes.items()},
            }
            for one in result.nodes
        ],
        "left": [{"name": one.name, "operator": one.op, "why": one.why} for one in result.left],
        "outputs": {one.name: _plain_output(one) for one in result.outputs},
        "outputs_exact_8_bit": {one.name: _plain_output(one) for one in result.exact_outputs},
        "warnings": result.warnings,
        "by_reference_evaluator": result.reference,
    }


def _plain_output(one: OutputResult) -> dict[str, object]:
    figures = {name: _or_none(value) for name, value in _of_output(one).items()}
    return {"rows": one.rows, **figures}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def registers(result: Result) -> dict[str, object]:
    """The settings of every unit, by node: `flow.onnx.registers` reads them."""
    return {one.site.name: {"kind": one.site.kind, **one.registers} for one in result.nodes}
