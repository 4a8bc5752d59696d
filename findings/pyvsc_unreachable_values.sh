#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pyvsc never draws some values that its constraint allows
#
# Tool: pyvsc 1.0.0 (constrained random stimulus and coverage in Python).
#
# Expected: as in SystemVerilog, `a inside {[0:99], [200:255]}` with no other constraint gives each
# of the 156 values the same chance.
#
# Seen: with two ranges, 72 to 99 never come, whatever the seed. With single values beside a range,
# {1, 2, 4, [8:255]}, 1 and 2 never come, and 4 comes in one draw of three. One range alone is
# whole.
#     [0:99]               100 values, never drawn in 2000: none
#     [0:99], [200:255]    156 values, never drawn in 2000: 28 values, 72 .. 99
#     1, 2, 4, [8:255]     251 values: 1 drawn 0 times, 2 drawn 0 times, 4 drawn 646 times
#
# Why it bites: single values in such a set are the corner cases (burst of one, shortest row). They
# look constrained in, are never tried, and a longer regression does not help; a functional coverage
# of wide bins does not show it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# All that pyvsc needs for this, and no more of what pyucis, below it, pulls in.
packages=(
  pyvsc==1.0.0 dv-solve==0.2.5 pyboolector==3.2.4.38488416565 toposort==1.10
  pyucis==0.2.0.22787133465 lxml==6.1.3 pyyaml==6.0.4 jsonschema==4.26.0 attrs==26.1.0
  jsonschema-specifications==2025.9.1 referencing==0.37.0 rpds-py==2026.9.1 inflection==0.5.1
  python-jsonschema-objects==0.5.7 markdown==3.11.3 typing_extensions==4.16.0
)
python3 -m venv venv && venv/bin/pip install -qq --no-deps "${packages[@]}" ||
  { echo "not checked: pyvsc 1.0.0 does not install here"; exit 2; }

cat > draw.py <<'PY'
import collections
import random
import sys

import vsc

DRAWS = 2000


def drawn(parts, seed):
    @vsc.randobj
    class Item:
        def __init__(self):
            self.a = vsc.rand_uint8_t()

        @vsc.constraint
        def allowed(self):
            self.a.inside(vsc.rangelist(*parts))

    random.seed(seed)
    item = Item()
    item.set_randstate(vsc.RandState.mkFromSeed(seed))
    count = collections.Counter()
    for _ in range(DRAWS):
        item.randomize()
        count[item.a] += 1
    return count


def missing(parts, count):
    values = [
        v
        for part in parts
        for v in (range(part[0], part[1] + 1) if isinstance(part, tuple) else (part,))
    ]
    return len(values), [v for v in values if not count[v]]


total, never = missing([(0, 99)], drawn([(0, 99)], 1))
print(f"[0:99]               {total} values, never drawn in {DRAWS}: {never or 'none'}")
whole = not never

gap = True
for seed in (1, 2):
    parts = [(0, 99), (200, 255)]
    total, never = missing(parts, drawn(parts, seed))
    text = f"{len(never)} values, {never[0]} .. {never[-1]}" if never else "none"
    print(f"[0:99], [200:255]    {total} values, never drawn in {DRAWS}: {text}   (seed {seed})")
    gap = gap and never == list(range(72, 100))

count = drawn([1, 2, 4, (8, 255)], 1)
text = ", ".join(f"{v} drawn {count[v]} times" for v in (1, 2, 4))
print(f"1, 2, 4, [8:255]     251 values: {text}")
single = count[1] == count[2] == 0 and count[4] > DRAWS / 4
if not (whole and gap and single):
    sys.exit("changed: pyvsc draws other values of these sets")
PY
venv/bin/python draw.py
