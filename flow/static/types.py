# SPDX-License-Identifier: Apache-2.0
"""Types of the models, the descriptors and the package's face, by pyright (basic).

pyright finds a module by its path, and the folders of the package lie apart in the repository: it
reads them through links in build/types, where they lie as they do once installed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .. import tools
from ..paths import BUILD, ROOT

CHECKED = ("__init__.py", "pytorch.py", "models", "units")
_LINKED = {
    **{name: ROOT / name for name in ("models", "units", "tb", "flow")},
    **{name: ROOT / "src/softnorm" / name for name in ("__init__.py", "pytorch.py", "py.typed")},
}


def installed() -> bool:
    """Whether pyright (basedpyright, whose package holds the program) is there."""
    return tools.is_installed("basedpyright")


def check(folder: Path = BUILD / "types") -> list[str]:
    """Return pyright's findings, with paths as they are in the repository."""
    package = folder / "softnorm"
    package.mkdir(parents=True, exist_ok=True)
    for name, target in _LINKED.items():
        link = package / name
        if not link.is_symlink() or link.readlink() != target:
            made = package / f".{name}.{os.getpid()}"
            made.symlink_to(target)
            made.replace(link)
    config = {
        "include": [f"softnorm/{name}" for name in CHECKED],
        "typeCheckingMode": "basic",
        "pythonVersion": "3.11",
        # torch is optional, and looked for at run time
        "reportMissingImports": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config, indent=1))
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
    ended = tools.run([*command, "--project", "pyrightconfig.json"], folder)
    said = [line.strip().replace(f"{package}/", "") for line in ended.stdout]
    found = [line for line in said if " - error: " in line or " - warning: " in line]
    return [] if ended.ok and not found else found or [*said, *ended.stderr]
