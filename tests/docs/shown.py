# SPDX-License-Identifier: Apache-2.0
"""Command lines that the pages show, and how they are run: in a copy of the checkout."""

from __future__ import annotations

import functools
import re
import shlex

from softnorm.flow.paths import ROOT
from softnorm.units import UNITS

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
WALKTHROUGH = "docs/walkthrough.md"  # has a test of its own: each command changes the next
COMMANDS = "docs/commands.md"
NOT_RUN = re.compile(r"sudo |(\.venv/bin/)?pip ")  # they change the machine
# Something to fill in, or to choose from; `UNIT=<unit>` is every unit.
_OPEN = re.compile(r"\.\.|<(?!unit>)|\||=(\s|$)|\bNAME\b(?!=)")
EXAMPLE = "UNIT=mynorm"


@functools.cache
def read(page: str) -> str:
    """A page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[str]:
    """Its code blocks in these languages, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", read(page), re.M | re.S)
    return [text for language, text in found if language in languages]


def _written(page: str) -> list[str]:
    """Command lines of a page as they stand there: in blocks, and `make ..` in backticks."""
    found = []
    for block in blocks(page, "sh", "console"):
        if "<<" in block:  # a script
            found.append(block.strip())
            continue
        lines = [line.removeprefix("$ ") for line in block.splitlines()]
        # What a console shows behind its prompt is printed, not typed.
        typed = [one for one in lines if page != WALKTHROUGH or one.startswith("make ")]
        found += [line for line in typed if line.strip()]
    plain = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
    return [*found, *re.findall(r"`(make [a-z][^`\n]*)`", plain)]


def _flags() -> list[str]:
    """`make <command> FLAG=1`, or another value that stands there, of each command's table."""
    found = []
    for name, text in re.findall(r"^## ([\w-]+)$(.*?)(?=^## |\Z)", read(COMMANDS), re.M | re.S):
        cells = "\n".join(re.findall(r"^\| (`.+?) \|", text, re.M))
        found += [f"make {name} {word}" for word in re.findall(r"`([A-Z]+=\w+)`", cells)]
    return found


def lines() -> list[str]:
    """Every command line that the pages show and that can be run as it stands, once.

    Those of docs/walkthrough.md are left out, and those that change the machine.
    """
    found: dict[str, None] = {}
    for page in PAGES:
        for written in _written(page) if page != WALKTHROUGH else ():
            line = written if "<<" in written else written.partition("#")[0].strip()
            if NOT_RUN.match(line) or EXAMPLE in line or _OPEN.search(line.partition("<<")[0]):
                continue
            for unit in UNITS if "<unit>" in line else [""]:
                found[line.replace("<unit>", unit)] = None
    for line in _flags():
        found[line] = None
    # In bulk and at the pins, every unit at its defaults.
    for unit in UNITS:
        found[f"make sim UNIT={unit} BULK=1"] = None
        found[f"make sim UNIT={unit}"] = None
    return list(found)


def words(line: str) -> tuple[str, list[str]]:
    """The command of a `make` line, and its words."""
    _, name, *given = shlex.split(line)
    return name, given


def joined(name: str, given: list[str]) -> str:
    """The other way round."""
    return shlex.join(["make", name, *given])
