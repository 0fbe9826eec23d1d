# Each target sets up what it needs on a fresh machine: a virtual environment in .venv with the pinned versions.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: bench test check style types workflows site proof setup clean

bench: $(READY)
	$(RUN) run_bench.py --methods warpres,styleres --edits smile,pose

# Two processes, each with one thread: with full-size networks one takes 5 GB. A file is one process's, so what its tests share
# is made once.
test: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

check: style types workflows site

style: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(READY)
	$(RUN) -m mypy

workflows: $(READY)
	$(RUN) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet --site-dir build/site

# Tables 2 and 3 with every method of the paper, filled weights, real photographs: an hour, 20 GB of disk. Then one step of
# the full-size training against the group's numbers, and a training at 1024 px: another hour, 9 GB of memory.
proof: $(READY)
	WARPRES_BENCH_ALL_METHODS=1 $(RUN) -m pytest tests/e2e/test_paper_tables.py tests/e2e/test_figure6.py
	WARPRES_BENCH_FULL_SIZE_TRAINING=1 $(RUN) -m pytest tests/parity/test_training_step.py tests/e2e/test_full_size_training.py

setup: $(READY)

# The stamp is newer than what decides the environment's content; a change there installs again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "error: $(PYTHON) is older than 3.11"; echo "  next: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
