# Each command makes the virtual environment it needs: nothing but Python and make is assumed.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
RUN = $(VENV)/bin/python

.PHONY: demo test test-all lint docs clean

# torch is pinned in constraints.txt; an open range would fetch several GB of CUDA packages.
$(VENV)/%.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$*]"
	touch $@

demo: $(VENV)/plot.installed
	$(RUN) examples/demo.py

test: $(VENV)/compression,images,onnx,plot,progress,save,test.installed
	$(RUN) -m pytest -n auto --dist worksteal

# Known answers of long trainings too, and scikit-learn's checks of default parameters.
test-all: $(VENV)/compression,images,onnx,plot,progress,save,test.installed
	$(RUN) -m pytest -n auto --dist worksteal -m ""

lint: $(VENV)/compression,images,onnx,plot,progress,save,test.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# Runs the code of all pages, then all examples, JOBS at a time; a warning is an error.
# The pages are in docs/_build/html.
docs: $(VENV)/compression,docs,images,onnx,plot,progress,save,test.installed
	$(RUN) -m pytest docs --doctest-glob=docs/*.rst -n auto --dist worksteal
	$(RUN) -m sphinx -W --keep-going -j $(JOBS) docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/generated
