# Everything happens in .venv, made on first use. `make` alone lists the verbs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# More arguments: make test PYTEST="tests/sql -k search -x", make bench BENCH="--only plaid exact"
PYTEST ?=
BENCH ?=

# Processes that test side by side, each with a server of its own; 0 where one server is given: none beside.
WORKERS ?= $(if $(COLBERT_PG_TEST_URL),0,2)

BENCH_READY := $(VENV)/.ready-bench

# Where the PostgreSQL 17 of bench-shards is installed. The gate has it there, too.
DEBIAN ?= $(HOME)/.cache/colbert_pg/trixie

.PHONY: help all install demo test lint format build docs bench bench-full bench-paths bench-defaults bench-tenants bench-shards bench-pages bench-million soak clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# As PGXN's client calls it: there is nothing to compile.
all:

install: ## put the extension's files into the server of PG_CONFIG
	$(MAKE) -C sql install

demo: $(READY) ## search the documentation of Python's standard library
	$(BIN)/colbert-pg demo --data .demo

test: $(READY) ## run all tests, in two processes, on a PostgreSQL 18 of their own
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST)

lint: $(READY) ## check style, types and that sql/dist is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd alembic && $(abspath $(BIN))/mypy --config-file ../pyproject.toml env.py shipped_sql.py versions
	$(BIN)/python sql/build.py --check

format: $(READY) ## format the Python files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: ## write sql/dist from the SQL sources
	$(PYTHON) sql/build.py

docs: $(READY) ## build the site of the documentation in .site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'Open .site/index.html'

bench: $(BENCH_READY) ## measure every method beside its peers, on a part of SciFact (minutes)
	$(BIN)/python -m benchmarks.methods --documents 1000 --queries 50 --budget 5 --load 1 \
	  --output benchmarks/results/methods-part $(BENCH)

bench-full: $(BENCH_READY) ## the same on all of SciFact (half an hour)
	$(BIN)/python -m benchmarks.methods $(BENCH)

bench-paths: $(READY) ## measure the paths that people take, in one table (ten minutes)
	$(BIN)/python -m benchmarks.paths $(BENCH)

bench-defaults: $(READY) ## measure default searches on collections that nobody tuned for (an hour)
	$(BIN)/python -m benchmarks.defaults $(BENCH)

bench-tenants: $(READY) ## measure tenants of one table beside tables of their own (an hour)
	$(BIN)/python -m benchmarks.tenants $(BENCH)

bench-shards: $(READY) ## measure search over 1, 2, 4 and 8 shards, as root, on Debian's PostgreSQL 17 (20 minutes)
	.ci/debian create $(DEBIAN)
	.ci/debian start $(DEBIAN) sql
	$(BIN)/python -m benchmarks.shards --url "$$(.ci/debian url $(DEBIAN))" $(BENCH); \
	  measured=$$?; .ci/debian stop $(DEBIAN); exit $$measured

bench-pages: $(READY) ## measure searches of pages of 1,030 vectors, with and without a first stage (25 minutes, 5 GB)
	$(BIN)/python -m benchmarks.pages $(BENCH)

bench-million: $(READY) ## load, build and search 50,000 and a million documents (hours)
	$(BIN)/python -m benchmarks.million $(BENCH)

soak: $(READY) ## eight clients write and search for ten minutes
	$(BIN)/python -m benchmarks.soak

clean: ## remove .venv, .demo, .site and caches
	rm -rf $(VENV) .demo .site .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt sql/colbert_pg.control
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[all,test,lint]'
	touch $@

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[bench]'
	touch $@
