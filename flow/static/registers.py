# SPDX-License-Identifier: Apache-2.0
"""Registers in front of units: RTL, C header and page, which PeakRDL makes of SystemRDL.

PeakRDL is not needed to use what it has made, which is committed. Where it is not installed,
nothing is derived here.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .. import tools
from ..errors import UserError
from ..paths import ROOT, RTL


@dataclass(frozen=True)
class Wrap:
    """A unit behind registers: rtl/wrap/<name>.sv, with its registers in <name>.rdl."""

    name: str
    unit: str

    @property
    def rtl(self) -> tuple[str, ...]:
        """Files below rtl/, in compile order, less those of the unit."""
        parts = (f"{self.name}_regs_pkg", f"{self.name}_regs", "sn_axil", "sn_row_queue", self.name)
        return tuple(f"wrap/{part}.sv" for part in parts)


WRAPS = (Wrap("e2softmax_axil", "e2softmax"),)
_BUS = ("--cpuif", "passthrough", "--default-reset", "arst_n", "--err-if-bad-addr")
_MADE = "Made by `make generate` from rtl/wrap/{}.rdl, by PeakRDL."


def installed() -> bool:
    """Whether PeakRDL is here: `pip install softnorm[registers]`."""
    return importlib.util.find_spec("peakrdl") is not None


def files() -> dict[Path, str]:
    """All that is derived: path -> content; nothing without PeakRDL. Raises UserError."""
    return {path: text for wrap in WRAPS for path, text in _of(wrap).items()} if installed() else {}


def _of(wrap: Wrap) -> dict[Path, str]:
    name, source = f"{wrap.name}_regs", RTL / f"wrap/{wrap.name}.rdl"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _run("regblock", source, folder, *_BUS, "--err-if-bad-rw")
        _run("c-header", source, folder / f"{wrap.name}.h")
        _run("markdown", source, folder / "made.md")
        about = _MADE.format(wrap.name)
        head = f"// SPDX-License-Identifier: Apache-2.0\n// {about}\n"
        code = (f"{name}.sv", f"{name}_pkg.sv", f"{wrap.name}.h")
        found = {RTL / "wrap" / part: head + _text(folder / part) for part in code}
        found[ROOT / f"docs/{name}.md"] = _page(wrap, _text(folder / "made.md"))
    return found


def _run(kind: str, source: Path, out: Path, *options: str) -> None:
    command = [sys.executable, "-m", "peakrdl", kind, str(source), "-o", str(out), *options]
    ended = tools.run(command, ROOT)
    if not ended.ok:
        said = "\n    ".join([*ended.stdout, *ended.stderr][-10:])
        raise UserError(f"PeakRDL cannot read {source.relative_to(ROOT)}:\n    {said}")


def _text(path: Path) -> str:
    lines = (line.rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    return "\n".join(lines).rstrip() + "\n"


def _page(wrap: Wrap, text: str) -> str:
    """PeakRDL's page with a title of ours, and without HTML."""
    text = re.sub(r"<!---.*?-->\n*", "", text, flags=re.S)
    text = re.sub(r"</?p>", "", text)
    text = re.sub(r"^- (Absolute Address|Base Offset|Size):.*\n", "", text, flags=re.M)
    text = re.sub(r"\A## .*\n", "", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    title = f"# Registers of {wrap.name}"
    return f"{title}\n\n{_MADE.format(wrap.name)}\n[What they do](axil.md).\n\n{text.strip()}\n"
