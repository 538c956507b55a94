# Every target sets up what it needs in .venv; nothing outside this folder is touched.
# Options for a demo: make demo-plain ARGS="--lang ja --mask"

PYTHON ?= $(shell command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# install.py says itself what is missing; here only that there is no Python at all to run it.
SETUP := $(if $(PYTHON),$(PYTHON) requirements/install.py,echo "Mailtap needs Python 3.11 or later, and there is no python3 here (Debian, Ubuntu: sudo apt install python3 python3-venv)." >&2; false)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# A checkout that was moved or copied, or whose Python is gone, has a .venv that leads elsewhere.
READY := $(shell grep -qsF '$(CURDIR)/$(VENV)' $(BIN)/activate && $(BIN)/python -c '' 2>/dev/null && echo yes)
STALE := $(if $(READY),,FORCE)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SECONDS ?= 60
PYTHONS ?= 3.11 3.12 3.13 3.14 3.15
SID_PYTHONS ?= 3.14 3.15
.PHONY: FORCE help demo test test-pythons test-sid fuzz bench check supported wheels lock catalogues pages format clean

help:
	@echo "The lesson:"
	@echo "  make demo-plain     see a password and a mail fall off the wire"
	@echo "  make demo-apop      APOP and CRAM-MD5: no clear password, and still broken"
	@echo "  make demo-tls       the same mail over SSL/TLS: what is left to see"
	@grep -E '^demo:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo '  Options: make demo-plain ARGS="--lang ja --mask"'
	@echo "           (all of them: .venv/bin/mailtap demo --help)"
	@echo "For developers:"
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | grep -v '^demo:' | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

FORCE:

demo-%: $(VENV)/run FORCE
	@$(BIN)/mailtap demo $* $(ARGS)

demo: $(VENV)/run ## every scenario, in one table of what each still leaks
	@$(BIN)/mailtap demo matrix $(ARGS)

test: $(VENV)/dev ## the tests
	$(BIN)/pytest $(ARGS)

test-pythons: $(VENV)/dev ## the tests under other Pythons found here (PYTHONS=3.13)
	$(BIN)/python tests/support/pythons.py $(PYTHONS) -- $(ARGS)

test-sid: ## the tests under Debian's newest Pythons, as root
	tests/support/sid.sh $(SID_PYTHONS) -- $(ARGS)

fuzz: $(VENV)/dev ## fuzz the listener: SECONDS=60 each (ARGS=smtp names one)
	$(PIP) install --quiet --require-hashes --requirement requirements/fuzz.txt
	$(BIN)/python tests/fuzz/run.py $(SECONDS) $(ARGS)

bench: $(VENV)/dev ## measure beside other tools; writes docs/performance.md
	$(PIP) install --quiet --require-hashes --requirement requirements/bench.txt
	$(BIN)/python -m bench $(ARGS)

check: $(VENV)/dev ## lint, format, types, imports, catalogues, costs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/types/mailtap
	@for folder in capture servers demo; do ln -sfn ../../../$$folder build/types/mailtap/$$folder; done
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/support/catalogues.py check
	$(BIN)/python -m bench.guards

format: $(VENV)/dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

catalogues: $(VENV)/dev ## renew the translations' catalogues from the code
	$(BIN)/python tests/support/catalogues.py renew

supported: $(VENV)/dev ## renew the tables of docs/supported.md from the tests
	$(BIN)/python tests/support/supported.py

pages: $(VENV)/dev ## renew docs/scenarios.md, in each language, from the table
	$(BIN)/mailtap demo list --format github --lang en > docs/scenarios.md
	$(BIN)/mailtap demo list --format github --lang ja > docs/ja/scenarios.md

wheels: $(VENV)/run ## fill wheels/ with all that an offline install needs
	$(PIP) download --quiet --dest wheels --require-hashes --requirement requirements/dev.txt
	@echo "wheels/ is filled for this Python and system; copy it into the checkout on a machine without a network."

lock: $(VENV)/dev ## renew the locked requirements
	$(PIP) install --quiet uv
	$(BIN)/python requirements/lock.py

clean: ## remove what make made, but for wheels/
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/run: requirements/install.py requirements/run.txt pyproject.toml $(STALE)
	@$(SETUP) run
	@touch $@

$(VENV)/dev: requirements/install.py requirements/dev.txt pyproject.toml $(STALE)
	@$(SETUP) dev
	@touch $@ $(VENV)/run
