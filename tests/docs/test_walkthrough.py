"""docs/walkthrough.md, from its first command to its last, in a copy of the checkout."""

from __future__ import annotations

import re

import pytest

from softnorm.flow import tools
from softnorm.flow.paths import ROOT
from tests.copies import Checkout

PAGE = (ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)


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


def missing(shown: str, said: str) -> list[str]:
    """Lines of the page that the command did not say; `..` stands for anything."""
    said = loosely(said)
    found = []
    for line in filter(None, map(loosely, shown.splitlines())):
        pattern = ".*?".join(map(re.escape, line.strip().split("..")))
        if not re.search(pattern, said):
            found.append(line)
    return found


@pytest.mark.slow
@pytest.mark.skipif(tools.icarus() is None, reason="Icarus Verilog is not installed")
def test_the_walk_through(tmp_path):
    checkout = Checkout(tmp_path)
    said, unchecked = "", ""
    for language, block in BLOCKS:
        if language == "sh":
            assert not unchecked, f"the page shows nothing of what {unchecked} prints"
            code, said = checkout.run(block)
            unchecked = block
            assert (code == 0) == ("\nFAIL\n" not in said), said
        elif language == "text":
            assert missing(block, said) == [], said
            unchecked = ""
        elif language == "diff":
            apply(checkout, block)
        elif language == "python":
            (tmp_path / "block.py").write_text(block, encoding="utf-8")
            code, said = checkout.run(f"python {tmp_path / 'block.py'}")
            assert code == 0, said
        elif language == "systemverilog":
            assert block in (checkout.root / "rtl/mynorm/mynorm.sv").read_text(encoding="utf-8")
    assert not unchecked


def test_what_is_missing_is_found():
    said = "latency      5\nlint: 14 checks, 0 with findings, 3.1 s\n"
    assert missing("latency 5\nlint: 14 checks, 0 with findings, .. s\n", said) == []
    assert missing("latency 6\n", said) == ["latency 6"]
