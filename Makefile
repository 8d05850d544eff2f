# The two commands that matter: `make serve` and `make test`. Both need nothing but Python, make and git.
PYTHON ?= python3
VENV ?= .venv

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
STAMP := $(VENV)/.installed
COMPILE = $(PY) -m uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(UPGRADE) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help serve models install test test-long test-versions test-lowest quick fuzz verify-gpu bench bench-train bench-explorer lint format lock upgrade clean

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

serve: models ## Install, build the models that are missing, serve on port 8000
	@exec $(PY) -m service

models: $(STAMP) ## Build the models that are missing
	@$(PY) -m model_build all --missing

install: $(STAMP) ## Make the virtual environment

$(STAMP): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) found; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
		{ echo "make: Fovea needs Python 3.11 to 3.14, $(PYTHON) is `$(PYTHON) -V 2>&1`; name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(PY) || { echo "Making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what requirements/dev.txt pins"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

test: lint ## Install, then lint, types, import contracts and all tests
	@$(PY) -m pytest --numprocesses 2 --dist loadfile --cov --cov-report=term

test-long: $(STAMP) ## The tests that take minutes or install packages
	@$(PY) -m pytest -m long

test-versions: ## Lint and the quick tests on every Python from 3.11 to 3.14 that is here
	@.ci/versions

test-lowest: ## The quick tests with the lowest versions that pyproject.toml allows, on Python 3.11
	@.ci/lowest

quick: $(STAMP) ## The tests without a server process and without a browser
	@$(PY) -m pytest --quiet --numprocesses 2 --dist loadfile --ignore tests/e2e --ignore tests/contract

# Its own environment, for the two builds of ONNX Runtime cannot be installed together.
verify-gpu: ## On a machine with an NVIDIA GPU: check everything that needs one, and say what was seen
	@$(MAKE) --no-print-directory VENV=$(VENV)-gpu .verified

.PHONY: .verified
.verified: $(VENV)/.gpu
	@$(PY) -m tests.verify_gpu

$(VENV)/.gpu: $(STAMP) requirements/gpu.txt
	@$(PY) -m pip uninstall -qq --yes onnxruntime onnxruntime-gpu
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/gpu.txt
	@touch $@

fuzz: $(STAMP) ## Ask every route for what the OpenAPI document allows and for what it does not, for SECONDS (300)
	@FUZZ_SECONDS=$(or $(SECONDS),300) $(PY) -m pytest -q tests/e2e/test_openapi_fuzz.py

lint: $(STAMP) ## Style, types, complexity, length and import contracts, of Python and of the page's scripts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m tests.code_shape
	@$(BIN)/lint-imports
	@BIN=$(BIN) .ci/lint-js

bench: models ## What the server adds to the bare model: processor time, latency, cold start, memory
	@$(PY) benchmarks/serve.py --out benchmarks/results/serving

bench-train: $(STAMP) ## Images a second of training, and the share of it outside ONNX Runtime
	@$(PY) benchmarks/train_step.py

bench-explorer: $(STAMP) ## Frames a second of the explorer while the pointer moves over 80 layers
	@$(PY) -m benchmarks.explorer_frames --out benchmarks/results/explorer-frames.json

format: $(STAMP) ## Bring the code into the house format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .
	@BIN=$(BIN) .ci/lint-js --fix

lock: $(STAMP) ## Write requirements/*.txt anew from pyproject.toml, keeping versions that still fit
	@$(COMPILE) --extra cpu --extra build --extra package --extra test --extra dev --output-file requirements/dev.txt
	@$(COMPILE) --constraints requirements/dev.txt --extra cpu --output-file requirements/cpu.txt
	@$(COMPILE) --constraints requirements/dev.txt --extra gpu --output-file requirements/gpu.txt
	@$(COMPILE) --constraints requirements/dev.txt --extra cpu --extra build --extra package --output-file requirements/build.txt

upgrade: ## Lock the newest versions
	@$(MAKE) lock UPGRADE=--upgrade

clean: ## Remove what was made here: the environment, what was built, the screenshots, the caches
	rm -rf $(VENV) $(VENV)-gpu $(VENV)-3.* $(VENV)-lowest models/imagenet .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov screenshots dist build
	find anatomy fovea model_build service tests -name __pycache__ -type d -prune -exec rm -rf {} +
