# One-liners; what needs more stands in scripts/. `make` alone lists them.
PYTHON_IN_VENV := .venv/bin/python

# Where it is set, as in images of Python, every process compiles all of its modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo check test campaign bench bench-large fmt docs example lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make .venv/ ready (all other targets do it when needed)
	@scripts/setup

demo: setup ## a shop goes into Git with its data, drifts, is destroyed, and comes back twice
	@$(PYTHON_IN_VENV) demo/bookstore.py

check: setup ## lint, types, layers and pure tests: seconds, no lab
	@scripts/check

test: check ## everything: `check`, then the tests against real control planes
	@$(PYTHON_IN_VENV) scripts/lab_binaries.py
	@$(PYTHON_IN_VENV) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "lab and not campaign"

campaign: setup ## the slow ones: corpus, mutations, kills, order, and every pure test thoroughly
	@$(PYTHON_IN_VENV) scripts/lab_binaries.py
	@$(PYTHON_IN_VENV) -m pytest -q -m "not lab and not campaign" --hypothesis-profile thorough
	@$(PYTHON_IN_VENV) -m pytest -s -m campaign

bench: setup ## measure the commands beside their floors: 15,000 objects, minutes (docs/performance.md)
	@$(PYTHON_IN_VENV) scripts/lab_binaries.py
	@$(PYTHON_IN_VENV) bench/run.py

bench-large: setup ## the same at 100,000 objects: longer, and 6 GB of memory
	@$(PYTHON_IN_VENV) scripts/lab_binaries.py
	@$(PYTHON_IN_VENV) bench/run.py --large

fmt: setup ## format the code and repair what the linter can
	@$(PYTHON_IN_VENV) -m ruff format
	@$(PYTHON_IN_VENV) -m ruff check --fix

docs: setup ## write the help texts and the table of rules in docs/ anew
	@$(PYTHON_IN_VENV) scripts/docs.py

example: setup ## write cluster-repos/bookstore anew, as an export of the shop in a lab
	@$(PYTHON_IN_VENV) demo/example.py

lock: setup ## pin what pyproject.toml asks for, with hashes (newest of all: scripts/lock --upgrade)
	@scripts/lock

clean: ## remove .venv/ and all that the tools left (not the lab's binaries)
	@rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
