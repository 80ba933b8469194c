# Two commands do all the set-up: `make run` and `make test`. The others are for those who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test lint types bench fuzz soak test-systemd packages lock clean

run: $(VENV)/.run
	@mkdir -p run/objects run/state
	$(BIN)/dicomd run --config profiles/dicomd.yaml

test: $(VENV)/.test peers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 4 --dist loadgroup

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

bench: $(VENV)/.test peers
	$(BIN)/python -m tests.bench

fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz

# What takes minutes: 200 reloads in 60 s under load, kill -9 a hundred times.
soak: $(VENV)/.test
	$(BIN)/python -m tests.soak_reload
	$(BIN)/python -m tests.soak_kill
	$(BIN)/python -m tests.soak_retrieval

# The peers that the tests talk to: DCMTK's tools and Orthanc, real ones.
.PHONY: peers
peers:
	@tests/peers.sh

$(VENV)/bin/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	@echo "$(CURDIR)/daemon" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dicomd.pth"
	@printf '#!%s\nimport sys\nfrom dicomd.cli.main import main\nsys.exit(main())\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/dicomd
	@chmod +x $(BIN)/dicomd
	@touch $@

$(VENV)/.test: tests/requirements.lock $(VENV)/.run
	$(BIN)/pip install -q --require-hashes -r tests/requirements.lock
	@touch $@

clean:
	rm -rf $(VENV) dist run

# The .deb and the .rpm, under dist/.
packages: $(VENV)/.run
	$(BIN)/pip install -q --require-hashes -r packaging/requirements.lock
	$(BIN)/python packaging/build.py

# The packages in a real Debian 12 and a real Debian 13, booted under systemd-nspawn; needs root.
test-systemd: $(VENV)/.test packages
	@for tool in debootstrap systemd-nspawn rpm openssl; do command -v $$tool >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends debootstrap systemd-container rpm openssl; break; }; done
	$(BIN)/python -m tests.systemd
