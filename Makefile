# The checks and pages of this repository, with the environment that is active: pip install -c constraints.txt -e '.[dev]'
PYTHON ?= python
T ?= tests
PACKAGES = celebahq celebahq_builder zoo train export

.PHONY: help check types test slow one cov docs

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

check:  ## style, spelling, and that docs/api.md is what the docstrings say, as CI checks them
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	git ls-files -z | xargs -0 codespell
	$(PYTHON) .ci/api_page.py --check

types:  ## types of the packages
	$(PYTHON) -m mypy $(PACKAGES)

test:  ## the tests but the slow ones: about ten minutes on two cores
	$(PYTHON) -m pytest

slow:  ## the slow tests
	$(PYTHON) -m pytest -m slow

one:  ## one file, test or word, in one process: make one T=tests/zoo/test_progan.py, make one T='tests -k seeds'
	$(PYTHON) -m pytest -n 0 -m '' $(T)

cov:  ## the tests with the share of statements that they run, child processes too; fails under the least share that pyproject.toml names
	$(PYTHON) -m pytest --cov --cov-report=term:skip-covered

docs:  ## the Python API from the docstrings: docs/api.md, and every module in build/api/index.html
	$(PYTHON) .ci/api_page.py
	$(PYTHON) -m pdoc -o build/api --docformat google $(PACKAGES)
