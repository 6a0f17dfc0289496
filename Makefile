# citymap: `make run` opens the app on the demo city, `make test` runs the tests; both do all set-up.
SHELL := /bin/sh
PY := .venv/bin/python
CITY ?= data/plateau/demo
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: bundle help install run demo test test-all lint format types bench docs browser clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## .venv with the command `citymap`, and the renderer
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 is needed (apt install python3)"; exit 1; }
	@$(PYTHON) scripts/bootstrap.py

$(CITY)/tiles/manifest.json: | install
	@.venv/bin/citymap demo --city $(CITY)

demo: $(CITY)/tiles/manifest.json  ## the fictional demo city, where it is not there yet

run: install demo  ## the app on the demo city
	@.venv/bin/citymap serve --city $(CITY) --single-user --open

test: install  ## all tests but those that need a browser that is absent (they say so)
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)
	@cd frontend && npm_config_update_notifier=false ../scripts/npm test --silent

lint: install  ## ruff, import-linter
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/lint-imports

format: install  ## put the code into shape
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

types: install  ## mypy (strict) and TypeScript
	@.venv/bin/mypy && cd frontend && ../scripts/npm run --silent typecheck

bench: install  ## ours beside the peers, as ratios
	@$(PY) benchmarks/run.py $(ARGS)

docs: install  ## the documentation into site/, offline
	@.venv/bin/mkdocs build --strict --quiet

bundle: install  ## one archive that installs on a PC without any network (dist/)
	@$(PY) scripts/bundle.py $(ARGS)

clean:  ## remove what was built
	rm -rf .venv frontend/node_modules src/citymap/web/static site dist $(CITY)
