# What a contributor needs, by name; `make help` lists it.

PYTHON ?= $(if $(wildcard .venv/bin/python),$(CURDIR)/.venv/bin/python,python3)
# Where `make docs` writes, and in how many processes; together they work longer than one alone.
OUT ?= build/docs
JOBS ?= auto

.PHONY: help test test-slow check docs notebooks messages pages pictures wheels hooks ci pythons kernel audit bitstream
.DEFAULT_GOAL := help

help:  ## this list
	@$(PYTHON) -c "import re; [print(f'make {a:<12} {b}') for a, b in re.findall(r'^([\w-]+):.*?  ## (.+)$$', open('Makefile').read(), re.M)]"

test:  ## the quick tests and doctests of Python, some minutes
	$(PYTHON) -m pytest -q

test-slow:  ## trainings, whole test sets, many random networks: hours
	$(PYTHON) -m pytest -q -m slow

check:  ## style and types: ruff, mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

docs:  ## the pages and the API, as HTML in build/docs; a warning is an error (pip install -e '.[docs]')
	$(PYTHON) -m sphinx -q -W --keep-going -j $(JOBS) -c docs -d $(OUT)/../doctrees . $(OUT)

notebooks:  ## runs the notebooks and stores their outputs, some minutes (python tests/notebooks.py 01 for one of them)
	$(PYTHON) tests/notebooks.py

messages:  ## the lists of messages in docs/guide/troubleshooting.md, after an error message has changed
	$(PYTHON) docs/messages.py

pages:  ## links, indexes and commands of the Markdown pages, half a minute
	$(PYTHON) -m pytest -q tests/test_docs.py -k "not python_runs"

pictures:  ## the drawings of the docs and the picture of the README, from what the package gives
	$(PYTHON) docs/pictures.py

wheels:  ## the wheels of a release, in dist: for every machine, and for this one; two builds give the same bytes
	PYTHON=$(PYTHON) .ci/wheels

hooks:  ## have pre-commit check every commit (pip install pre-commit)
	$(PYTHON) -m pre_commit install

ci:  ## everything CI checks, from a clean clone: ten to eleven minutes on two processors
	.ci/run

pythons:  ## the tests on every Python from 3.10 to 3.13 that is at hand
	.ci/run-pythons

kernel:  ## the engine's own test bench, with sanitizers (g++)
	$(MAKE) -C hls_src test

audit:  ## what the engine takes of the FPGA, and its sources' rules, without Vitis
	$(MAKE) -C hls_src audit PYTHON=$(PYTHON)

bitstream:  ## the overlay, with Vitis HLS and Vivado
	$(MAKE) -C hls_src bitstream
