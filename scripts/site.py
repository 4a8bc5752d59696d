#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site of static pages, with search.

usage: scripts/site.py

It is written to build/site; index.html is where to start. A broken link is an error. Needs MkDocs
with its Material theme (the extra `docs`). Pages take nothing from the network. Search needs a
server: `python3 -m http.server -d build/site`. SOFTNORM_FORGE=https://host/owner/name/blob/branch
in the environment makes links to sources lead there.
Exit code: 0 done, 1 a page is wrong, 2 bad input or a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

import os
import subprocess
import sys
from collections.abc import Sequence

from softnorm.flow import tools
from softnorm.flow.cli import main
from softnorm.flow.errors import UserError
from softnorm.flow.paths import BUILD, ROOT, short


def command(arguments: Sequence[str]) -> int:
    """Write the site; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    if arguments:
        raise UserError("site takes no arguments")
    if not tools.is_installed("material"):
        raise UserError(f"MkDocs is not installed; run: {tools.install('docs')}")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    # Without it the theme prints what it thinks of MkDocs 2.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    to = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(build, cwd=ROOT, env=environment, check=False, **to)
    if done.returncode:
        print(done.stdout)
        return 1
    print(f"written: {short(BUILD / 'site/index.html')}")
    return 0


if __name__ == "__main__":
    main(command)
