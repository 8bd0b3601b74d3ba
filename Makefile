# Everything runs in .venv, which tools/environment makes and keeps up to date; when it is, that takes no time.
PYTHON_IN_VENV := .venv/bin/python

.PHONY: help demo test test-slow lint docs clean examples-environment dev-environment

help:
	@echo 'make demo        two parties meet on real data: the first thing to try'
	@echo 'make test        the quick tests'
	@echo 'make test-slow   the tests that take minutes: wheel, sdist, installation'
	@echo 'make lint        format, lint, types, layers'
	@echo 'make docs        the documentation, into site/'
	@echo 'make clean       removes .venv and everything built'

demo: examples-environment
	@.venv/bin/fusion demo medical-insurance

test: dev-environment
	@$(PYTHON_IN_VENV) -m pytest

test-slow: dev-environment
	@$(PYTHON_IN_VENV) -m pytest -m slow

lint: dev-environment
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

docs: dev-environment
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict
	@echo 'The documentation is in site/index.html'

examples-environment:
	@tools/environment examples

dev-environment:
	@tools/environment dev

clean:
	rm -rf .venv build dist site src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f src/fusion/kernels/*.so
