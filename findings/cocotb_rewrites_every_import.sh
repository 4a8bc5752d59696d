#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# cocotb hands every module that a simulator imports to pytest, numpy too: each start costs twice
#
# Tool: cocotb 2.1.0 with pytest 9.2.0, numpy, Icarus Verilog (seen with 11.0; `iverilog` must be
# installed).
#
# Expected: pytest's rewriting of assertions, by which a failed `assert` shows its values, is for the
# modules that hold tests, as under pytest itself; a library keeps its own compiled files. Plug-ins of
# pytest have nothing to do with a simulator.
#
# Seen: COCOTB_REWRITE_ASSERTION_FILES is `*.py` by default, which is matched against every file that
# is imported from then on, and pytest loads its installed plug-ins for it. Processor seconds of one
# empty test, of several, the least (they vary with the machine; what is checked is the ratio):
#     default:                          numpy comes through _pytest.assertion.rewrite, xdist is loaded
#     COCOTB_REWRITE_ASSERTION_FILES= : numpy comes through _frozen_importlib_external, it is not
#     the default takes more than 1.3 times the processor's time (0.53 s and 0.23 s where it was seen)
#
# Why it bites: a regression of many short runs starts a simulator for each. With numpy, pyuvm and a
# bench of some size the start is 1.7 s in place of 0.7 s, and nobody looks for it there: nothing is
# logged, and `python -X importtime` of the same modules outside the simulator does not have it.
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


off = {"COCOTB_REWRITE_ASSERTION_FILES": ""}
pairs = [(start({}), start(off)) for _ in range(6)]
on, other = (min(took for took, _ in some) for some in zip(*pairs))
(_, with_it), (_, without) = pairs[-1]
with open("result.txt", "w") as out:
    for name, seen in (("default", with_it), ("COCOTB_REWRITE_ASSERTION_FILES=", without)):
        out.write(f"{name}: numpy comes through {seen[0]}, xdist is loaded: {seen[1]}\n")
    out.write(f"processor seconds: {on:.2f} and {other:.2f}\n")
assert with_it == ["_pytest.assertion.rewrite", "True"], with_it
assert without == ["_frozen_importlib_external", "False"], without
assert on > 1.3 * other, (on, other)
PY
unset COCOTB_REWRITE_ASSERTION_FILES
PATH="$dir/venv/bin:$PATH" venv/bin/python start.py > log 2>&1 ||
  { tail -5 log; cat result.txt; echo "changed: the start is no longer so"; exit 1; }
cat result.txt
