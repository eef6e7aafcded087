# Everything a developer does here; each target works as the first command after a clone.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BIN := .venv/bin
FAST_TESTS := $(wildcard tests/core tests/sched tests/engine tests/store tests/api tests/cli)
NOT_FAST := -m "not real and not browser and not slow"

.PHONY: help setup setup-dev setup-test demo check test soak bench lint format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the engine needs: system packages (as root) and .venv
	@tools/setup

setup-dev:
	@tools/setup --dev

setup-test:
	@tools/setup --test

demo: setup ## the life of a guest on this machine; KEEP=1 leaves it running
	@tools/demo $(if $(KEEP),--keep)

lint: setup-dev ## format, style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## lint and the fast tests: under a minute
	$(BIN)/pytest -n 2 --dist worksteal $(NOT_FAST) $(FAST_TESTS)

test: setup-test lint ## everything, with real guests and a browser
	$(BIN)/pytest -n 2 --dist worksteal -m "not real" tests
	$(BIN)/pytest -m real tests  # in turn: they share this machine's hypervisor

soak: setup-dev ## hours of simulated crashes, hangs and failures
	$(BIN)/python -m orrery.simulate.soak

bench: setup-dev ## measure, and compare with the budget
	$(BIN)/python -m bench

format: setup-dev ## rewrite the code in house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was built; .venv stays
	rm -rf build dist .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find orrery tests tools -name __pycache__ -prune -exec rm -rf {} +
