# Two commands matter: `make book` renders the book, `make test` proves it. Both need only Python 3.11+.

PYTHON  ?= python3
VENV    := .venv
TORCH   :=
READY   := $(VENV)/.ready
BIN     := $(VENV)/bin
BOOK    := _build/html/.built

# A chapter that is begun or edited is CHAPTER, one that is run or checked NOTEBOOK; whoever says the one for the other is understood.
ifndef CHAPTER
CHAPTER := $(NOTEBOOK)
endif
ifndef NOTEBOOK
NOTEBOOK := $(CHAPTER)
endif

# What a page may depend on. The library's docstrings are part of the book.
SOURCES := $(shell find chapters lib reference tests tools/chapter _ext _extra _static _templates benchmarks/results.json -type f ! -path '*/__pycache__/*' ! -path '*/.*' 2>/dev/null) \
           _config.yml _toc.yml intro.md references.bib $(wildcard *.md)

.DEFAULT_GOAL := help
.PHONY: help book test lint unit notebooks site first-steps device lab pdf epub course execute checkpoints robust new chapter edit bench clean

help:  ## this list
	@echo "Inside Large Models"; echo
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

$(READY): requirements.txt requirements-no-deps.txt constraints.txt pyproject.toml tools/set_up.py
	@command -v $(PYTHON) >/dev/null || { echo "  Cannot set up the book: $(PYTHON) is not installed. Install Python 3.11 or newer, or name one: make book PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) tools/set_up.py "$(VENV)" $(TORCH)
	@touch $@

book: $(BOOK)  ## render the book to _build/html, warnings as errors
	@echo "The book is ready: _build/html/index.html"

$(BOOK): $(READY) $(SOURCES)
	@echo "== Rendering the book"
	@rm -f $@
	@$(BIN)/python -m tools.stage book $(BIN)/python -m tools.book
	@touch $@

test: lint unit notebooks site  ## everything that CI runs: lint, floors, unit tests, notebooks, book, site checks
	@echo "== All of it passed"
	@$(BIN)/python -m tools.stage

lint: $(READY)  ## ruff and the floors of lib
	@echo "== Lint and floors"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports

unit: $(READY)  ## unit tests, with shapes in annotations enforced
	@echo "== Unit tests"
	@$(BIN)/python -m tools.stage unit $(BIN)/python -m tools.offline $(BIN)/python -m pytest -n auto --dist worksteal tests --ignore tests/site --ignore tests/set_up --ignore tests/device

# Of a pull request only what it changes: make notebooks SINCE=origin/main
notebooks: $(READY)  ## every notebook re-run with the network off; stored outputs must be reproduced
	@echo "== Notebooks"
	@chapters="$$([ -z "$(SINCE)" ] || $(BIN)/python -m tools.changed $(SINCE))" || exit 1; \
	if [ -n "$(SINCE)" ] && [ -z "$$chapters" ]; then echo "No chapter can have changed since $(SINCE)"; else \
	$(BIN)/python -m tools.stage notebooks $(BIN)/python -m tools.notebooks verify $(NOTEBOOK) $$chapters; fi

site: $(BOOK)  ## open every rendered page in headless Chromium
	@echo "== Site checks"
	@CHROMIUM="$$($(BIN)/python -m tools.chromium)" && export CHROMIUM && $(BIN)/python -m tools.stage site $(BIN)/python -m pytest -n auto --dist worksteal tests/site

first-steps: $(READY)  ## the set-up itself, stopped at twenty moments and in odd places (minutes; part of CI)
	@$(BIN)/python -m pytest tests/set_up

device: $(READY)  ## on a machine with an accelerator: it gives what the processor gives
	@$(BIN)/python -m pytest tests/device

# More options of JupyterLab's: make lab LAB='--no-browser --port 9000'. A superuser is allowed, and told what that means.
lab: $(READY)  ## open JupyterLab on the chapters
	@if [ "$$(id -u)" = 0 ]; then echo "  You are root: whoever has the address below can do anything on this machine. It is served to this machine only."; fi
	@JUPYTER_CONFIG_DIR="$(CURDIR)/tools/lab" $(BIN)/python -m jupyterlab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/chapters $$([ "$$(id -u)" != 0 ] || echo --allow-root) $(LAB)

pdf: $(BOOK)  ## print the whole book to _build/inside-large-models.pdf (minutes)
	@CHROMIUM="$$($(BIN)/python -m tools.chromium)" && export CHROMIUM && $(BIN)/python -m tools.pdf

epub: $(BOOK)  ## pack the whole book into _build/inside-large-models.epub (minutes)
	@CHROMIUM="$$($(BIN)/python -m tools.chromium)" && export CHROMIUM && $(BIN)/python -m tools.epub

course: $(READY)  ## write the student edition to _build/course
	@$(BIN)/python -m tools.course

execute: $(READY)  ## re-run all notebooks and refresh stored outputs, or one: make execute NOTEBOOK=chapters/…
	@$(BIN)/python -m tools.notebooks execute $(NOTEBOOK)

checkpoints: $(READY)  ## make stored networks and long experiments anew, by the chapters' own code: NOTEBOOK=chapters/… STORE=name
	@INSIDE_LARGE_MODELS_REMAKE="$(or $(STORE),1)" $(BIN)/python -m tools.notebooks execute $(NOTEBOOK)
	@$(BIN)/python -m tools.notebooks execute $(NOTEBOOK)

robust: $(READY)  ## run chapters under several numerics profiles, which stand in for other processors: NOTEBOOK=chapters/…
	@$(BIN)/python -m tools.notebooks robust $(NOTEBOOK)

new: $(READY)  ## a chapter to start from: make new CHAPTER=chapters/code/x.ipynb TRACK="convolution"
	@test -n "$(CHAPTER)" || { echo "Name the chapter: make new CHAPTER=chapters/… TRACK=…"; exit 1; }
	@$(BIN)/python -m tools.chapter.new "$(CHAPTER)" "$(TRACK)" $(if $(BEGIN_TRACK),--begin-track)

# Whether each exercise's check fails on its starter, `verify` says. A page outside the six parts has no form: pytest's status 5.
chapter: $(READY)  ## check one chapter in all respects: make chapter NOTEBOOK=chapters/…
	@test -f "$(NOTEBOOK)" || { echo "Name a chapter that exists: make chapter NOTEBOOK=chapters/…"; exit 1; }
	@echo "== Form and numbers" && $(BIN)/python -m tools.notebooks check "$(NOTEBOOK)"
	@$(BIN)/ruff check --quiet "$(NOTEBOOK)"
	@$(BIN)/python -m pytest -q --tb=line tests/tools/chapter/test_book_form.py -k "$(NOTEBOOK:.ipynb=) and not skeleton" || [ $$? = 5 ]
	@echo "== Outputs and exercises" && $(BIN)/python -m tools.notebooks verify "$(NOTEBOOK)"
	@echo "== The book" && $(BIN)/python -m tools.stage book $(BIN)/python -m tools.book
	@echo "== The page" && CHROMIUM="$$($(BIN)/python -m tools.chromium)" && export CHROMIUM && $(BIN)/python -m pytest -q tests/site/test_pages.py -k "$(NOTEBOOK:.ipynb=.html)"
	@$(BIN)/python -m tools.chapter.skeleton "$(NOTEBOOK)"

edit: $(READY)  ## edit a chapter as text: make edit CHAPTER=chapters/…
	@test -n "$(CHAPTER)" || { echo "Name the chapter: make edit CHAPTER=chapters/…"; exit 1; }
	@$(BIN)/python -m tools.notebooks edit $(CHAPTER)

bench: $(READY)  ## measure lib beside native kernels, as ratios
	@$(BIN)/python -m benchmarks

clean:  ## remove what was built; the environment stays
	@rm -rf _build .pytest_cache .ruff_cache .hypothesis
