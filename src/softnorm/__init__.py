# SPDX-License-Identifier: Apache-2.0
"""Softmax and LayerNorm hardware for integer Transformers: models, RTL, test bench.

softnorm.models      bit-exact models of the units: numpy alone, or arrays of any library
softnorm.pytorch     the models in PyTorch networks (needs `pip install softnorm[torch]`)
softnorm.rtl_files   the SystemVerilog files of a unit, in compile order
softnorm.tb, softnorm.flow   test bench and tools (need `pip install softnorm[sim]`)
"""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from types import ModuleType

from softnorm import models, units

__all__ = ["__version__", "models", "rtl_files", "units"]
__version__ = importlib.metadata.version("softnorm")


def rtl_files(unit: str) -> list[Path]:
    """The SystemVerilog files of a unit ("e2softmax", ..), in compile order, as absolute paths.

    Raises units.ParameterError, which lists the units, for a name that is none.
    """
    from softnorm.flow.paths import RTL

    return [RTL / name for name in units.get(unit).rtl]


def __getattr__(name: str) -> ModuleType:
    """`softnorm.pytorch`, imported when it is first asked for: it needs torch, which is large."""
    if name == "pytorch":
        return importlib.import_module("softnorm.pytorch")
    raise AttributeError(f"module 'softnorm' has no attribute {name!r}")
