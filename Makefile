# Everything a developer does here; each target works as the first command after a clone.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BIN := .venv/bin
FAST_TESTS := $(wildcard tests/core tests/sched tests/engine tests/store tests/api tests/cli)
NOT_FAST := -m "not real and not browser and not slow"

.PHONY: help setup setup-dev setup-test demo demo-leases check test test-traces paper soak bench lint format clean test-leases

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the engine needs: system packages (as root) and .venv
	@tools/setup

setup-dev:
	@tools/setup --dev

setup-test:
	@tools/setup --test

demo: setup ## the life of a guest on this machine; KEEP=1 leaves it running
	@tools/demo $(if $(KEEP),--keep)

demo-leases: setup ## promised capacity, by suspending real guests; KEEP=1 leaves it running
	@tools/demo-leases $(if $(KEEP),--keep)

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

test-leases: setup-dev ## the lease scheduler, with twenty times as many examples
	LEASE_EXAMPLES=20 $(BIN)/pytest -n 2 tests/sched/leases

soak: setup-dev ## hours of simulated crashes, hangs and failures
	$(BIN)/python -m orrery.simulate.soak

test-traces: setup-dev ## published workloads through the lease scheduler: TRACES=directory
	$(BIN)/python -m orrery.simulate.leases.published.traces $(or $(TRACES),$(error give TRACES=directory))

paper: setup-dev ## the experiment of HPDC 2008 again: TRACES=directory, FULL=1 for all 72 workloads
	$(BIN)/python -m orrery.simulate.leases.published.paper $(or $(TRACES),$(error give TRACES=directory)) $(if $(FULL),--full)

bench: setup-dev ## measure, and compare with the budget
	$(BIN)/python -m bench

format: setup-dev ## rewrite the code in house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was built; .venv stays
	rm -rf build dist .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find orrery tests tools -name __pycache__ -prune -exec rm -rf {} +
