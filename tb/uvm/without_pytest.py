# SPDX-License-Identifier: Apache-2.0
"""Keeps pytest out of a simulator: cocotb's start is twice as fast without it.

cocotb imports it for what a test of it may raise. No test of this bench does; `flow` has this run
before cocotb is imported.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace


def install() -> None:
    """Put modules into the places of pytest's that hold the names cocotb looks up, and no more."""
    pytest, inner = ModuleType("pytest"), ModuleType("_pytest")
    for name in ("raises", "skip", "xfail"):
        raised = type(name, (BaseException,), {})
        setattr(pytest, name, SimpleNamespace(Exception=raised))
    inner.__path__ = []
    sys.modules |= {"pytest": pytest, "_pytest": inner}
    # For asserts that show their values, which COCOTB_REWRITE_ASSERTION_FILES turns off.
    for place, name in (("_pytest.assertion", "install_importhook"), ("_pytest.config", "Config")):
        sys.modules[place] = ModuleType(place)
        setattr(sys.modules[place], name, None)
