#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of every unit and variant: on real tensors against float64, and in whole networks.

usage: scripts/accuracy.py [UNIT=name | OUT=folder | LENGTHS=1 | MEANS=1 | SCALES=1 | TILES=1 |
                            ARCHITECTURES=1 | ONNX=minilm|ocr|ocr-int8 | FRONTIER=1 |
                            NETWORK=digits|minilm ...]

  UNIT=name       print this unit's table of the tensors only, and write nothing
  OUT=docs        folder to write accuracy.md, accuracy.json and accuracy.svg to; no network
  LENGTHS=1       softmaxes on rows of 49 to 4096 normal logits: sums, divergence, flips
  MEANS=1         LayerNorms on rows whose mean is far from 0 against the deviation
  SCALES=1        softmaxes of any scale on the tensors at scales that are no powers of two
  TILES=1         attention in tiles through the RTL, 256 to 65536 keys, against whole rows in it
    UNIT=name       of any of them this unit alone
    OUT=docs        of any put the table into reach.json there, and draw its plot, if it has one
  ARCHITECTURES=1 units in small random networks of many architectures of transformers (the extra
                  `torch`): what is replaced, what stays float, errors of the outputs
    ONLY=name,name  of these alone
    OUT=docs        put the table into figures.json there
  ONNX=name       units in an ONNX network that comes as a package (the extra `onnx`; what else it
                  needs is said): minilm, all-MiniLM-L6-v2 with int8 weights; ocr, a recogniser of
                  text; ocr-int8, the same quantised; writes its data to build/onnx, as softnorm
                  evaluate takes them
    OUT=docs        put what it prints into onnx.json there
  FRONTIER=1      every variant's errors against its storage and tables, Pareto-optimal ones marked;
                  writes only frontier.svg to OUT=
  NETWORK=digits  only the test accuracy of a small vision transformer on handwritten digits:
    PRODUCTS=int8   int8 matrix products, calibrated like the units; default: float
    RTL=1           each unit's RTL in all layers: its scores must equal the model's to the bit
  NETWORK=minilm  only all-MiniLM-L6-v2 (needs the extra `capture`) on the STS-B test set:
    STSB=FILE       tab-separated: score, sentence1, sentence2; without it the sentences of data/
    PAIRS=n         only n pairs, drawn at random
    ONLY=name       only the methods with this text in their names
    RTL=1           the units' RTL in all layers: embeddings must equal the models' to the bit;
                    without ONLY= four methods: each softmax unit and AILayerNorm, and the best pair
    PRODUCTS=int8   int8 matrix products: loss of W8A8 against FP32, and of each method against
                    W8A8; with them also the methods whose int32 scores go into the unit as they are
    LAYERS=1        one softmax or LayerNorm at a time, with the error of its outputs; 400 pairs
                    unless PAIRS= says how many
    DOCUMENTS=1     documents of 49 to 512 tokens, joined of the sentences: what length costs
    SEED=1          of samples and resamples
    CALIBRATION=    a file of sentences, one a line, to calibrate with
    OUT=docs        of either network: put the table into networks.json there, too

Without arguments: the tensors of all units, lengths, means, scales, tiles, written into docs/, then
the digits.
Nothing is retrained for a unit.

The plot needs matplotlib (the extra `plot`); without it an existing plot is left as it is.
Exit code: 0 done; 1 the RTL differs from the models, or in tiles from whole rows; 2 bad input.
"""

import bootstrap  # noqa: F401  isort: skip

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from softnorm import units
from softnorm.flow.accuracy import frontier, reach, tiles
from softnorm.flow.accuracy import tables as accuracy
from softnorm.flow.capture import model as capture
from softnorm.flow.cli import flag, main, number, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.networks import advice, digits_accuracy, minilm
from softnorm.flow.networks import minilm_accuracy as task_accuracy
from softnorm.flow.networks.digits import Vit, load_digits
from softnorm.flow.networks.stand_in import is_softmax
from softnorm.flow.pages import kept, made

# What architectures are measured with, and the 8-bit units that they are compared with.
FINE = {"softmax": advice.RECOMMENDED, "norm": "ailayernorm CMP_RANGES=3"}
EXACT = {"softmax": "exact_softmax", "norm": "exact_layernorm"}
DIGITS = kept.command("accuracy", {"NETWORK": "digits"})


def command(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    network = given.pop("NETWORK", None)
    if network is not None:
        return _network(network, given)
    if flag("FRONTIER", given.pop("FRONTIER", "0")):
        return _frontier(given)
    if flag("ARCHITECTURES", given.pop("ARCHITECTURES", "0")):
        return _architectures(given)
    if "ONNX" in given:
        return _onnx(given.pop("ONNX"), given)
    for what in REACH:
        if flag(what, given.pop(what, "0")):
            return _reach(what, given)
    if len(given) > 1 or not {*given} <= {"UNIT", "OUT"} or "" in given.values():
        raise UserError("accuracy takes UNIT=<unit>, OUT=<folder>, NETWORK=<network>, or nothing")
    chosen = [_approximating(given["UNIT"])] if "UNIT" in given else list(units.ROW_UNITS.values())
    out = Path(given.get("OUT", kept.DOCS))
    accuracy.make(out)  # or say that it cannot be, before it takes time
    results = [accuracy.measure(unit, lambda line: print(line, flush=True)) for unit in chosen]
    for result in results:
        titles, lines = accuracy.cells(result, reach.divergences())
        print(f"\n{result.unit.title}\n{accuracy.heading(result)}\n\n{table(lines, titles)}")
        name = result.unit.name
        what = "LENGTHS" if is_softmax(result.unit) else "MEANS"
        print(f"rerun: {kept.command('accuracy', {'UNIT': name})}")
        print(f"longer rows, other means: {kept.command('accuracy', {what: '1', 'UNIT': name})}")
    if not given:
        for what in REACH:
            _reach(what, {"OUT": str(kept.DOCS)})
    if "UNIT" not in given:
        # What the page has of other commands is what was kept, wherever it is written to.
        filled = lambda page: made.filled(page, kept.DOCS)  # noqa: E731
        written = accuracy.write(results, out, filled, reach.divergences())
        print("\n" + "\n".join(written))
    return 0 if given else _digits()


def _approximating(name: str) -> units.Unit:
    """A unit that has errors to measure. Raises ParameterError, UserError."""
    unit = units.get(name)
    if unit.cell:
        raise UserError(f"{name} is a stream cell: it rounds once, and has no errors to measure")
    return unit


# What to measure, its titles; the plot of it, its file, the builds in it, if there is one.
REACH = {
    "LENGTHS": (
        *(reach.lengths, reach.LENGTH_TITLES),
        *(reach.plot_lengths, reach.LENGTHS_PLOT, made.LENGTH_BUILDS),
    ),
    "MEANS": (
        *(reach.means, reach.MEAN_TITLES),
        *(reach.plot_means, reach.MEANS_PLOT, made.MEAN_BUILDS),
    ),
    "SCALES": (reach.scales, reach.SCALE_TITLES, None, None, None),
    "TILES": (tiles.tiles, tiles.TITLES, None, None, None),
}


def _reach(what: str, given: dict[str, str]) -> int:
    """How far the units reach: over lengths of rows, means, scales of logits, keys in tiles."""
    measure, titles, plot, file, builds = REACH[what]
    if len(given) > 1 or not {*given} <= {"UNIT", "OUT"} or "" in given.values():
        raise UserError(f"accuracy takes {what}=1 with UNIT=<unit>, OUT=<folder>, or alone")
    by = kept.command("accuracy", {what: "1", **given})
    chosen = [_approximating(given["UNIT"])] if "UNIT" in given else list(units.ROW_UNITS.values())
    lines = measure(chosen, lambda line: print(line, file=sys.stderr, flush=True))
    if not lines:
        raise UserError(f"{given['UNIT']} has no rows of {what}=1")
    print(f"\n{table(lines, titles)}\nrerun: {by}")
    if "OUT" in given:
        out = Path(given["OUT"])
        facts = tiles.FACTS if what == "TILES" else {}
        of = kept.of_tiles(chosen) if what == "TILES" else kept.of_reach()
        print(kept.put(kept.REACH, {by: kept.new(of, titles, lines, facts)}, out))
        if plot is not None:
            print(accuracy.write_plot(lambda: plot(lines, builds), out / file))
    return int(what == "TILES" and tiles.wrong(lines))


def _architectures(given: dict[str, str]) -> int:
    """The units in architectures of transformers."""
    from softnorm.flow.pytorch import architectures  # which needs torch

    if not {*given} <= {"ONLY", "OUT"} or "" in given.values():
        raise UserError(
            "accuracy takes ARCHITECTURES=1 with ONLY=<name,name>, OUT=<folder>, or alone"
        )
    names = given["ONLY"].split(",") if "ONLY" in given else architectures.NAMES
    by = kept.command("accuracy", {"ARCHITECTURES": "1", **given})
    begun = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    lines, facts = architectures.measure_all(names, FINE, EXACT, begun)
    print(table(lines, architectures.TITLES))
    print(", ".join(f"{number} {what}" for what, number in facts.items()), f"\nrerun: {by}")
    if "OUT" in given:
        found = kept.new(kept.of_architectures(), architectures.TITLES, lines, facts)
        print(kept.put(kept.FIGURES, {by: found}, Path(given["OUT"])))
    return 0


def _onnx(name: str, given: dict[str, str]) -> int:
    """Units in an ONNX network of a package."""
    from softnorm.flow.onnx import packages  # which needs onnx

    if not {*given} <= {"OUT"} or "" in given.values():
        raise UserError("accuracy takes ONNX=<network> with OUT=<folder>, or alone")
    if name not in packages.NETWORKS:
        known = " or ".join(packages.NETWORKS)
        raise UserError(f"ONNX must be {known}, not {name!r}: softnorm evaluate takes any file")
    lines = packages.measured(
        name, FINE, lambda line: print(f"  {line}", file=sys.stderr, flush=True)
    )
    by = kept.command("accuracy", {"ONNX": name})
    print("\n".join(lines), f"\nrerun: {by}")
    if "OUT" in given:
        found = kept.new(kept.of_onnx(), ["text"], [[line] for line in lines])
        print(kept.put(kept.ONNX, {by: found}, Path(given["OUT"])))
    return 0


def _begun(what: str) -> None:
    """Say what is being measured."""
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def _frontier(given: dict[str, str]) -> int:
    """Every variant against what it stores."""
    out = Path(given.pop("OUT", kept.DOCS))
    if given:
        raise UserError("accuracy takes FRONTIER=1 with OUT=<folder> or alone")
    _begun("every variant of every unit")
    results = [accuracy.measure(unit) for unit in units.ROW_UNITS.values()]
    found = frontier.points(results)
    images = load_digits("training").images[: digits_accuracy.CALIBRATION]
    lines = digits_accuracy.measure(
        units.NETWORK_UNITS.values(), images, load_digits("test"), Vit()
    )
    float_line = next(lines)
    print(f"float in the vision transformer: {float_line.correct}/{float_line.images}\n")
    print(table(list(frontier.cells(found, lines)), frontier.TITLES))
    drawn = frontier.points(results, reach.divergences())
    print("\n" + accuracy.write_plot(lambda: frontier.plot(drawn), out / frontier.PLOT))
    return 0


def _network(name: str, given: dict[str, str]) -> int:
    """The table of one network."""
    by = kept.command("accuracy", {"NETWORK": name, **given})
    out = Path(given.pop("OUT")) if "OUT" in given else None
    if name == "minilm":
        return _minilm(given, by, out)
    with_rtl = flag("RTL", given.pop("RTL", "0"))
    in_int8 = _in_int8(given)
    if name != "digits" or given or (with_rtl and in_int8):
        raise UserError(
            "NETWORK must be minilm, or digits (optionally with RTL=1 or PRODUCTS=int8); see --help"
        )
    return _digits_rtl(by, out) if with_rtl else _digits(in_int8, by, out)


def _keep(
    by: str,
    network: str,
    out: Path | None,
    titles: Sequence[str],
    lines: Sequence[Sequence[object]],
    with_rtl: bool = False,
    **facts: int,
) -> None:
    """Put a table into networks.json of the folder `out`, if there is one."""
    if out is not None:
        built = units.NETWORK_UNITS.values() if with_rtl else ()
        one = kept.new(kept.of_network(network, built), titles, lines, facts)
        print(kept.put(kept.NETWORKS, {by: one}, out))


def _in_int8(given: dict[str, str]) -> bool:
    """Whether PRODUCTS, taken out of the words, asks for int8 ones. Raises UserError."""
    products = given.pop("PRODUCTS", "float")
    if products not in ("float", "int8"):
        raise UserError(f"PRODUCTS must be float or int8, not {products!r}")
    return products == "int8"


def _minilm(given: dict[str, str], by: str, out: Path | None) -> int:
    """MiniLM on STS-B; without the data set, on sentences that were not calibrated with."""
    stsb = Path(given.pop("STSB")) if "STSB" in given else None
    seed = number("SEED", given.pop("SEED", str(task_accuracy.SEED)))
    with_rtl = flag("RTL", given.pop("RTL", "0"))
    in_int8 = _in_int8(given)
    one_at_a_time = flag("LAYERS", given.pop("LAYERS", "0"))
    joined = flag("DOCUMENTS", given.pop("DOCUMENTS", "0"))
    methods = task_accuracy.chosen(given.pop("ONLY", ""), with_rtl, joined, in_int8)
    count = number("PAIRS", given.pop("PAIRS"), least=2) if "PAIRS" in given else None
    calibration = capture.read_sentences(Path(given.pop("CALIBRATION", capture.SENTENCES)))
    if (
        given
        or (one_at_a_time + joined > 1)
        or ((one_at_a_time or joined) and with_rtl)
        or (one_at_a_time and in_int8)
    ):
        raise UserError(
            "NETWORK=minilm takes STSB=, PAIRS=, CALIBRATION=, SEED=, ONLY=, and LAYERS=1 or "
            "DOCUMENTS=1 or RTL=1, the last two also with PRODUCTS="
        )
    started = time.perf_counter()
    pairs = task_accuracy.find_pairs(stsb)
    if pairs is None:
        print(task_accuracy.NO_DATA)
        calibration, rest = calibration[::2], calibration[1::2]
        if len(rest) < 3:
            raise UserError("CALIBRATION holds too few sentences to measure on half of them")
        pairs = task_accuracy.all_pairs(rest)
    if one_at_a_time and count is None:
        count = task_accuracy.LAYER_PAIRS
    if count is not None:
        pairs = pairs.some(count, seed)
    print(
        f"{minilm.MODEL}, {len(pairs.places)} pairs of {len(pairs.sentences)} sentences; "
        f"calibrated on {len(calibration)} others, seed {seed}; {task_accuracy.RESAMPLES} "
        f"resamples, seed {seed}",
        flush=True,
    )
    wrong = False
    counts = {
        "pairs": len(pairs.places),
        "sentences": len(pairs.sentences),
        "calibrated on": len(calibration),
        "resamples": task_accuracy.RESAMPLES,
        "seed": seed,
    }

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if joined:
        found = task_accuracy.by_length(
            pairs.sentences, calibration, methods, seed, progress, in_int8
        )
        shown = task_accuracy.document_cells(found)
        print(f"\n{table(shown, task_accuracy.DOCUMENT_TITLES)}\n", flush=True)
        counts = {"documents": task_accuracy.DOCUMENTS, "calibrated on": len(calibration)}
        _keep(by, "minilm", out, task_accuracy.DOCUMENT_TITLES, shown, **counts)
    elif one_at_a_time:
        if out is not None and len(methods) > 1:
            raise UserError("LAYERS=1 with OUT= takes the ONLY= of one method")
        for method in methods:
            lines = task_accuracy.by_layer(pairs, calibration, method, seed)
            print(f"\n{method.name}, one at a time\n")
            shown = task_accuracy.layer_cells(lines)
            print(table(shown, task_accuracy.LAYER_TITLES), flush=True)
            _keep(by, "minilm", out, task_accuracy.LAYER_TITLES, shown, **counts)
    else:
        instances = min(os.cpu_count() or 1, 8) if with_rtl else 0
        results = task_accuracy.measure(
            pairs, calibration, seed, methods, progress, instances, in_int8
        )
        if with_rtl:
            print("\nembeddings by the units' RTL")
        if in_int8:
            print(f"\nint8 products; lost: {task_accuracy.W8A8} to FP32, the others to it")
        print(f"\n{table(task_accuracy.cells(results), task_accuracy.TITLES)}\n")
        if with_rtl:
            print("against the bit-exact models\n")
            through = task_accuracy.rtl_cells(results)
            print(f"{table(through, task_accuracy.RTL_TITLES)}\n")
            _keep(by, "minilm", out, task_accuracy.RTL_TITLES, through, True, **counts)
        else:
            shown = task_accuracy.cells(results)
            _keep(by, "minilm", out, task_accuracy.TITLES, shown, **counts)
        wrong = any(one.rtl is not None and one.rtl.other_bits for one in results)
    print(f"rerun: {by}\nwall time {time.perf_counter() - started:.1f} s")
    return int(wrong)


def _digits_rtl(by: str, out: Path | None) -> int:
    """Each unit's RTL in the network against its model; the exit code is 1 where they differ."""
    images = load_digits("training").images[: digits_accuracy.CALIBRATION]
    test, wrong, cells = load_digits("test"), 0, []
    for unit in units.NETWORK_UNITS.values():
        _begun(f"{unit.name} in RTL, {len(test)} images")
        started = time.perf_counter()
        differs = digits_accuracy.rtl_differs(unit, images, test, Vit())
        wrong += differs
        seconds = f"{time.perf_counter() - started:.1f}"
        cells.append((unit.name, len(test), 10 * len(test), differs, seconds))
    print("\nRTL in all layers of the vision transformer, against the bit-exact model\n")
    titles = ("unit", "images", "scores", "other bits", "seconds")
    print(f"{table(cells, titles)}\nrerun: {by}")
    _keep(by, "digits", out, titles, cells, True)
    return 1 if wrong else 0


def _digits(
    in_int8: bool = False, by: str = "make accuracy NETWORK=digits", out: Path | None = None
) -> int:
    _begun("every unit in the vision transformer")
    images = load_digits("training").images[: digits_accuracy.CALIBRATION]
    lines = digits_accuracy.measure(
        units.NETWORK_UNITS.values(), images, load_digits("test"), Vit(), in_int8
    )
    cells = [
        (
            line.softmax,
            line.norm,
            f"{line.correct}/{line.images}",
            f"{100 * line.correct / line.images:.2f} %",
            f"{100 * line.kept / line.images:.2f} %",
        )
        for line in lines
    ]
    products = "; products int8 from the second line on" if in_int8 else ""
    print(f"\na small vision transformer on handwritten digits, test images{products}\n")
    titles = ("softmax", "LayerNorm", "correct", "accuracy", "as float")
    print(f"{table(cells, titles)}\nrerun: {by}")
    _keep(by, "digits", out, titles, cells, images=len(images))
    return 0


if __name__ == "__main__":
    main(command)
