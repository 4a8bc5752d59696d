#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pyucis merges XML databases into nothing and reports success
#
# Tool: pyucis 0.2.0.22787133465.
#
# Expected: `pyucis merge --out all.xml run1.xml run2.xml`, with the default formats (XML to XML),
# writes all.xml, or ends with a status that is not 0.
#
# Seen: no file is written and the status is 0. To XML there is a traceback in the log (not
# implemented); to SQLite, also one of the formats that its help lists, not even that. Every error
# of the command line ends so: it is printed, and the status is 0. Only SQLite to SQLite merges.
#     xml to xml        status 0, no file
#     xml to sqlite     status 0, no file
#     sqlite to sqlite  status 0, file written
#     input not there   status 0, no file
#
# Why it bites: a makefile or CI step that merges the night's coverage goes on with last night's
# file, or with none, and is green.
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

for run in 1 2; do  # one line of coverage, in Verilator's format
  printf '# SystemC::Coverage-3\n' > run$run.dat
  printf "C '\001f\002dut.sv\001l\00212\001n\0023\001t\002line\001page\002v_line/dut" >> run$run.dat
  printf "\001o\002block\001h\002TOP.dut' %d\n" $run >> run$run.dat
  for format in xml sqlite; do
    venv/bin/pyucis convert --input-format vltcov --output-format $format \
      --out run$run.$format run$run.dat > log 2>&1
    [ -s run$run.$format ] || { cat log; echo "not checked: no input to merge"; exit 2; }
  done
done

same=yes
try() {  # what, wanted (file or none), format from, format to, inputs
  local status=0 seen=none text="no file"
  rm -f all.out
  venv/bin/pyucis merge --input-format "$3" --output-format "$4" --out all.out "${@:5}" \
    > log 2>&1 || status=$?
  if [ -s all.out ]; then seen=file text="file written"; fi
  printf '%-16s  status %d, %s\n' "$1" "$status" "$text"
  [ "$status" = 0 ] && [ $seen = "$2" ] || same=no
}
try "xml to xml" none xml xml run1.xml run2.xml
try "xml to sqlite" none xml sqlite run1.xml run2.xml
try "sqlite to sqlite" file sqlite sqlite run1.sqlite run2.sqlite
try "input not there" none xml sqlite run1.xml nosuch.xml
[ $same = yes ] ||
  { echo "changed: a merge writes its file, or its status tells of the error"; exit 1; }
