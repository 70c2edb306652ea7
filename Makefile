# make demo   an answer about a shipped photograph within a minute, then the whole chain on made-up tiles: data, training, int8, benchmark
# make survey-demo   two drawn flights a year apart, surveyed and compared; reports in runs/survey-demo/found and found-later (three minutes)
# make quick   set up, then lint, types and the quick tests
# make test   set up, then lint, types, docs and all tests
# make metu   OPNet and MobileNetV2 on the METU tiles in $CRACK_TF_DATA, trained and tested (hours; goes on after a stop)
# make nano   the smallest model on METU (ten minutes)
# make generalise   MobileNetV2 on METU and SDNET2018 together, after make metu (hours)
# make metu-tune   the search and the classification study on METU, after make metu (about an hour and a half)
# make segmentation   the first U-Net: trained, exported and tested on the pairs in $CRACK_TF_DATA (an hour)
# make unet-study   the segmentation study's twenty runs at a reduced scale on DeepCrack (half an hour)
# make survey-results   results/survey: ten drawn flights, speed and memory (a quarter of an hour)
# make explain-results   results/explain: how far the shipped models' maps can be trusted, and their errors (20 minutes of CPU time)
# make reports   executes all notebooks on made-up tiles and writes HTML to runs/reports (minutes)
# make figures   the documents' pictures in docs/figures, from the METU runs and results (minutes)
# make docs   the documentation as a site, in site/; a warning is an error (half a minute)
# make extras   each extra of the wheel in a fresh environment of its own, and its verbs in it (minutes)
# make pages   every command of the documentation's pages, run as a reader would paste it (minutes)
# make emulated-pi   the device bundle on an emulated Raspberry Pi 4 and 5 (arm64 under qemu); Debian or Ubuntu, no root
#
# What a study does, costs and should give is in its file, studies/NAME.py.
# PYTHON=/path/to/python3.12 picks an interpreter; otherwise the newest of 3.13, 3.12 and 3.11 that works is used.

.DELETE_ON_ERROR:
STUDIES := metu nano generalise metu-tune segmentation unet-study survey-demo survey-results explain-results
NOTEBOOK_STUDIES := reports figures
.PHONY: help setup setup-dev demo $(STUDIES) $(NOTEBOOK_STUDIES) emulated-pi extras pages docs quick test lint format types pytest clean

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --python $(BIN)/python
# uv installs TensorFlow in a tenth of pip's time. It ignores pip's settings, so pip is the second try.
UV_VERSION := 0.13.8
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Where Python may not keep byte code, each of some hundred processes of a demo or a test run compiles TensorFlow anew: eight seconds.
unexport PYTHONDONTWRITEBYTECODE

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# ------------------------------------------------------------------------------------------------------ set-up

setup: $(VENV)/.base
setup-dev: $(VENV)/.dev

PROBE := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

$(VENV)/.created:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    if "$$python" -c '$(PROBE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "error: no Python 3.11, 3.12 or 3.13 with its venv module found (python3 is: `python3 --version 2>&1`)." >&2; \
	    echo "Install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with `$$found --version`"; \
	"$$found" -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q uv==$(UV_VERSION)
	@touch $@

# install,FILES: with uv, or with pip where uv finds no way to the packages.
define install
	$(UV) -q $(1) || { echo "uv failed, trying pip (slower)"; $(BIN)/python -m pip install -q $(1); }
endef

# The base installation, at the pinned versions: enough for an answer about a photograph.
$(VENV)/.light: $(VENV)/.created requirements.txt pyproject.toml
	@$(call install,-c requirements.txt -e .)
	@touch $@

$(VENV)/.base: $(VENV)/.light requirements.txt
	@echo "Installing TensorFlow and the rest of requirements.txt"
	@$(call install,-r requirements.txt)
	@touch $@

$(VENV)/.report $(VENV)/.handover $(VENV)/.docs: $(VENV)/.%: $(VENV)/.base requirements-%.txt
	@$(call install,-r requirements-$*.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements-dev.txt requirements-jax.txt requirements-report.txt requirements-cluster.txt requirements-handover.txt requirements-mavlink.txt
	@$(call install,-r requirements-dev.txt -r requirements-jax.txt -r requirements-report.txt -r requirements-cluster.txt -r requirements-handover.txt -r requirements-mavlink.txt)
	@touch $@

# ------------------------------------------------------------------------------------------- demo and studies

demo: $(VENV)/.light
	@echo "A shipped photograph, a shipped model, no training: crack-tf predict crack_tf/shipped/sample.jpg"
	@$(BIN)/python -m crack_tf predict crack_tf/shipped/sample.jpg
	@$(MAKE) --no-print-directory setup
	@$(BIN)/python -m studies.demo

survey-demo: $(VENV)/.handover
$(STUDIES): $(VENV)/.base
	@$(BIN)/python -m studies.$(subst -,_,$@)

$(NOTEBOOK_STUDIES): $(VENV)/.report
	@$(BIN)/python -m studies.$@

# An arm64 user-space from Debian packages, kept in the user's cache, runs a bundle of small models made here, or the one
# given: make emulated-pi BUNDLE=crack_tf-bundle.zip. What it answered is in runs/emulated-pi.
EMULATED := runs/emulated-pi

emulated-pi: $(VENV)/.dev
	@$(BIN)/python -m tests.emulated_pi.prepare --out $(EMULATED) $(if $(BUNDLE),--bundle $(BUNDLE))
	@CRACK_TF_EMULATED_PI=$(EMULATED) $(BIN)/python -m pytest -q tests/emulated_pi

extras pages: $(VENV)/.dev
	@CRACK_TF_TESTS=$@ $(BIN)/python -m pytest -q tests/$@

# -------------------------------------------------------------------------------------------------------- test

# The real images lie beside the checkout on some machines; tests that need them skip where they do not.
ifeq ($(origin CRACK_TF_DATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
pytest quick: export CRACK_TF_DATA := $(abspath ../shared/data)
endif
endif

TEST_PROCESSES ?= 2# each takes up to 3 GB

# The theme's makers announce what comes after mkdocs on every run; here its version is pinned.
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BESIDE) $(BIN)/python -m mkdocs build --strict --quiet --clean

quick: lint
	@$(MAKE) --no-print-directory -j2 pytest types TESTS='--dist worksteal -m "not slow"'

# Types, then documents, beside the tests, in what time these leave: their processes wait now and then, all the way through.
test: lint $(VENV)/.docs
	@$(MAKE) --no-print-directory -j2 pytest types docs BESIDE='nice -n 10'

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BESIDE) $(BIN)/mypy

# A file's tests stay together, since they share what they train, and files come in the order of tests/conftest.py.
pytest: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) $(or $(TESTS),--dist loadfile --no-loadscope-reorder --durations=25)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs/demo .mypy_cache .pytest_cache .ruff_cache
