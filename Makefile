# Everything needs only Python 3.11+: each target first makes its own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# Thousands of processes start here, each of which would otherwise compile the harness again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-arm storm bench coverage lint clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "harness needs Python 3.11 or later; name one with: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/harness demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-arm: $(READY)
	HARNESS_TEST_ARM=1 $(BIN)/python -m pytest tests/fleet/test_arm.py

storm: $(READY)
	HARNESS_STORM=200 $(BIN)/python -m pytest -n 0 -s tests/measure/test_storm.py -k storm_loses
	HARNESS_KILLS=all $(BIN)/python -m pytest -n 0 tests/test_killed.py
	HARNESS_MATRIX=all $(BIN)/python -m pytest -n 0 tests/cli/test_streams.py tests/cli/test_any_name.py

bench: $(READY)
	$(BIN)/python -m tests.perf

coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .coverage* dist benchmarks/*/build .mypy_cache .ruff_cache .pytest_cache
