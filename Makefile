# Everything here works from a fresh clone with Python 3.10 or newer and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-versions lint setup setup-demo clean

demo: setup-demo  ## the main job, offline, on a real video
	$(BIN)/keyscore demo

test: setup  ## all tests, with everything they need
	$(BIN)/python -m pytest

test-versions:  ## the integration tests with transformers 4.57.6, 5.0.0 and the newest
	PYTHON=$(PYTHON) tests/versions.sh

fuzz: setup  ## 1,000 damaged files a decoder, all containers, 50 kills a test; KEYSCORE_FUZZ_SEED=1000 for the next
	KEYSCORE_FUZZ_FILES=1000 KEYSCORE_FUZZ_KILLS=50 $(BIN)/python -m pytest -s tests/fuzz \
		tests/contract/test_containers.py \
		tests/integration/test_shared_outputs.py tests/integration/test_batch_workers.py

lint: setup  ## what CI checks beside the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.test
setup-demo: $(VENV)/.demo

# torch first and alone: what follows keeps the build that the index gave.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[offline,report]'
	touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[offline,report,torchcodec,transformers,open-clip,qwen-vl-utils,lmms-eval,evals,test]'
	touch $@

clean:  ## what was installed and cached here
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
