#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# In a container whose image forbids bytecode files, cocotb compiles numpy anew at each start
#
# Tool: cocotb 2.1.0 with pytest 9.2.0, numpy, Icarus Verilog (seen with 11.0; `iverilog` must be
# installed).
#
# Expected: PYTHONDONTWRITEBYTECODE=1, which images for Python often set, costs next to nothing once
# packages are installed, since pip has compiled them. And pytest's rewriting of assertions, by which
# a failed `assert` shows its values, is for the modules that hold tests, as under pytest itself.
#
# Seen: COCOTB_REWRITE_ASSERTION_FILES is `*.py` by default, which is matched against every file that
# is imported from then on, those of installed packages too. Each gets bytecode of pytest's own; where
# none may be written, all of them are parsed and compiled again whenever a simulator starts.
# Processor seconds of one empty test that imports numpy, of several the least (they vary with the
# machine; what is checked is the ratio):
#     default, no bytecode may be written:   0.53; numpy comes through _pytest.assertion.rewrite
#     default, it may be:                    0.30; so it does
#     COCOTB_REWRITE_ASSERTION_FILES= :      0.23 either way; numpy comes as in any other program
#
# Why it bites: a regression of many short runs starts a simulator for each. With numpy, pyuvm and a
# bench of some size a start is 1.7 s in place of 0.7 s, in the container alone, and nothing is logged;
# `python -X importtime` of the same modules outside the simulator does not have it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v iverilog > /dev/null || { echo "not checked: iverilog is not installed"; exit 2; }
python3 -m venv venv &&
  venv/bin/pip install -qq cocotb==2.1.0 pytest==9.2.0 pytest-xdist==3.8.0 'numpy<3' ||
  { echo "not checked: the packages do not install here"; exit 2; }

cat > top.sv <<'SV'
`timescale 1ns/1ps
module top (input a, output y);
  assign y = ~a;
endmodule
SV
cat > test_top.py <<'PY'
import sys

import cocotb
import numpy


@cocotb.test()
async def imports(dut):
    with open("seen.txt", "w") as out:
        out.write(f"{type(numpy.__loader__).__module__} {'xdist' in sys.modules}\n")
PY
cat > start.py <<'PY'
import os
import resource

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

runner = get_runner("icarus")
runner.build(sources=["top.sv"], hdl_toplevel="top", build_dir="build")


def start(extra):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = runner.test(
        hdl_toplevel="top", test_module="test_top", test_dir=".", extra_env=extra
    )
    assert get_results(results) == (1, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, open("seen.txt").read().split()


no_files = {"PYTHONDONTWRITEBYTECODE": "1"}
off = {"COCOTB_REWRITE_ASSERTION_FILES": ""}
ways = {
    "default, no bytecode": no_files,
    "default": {},
    "off, no bytecode": no_files | off,
    "off": off,
}
# Nothing is written at first: what is there once would be read by those that may not write it.
names = list(ways)
seen = {name: [] for name in names}
for some in (names[:1] + names[2:3], names[1:2] + names[3:]):
    for _ in range(6):
        for name in some:
            seen[name].append(start(ways[name]))
least = {name: min(took for took, _ in starts) for name, starts in seen.items()}
with open("result.txt", "w") as out:
    for name in ways:
        loader, xdist = seen[name][-1][1]
        out.write(f"{name}: {least[name]:.2f} s; numpy comes through {loader}, xdist loaded: {xdist}\n")
for name in ways:
    want = ["_pytest.assertion.rewrite", "True"]
    if name.startswith("off"):
        want = ["_frozen_importlib_external", "False"]
    assert seen[name][-1][1] == want, (name, seen[name][-1])
assert least["default, no bytecode"] > 1.5 * least["off, no bytecode"], least
assert least["default, no bytecode"] > 1.3 * least["default"], least
PY
unset COCOTB_REWRITE_ASSERTION_FILES PYTHONDONTWRITEBYTECODE
PATH="$dir/venv/bin:$PATH" venv/bin/python start.py > log 2>&1 ||
  { tail -5 log; cat result.txt; echo "changed: the start is no longer so"; exit 1; }
cat result.txt
