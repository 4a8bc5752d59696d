# SPDX-License-Identifier: Apache-2.0
"""The files of a new unit: a small one that meets the stream contract and passes its tests at once.

`templates/<kind>/` holds them, with @name@, @Name@ and @NAME@ in the places of the unit's name.
"""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pyslang.parsing import TokenKind

from softnorm.units import UNITS

from ..errors import UserError
from ..paths import ROOT

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("softmax", "layernorm")

# template -> the file that it becomes
PLACES = {
    "page.md.in": "docs/units/{name}.md",
    "drawing.hjson.in": "docs/drawings/{name}.hjson",
    "model.py.in": "models/{name}.py",
    "test.py.in": "tests/models/test_{name}.py",
    "unit.sv.in": "rtl/{name}/{name}.sv",
    "descriptor.py.in": "units/{name}.py",
    "testplan.hjson.in": "testplans/{name}.hjson",
    "sentences.hjson.in": "testplans/sentences/{name}.hjson",
    "mutations.py.in": "tests/rtl/mutations/{name}.py",
}
REGISTRY = "units/__init__.py"
LIST = "docs/units.md"
SITE = "mkdocs.yml"
# Of make generate.
DERIVED = ("softnorm.core", "rtl/{name}/{name}.core", "Bender.yml", "docs/drawings/{name}.svg")

# Without the measured figures in the pages: the unit has none yet.
_GENERATE = "from softnorm.flow.static import generate; generate.write(generate.files())"

_KEYWORDS = {word.lower() for word in TokenKind.__members__ if word.endswith("Keyword")}


def check(name: str, kind: str) -> None:
    """Raise UserError unless a unit of that name and kind can be made."""
    if kind not in KINDS:
        raise UserError(f"KIND must be softmax or layernorm, not {kind!r}")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,23}", name) or name.endswith("_"):
        raise UserError(
            "NAME must have at most 24 lower-case letters, digits and underscores, a letter first, "
            f"not {name!r}"
        )
    if keyword.iskeyword(name) or f"{name.replace('_', '')}keyword" in _KEYWORDS:
        raise UserError(f"NAME={name} is a word of SystemVerilog or Python: take another")
    if name in UNITS:
        raise UserError(f"there is a unit {name} already: take another NAME")
    for place in (f"rtl/{name}", *PLACES.values()):
        if (ROOT / place.format(name=name)).exists():
            raise UserError(f"{place.format(name=name)} is there already: take another NAME")


def files(name: str, kind: str) -> dict[Path, str]:
    """What a new unit adds: path -> content, new files first, then the changed ones."""
    check(name, kind)
    title = "".join(word.capitalize() for word in name.split("_"))
    tokens = {"@name@": name, "@Name@": title, "@NAME@": name.upper()}
    made = {
        ROOT / place.format(name=name): _filled(TEMPLATES / kind / template, tokens)
        for template, place in PLACES.items()
    }
    return {
        **made,
        ROOT / REGISTRY: _registered(name),
        ROOT / LIST: _listed(name, title, kind),
        ROOT / SITE: _navigated(name, title),
    }


def _filled(template: Path, tokens: Mapping[str, str]) -> str:
    text = template.read_text(encoding="utf-8")
    for token, value in tokens.items():
        text = text.replace(token, value)
    return text


def _registered(name: str) -> str:
    """The registry with an import of the unit and a line of its own before the baselines."""
    text = (ROOT / REGISTRY).read_text(encoding="utf-8")
    first, baselines = "from .", "        # Baselines:\n"
    if first not in text or baselines not in text:
        raise UserError(f"{REGISTRY} has no imports or no line '# Baselines:': mend it first")
    text = text.replace(first, f"from .{name} import {name.upper()}\n{first}", 1)
    return text.replace(baselines, f"        {name.upper()},\n{baselines}")


def _listed(name: str, title: str, kind: str) -> str:
    """The list of units with a line more, below the last of the first table."""
    text = (ROOT / LIST).read_text(encoding="utf-8")
    table = re.search(r"^\| unit \|.*\n(?:\|.*\n)+", text, re.M)
    if table is None:
        raise UserError(f"{LIST} has no table of units: mend it first")
    of = {"softmax": "softmax of int8 logits", "layernorm": "LayerNorm of uint8 activations"}
    line = f"| [{title}](units/{name}.md) | {of[kind]} | a starting point, of `make new-unit` |\n"
    return text[: table.end()] + line + text[table.end() :]


def _navigated(name: str, title: str) -> str:
    """The site's navigation with the page behind those of the other units."""
    text = (ROOT / SITE).read_text(encoding="utf-8")
    pages = re.findall(r"^ +- .*: units/\w+\.md\n", text, re.M)
    if not pages:
        raise UserError(f"{SITE} has no pages of units: mend it first")
    return text.replace(pages[-1], f"{pages[-1]}      - {title}: units/{name}.md\n")


def new_unit(name: str, kind: str) -> list[Path]:
    """Make a unit; return the files that are new or changed. All of them are, or none.

    Raises UserError.
    """
    made = files(name, kind)
    changed = [*made, *(ROOT / place.format(name=name) for place in DERIVED)]
    before = {path: path.read_bytes() if path.exists() else None for path in changed}
    python = [str(path) for path in made if path.suffix == ".py"]
    ruff = [sys.executable, "-m", "ruff"]
    try:
        for path, text in made.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        # The order of imports and the ends of lines depend on the name.
        _run([*ruff, "check", "--quiet", "--select", "I", "--fix", *python])
        _run([*ruff, "format", "--quiet", *python])
        # In a process of its own, which imports the registry as it is now.
        _run([sys.executable, "-c", _GENERATE])
    except BaseException:
        for path, text in before.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(text)
        if (ROOT / f"rtl/{name}").is_dir():
            (ROOT / f"rtl/{name}").rmdir()
        raise
    return changed


def _run(command: list[str]) -> None:
    """A step of making a unit. Raises UserError with the last line that it said."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "SOFTNORM_PYTHON": "current"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = ended.stdout.strip().rpartition("\n")[2]
        raise UserError(f"nothing is written, for `{' '.join(command[1:3])}` failed: {last}")
