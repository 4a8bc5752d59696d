#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write what is derived: table packages, manifests, drawings, and measured figures in the pages.

usage: scripts/generate.py

rtl/<unit>/<unit>_tables_pkg.sv, *.core (FuseSoC), Bender.yml, of the units' descriptors;
docs/drawings/*.svg, of their texts; in README.md and docs/ what stands between markers, of
docs/*.json (flow/pages). Nothing is measured.
Exit code: 0 done, 2 wrong arguments.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence

from softnorm.flow.cli import main
from softnorm.flow.errors import UserError
from softnorm.flow.pages import made
from softnorm.flow.paths import ROOT
from softnorm.flow.static import generate


def command(arguments: Sequence[str]) -> int:
    """Write what has changed; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    if arguments:
        raise UserError("generate takes no arguments")
    files = {**generate.files(), **made.files()}
    changed = generate.write(files)
    for path in changed:
        print(f"written: {path.relative_to(ROOT)}")
    print(f"{len(files)} derived files, {len(changed)} of them changed")
    return 0


if __name__ == "__main__":
    main(command)
