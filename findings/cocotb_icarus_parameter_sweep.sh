#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A parameter sweep with cocotb's runner simulates the first width three times
#
# Tool: cocotb 2.1.0 (cocotb_tools.runner) with Icarus Verilog (seen with 11.0; `iverilog` must be
# installed).
#
# Expected: build(parameters={"WIDTH": 16}) builds a top with WIDTH = 16. With Verilator as the
# simulator the same lines do.
#
# Seen: for Icarus the runner compares file dates of the listed sources with the last build, and
# neither parameters, defines nor included files. In one build folder the second and third width are
# not compiled; "Skipping compilation" is a line of the log, and the tests pass with the first.
#     asked for WIDTH  8: the test saw 8 bits, passed
#     asked for WIDTH 16: the test saw 8 bits, passed
#     asked for WIDTH 32: the test saw 8 bits, passed
#
# Why it bites: a sweep over widths, depths and lanes is one loop around build and test. It reports
# all configurations as passed and has run one. always=True, or a folder for each, helps.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v iverilog > /dev/null || { echo "not checked: iverilog is not installed"; exit 2; }
python3 -m venv venv && venv/bin/pip install -qq cocotb==2.1.0 ||
  { echo "not checked: cocotb 2.1.0 does not install here"; exit 2; }

cat > top.sv <<'SV'
`timescale 1ns/1ps
module top #(parameter WIDTH = 4) (input [WIDTH-1:0] a, output [WIDTH-1:0] y);
  assign y = ~a;
endmodule
SV
cat > test_top.py <<'PY'
import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def inverts(dut):
    mask = (1 << len(dut.a)) - 1
    dut.a.value = mask
    await Timer(1, "ns")
    assert dut.y.value == 0
    with open("widths.txt", "a") as out:
        out.write(f"{len(dut.a)}\n")
PY
cat > sweep.py <<'PY'
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

for width in (8, 16, 32):
    runner = get_runner("icarus")
    runner.build(
        sources=["top.sv"],
        hdl_toplevel="top",
        parameters={"WIDTH": width},
        build_dir="build",
    )
    results = runner.test(hdl_toplevel="top", test_module="test_top", test_dir=".")
    tests, failed = get_results(results)
    assert (tests, failed) == (1, 0), (tests, failed)
PY
PATH="$dir/venv/bin:$PATH" venv/bin/python sweep.py > log 2>&1 ||
  { cat log; echo "changed: the sweep does not pass any more"; exit 1; }
paste <(printf '%d\n' 8 16 32) widths.txt |
  while read -r want saw; do
    printf 'asked for WIDTH %2d: the test saw %d bits, passed\n' "$want" "$saw"
  done
[ "$(xargs < widths.txt)" = "8 8 8" ] ||
  { echo "changed: the runner builds anew when parameters change"; exit 1; }
