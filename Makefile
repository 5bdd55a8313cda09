# Needs a supported Python and make, nothing else. `make help` lists the targets.

VENV := .venv
BIN := $(VENV)/bin
# Two stamps, so that a change of pyproject.toml alone does not download everything anew.
DEPENDENCIES := $(VENV)/.dependencies
INSTALLED := $(VENV)/.installed
MIN_MINOR := 11
MAX_MINOR := 14
CANDIDATES := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python
SUPPORTED = import sys; sys.exit(sys.implementation.name != "cpython" or not (3, $(MIN_MINOR)) <= sys.version_info[:2] <= (3, $(MAX_MINOR)))
PIP_FLAGS := --disable-pip-version-check --quiet --no-input

# Without byte code each process of the system compiles its thousand modules anew at every start: half of the start's time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install up test check bench chaos soak lock clean
.DEFAULT_GOAL := help

help:
	@echo "make up       start everything with a demo fleet of 50 clients (installs first where needed)"
	@echo "make install  make $(VENV) with the pinned dependencies"
	@echo "make test     run the tests"
	@echo "make check    ruff, mypy --strict, import-linter"
	@echo "make soak     the simulations with 1,000,000 seeds; about half an hour on two processors"
	@echo "make chaos    the long proofs: kill -9 and rebalances under load, outages of the edge, poison, slow clients, a broker that is away"
	@echo "make bench    measure against the bounds of this machine; about 11 minutes, 5 of them with a fleet of 100,000 clients"
	@echo "make lock     renew requirements.lock and infra/kafka.lock"
	@echo "make clean    remove $(VENV) and caches; data directories stay"

install: $(INSTALLED)

$(DEPENDENCIES): requirements.lock
	@set -e; python=; seen=; \
	for candidate in $(CANDIDATES); do \
	    command -v $$candidate >/dev/null 2>&1 || continue; \
	    if $$candidate -c '$(SUPPORTED)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	    version=$$($$candidate -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue; \
	    seen="$$seen $$candidate ($$version)"; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "ViWorkS needs CPython 3.$(MIN_MINOR) to 3.$(MAX_MINOR), the versions for which every dependency has a wheel; found:$${seen:- none}." >&2; \
	    echo "Install one of them, or name it: make install PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	fi; \
	echo "making $(VENV) with $$($$python --version) ($$python); the first download is about 400 MB"; \
	if ! $$python -m venv --clear $(VENV); then \
	    echo "$$python cannot make virtual environments; install its venv module (python3-venv on Debian and Ubuntu)." >&2; exit 1; \
	fi
	@# Byte code is made on first import, for the tenth of the modules that are ever imported.
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-compile --require-hashes -r requirements.lock
	@touch $@

# An editable install lists the packages, so a new one is a reason to renew it.
$(INSTALLED): pyproject.toml $(DEPENDENCIES) $(wildcard */__init__.py)
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --no-index -e .
	@touch $@

up: install
	@exec $(BIN)/viworks up --demo 50

# Two at a time: most of a test's time is waiting for a broker. tests/distribution.py says what stays together. In the order of
# the directories, those that take long, or start most, are not left for the end.
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: install
	$(BIN)/python -m pytest -m long

soak: install
	$(BIN)/python -m tests.simulation --seeds 1000000

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install
	$(BIN)/python -m bench

# uv is needed here only; it is not part of the installation. The build backend comes in by standard input.
BUILD_REQUIRES = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: install
	$(BIN)/python -c '$(BUILD_REQUIRES)' | uv pip compile pyproject.toml - --all-extras --universal \
	    --python-version 3.$(MIN_MINOR) --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	    --upgrade --quiet --output-file requirements.lock
	$(BIN)/python -m infra.kafka_jars

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
