# podrole. `make demo` and `make test` set up what they need by themselves; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KNOWN_SKIPS := $(if $(CI),--known-skips)
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster lint bench bench-cluster images format lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/demo.done ## three pods on one machine: each prints the identity that it ended up with
	@$(BIN)/python -m demo

test: lint ## everything: lint, then all tests
	$(BIN)/pytest $(KNOWN_SKIPS)

test-cluster: $(VENV)/dev.done ## the whole promise on real pods: images built, podrole installed, an STS that verifies tokens
	PODROLE_TEST_NODE=required $(BIN)/pytest $(KNOWN_SKIPS) tests/integration/node

lint: $(VENV)/dev.done ## ruff, mypy, the architecture's rules and hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile.injector Dockerfile.sidecar

bench: $(VENV)/dev.done ## what the sidecar, the webhook and its copy of a cluster cost on this machine, as tables
	@status=0; for part in sidecar webhook cluster; do $(BIN)/python -m bench.$$part || status=1; done; exit $$status

bench-cluster: $(VENV)/dev.done ## what an injected pod waits for and takes up on a real kubelet
	@PODROLE_TEST_NODE=required $(BIN)/pytest -q --capture=no tests/integration/node/costs.py

images: ## both container images and their bills of materials, into images/out
	@$(PYTHON) -m images.build

format: $(VENV)/dev.done ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev.done ## pin the newest versions that pyproject.toml allows, with hashes
	$(COMPILE) --upgrade --extra injector --extra sidecar --group dev -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt --extra injector --extra sidecar --group demo -o requirements/demo.txt
	$(COMPILE) -c requirements/dev.txt --extra injector -o requirements/injector.txt
	$(COMPILE) -c requirements/dev.txt --extra sidecar -o requirements/sidecar.txt

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +

# Everything that the tests need is more than the demo needs, so one mark serves for both.
$(VENV)/dev.done: requirements/dev.txt requirements/debian.txt requirements/unpacked.txt requirements/install.sh
	@PYTHON=$(PYTHON) sh requirements/install.sh $(VENV) requirements/dev.txt requirements/unpacked.txt
	@touch $@ $(VENV)/demo.done

$(VENV)/demo.done: requirements/demo.txt requirements/debian.txt requirements/install.sh
	@PYTHON=$(PYTHON) sh requirements/install.sh $(VENV) requirements/demo.txt
	@touch $@
