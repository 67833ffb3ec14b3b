# `make prune` and `make test` need only Python >= 3.12 and a C++ compiler.
PYTHON := $(shell for p in python3.12 python3 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PACKAGING := setup.cfg pyproject.toml
OUT ?= runs/prune
# brian2cuda needs one version of Brian2, so it has an environment of its own.
CUDA := $(VENV)/cuda

# What the dependencies are used for, for environments other than the usual one: pruning, commands, sweeps, training.
BROAD := lnpbrian tests/test_cli.py tests/test_lnp.py tests/test_sweeps.py tests/test_bptt.py tests/test_readout.py

.PHONY: prune test test-wheel test-floors test-3.13 test-cuda test-gpu test-readers test-browser docs lint bench bench-cuda clean

prune: $(VENV)/.base
	$(BIN)/lnpbrian prune --out $(OUT) $(ARGS)

test: $(VENV)/.test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --ignore tests/test_wheel.py $(ARGS)

# The rest is slow and seldom fails: .ci/run does it when what it depends on has changed since it last passed. A run of
# chosen tests (ARGS) is no pass.
noted = $(if $(ARGS),,$(PYTHON) tools/slow_checks.py $(1))

test-wheel: $(VENV)/.test
	$(call noted,wheel) $(BIN)/python -m pytest tests/test_wheel.py $(ARGS)

# The oldest dependencies that setup.cfg allows.
test-floors: $(VENV)/floors/.test
	OPENBLAS_NUM_THREADS=1 $(call noted,floors) $(VENV)/floors/bin/python -m pytest -n auto --dist worksteal $(or $(ARGS),$(BROAD))

test-3.13: $(VENV)/3.13/.test
	OPENBLAS_NUM_THREADS=1 $(call noted,3.13) $(VENV)/3.13/bin/python -m pytest -n auto --dist worksteal $(or $(ARGS),$(BROAD))

# CUDA projects are written, and compiled where nvcc is (two networks, some minutes).
test-cuda: $(CUDA)/.cuda
	OPENBLAS_NUM_THREADS=1 $(call noted,cuda) $(CUDA)/bin/python -m pytest -m cuda tests/test_cuda.py $(ARGS)

# ... and run, where a GPU is.
test-gpu: $(CUDA)/.cuda
	OPENBLAS_NUM_THREADS=1 $(CUDA)/bin/python -m pytest -m gpu tests/test_cuda.py $(ARGS)

bench-cuda: $(CUDA)/.cuda
	$(CUDA)/bin/python benchmarks/bench_cuda.py $(ARGS)

# Files in NIR, read and run by other simulators (PyTorch, some gigabytes).
test-readers: $(VENV)/readers/.test
	$(call noted,readers) $(VENV)/readers/bin/python -m pytest -m readers tests/test_nir_readers.py $(ARGS)

# Reports in a headless browser; chromium must be on the PATH.
test-browser: $(VENV)/.browser
	$(call noted,browser) $(BIN)/python -m pytest -m browser tests/test_report_browser.py $(ARGS)

# The site, its gallery run anew, warnings as errors: docs/_build/html.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/bench_steps.py
	$(BIN)/python benchmarks/bench_spectrum.py
	$(BIN)/python benchmarks/bench_lnp.py
	$(BIN)/python benchmarks/bench_structure.py
	$(BIN)/python benchmarks/bench_devices.py
	$(BIN)/python benchmarks/bench_forecasters.py
	$(BIN)/python benchmarks/bench_native.py
	$(BIN)/python benchmarks/bench_scale.py

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "lnpbrian needs Python 3.12 or newer on the PATH (tried python3.12, python3, python3.13)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/.base: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bp,sweep]'
	@touch $@ $(VENV)/.base

$(VENV)/floors/.test: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m venv --clear $(VENV)/floors
	$(BIN)/python tools/floors.py bp sweep > $(VENV)/floors/floors.txt
	$(VENV)/floors/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/floors/floors.txt --editable '.[test,bp,sweep]'
	@touch $@

$(VENV)/3.13/.test: $(PACKAGING)
	python3.13 -m venv --clear $(VENV)/3.13
	$(VENV)/3.13/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bp,sweep]'
	@touch $@

$(VENV)/readers/.test: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m venv --clear $(VENV)/readers
	$(VENV)/readers/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,readers]'
	@touch $@

$(VENV)/.browser: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,browser]'
	@touch $@

$(VENV)/.docs: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs,bp,nir]'
	@touch $@

$(VENV)/.lint: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@

$(CUDA)/.cuda: $(PACKAGING) | $(BIN)/python
	test -x $(CUDA)/bin/python || $(BIN)/python -m venv $(CUDA)
	$(CUDA)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,cuda]'
	@touch $@

$(VENV)/.bench: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' igraph
	@touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/auto_gallery docs/auto_experiments docs/api docs/sg_execution_times.rst *.egg-info .pytest_cache .mypy_cache .ruff_cache
