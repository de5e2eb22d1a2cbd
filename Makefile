# Puente: everything there is to do here, by name. `make` alone lists it.
#
# Each recipe is one bash script (.ONESHELL), so $$SECONDS at its end is how long it took. What takes long is done once:
# the stamp files lie inside the environment they vouch for, so deleting an environment deletes its stamp.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INTEROP := .venv-interop
# Twice quiet: errors only. What pip has to say about a machine's package sources is not news.
PIP := -m pip --quiet --quiet --no-input --disable-pip-version-check

# What the run needs, and what only the tests need: SIPp, a second SIP implementation, a proxy in front, a database.
BUILD_PACKAGES := build-essential make swig libssl-dev
TEST_PACKAGES := sip-tester baresip kamailio kamailio-tls-modules openssl postgresql
# Third-party clients that prove the simulators faithful. Pinned: they are the yardstick. Never imported by Puente.
INTEROP_PACKAGES := livekit-plugins-ultravox==1.8.9 pipecat-ai==1.14.0 vapi-server-sdk==3.0.0

# $(call debian,packages): installs those that are missing; asks for nothing, and touches nothing when all are there.
define debian
missing=()
for package in $(1); do
  dpkg-query -W -f '$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed || missing+=("$$package")
done
if (( $${#missing[@]} )); then
  root=(); (( $$(id -u) == 0 )) || root=(sudo)
  if ! command -v apt-get >/dev/null || { (( $${#root[@]} )) && ! command -v sudo >/dev/null; }; then
    echo "!! missing, and I cannot install them (no apt-get, or no sudo): $${missing[*]}" >&2
    exit 1
  fi
  echo "-- Debian packages: installing $${missing[*]}"
  mkdir -p build
  install=("$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$${missing[@]}")
  # The package lists of a fresh machine are empty or old: fetch them when the first try finds nothing.
  "$${install[@]}" >build/apt.log 2>&1 \
    || { "$${root[@]}" apt-get -qq update >>build/apt.log 2>&1 && "$${install[@]}" >>build/apt.log 2>&1; } \
    || { tail -20 build/apt.log >&2; echo "!! Debian packages: see build/apt.log" >&2; exit 1; }
  echo "== Debian packages ($$SECONDS s)"
fi
endef

# $(call find-python): sets `python` to an interpreter that can build PJSUA2: 3.11 or newer, with venv and Python.h.
# One from pyenv has its own headers, Debian's has them only with python3-dev: ask the interpreter, not dpkg.
define find-python
python=
for candidate in $(PYTHON) python3.11 /usr/bin/python3.11 python3 /usr/bin/python3 python3.12 python3.13; do
  if "$$candidate" -c 'import ensurepip, os, sys, sysconfig, venv; sys.exit(sys.version_info < (3, 11) or
  not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null; then
    python=$$candidate
    break
  fi
done
endef

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: debian-build $(VENV)/.pjsua2 ## install what the bridge needs: Debian and Python packages, PJSUA2 (minutes once, then at once)
	@$(BIN)/python -m media.native.build

.PHONY: test
test: setup debian-test $(INTEROP)/.packages ## everything that is checked: ruff, mypy --strict, pytest
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	# Whole calls mostly wait: two processes share the files, each file stays in one of them.
	$(BIN)/pytest -m "not soak" -n 2 --dist loadfile

.PHONY: demo
demo: setup ## one real call with speech on this machine: a report in the terminal, a WAV, a picture
	@$(BIN)/puente demo

.PHONY: bench
bench: setup ## latency and CPU at 1 to 40 calls, quick version: JSON, Markdown table, picture
	@$(BIN)/puente bench latency --quick

.PHONY: soak
soak: setup debian-test ## the long runs that `make test` leaves out
	@$(BIN)/pytest -m soak

.PHONY: sanitize
sanitize: setup ## the compiled packet step's tests again, with gcc's address and undefined-behaviour checks
	@rm -rf build/sanitize && mkdir -p build/sanitize/tests
	cp -r media pyproject.toml build/sanitize && cp -r tests/helpers tests/media build/sanitize/tests
	cd build/sanitize
	../../$(BIN)/python -m media.native.build --sanitize
	# detect_leaks: what the interpreter itself keeps until the end would be told as lost.
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so):$$(gcc -print-file-name=libubsan.so) ASAN_OPTIONS=detect_leaks=0 \
	  ../../$(BIN)/python -m pytest -q tests/media/native/test_step.py tests/media/test_step.py tests/media/test_call.py

.PHONY: speech
speech: $(VENV)/.packages ## speak the recordings of demo and simulators again from their .txt files
	@$(call debian,flite)
	$(BIN)/python -m bridge.demo.recordings

.PHONY: clean
clean: ## remove what was made here: environments, caches, out/, build/ (the cached PJSUA2 wheel stays)
	@rm -rf $(VENV) $(INTEROP) build dist out puente.egg-info .mypy_cache .ruff_cache .pytest_cache
	find bridge media sip tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f media/native/*.so

.PHONY: debian-build
debian-build:
	@$(call debian,$(BUILD_PACKAGES))

.PHONY: debian-test
debian-test:
	@$(call debian,$(TEST_PACKAGES))

$(BIN)/python: | debian-build
	@$(find-python)
	if [[ -z $$python ]]; then
	  $(call debian,python3 python3-dev python3-venv)
	  $(find-python)
	fi
	if [[ -z $$python ]]; then
	  echo "!! Python 3.11 or newer with its headers (Python.h) is needed; name it with make PYTHON=..." >&2
	  exit 1
	fi
	echo "-- Python environment: $(VENV) from $$("$$python" -c 'import platform, sys; print(sys.executable, platform.python_version())')"
	"$$python" -m venv $(VENV)

$(VENV)/.packages: pyproject.toml | $(BIN)/python
	@echo "-- Python packages: installing into $(VENV)"
	$(BIN)/python $(PIP) install --editable '.[dev]'
	touch $@
	echo "== Python packages ($$SECONDS s)"

# Everything under sip/native decides what is built; its README does not.
$(VENV)/.pjsua2: $(filter-out %.md,$(shell find sip/native -type f -not -path '*/__pycache__/*' 2>/dev/null)) | $(VENV)/.packages
	@echo "-- PJSUA2: building, or taking from the cache"
	$(BIN)/python -m sip.native.build
	touch $@
	echo "== PJSUA2 ($$SECONDS s)"

# Keyed on this file, where the versions stand.
$(INTEROP)/.packages: Makefile | $(VENV)/.packages
	@echo "-- Third-party clients for the tests: installing into $(INTEROP)"
	[[ -x $(INTEROP)/bin/python ]] || $(BIN)/python -m venv $(INTEROP)
	$(INTEROP)/bin/python $(PIP) install $(INTEROP_PACKAGES)
	touch $@
	echo "== Third-party clients ($$SECONDS s)"
