#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A second write_def of qrouter holds only what was routed since the first
#
# Tool: Debian 12's qrouter 1.4.71-2, cells of qflow-tech-osu018 (apt-get install
# --no-install-recommends qrouter qflow-tech-osu018).
#
# Expected: write_def writes the whole layout, each time that it is called.
#
# Seen: each route is marked as it is written, and is never written again. A checkpoint after stage1
# takes away from the final file all nets that were routed by then; their pins are there, their wires
# are not, and no message says so.
#     first write_def:   nets with wires 1
#     second write_def:  nets with wires 0
#
# Why it bites: a router that may be ended at a time limit is made to save after each stage. The last
# file then holds a handful of nets out of thousands, and the lengths and capacitances taken from it
# are those of a nearly empty layout.
set -euo pipefail
lef=/usr/share/qflow/tech/osu018/osu018_stdcells.lef
command -v qrouter > /dev/null && [ -f "$lef" ] ||
  { echo "not checked: needs qrouter and $lef"; exit 2; }
version=$(dpkg-query -W -f '${Version}' qrouter 2> /dev/null || echo unknown)
[ "$version" = 1.4.71-2 ] || { echo "not checked: qrouter is $version, not 1.4.71-2"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat > in.def <<'DEF'
VERSION 5.6 ;
NAMESCASESENSITIVE ON ;
DIVIDERCHAR "/" ;
BUSBITCHARS "[]" ;
DESIGN top ;
UNITS DISTANCE MICRONS 100 ;
DIEAREA ( -320 -400 ) ( 2720 1400 ) ;
TRACKS Y -350 DO 18 STEP 100 LAYER metal1 ;
TRACKS X -280 DO 38 STEP 80 LAYER metal2 ;
TRACKS Y -350 DO 18 STEP 100 LAYER metal3 ;
COMPONENTS 2 ;
- c0 INVX1 + PLACED ( 0 0 ) N ;
- c1 INVX1 + PLACED ( 1600 0 ) N ;
END COMPONENTS
NETS 1 ;
- n1
  ( c0 Y )
  ( c1 A )
;
END NETS
END DESIGN
DEF
printf '%s\n' "read_lef $lef" 'catch {layers 3}' 'vdd vdd' 'gnd gnd' 'read_def in.def' stage1 \
  'write_def one.def' 'write_def two.def' quit > route.tcl
timeout 60 qrouter -nog -s route.tcl > log 2>&1 < /dev/null || true
first=$(grep -c ROUTED one.def || true)
second=$(grep -c ROUTED two.def || true)
echo "first write_def:   nets with wires $first"
echo "second write_def:  nets with wires $second"
[ "$first" = 1 ] && [ "$second" = 0 ] || { echo "changed: both files hold the same wires"; exit 1; }
