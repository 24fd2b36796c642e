# Navi's commands. `make` alone lists them.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

VENV := .venv
PYTHON := $(VENV)/bin/python
# A stamp per lock file: it is older than its lock when packages are missing.
STAMPS := $(VENV)/stamps
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps

RUN_STAMPS := $(STAMPS)/requirements.txt
ifneq ($(DATABASE_URL)$(DATABASE_URL_FILE)$(REDIS_URL)$(REDIS_URL_FILE),)
RUN_STAMPS += $(STAMPS)/requirements-postgres.txt
endif
DEV_STAMP := $(STAMPS)/requirements-dev.txt

# What a production installation looks like to `check --deploy`.
LIKE_PRODUCTION := NAVI_BASE_URL=https://navi.example NAVI_TRUSTED_PROXIES=1 NAVI_DEBUG=0

.PHONY: help run test check bench soak agents webhooks faults screenshots lock

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMPS) ## set up and serve on http://127.0.0.1:8000 (HOST, PORT)
	@exec $(PYTHON) manage.py up

TESTED :=
test: $(DEV_STAMP) ## run the tests, without the slow ones
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not slow" $(TESTED)

# CI gives `-m slow` here, as it runs the others by `make test` right afterwards, on two databases.
CHECKED_TESTS :=
check: $(DEV_STAMP) ## run every check and every test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	$(VENV)/bin/lint-imports
	@! grep -nE 'https?://|--(extra-)?index-url|--find-links' requirements*.txt \
		|| { echo 'A lock names an address; make it again with: make lock'; exit 1; }
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(LIKE_PRODUCTION) $(PYTHON) manage.py check --deploy --fail-level WARNING
	$(PYTHON) -m pytest -n 2 --dist worksteal $(CHECKED_TESTS)

bench: $(DEV_STAMP) ## measure the hot paths beside bare Django views
	$(PYTHON) -m tests.bench
	$(PYTHON) -m tests.bench_health

soak: $(DEV_STAMP) ## an hour of mixed load, watching memory and handles
	$(PYTHON) -m tests.soak

agents: $(DEV_STAMP) ## sixty agents at a vendor's limit, and a hundred readers of a dead token; alone on the machine
	NAVI_TESTS_ON_A_QUIET_MACHINE=1 $(PYTHON) -m pytest -q -s tests/real/test_sixty_agents.py
	$(PYTHON) -m tests.grants.soak

webhooks: $(DEV_STAMP) ## ten thousand deliveries on each database while web and worker are killed
	$(PYTHON) -m tests.hooks.soak

faults: $(DEV_STAMP) ## take PostgreSQL away for half a minute under load
	$(PYTHON) -m tests.faults.database_down

screenshots: $(DEV_STAMP) ## draw the README's pictures anew
	$(PYTHON) -m tests.journey.screenshots

# Locks carry hashes and no addresses. The tests' lock is complete: httpbin asks for an old greenlet, which
# requirements-overrides.txt overrules, so nothing may be resolved again when it is installed.
COMPILE := $(VENV)/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header \
	--universal --python-version 3.11
lock: $(VENV)/bin/uv ## pin what the .in files ask for, anew
	$(COMPILE) -o requirements.txt requirements.in
	$(COMPILE) -o requirements-postgres.txt requirements-postgres.in
	$(COMPILE) -c requirements.txt --override requirements-overrides.txt \
		-o requirements-dev.txt requirements-dev.in

$(VENV)/bin/uv: | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv

$(STAMPS)/%.txt: %.txt | $(PYTHON)
	@echo "Installing $< into $(VENV) …"
	@$(INSTALL) -r $<
	@mkdir -p $(STAMPS)
	@touch $@

# PYTHON3 may name the Python to use; else the first of these that is 3.11 or newer.
$(PYTHON):
	@for python in $(PYTHON3) python3 python3.11 python3.12 python3.13 python3.14; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv --clear $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment; install its venv package (Debian: python3-venv)."; \
			exit 1; \
		fi; \
	done; \
	echo 'Navi needs Python 3.11 or newer, and there is none here; install it, or name it: make PYTHON3=/path/to/python3.'; \
	exit 1
