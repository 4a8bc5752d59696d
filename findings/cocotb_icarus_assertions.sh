#!/usr/bin/env bash
# A failing SystemVerilog assertion fails a cocotb test on Verilator and passes on Icarus
#
# Tool: cocotb 2.1.0 with Icarus Verilog (seen with 11.0; `iverilog` must be installed). The other
# half, Verilator 5.48 under the same cocotb, is told here and not run.
#
# Expected: an immediate assertion of the design that fails, and a $error of it, make the cocotb test
# fail that caused them, on each simulator that cocotb drives. With Verilator they do: it stops, and
# cocotb fails this test and all that follow it.
#
# Seen: Icarus prints the errors and goes on; cocotb never hears of them. Test, results file and exit
# status all say passed.
#     messages of failing assertions: 4; tests 1, failed 0; exit status 0
#
# Why it bites: protocol checkers bound to the design, and the asserts of an IP core, are half of the
# checks of a bench. Two simulators are used for safety, and on one of them that half is off. Only
# a search of the log for ERROR, or $fatal in each assertion, brings it back.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v iverilog > /dev/null || { echo "not checked: iverilog is not installed"; exit 2; }
python3 -m venv venv && venv/bin/pip install -qq cocotb==2.1.0 ||
  { echo "not checked: cocotb 2.1.0 does not install here"; exit 2; }

cat > top.sv <<'SV'
`timescale 1ns/1ps
module top (input clk, input [3:0] level);
  always @(posedge clk) begin
    assert (level != 5) else $error("level is 5");
    if (level > 9) $error("level is above 9");
  end
endmodule
SV
cat > test_top.py <<'PY'
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


@cocotb.test()
async def breaks_both_rules(dut):
    dut.level.value = 0
    Clock(dut.clk, 10, "ns").start()
    for level in (5, 5, 12, 12, 0):
        await FallingEdge(dut.clk)
        dut.level.value = level
PY
cat > run.py <<'PY'
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

runner = get_runner("icarus")
runner.build(sources=["top.sv"], hdl_toplevel="top", build_dir="build")
results = runner.test(hdl_toplevel="top", test_module="test_top", test_dir=".")
print("tests {}, failed {}".format(*get_results(results)))
PY
status=0
PATH="$dir/venv/bin:$PATH" venv/bin/python run.py > log 2>&1 || status=$?
messages=$(grep -cE '^ERROR:.*level is (5|above 9)' log || true)
result=$(tail -n 1 log)
echo "messages of failing assertions: $messages; $result; exit status $status"
[ "$messages" = 4 ] && [ "$result" = "tests 1, failed 0" ] && [ "$status" = 0 ] ||
  { echo "changed: failing assertions reach cocotb's result, or are not printed"; exit 1; }
