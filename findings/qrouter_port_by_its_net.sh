#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# qrouter leaves a port alone whose name is not its net's, and says that no route failed
#
# Tool: Debian 12's qrouter 1.4.71-2, cells of qflow-tech-osu018 (apt-get install
# --no-install-recommends qrouter qflow-tech-osu018).
#
# Expected: `- in_port + NET n1 ..` in PINS and `- n1 ( PIN in_port ) ( c0 A )` in NETS join port and
# pin, as DEF has it: a pin has a name of its own. Or a message that in_port is not found.
#
# Seen: qrouter names a port after its net and forgets the pin's name. `( PIN in_port )` is then not
# found, the net has one pin left and needs no route. "Final: No failed routes!". With the name of the
# net for the pin the same port is routed.
#     port in_port on net n1:  nets with wires 0, Final: No failed routes!
#     port n1 on net n1:       nets with wires 1, Final: No failed routes!
#
# Why it bites: netlists out of most tools have nets named after ports, so that flows work for years,
# until an output is driven by a net that another output has too, or by one with a name of its own.
# Its wire is missing in layout, in extracted capacitances and in the delay, with a clean report.
set -euo pipefail
lef=/usr/share/qflow/tech/osu018/osu018_stdcells.lef
command -v qrouter > /dev/null && [ -f "$lef" ] ||
  { echo "not checked: needs qrouter and $lef"; exit 2; }
version=$(dpkg-query -W -f '${Version}' qrouter 2> /dev/null || echo unknown)
[ "$version" = 1.4.71-2 ] || { echo "not checked: qrouter is $version, not 1.4.71-2"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

route() {  # the port's name in PINS and NETS; prints how it ended
  cat > in.def <<DEF
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
COMPONENTS 1 ;
- c0 INVX1 + PLACED ( 800 0 ) N ;
END COMPONENTS
PINS 1 ;
- $1 + NET n1 + LAYER metal3 ( 0 0 ) ( 1 1 ) + PLACED ( -120 550 ) N ;
END PINS
NETS 1 ;
- n1
  ( PIN $1 )
  ( c0 A )
;
END NETS
END DESIGN
DEF
  printf '%s\n' "read_lef $lef" 'catch {layers 3}' 'vdd vdd' 'gnd gnd' 'read_def in.def' stage1 \
    'write_def out.def' quit > route.tcl
  rm -f out.def
  timeout 60 qrouter -nog -s route.tcl > log 2>&1 < /dev/null || true
  echo "nets with wires $(grep -c ROUTED out.def || true), $(grep -o 'Final: .*' log | tail -n 1)"
}

other=$(route in_port)
same=$(route n1)
echo "port in_port on net n1:  $other"
echo "port n1 on net n1:       $same"
[ "$other" = "nets with wires 0, Final: No failed routes!" ] &&
  [ "$same" = "nets with wires 1, Final: No failed routes!" ] ||
  { echo "changed: a port whose name is not its net's is routed, or told of"; exit 1; }
