#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# FuseSoC drops the tool's own files when a core moves to the flow API
#
# Tool: fusesoc 2.4.7, edalize 0.6.8.
#
# Expected: `tool_icarus? (checks)` in a target's filesets holds when the target's tool is Icarus.
# With default_tool, the older way, it does; FuseSoC warns that this way goes and asks to move to
# `flow`.
#
# Seen: with `flow: sim` and `flow_options: {tool: icarus}` the same condition is false. The files
# behind it are left out; set-up ends well and says nothing. The flag holds only if it is given
# again on the command line (`--flag tool_icarus`). A misspelt flag is silent in the same way.
#     default_tool: icarus          top.sv checks.sv
#     flow: sim, tool: icarus       top.sv
#
# Why it bites: what hides behind tool_ conditions is assertions, waivers, coverage exclusions and
# vendor models. After a migration that the tool asks for, the design still builds and passes, with
# its checkers gone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -qq fusesoc==2.4.7 edalize==0.6.8 ||
  { echo "not checked: fusesoc 2.4.7 does not install here"; exit 2; }
export HOME="$dir"  # no configuration of the user's

mkdir core
echo 'module top(input clk, input [3:0] a); endmodule' > core/top.sv
echo 'module checks(input clk, input [3:0] a); always @(posedge clk) assert (a < 10); endmodule' \
  > core/checks.sv
cat > core/top.core <<'CORE'
CAPI=2:
name: toy:lib:top:1.0

filesets:
  rtl: {files: [top.sv], file_type: systemVerilogSource}
  checks: {files: [checks.sv], file_type: systemVerilogSource}

targets:
  default: &default
    filesets: [rtl, "tool_icarus? (checks)"]
    toplevel: top
  tool_api: {<<: *default, default_tool: icarus}
  flow_api: {<<: *default, flow: sim, flow_options: {tool: icarus}}
CORE

files() {  # the sources that FuseSoC hands over for a target
  rm -rf build
  venv/bin/fusesoc --cores-root core run --setup --target "$1" "${@:2}" toy:lib:top > log 2>&1 ||
    { cat log; echo "not checked: fusesoc does not set up target $1"; exit 2; }
  sed -n 's|^ *\(- \)*name: src/.*/||p' build/*/*/*.eda.yml | xargs
}
old=$(files tool_api)
new=$(files flow_api)
flag=$(files flow_api --flag tool_icarus)
echo "default_tool: icarus              $old"
echo "flow: sim, tool: icarus           $new"
echo "the same with --flag tool_icarus  $flag"
[ "$old" = "top.sv checks.sv" ] && [ "$new" = "top.sv" ] && [ "$flag" = "top.sv checks.sv" ] ||
  { echo "changed: a tool_ condition gives other files in one of the two APIs"; exit 1; }
