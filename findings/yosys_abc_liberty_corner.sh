#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Yosys keeps timing of a library corner that is no longer there
#
# Tool: pyosys 0.70 (Yosys 0.70 with its abc, as a Python package).
#
# Expected: `abc -liberty typ.lib` maps and times with what typ.lib says now.
#
# Seen: abc's converted library is kept on disk from one run to the next, under a name made from the
# path. It is made anew only where the library's date, in whole seconds, is newer than that of the
# kept one. Files of a process kit keep the vendor's dates, which lie years back: a link, or a `cp
# -p`, that changes the path from the slow to the fast corner changes nothing. With one library ten
# times as fast as the other, both runs below report the same delay to the last digit. Without the
# cache (`libcache -scl -disable`) the fast corner's own delay comes out.
#     slow corner                     Delay = 490.57 ps
#     fast corner, same path          Delay = 490.57 ps
#     fast corner, cache disabled     Delay =  20.09 ps
#
# Why it bites: area and delay tables over corners or over edited libraries come out equal or wrong,
# with no warning, also in a new process. `stat -liberty` and a static timing tool read the new
# file, so synthesis optimises for one corner and the report speaks of another.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -qq pyosys==0.70 ||
  { echo "not checked: pyosys 0.70 does not install here"; exit 2; }
mkdir tmp  # Yosys' cache goes to the temporary folder; this one is thrown away

cat > libs.py <<'PY'
import os


def arc(pin, scale):
    rows = '", "'.join(
        ", ".join(f"{scale * v:g}" for v in row) for row in ((0.1, 0.2), (0.2, 0.3))
    )
    tables = " ".join(
        f'{kind}(grid) {{ values ("{rows}"); }}'
        for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    )
    return f'timing() {{ related_pin : "{pin}"; {tables} }}'


def cell(name, pins, function, scale):
    inputs = "\n".join(f"pin({p}) {{ direction : input; capacitance : 0.002; }}" for p in pins)
    arcs = "\n".join(arc(p, scale) for p in pins)
    return (
        f"cell({name}) {{ area : 1;\n{inputs}\npin(Y) {{ direction : output; "
        f'max_capacitance : 1.0; function : "{function}";\n{arcs}\n}} }}\n'
    )


def library(scale):
    return (
        'library(toy) { delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V";\n'
        'current_unit : "1mA"; pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW";\n'
        "capacitive_load_unit(1, pf);\n"
        "lu_table_template(grid) { variable_1 : input_net_transition;\n"
        "variable_2 : total_output_net_capacitance;\n"
        'index_1 ("0.01, 0.1"); index_2 ("0.001, 0.1"); }\n'
        + cell("BUF", "A", "A", scale)
        + cell("INV", "A", "!A", scale)
        + cell("NAND2", "AB", "!(A*B)", scale)
        + cell("NOR2", "AB", "!(A+B)", scale)
        + "}\n"
    )


for name, scale in (("slow.lib", 1), ("fast.lib", 0.1)):
    with open(name, "w") as out:
        out.write(library(scale))
    os.utime(name, (1e9, 1e9))  # the date of a release of 2001
PY
cat > delay.py <<'PY'
"""Synthesises top.v for typ.lib; prints the delay of abc's timing report."""

import re
import sys

from pyosys import libyosys as ys

design = ys.Design()
for command in (
    *sys.argv[1:],
    "read_verilog top.v",
    "synth -top top -flatten",
    "tee -q -o abc.log abc -liberty typ.lib -constr load.txt -D 100",
):
    ys.run_pass("tee -q -o pass.log " + command, design)
print(re.search(r"Delay = *([0-9.]+) ps", open("abc.log").read()).group(1))
PY
echo 'module top(input a, b, c, d, output y); assign y = (a | b) & (c | d); endmodule' > top.v
printf 'set_driving_cell BUF\nset_load 0.01\n' > load.txt
venv/bin/python libs.py
run() { TMPDIR="$dir/tmp" venv/bin/python delay.py "$@" | tail -n 1; }

ln -s slow.lib typ.lib
slow=$(run)
ln -sf fast.lib typ.lib
stale=$(run)
fast=$(run "libcache -scl -disable")
echo "slow corner                  Delay = $slow ps"
echo "fast corner, same path       Delay = $stale ps"
echo "fast corner, cache disabled  Delay = $fast ps"
[ "$slow" = "$stale" ] && [ "$slow" != "$fast" ] ||
  { echo "changed: the corner behind the path no longer is the first one seen there"; exit 1; }
