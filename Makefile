# Each command makes the virtual environment it needs: nothing but Python and make is assumed.
PYTHON ?= python3
VENV ?= .venv
OLDEST_VENV ?= .venv-oldest
CONSTRAINTS ?= constraints.txt
JOBS ?= auto
# Processes of pytest; 0 is none beside its own.
WORKERS ?= auto
# Of the environment that lints and tests.
EXTRAS ?= all,test
RUN = $(VENV)/bin/python
TESTS ?=
# Each estimator by scikit-learn's checks, pipelines, files, pictures, chunks, extras.
OLDEST = common table_encoder tables display_codes displays lazy_rows pipelines saving versions
OLDEST_TESTS ?= $(OLDEST:%=tests/test_%.py)

FUZZ_MINUTES ?= 10

.PHONY: install demo gains test test-all test-oldest fuzz lint docs docs-pages docs-html
.PHONY: docs-look recipes clean

# torch is pinned in both files of constraints; an open range would fetch several GB of CUDA packages.
# pip compiles modules with one processor; compileall takes all, leaves the tests of packages
# out, and minds no test data of torch.
$(VENV)/%.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS) --editable ".[$*]"
	$(RUN) -m compileall -q -j 0 -x 'site-packages/.*/tests?/' $(VENV)/lib > /dev/null || true
	touch $@

install: $(VENV)/$(EXTRAS).installed

demo: $(VENV)/plot.installed
	$(RUN) examples/demo.py

# The README, the demo, and the lines of "coming from", before and after.
gains: $(VENV)/all.installed
	$(RUN) -m tools.coming_from

test: $(VENV)/$(EXTRAS).installed
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

# Hostile tables, parameters, interruptions, files and threads, for FUZZ_MINUTES.
fuzz: $(VENV)/all,test.installed
	PYTHONPATH=tests $(RUN) tests/campaigns.py --minutes $(FUZZ_MINUTES)

# Known answers of long trainings too, and scikit-learn's checks of default parameters.
test-all: $(VENV)/all,test.installed
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal -m ""

# A part of the tests, on the oldest versions that pyproject.toml allows.
test-oldest:
	$(MAKE) test VENV=$(OLDEST_VENV) CONSTRAINTS=constraints-oldest.txt EXTRAS=all,test \
		TESTS="$(OLDEST_TESTS)"

lint: $(VENV)/$(EXTRAS).installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

docs: docs-pages docs-html

# Runs the code of the README and of all pages. Pages run side by side: threads would only
# wait for each other.
docs-pages: $(VENV)/all,docs,test.installed
	OMP_NUM_THREADS=1 $(RUN) -m pytest README.md docs --markdown-docs \
		--doctest-glob=docs/*.rst -n $(WORKERS) --dist worksteal

# Runs all examples, JOBS at a time, and makes the pages in docs/_build/html; a warning is an
# error.
docs-html: $(VENV)/all,docs,test.installed
	$(RUN) -m sphinx -W --keep-going -j $(JOBS) docs docs/_build/html

# Looks at each page in Chromium, wide and narrow, light and dark: pictures in docs/_build/look.
# Chromium comes from the system (or CHROMIUM names one): apt-get install chromium.
# MathJax comes from the network, or from a folder: npm install --prefix $MATHJAX mathjax@4.
docs-look: docs $(VENV)/look.installed
	$(RUN) -m tools.look_at_docs

# Runs each script of docs/recipes, with packages that no test needs.
RECIPES = $(wildcard docs/recipes/*.py)
recipes: VENV = .venv-recipes
recipes:
	$(MAKE) $(VENV)/recipes.installed VENV=$(VENV)
	for script in $(RECIPES); do $(RUN) $$script || exit 1; done

clean:
	rm -rf .venv-recipes $(VENV) $(OLDEST_VENV) docs/_build docs/auto_examples docs/generated
