# Each command makes the virtual environment it needs: nothing but Python and make is assumed.
PYTHON ?= python3
VENV ?= .venv
OLDEST_VENV ?= .venv-oldest
CONSTRAINTS ?= constraints.txt
JOBS ?= auto
RUN = $(VENV)/bin/python
TESTS ?=
# Each estimator by scikit-learn's checks, pipelines, files, pictures, chunks, extras.
OLDEST = common table_encoder tables display_codes displays lazy_rows pipelines saving versions
OLDEST_TESTS ?= $(OLDEST:%=tests/test_%.py)

FUZZ_MINUTES ?= 10

.PHONY: install demo gains test test-all test-oldest fuzz lint docs docs-look clean

# torch is pinned in both files of constraints; an open range would fetch several GB of CUDA packages.
# pip compiles modules with one processor; compileall takes all, and minds no test data of torch.
$(VENV)/%.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS) --editable ".[$*]"
	$(RUN) -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	touch $@

install: $(VENV)/all,test.installed

demo: $(VENV)/plot.installed
	$(RUN) examples/demo.py

# The README, the demo, and the lines of "coming from", before and after.
gains: $(VENV)/all.installed
	$(RUN) -m tools.coming_from

test: $(VENV)/all,test.installed
	$(RUN) -m pytest -n auto --dist worksteal $(TESTS)

# Hostile tables, parameters, interruptions, files and threads, for FUZZ_MINUTES.
fuzz: $(VENV)/all,test.installed
	PYTHONPATH=tests $(RUN) tests/campaigns.py --minutes $(FUZZ_MINUTES)

# Known answers of long trainings too, and scikit-learn's checks of default parameters.
test-all: $(VENV)/all,test.installed
	$(RUN) -m pytest -n auto --dist worksteal -m ""

# A part of the tests, on the oldest versions that pyproject.toml allows.
test-oldest:
	$(MAKE) test VENV=$(OLDEST_VENV) CONSTRAINTS=constraints-oldest.txt TESTS="$(OLDEST_TESTS)"

lint: $(VENV)/all,test.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

# Runs the code of the README and of all pages, then all examples, JOBS at a time; a warning
# is an error.
# Pages run side by side: threads would only wait for each other.
# The pages are in docs/_build/html.
docs: $(VENV)/all,docs,test.installed
	OMP_NUM_THREADS=1 $(RUN) -m pytest README.md docs --doctest-glob=docs/*.rst -n auto --dist worksteal
	$(RUN) -m sphinx -W --keep-going -j $(JOBS) docs docs/_build/html

# Looks at each page in Chromium, wide and narrow, light and dark: pictures in docs/_build/look.
# Chromium comes from the system (or CHROMIUM names one): apt-get install chromium.
# MathJax comes from the network, or from a folder: npm install --prefix $MATHJAX mathjax@4.
docs-look: docs $(VENV)/look.installed
	$(RUN) -m tools.look_at_docs

clean:
	rm -rf $(VENV) $(OLDEST_VENV) docs/_build docs/auto_examples docs/generated
