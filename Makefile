# The verbs of this project. `make` alone lists them; `make setup` is done by the others.

VENV := .venv
BIN := $(VENV)/bin
CHOOSE := sh pipeline/environment/choose_python.sh
CONFIG ?= pipeline/configs/digits.yaml

# The tests of a file run one after the other, since they share fixtures. The files run in
# the order of the collection (tests/conftest.py), not those with the most tests first.
ON_ALL_CORES := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Each verb and many tests start processes that import TensorFlow and TFX. Without cached
# bytecode, each of them would compile these packages again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all test-chaos test-flink lint check goldens reference pictures bench results lock clean

help:  ## List the verbs
	@echo "make VERB, where VERB is one of:"
	@sed -n 's/^\([a-z-]*\):.*## /  \1|/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## /  \1	/p' $(MAKEFILE_LIST)

setup:  ## Build .venv; at once when there is nothing to do (PYTHON=..., GPU=1)
	@python=$$($(CHOOSE) "$(PYTHON)") && GPU="$(GPU)" "$$python" -m pipeline.environment.install

run: setup  ## Run the whole pipeline on handwritten digits (CONFIG=... for another)
	@$(BIN)/graft run $(CONFIG)

test: setup  ## Run the tests (TESTS=path for some)
	@$(BIN)/python -m pytest --hypothesis-profile=repeatable $(or $(TESTS),$(ON_ALL_CORES))

test-all: setup  ## Run the tests, those that take minutes too
	@$(BIN)/python -m pytest -m "large or not large" $(TESTS)

test-chaos: setup  ## Harm a model store and its server at random, and check both
	@$(BIN)/python -m pytest -m large -s tests/serving/test_chaos.py

test-flink: setup  ## Run the pipeline on a Flink cluster (IMAGES=200, ONLY=kill, QUIET=1)
	@$(BIN)/python tests/flink/downloads.py
	@GRAFT_FLINK_IMAGES=$(or $(IMAGES),2000) GRAFT_FLINK_QUIET=$(QUIET) \
	  $(BIN)/python tests/flink/own_network.py \
	  $(BIN)/python -m pytest -m large -s tests/flink $(if $(ONLY),-k "$(ONLY)")

lint: setup  ## Format and mend what can be mended; edits files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/codespell --write-changes

check: setup  ## Check style, types, layers, spelling, links and locks; edits nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest -q -p no:xdist tests/docs/test_pages.py -k 'links or index'
	$(BIN)/python -m graft.pipeline.environment.lock --check

goldens: setup  ## Write the golden files of the tests anew
	@$(BIN)/python -m pytest -m "large or not large" --update-goldens $(TESTS)

reference: setup  ## Write docs/config.md anew, from the config's schema
	@$(BIN)/graft config reference > docs/config.md

pictures: setup  ## Make the README's pictures anew; those of the report need a browser
	@$(BIN)/python tests/docs/pictures.py

bench: setup  ## Measure, and compare with the TFX example's way (long; OTHER=checkout)
	@$(BIN)/python tests/benchmarks/pipeline_benchmark.py
	@$(BIN)/python tests/benchmarks/ingestion_benchmark.py $(if $(OTHER),--other $(OTHER))
	@$(BIN)/python tests/benchmarks/features_benchmark.py
	@$(BIN)/python tests/benchmarks/refit_benchmark.py
	@$(BIN)/python tests/benchmarks/many_classes_benchmark.py
	@$(BIN)/python tests/benchmarks/incremental_benchmark.py
	@$(BIN)/python tests/benchmarks/serving_benchmark.py

results: setup  ## Measure the README's table of results on real photographs (long)
	@$(BIN)/python tests/benchmarks/results.py --cache .bench/features
	@$(BIN)/python tests/benchmarks/epoch_benchmark.py

lock: setup  ## Resolve setup.py into the lock files (UPGRADE=1 for newer versions)
	@$(BIN)/python -m graft.pipeline.environment.lock $(if $(UPGRADE),--upgrade)

clean:  ## Remove .venv and caches; keeps graft_output
	@test ! -e $(VENV) || test -e $(VENV)/made-by-graft \
	  || { echo "clean: $(VENV) was not made by make setup; left alone" >&2; exit 1; }
	rm -rf $(VENV) .venv.lock build *.egg-info serving/client/build serving/client/*.egg-info \
	  .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
