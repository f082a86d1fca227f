# Thin on purpose: each target is one line that you could type yourself. Settings:
#   PYTHON=3.12          make .venv with this Python (a version, command or path); else the first one from 3.11 on
#   TORCH_BACKEND=cpu    another build of torch (cpu, cu128, auto ...): see envs/README.md
#   LIGHT=1              leave out what only speakers need (torch, pyannote) and what tests need; LIGHT=0: all
#   GPU=1                have what a GPU needs though there is no driver here; GPU=0: only where there is one
#   TESTS="tests/unit"   what `make test` and `make test-all` run
#   WORKERS=4            tests at once: two more than cores, since many of them wait
#   PYTHONS="3.12 3.13"  what `make test-pythons` runs
#   UPGRADE=--upgrade    for `make lock`: newer versions of everything that requirements*.in leaves open
.DEFAULT_GOAL := help
.PHONY: .full help setup demo test test-all test-pythons lint format lock docs notebooks natural evaluate kill-test \
        fault-test clean
export PYTHON TORCH_BACKEND LIGHT GPU
export PATH := $(CURDIR)/.venv/bin:$(PATH)
BIN := .venv/bin
PYTHONS := 3.12 3.13
FULL := test -x $(BIN)/pytest# LIGHT=1 leaves it out
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --maxprocesses=8 --dist=worksteal
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-header --no-annotate $(UPGRADE)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: ## make .venv from the pinned requirements and link the profiles (all other targets do this first)
	@sh envs/setup.sh

.full: setup
	@$(FULL) || { echo "make: this needs what LIGHT=1 left out: make setup LIGHT=0" >&2; exit 2; }

demo: setup ## transcribe the bundled demo recordings
	@$(BIN)/sessionscribe run --profile demo
	@echo "Open results/export/meeting/meeting.html in a browser."
	@echo "Your own recording: $(BIN)/sessionscribe transcribe FILE"

test: lint ## lint and run the tests (as root on Debian: with the servers that tests talk to)
	@sh envs/test_packages.sh
	$(PYTEST) -m "not slow and not benchmark" $(TESTS)

test-all: lint ## the same with slow tests and short benchmarks
	@sh envs/test_packages.sh
	$(PYTEST) $(TESTS)

test-pythons: ## set up and run the demo with Python 3.12 and 3.13 (Colab's), in clones below build/pythons
	@for version in $(PYTHONS); do clone=build/pythons/$$version; \
	    test -d $$clone || git clone -q . $$clone || exit; \
	    git -C $$clone pull -q --ff-only && XDG_CONFIG_HOME=$(CURDIR)/$$clone/build/config \
	        $(MAKE) -C $$clone demo PYTHON="$$(ls -d $(HOME)/.pyenv/versions/$$version*/bin/python 2> /dev/null \
	            || echo $$version)" && echo "Python $$version: the demo is made" || exit; done

lint: .full ## check style and types of code and workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports --no-cache --no-logo

format: .full ## bring code and workflow into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: setup ## pin what envs/*.in ask for, with hashes
	$(LOCK) envs/uv.in --output-file envs/uv.txt
	$(LOCK) envs/requirements-dev.in --output-file envs/requirements-dev.txt
	$(LOCK) --constraints envs/requirements-dev.txt envs/requirements.in --output-file envs/requirements.txt
	$(LOCK) --constraints envs/requirements-dev.txt envs/requirements-light.in \
	    --output-file envs/requirements-light.txt
	$(LOCK) envs/requirements-evaluation.in --output-file envs/requirements-evaluation.txt
	$(LOCK) --no-deps envs/requirements-slurm.in --output-file envs/requirements-slurm.txt
	$(LOCK) envs/requirements-clouds.in --output-file envs/requirements-clouds.txt
	$(LOCK) --constraints envs/requirements-dev.txt envs/voices.in --output-file envs/voices.txt
	$(LOCK) envs/moto.in --output-file envs/moto.txt
	$(LOCK:3.11=3.12) envs/colab.in --output-file envs/colab.txt
	$(BIN)/python envs/conda_environment.py

docs: setup ## write the schema and the tables that are made from the code
	$(BIN)/python -m sessionscribe.config.docs
	$(BIN)/python docs/records.py

notebooks: .full ## make notebooks/*.ipynb of their sources
	$(BIN)/python notebooks/build.py

natural: setup ## make the conversations with natural voices that accuracy is measured on (half an hour)
	$(BIN)/snakemake -s rules/natural_voices.smk --cores 2

evaluate: .full ## measure accuracy on real and natural speech, beside other tools (docs/accuracy.md)
	$(BIN)/python benchmarks/accuracy.py --write

kill-test: .full ## kill the demo run 20 times at random moments and compare what comes out
	$(BIN)/python tests/failure/kill_demo.py --times 20

fault-test: .full ## let writes, fsyncs and renames of a small run fail, three ways (ALL=1: each; SAMPLE=60: so many)
	$(BIN)/python tests/failure/fault_demo.py $(if $(ALL),--all) $(if $(SAMPLE),--sample $(SAMPLE))

clean: ## remove .venv and the tools' caches (results stay)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis scripts/sessionscribe.egg-info
