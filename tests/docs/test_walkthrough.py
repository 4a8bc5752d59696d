# SPDX-License-Identifier: Apache-2.0
"""docs/walkthrough.md, from its first command to its last, in a copy of the checkout."""

from __future__ import annotations

import re

import pytest

from softnorm.flow import tools
from tests.copies import Checkout
from tests.docs import shown

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", shown.read(shown.WALKTHROUGH), re.M | re.S)


def apply(checkout: Checkout, diff: str) -> None:
    """Each run of - lines, which a file must have once, becomes the + lines behind it."""
    for file, edits in re.findall(r"^--- (\S+)\n((?:[-+](?!-- ).*\n)+)", diff, re.M):
        path = checkout.root / file
        text = path.read_text(encoding="utf-8")
        for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", edits, re.M):
            before, after = (re.sub("^.", "", part, flags=re.M) for part in (old, new))
            assert text.count(before) == 1, f"{file} does not have once:\n{before}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


def loosely(text: str) -> str:
    """With one blank for any number of them."""
    return re.sub(r"\s+", " ", text)


def missing(wanted: str, said: str) -> list[str]:
    """Lines of the page that the command did not say; `..` stands for anything."""
    said = loosely(said)
    found = []
    for line in filter(None, map(loosely, wanted.splitlines())):
        pattern = ".*?".join(map(re.escape, line.strip().split("..")))
        if not re.search(pattern, said):
            found.append(line)
    return found


@pytest.mark.slow
@pytest.mark.skipif(tools.icarus() is None, reason="Icarus Verilog is not installed")
def test_the_walk_through(tmp_path):
    checkout = Checkout(tmp_path)
    for language, block in BLOCKS:
        if language == "console":
            command, _, wanted = block.removeprefix("$ ").partition("\n")
            code, said = checkout.run(command)
            assert (code != 0) == wanted.startswith("FAIL\n"), said
            assert missing(wanted, said) == [], said
        elif language == "diff":
            apply(checkout, block)
        elif language == "python":
            (tmp_path / "block.py").write_text(block, encoding="utf-8")
            code, said = checkout.run(f"python {tmp_path / 'block.py'}")
            assert code == 0, said
        else:
            assert language == "systemverilog"
            assert block in (checkout.root / "rtl/mynorm/mynorm.sv").read_text(encoding="utf-8")


def test_every_command_shows_something_of_what_it_prints():
    consoles = [block for language, block in BLOCKS if language == "console"]
    assert len(consoles) > 5
    for block in consoles:
        command, _, wanted = block.partition("\n")
        assert command.startswith("$ make ")
        assert wanted.strip()


def test_what_is_missing_is_found():
    said = "latency      5\nlint: 14 checks, 0 with findings, 3.1 s\n"
    assert missing("latency 5\nlint: 14 checks, 0 with findings, .. s\n", said) == []
    assert missing("latency 6\n", said) == ["latency 6"]
