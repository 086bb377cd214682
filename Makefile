# make demo    from a bare checkout to the demo sweep's table
# make test    from a bare checkout to a test run
# make torture the long campaign of kills and load; its figures go to docs/torture.txt
# make setup   .venv alone, with the demo and test extras
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test torture lint clean
.DEFAULT_GOAL := help

help:
	@grep '^# make' Makefile | cut -c3-

setup: .venv/ready

# pip leaves an old stamp behind when it fails, so the stamp is written last.
.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -r requirements.txt
	$(BIN)/pip install --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/python train.py -m experiment=demo

test: setup
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

torture: setup
	$(BIN)/python -m pytest -m torture -q --no-header --numprocesses auto > docs/torture.txt; status=$$?; cat docs/torture.txt; exit $$status

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build src/*.egg-info
