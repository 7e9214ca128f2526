# Everything here works from a fresh clone with Python 3.10 to 3.13 and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A process a core, up to four: each takes up to 2 GB. A file's tests share what they set up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
LOCK := constraints.txt
# For what is installed and, by the second name in newer versions of pip, for what builds it.
export PIP_CONSTRAINT := $(CURDIR)/$(LOCK)
export PIP_BUILD_CONSTRAINT := $(PIP_CONSTRAINT)

.PHONY: demo test test-quick test-newest test-versions test-sglang test-ray fuzz lint docs lock lock-vllm \
	lock-sglang setup setup-demo clean .venv-vllm .venv-sglang

demo: setup-demo  ## the main job, offline, on a real video
	$(BIN)/keyscore demo

test: setup  ## all tests, with everything they need
	-$(MAKE) .venv-vllm  # where it cannot be installed, its tests are skipped
	$(PYTEST)

test-quick: setup  ## the tests without the marks slow and fuzz: some four minutes of one core
	$(PYTEST) -m "not slow and not fuzz" --durations=10

test-newest:  ## all tests without the lock; names the packages whose newer versions broke some
	PYTHON=$(PYTHON) tests/newest.sh

test-versions:  ## the integration tests with transformers 4.57.6, 5.0.0 and the newest
	PYTHON=$(PYTHON) tests/versions.sh

test-sglang: setup .venv-sglang  ## a real SGLang server, in an environment of its own (3 GB); not in the gate
	KEYSCORE_REQUIRE=sglang $(BIN)/python -m pytest tests/integration/test_sglang.py

test-ray: setup  ## the tests of Ray, on a cluster that they start on this machine
	$(PIP) -e '.[ray]'
	KEYSCORE_REQUIRE=ray $(BIN)/python -m pytest tests/integration/test_ray.py

fuzz: setup  ## 1,000 damaged files a decoder, 1,000 requests a server, all containers, 50 kills a test; KEYSCORE_FUZZ_SEED=1000 for the next
	KEYSCORE_FUZZ_FILES=1000 KEYSCORE_FUZZ_REQUESTS=1000 KEYSCORE_FUZZ_KILLS=50 $(BIN)/python -m pytest -s tests/fuzz \
		tests/contract/test_containers.py tests/integration/test_vllm_render.py \
		tests/integration/test_shared_outputs.py tests/integration/test_batch_workers.py \
		tests/unit/index/test_folder.py

lint: setup  ## what CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=integrations $(BIN)/lint-imports

docs: setup  ## the documentation site, in site/; a dead link or a wrong docstring is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock:  ## renew the lock: the newest versions that the project's bounds allow
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 \
		--upgrade --quiet --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file $(LOCK)

# torch for CPUs is not on PyPI: UV_FIND_LINKS has to name a folder or page that has it.
lock-vllm:  ## renew the lock of vLLM's environment
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile tests/support/vllm/requirements.in --python-version 3.11 \
		--override tests/support/vllm/overrides.txt --python-platform x86_64-manylinux_2_28 \
		--upgrade --quiet --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock-vllm" --output-file tests/support/vllm/requirements.txt

lock-sglang:  ## renew the lock of SGLang's environment
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile tests/support/sglang/requirements.in --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --upgrade --quiet --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock-sglang" \
		--output-file tests/support/sglang/requirements.txt

setup: $(VENV)/.test $(VENV)/ms-swift $(VENV)/llama-factory
setup-demo: $(VENV)/.demo

# torch first and alone: what follows keeps the build that the index gave.
$(VENV)/.torch: $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[demo,torchcodec,transformers,open-clip,qwen-vl-utils,lmms-eval,serve,evals,train,test]'
	touch $@

# It asks for older packages than ours, so it lies aside, without what it asks for. Its versions are
# all in the file, which the lock, with a newer trl, would refuse.
$(VENV)/ms-swift: tests/support/ms_swift/requirements.txt | $(VENV)/.test
	PIP_CONSTRAINT= $(PIP) --no-deps --upgrade --target $@ -r $<
	touch $@

$(VENV)/llama-factory: tests/support/llama_factory/requirements.txt | $(VENV)/.test
	PIP_CONSTRAINT= $(PIP) --no-deps --upgrade --target $@ -r $<
	touch $@

# vLLM asks for other versions than our lock, so its tests run it in an environment of its own: Python
# 3.11 to 3.13 on x86_64, torch for CPUs. All versions are in the file, so nothing is resolved.
.venv-vllm: .venv-vllm/.ready
.venv-vllm/.ready: tests/support/vllm/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	PIP_CONSTRAINT= .venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-compile -r $<
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

# SGLang asks for one version of everything, and for CUDA: here are its wheel and what it imports on a
# CPU, for Python 3.11 on x86_64.
.venv-sglang: .venv-sglang/.ready
.venv-sglang/.ready: tests/support/sglang/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-sglang
	PIP_CONSTRAINT= .venv-sglang/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-compile -r $<
	PIP_CONSTRAINT= .venv-sglang/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-compile sglang==0.5.23
	.venv-sglang/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:  ## what was installed and cached here
	rm -rf $(VENV) .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis site
