# Everything a developer needs: `make demo`, `make test`. Sets up its own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOCK := .ci/requirements.txt
APART := .ci/apart.txt
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
	--python-version 3.11 --custom-compile-command "make lock" --extra build pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)
MAKEFLAGS += --jobs=2

.PHONY: demo test lint types style docs screens sample lock clean fuzz chaos faults properties browser memory docs-live

demo: $(READY)  ## collector, dashboard and sample data; ONCE=1 checks them and ends
	$(BIN)/runwell demo $(if $(ONCE),--once)

test: $(READY) .venv/.browser .venv/.npm .venv/.apart lint  ## everything CI runs
	$(BIN)/python -m pytest -n logical --dist loadfile

lint: types style  ## format, lint, types, layers, generated docs

types: $(READY)
	$(BIN)/mypy

style: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generate --check

docs: $(READY)  ## write the generated pages again
	$(BIN)/python -m tools.generate

screens: $(READY) .venv/.browser  ## make the pictures of docs/screens again, from the demo
	$(BIN)/python -m tools.screens

sample: $(READY)  ## make the synthetic sample data again; the same seed gives the same bytes
	$(BIN)/python -m sample_data.make

# One file: what runwell and its build need, a line, what its developers need as well. What is pinned stays while it fits.
# What must stand beside the environment has a file of its own.
lock: $(READY)  ## pin dependencies, with hashes
	$(BIN)/pip install --quiet uv
	cp $(LOCK) .venv/developers.txt
	$(COMPILE) -o $(LOCK)
	$(COMPILE) --extra dev --constraint $(LOCK) -o .venv/developers.txt \
		$$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' $(LOCK))
	echo "# For developers as well" >> $(LOCK)
	sed '/^# The following packages were excluded/,$$d' .venv/developers.txt >> $(LOCK)
	$(COMPILE) --extra dev --extra apart --constraint $(LOCK) -o .venv/apart.txt \
		$$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' $(LOCK))
	sed '/^# The following packages were excluded/,$$d' .venv/apart.txt > $(APART)

fuzz: $(READY)  ## 100,000 generated requests, then five minutes of coverage-guided fuzzing of bodies
	$(BIN)/pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m tests.fuzz.generated $(or $(EXAMPLES),20000)
	$(BIN)/python -m tests.fuzz.bodies $(or $(SECONDS),300)

chaos faults properties memory: $(READY)  ## at length what `make test` holds briefly; how it went stands in docs/long-runs.md
	$(BIN)/python -m tests.length $@

docs-live: $(READY) .venv/.npm  ## the pages of docs/connect with what their install lines bring today
	$(BIN)/python -m tests.length $@

browser: $(READY) .venv/.browser .venv/.npm  ## every page, both themes, axe and hostile names
	$(BIN)/python -m tests.length $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info

# Debian's Python comes without venv; its own package brings it.
$(READY): $(LOCK) pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runwell needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv || (.ci/system python3-venv && $(PYTHON) -m venv .venv)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.browser: $(READY)
	{ command -v chromium && ldconfig -p | grep -q libatomic.so.1; } >/dev/null || .ci/system chromium libatomic1
	touch $@

.venv/.npm: tests/e2e/js/package.json $(READY)
	cd tests/e2e/js && $(CURDIR)/$(BIN)/npm install --silent --no-audit --no-fund
	touch $@

.venv/.apart: $(APART) $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
		--target .venv/apart -r $(APART)
	touch $@
