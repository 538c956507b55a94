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

# Each target's help: in English, and after the bar in Japanese; which one is asked of the environment.
JAPANESE := $(filter ja%,$(firstword $(LC_ALL) $(LC_MESSAGES) $(LANG)))
DESCRIBE := awk -F ':.*\#\# | [|] ' '{printf "  make %-14s %s\n", $$1, $$$(if $(JAPANESE),3,2)}'
ifeq ($(JAPANESE),)
LESSON := "The lesson:" \
  "  make demo-plain     see a password and a mail fall off the wire" \
  "  make demo-apop      APOP and CRAM-MD5: no clear password, and still broken" \
  "  make demo-tls       the same mail over SSL/TLS: what is left to see"
OPTIONS := '  Options: make demo-plain ARGS="--lang ja --mask"' \
  "           (all of them: .venv/bin/mailtap demo --help)" \
  "For developers:"
else
LESSON := "授業:" \
  "  make demo-plain     パスワードとメールが、通信路から読み取られる" \
  "  make demo-apop      APOP と CRAM-MD5。平文のパスワードは流れないが、破られる" \
  "  make demo-tls       同じメールを SSL/TLS で。何が見えるか"
OPTIONS := '  オプション: make demo-plain ARGS="--mask"' \
  "              (一覧は .venv/bin/mailtap demo --help)" \
  "開発者向け:"
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SECONDS ?= 60
PYTHONS ?= 3.11 3.12 3.13 3.14 3.15
SID_PYTHONS ?= 3.14 3.15
.PHONY: FORCE help demo test test-pythons test-sid fuzz bench check supported wheels lock catalogues pages format clean

help:
	@printf '%s\n' $(LESSON)
	@grep -E '^demo:.*## ' $(firstword $(MAKEFILE_LIST)) | $(DESCRIBE)
	@printf '%s\n' $(OPTIONS)
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | grep -v '^demo:' | $(DESCRIBE)

FORCE:

demo-%: $(VENV)/run FORCE
	@$(BIN)/mailtap demo $* $(ARGS)

demo: $(VENV)/run ## every scenario, in one table of what each still leaks | 全シナリオを実行し、漏れたものを一つの表に
	@$(BIN)/mailtap demo matrix $(ARGS)

test: $(VENV)/dev ## the tests | テスト
	$(BIN)/pytest $(ARGS)

test-pythons: $(VENV)/dev ## the tests under other Pythons found here (PYTHONS=3.13) | ここにあるほかの Python でテスト (PYTHONS=3.13)
	$(BIN)/python tests/support/pythons.py $(PYTHONS) -- $(ARGS)

test-sid: ## the tests under Debian's newest Pythons, as root | Debian の最新の Python でテスト(root で)
	tests/support/sid.sh $(SID_PYTHONS) -- $(ARGS)

fuzz: $(VENV)/dev ## fuzz the listener: SECONDS=60 each (ARGS=smtp names one) | 聞き手のファジング。各 SECONDS=60 秒(ARGS=smtp で一つ)
	$(PIP) install --quiet --require-hashes --requirement requirements/fuzz.txt
	$(BIN)/python tests/fuzz/run.py $(SECONDS) $(ARGS)

bench: $(VENV)/dev ## measure beside other tools; writes docs/performance.md | ほかの道具と並べて計測し、docs/performance.md に書く
	$(PIP) install --quiet --require-hashes --requirement requirements/bench.txt
	$(BIN)/python -m bench $(ARGS)

check: $(VENV)/dev ## lint, format, types, imports, catalogues, costs | 書き方、整形、型、依存の向き、翻訳、処理量の検査
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/types/mailtap
	@for folder in capture servers demo; do ln -sfn ../../../$$folder build/types/mailtap/$$folder; done
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/support/catalogues.py check
	$(BIN)/python -m bench.guards

format: $(VENV)/dev ## format the code | コードの整形
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

catalogues: $(VENV)/dev ## renew the translations' catalogues from the code | 翻訳のカタログをコードに合わせる
	$(BIN)/python tests/support/catalogues.py renew

supported: $(VENV)/dev ## renew the tables of docs/supported.md from the tests | docs/supported.md の表をテストから作り直す
	$(BIN)/python tests/support/supported.py

pages: $(VENV)/dev ## renew docs/scenarios.md, in each language, from the table | docs/scenarios.md を言語ごとに作り直す
	$(BIN)/mailtap demo list --format github --lang en > docs/scenarios.md
	$(BIN)/mailtap demo list --format github --lang ja > docs/ja/scenarios.md

wheels: $(VENV)/run ## fill wheels/ with all that an offline install needs | ネットワークなしでの導入に要るものを wheels/ に集める
	$(PIP) download --quiet --dest wheels --require-hashes --requirement requirements/dev.txt
	@echo "wheels/ is filled for this Python and system; copy it into the checkout on a machine without a network."

lock: $(VENV)/dev ## renew the locked requirements | 固定した依存パッケージを更新する
	$(PIP) install --quiet uv
	$(BIN)/python requirements/lock.py

clean: ## remove what make made, but for wheels/ | make が作ったものを消す(wheels/ は残す)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/run: requirements/install.py requirements/run.txt pyproject.toml $(STALE)
	@$(SETUP) run
	@touch $@

$(VENV)/dev: requirements/install.py requirements/dev.txt pyproject.toml $(STALE)
	@$(SETUP) dev
	@touch $@ $(VENV)/run
