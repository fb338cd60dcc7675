# podrole. Every target sets up what it needs; `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST = $(BIN)/pytest $(if $(CI),--known-skips)
# One process per CPU. tests/conftest.py keeps the tests of a file or group in one process.
PARALLEL := -n logical
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help demo check test lint test-unit test-local test-shared test-images test-sdk test-api test-cluster bench bench-cluster bench-hostile soak \
	images rules format lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 15

demo: $(VENV)/demo.done ## run three pods on this machine and print each one's AWS identity
	@$(BIN)/python -m demo

check: lint test-unit ## lint and unit tests: the inner loop, about two minutes

test: check test-local test-shared ## everything that needs no kubelet

test-unit: $(VENV)/dev.done ## tests/unit, on all CPUs
	$(PYTEST) $(PARALLEL) tests/unit

test-local: $(VENV)/dev.done ## integration tests with processes and network namespaces, on all CPUs
	$(PYTEST) $(PARALLEL) $(addprefix tests/integration/,netns server services sidecar injector)

test-shared: $(VENV)/dev.done ## test-images, test-sdk and test-api, each group in one process
	$(PYTEST) -n 2 $(addprefix tests/integration/,images sdk api_server kustomize estate)

test-images: $(VENV)/dev.done ## tests of the built images (`make images` first)
	$(PYTEST) tests/integration/images

test-sdk: $(VENV)/dev.done ## AWS SDKs in injected pods; builds their programs the first time
	$(PYTEST) tests/integration/sdk

test-api: $(VENV)/dev.done ## a real API server: injection, commands, certificates, kustomize
	$(PYTEST) tests/integration/api_server tests/integration/kustomize tests/integration/estate

test-cluster: $(VENV)/dev.done ## images and manifests on a real node, with an STS that verifies tokens
	PODROLE_TEST_CLUSTER=required $(PYTEST) tests/integration/node

lint: $(VENV)/dev.done ## ruff, mypy, import-linter and hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile.injector Dockerfile.sidecar

bench: $(VENV)/dev.done ## benchmark the sidecar, the webhook and its watch cache on this machine
	@status=0; for part in sidecar webhook cluster; do $(BIN)/python -m bench.$$part || status=1; done; exit $$status

bench-cluster: $(VENV)/dev.done ## measure start time, CPU and memory of injected pods on a real node
	@PODROLE_TEST_CLUSTER=required $(BIN)/pytest -q --capture=no tests/integration/node/costs.py

bench-hostile: $(VENV)/dev.done ## a hostile tenant beside a good one on a real API server, for an hour
	@$(BIN)/python -m bench.hostile_tenant

soak: $(VENV)/dev.done ## the real processes with faults at random, for an hour: nothing is lost, nothing grows
	@$(BIN)/python -m bench.soak

images: ## build both container images and their SBOMs into images/out
	@$(PYTHON) -m images.build

PLAIN_RULES := sed '1,/^  namespace:/d; s/^spec:/\# make rules writes this file from the alerts.yaml of a component./; s/^  //'
rules: ## write the alerts of kustomize/components as plain Prometheus rules
	@$(PLAIN_RULES) kustomize/components/monitoring/alerts.yaml >kustomize/prometheus/podrole-injector.rules.yaml
	@$(PLAIN_RULES) kustomize/components/sidecar-metrics/alerts.yaml >kustomize/prometheus/podrole-sidecars.rules.yaml

format: $(VENV)/dev.done ## format and fix with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev.done ## lock the newest versions that pyproject.toml allows, with hashes
	$(COMPILE) --upgrade --extra injector --extra sidecar --group dev -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt --extra injector --extra sidecar --group demo -o requirements/demo.txt
	$(COMPILE) -c requirements/dev.txt --extra injector -o requirements/injector.txt
	$(COMPILE) -c requirements/dev.txt --extra sidecar -o requirements/sidecar.txt

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +

# The tests need everything that the demo needs, so this also marks the demo's environment as done.
$(VENV)/dev.done: requirements/dev.txt requirements/debian.txt requirements/unpacked.txt requirements/install.sh
	@PYTHON=$(PYTHON) sh requirements/install.sh $(VENV) requirements/dev.txt requirements/unpacked.txt
	@touch $@ $(VENV)/demo.done

$(VENV)/demo.done: requirements/demo.txt requirements/debian.txt requirements/install.sh
	@PYTHON=$(PYTHON) sh requirements/install.sh $(VENV) requirements/demo.txt
	@touch $@
