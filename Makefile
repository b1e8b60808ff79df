# make train   a virtual environment, the project, and a network trained on real data
# make test    the same environment with the test extras, and everything that guards the project
# ARGS= is passed on, to nnctl or to pytest, and SPEC= names another spec; a second call reinstalls nothing.

PYTHON ?= python3
SPEC   ?= experiments/digits-mlp.yaml
ARGS   ?=
BIN    := .venv/bin
# As a variable of the environment the constraints hold for the build backend too.
PIP    := PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: train test clean

train: .venv/.installed
	@$(BIN)/nnctl train $(SPEC) $(ARGS)

test: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("nnctl needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12 train" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "making .venv ..."
	@$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null   # a .venv made by uv has none
	@echo "installing nnctl (once; a minute or so) ..."
	@$(PIP) -e .
	@touch $@

.venv/.installed-test: .venv/.installed
	@echo "installing the test extras (once) ..."
	@$(PIP) -e '.[test]'
	@touch $@

clean:
	rm -rf .venv
