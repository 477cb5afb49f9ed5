.PHONY: check test gate
PACKAGE ?=

check:
	ruff check .
	ruff format --check .
	mypy
	scripts/reference --check

test:
	pytest -n auto --dist worksteal $(if $(PACKAGE),tests/$(PACKAGE))

gate:
	bash .ci/run
