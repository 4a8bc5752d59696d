#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pyucis reads Verilator's coverage without its cover properties, with --strict too
#
# Tool: pyucis 0.2.0.22787133465, on coverage files in the format of Verilator 5.
#
# Expected: `pyucis convert --strict`, which treats "any lossy conversion as an error", carries all
# points of a Verilator coverage.dat over, or fails.
#
# Seen: it keeps lines, branches and toggles. `cover property` points (type "user") and expression
# points (type "expr") are left out, and the exit status is 0 with no word of them. Names of the
# signals of toggle points are gone as well: all that is left is a line and a column.
#     points in coverage.dat: line 1, toggle 2, user 1, expr 1
#     points in the database: line_12, toggle_3_14, toggle_3_14
#
# Why it bites: cover properties are the written coverage goals of a design. A goal that was never
# hit is not shown as a hole; it is not there, and the total looks complete.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# All that pyucis needs for this; its server for language models and what that pulls in is left out.
packages=(
  pyucis==0.2.0.22787133465 lxml==6.1.3 pyyaml==6.0.4 jsonschema==4.26.0 attrs==26.1.0
  jsonschema-specifications==2025.9.1 referencing==0.37.0 rpds-py==2026.9.1 inflection==0.5.1
  python-jsonschema-objects==0.5.7 markdown==3.11.3 typing_extensions==4.16.0
)
python3 -m venv venv && venv/bin/pip install -qq --no-deps "${packages[@]}" ||
  { echo "not checked: pyucis 0.2.0 does not install here"; exit 2; }

cat > coverage.py <<'PY'
"""coverage.dat as a simulation built with verilator --coverage writes it."""

POINTS = (
    ("line", 12, 3, "block", "TOP.dut", 7),
    ("toggle", 3, 14, "full:0->1", "TOP.dut", 0),
    ("toggle", 3, 14, "full:1->0", "TOP.dut", 0),
    ("user", 20, 3, "was_full", "TOP.dut.was_full", 0),
    ("expr", 22, 9, "(full==1 && take==1) => 1", "TOP.dut", 0),
)
with open("coverage.dat", "w") as out:
    out.write("# SystemC::Coverage-3\n")
    for kind, line, column, what, path, count in POINTS:
        keys = {"f": "dut.sv", "l": line, "n": column, "t": kind, "page": f"v_{kind}/dut"}
        keys |= {"o": what, "h": path}
        text = "".join(f"\x01{key}\x02{value}" for key, value in keys.items())
        out.write(f"C '{text}' {count}\n")
PY
cat > database.py <<'PY'
import contextlib
import re
import sqlite3
import sys
from collections import Counter

kinds = Counter(re.findall("\x01t\x02([a-z]+)", open("coverage.dat").read()))
with contextlib.closing(sqlite3.connect("coverage.db")) as data:
    names = [name for (name,) in data.execute("select cover_name from coveritems")]
print("points in coverage.dat:", ", ".join(f"{kind} {count}" for kind, count in kinds.items()))
print("points in the database:", ", ".join(names))
if sorted(names) != ["line_12", "toggle_3_14", "toggle_3_14"]:
    sys.exit("changed: other points of the coverage file are carried over")
PY
venv/bin/python coverage.py
status=0
venv/bin/pyucis convert --strict --warn-summary --input-format vltcov --output-format sqlite \
  --out coverage.db coverage.dat > log 2>&1 || status=$?
[ "$status" = 0 ] || { echo "changed: convert --strict now ends with $status"; exit 1; }
if grep -iE 'user|expr|cover property|skip|unsupported' log; then
  echo "changed: convert --strict says something of what it leaves out"
  exit 1
fi
venv/bin/python database.py
