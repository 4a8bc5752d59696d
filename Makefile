# SPDX-License-Identifier: Apache-2.0
# Python does the work: each target only calls a script, and `python3 scripts/<name>.py` is the same.
# Variables given on the command line go on as NAME=VALUE words.

PYTHON ?= python3
SHELL := /bin/bash
# With these in the shell Python does not start, or does not find scripts/bootstrap.py, which removes others.
unexport PYTHONHOME PYTHONSAFEPATH
COMMANDS := sim conform test formal regress coverage mutate report lint synth ppa accuracy figures generate bench capture train site new-unit

# Without this a folder's name, as `make tests`, would have nothing to be done.
UNKNOWN := $(filter-out help clean $(COMMANDS),$(MAKECMDGOALS))
ifneq ($(UNKNOWN),)
$(error there is no command `make $(firstword $(UNKNOWN))`; there are: help clean $(COMMANDS))
endif

.DEFAULT_GOAL := help
.PHONY: help clean $(COMMANDS)

help:
	@echo 'make sim      simulate a unit: UNIT= SIM=verilator|icarus TEST= SEED= ROWS= TENSORS= STIMULUS= SHRINK=1 WAVES=1 COVER=1 BULK=1,'
	@echo '              and any parameter (LANES=8 MAX_LEN=256 ...); LIST=1 shows units, tests, parameters'
	@echo 'make conform  VECTORS=<file or folder> [RTL=1] [SIM=]: conformance vectors through model and RTL'
	@echo 'make test     pytest: models, tools, RTL on both simulators (ARGS="-k name" and the like); SLOW=1 those of each night, too'
	@echo 'make formal   [UNIT=] [PROPERTY=] [OUT=docs] proves properties for all inputs, stalls and resets, and for all time'
	@echo 'make regress  SET=ci|full|nightly the regression plan in parallel; goes on after an interruption; FAILED=1; CLUSTER='
	@echo 'make report   [NAME=ci] [OUT=] a regression as static HTML pages in build/report, and as JUnit XML'
	@echo 'make coverage [NAME=ci] [HOLES=20] functional and code coverage of a regression, its holes; LCOV and UCIS files'
	@echo 'make mutate   UNIT= [COUNT=1000] [SEED=1] [OUT=docs] small faults in the netlist: which do the checks of the ci set find?'
	@echo 'make lint     RTL through Verilator, Icarus, slang and Yosys, Python through ruff'
	@echo 'make synth    [UNIT=] generic cells, flip-flops and memory bits of each configuration'
	@echo 'make ppa      [UNIT=] [LANES=] [SET=default|smallest|full|variants|features] [LIBERTY=] [GATED=1] [RUNS=5] [WIRES=1] [FPGA=1] [OUT=docs] area, speed and energy'
	@echo 'make accuracy [UNIT=] [LENGTHS=1|MEANS=1|NETWORK=] error against float64 on real tensors, over lengths, means; in networks'
	@echo 'make bench    speed: models, units in PyTorch, test bench, bulk engine, regression, each against something plain'
	@echo 'make figures  [UNIT=] [OUT=docs] rates and latencies of the units, for the pages: docs/figures.json'
	@echo 'make generate write derived files: table packages, manifests, drawings, figures in the pages'
	@echo 'make capture  [UNIT=e2softmax|ailayernorm] record real tensors anew (needs the extra capture)'
	@echo 'make train    [SEED=1] [STEPS=4000] [OUT=] train the small vision transformer of make accuracy anew'
	@echo 'make new-unit NAME=mynorm KIND=softmax|layernorm: the files of a new unit, which passes its tests at once'
	@echo 'make site     the documentation as a site with search, in build/site (needs the extra docs)'
	@echo 'make clean    remove build/ (builds, runs, reports); the virtual environment stays'
	@echo
	@echo 'Each makes .venv first if it is not there. The same without make: python3 scripts/sim.py --help'

$(COMMANDS):
	@$(PYTHON) scripts/$(subst -,_,$@).py $(filter-out PYTHON=%,$(MAKEOVERRIDES))

clean:
	rm -rf build
