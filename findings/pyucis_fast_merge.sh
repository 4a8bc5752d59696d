#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pyucis' fast merge adds the counts of one instance to the points of another
#
# Tool: pyucis 0.2.0.22787133465 (coverage databases after the UCIS standard), its SQLite format.
#
# Expected: `pyucis merge --fast`, the path for large regressions, gives the sums that `pyucis
# merge` gives.
#
# Seen: the fast path looks a scope up by its name and kind, without its path, so scopes of one name
# in two instances are one, and the second run's counts of the one land on the points of the other.
# Below, `fifo` was never executed in either run, `dut` was in the second; the fast merge says the
# reverse. Nothing is reported and the exit status is 0.
#     point        run 1   run 2   merge   merge --fast
#     dut  line 12     0      11      11              0
#     fifo line 2      0       0       0             11
#
# Why it bites: the merged database is what coverage sign-off reads. A hole is shown as covered and
# a covered line as a hole, only after a merge, and only for designs with more than one instance.
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

cat > runs.py <<'PY'
"""Two runs' line coverage, in the format that Verilator's simulations write."""

RUNS = {"run1.dat": (0, 0), "run2.dat": (11, 0)}

for name, (dut, fifo) in RUNS.items():
    with open(name, "w") as out:
        out.write("# SystemC::Coverage-3\n")
        for line, module, path, count in (
            (2, "fifo", "TOP.dut.fifo", fifo),
            (5, "fifo", "TOP.dut.fifo", 0),
            (12, "dut", "TOP.dut", dut),
            (14, "dut", "TOP.dut", 3),
        ):
            keys = {"f": "dut.sv", "l": line, "n": 3, "t": "line", "page": f"v_line/{module}"}
            keys |= {"o": "block", "h": path}
            text = "".join(f"\x01{key}\x02{value}" for key, value in keys.items())
            out.write(f"C '{text}' {count}\n")
PY
cat > table.py <<'PY'
import contextlib
import sqlite3
import sys


def counts(name):
    query = "select source_line, cover_data from coveritems"
    with contextlib.closing(sqlite3.connect(name)) as data:
        return dict(data.execute(query).fetchall())


names = ("run1.db", "run2.db", "plain.db", "fast.db")
run1, run2, plain, fast = (counts(name) for name in names)
print("point         run 1   run 2   merge   merge --fast")
for what, line in (("dut  line 12", 12), ("fifo line 2", 2)):
    print(f"{what:12s}  {run1[line]:5d}   {run2[line]:5d}   {plain[line]:5d}   {fast[line]:12d}")
right = {line: run1[line] + run2[line] for line in run1}
if plain != right:
    sys.exit("changed: the plain merge is wrong, too")
if (fast[12], fast[2]) != (0, 11):
    sys.exit("changed: the fast merge leaves the counts where they belong, or loses others")
PY
pyucis() { venv/bin/pyucis "$@" > log 2>&1 || { cat log; exit 2; }; }
venv/bin/python runs.py
for run in run1 run2; do
  pyucis convert --input-format vltcov --output-format sqlite --out $run.db $run.dat
done
sqlite=(--input-format sqlite --output-format sqlite)
pyucis merge "${sqlite[@]}" --out plain.db run1.db run2.db
pyucis merge --fast "${sqlite[@]}" --out fast.db run1.db run2.db
venv/bin/python table.py
