# make demo   set up, then the whole chain on made-up tiles: data, training, int8 export, benchmark
# make test   set up, then lint, format, types and tests
#
# PYTHON=/path/to/python3.12 picks an interpreter; otherwise the newest of 3.13, 3.12 and 3.11 that works is used.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo test lint format types pytest clean

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --python $(BIN)/python
# uv installs TensorFlow in a tenth of pip's time. It ignores pip's settings, so pip is the second try.
UV_VERSION := 0.13.8
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL ?= 3

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

$(VENV)/.base: $(VENV)/.created requirements.txt pyproject.toml
	@echo "Installing TensorFlow and the rest of requirements.txt"
	@$(call install,-r requirements.txt)
	@$(call install,--no-deps -e .)
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements-dev.txt requirements-jax.txt
	@$(call install,-r requirements-dev.txt -r requirements-jax.txt)
	@touch $@

# -------------------------------------------------------------------------------------------------------- demo

# OPNet at half its width on small tiles made up from a seed: the whole chain in minutes. Real data: see the README.
DEMO := runs/demo
RUN := $(DEMO)/opnet
QAT := $(RUN)/export/opnet-int8-qat.tflite
PTQ := $(RUN)/export/opnet-int8-ptq.tflite
CRACK_TF := $(BIN)/python -m crack_tf
COUNT := 1600
EPOCHS := 12
# The export's usual limit is 0.1 point of recall; in a test split of 120 cracks a single tile is 0.8 points.
LENIENT := --max-recall-drop 5

demo: $(VENV)/.base
	@echo "1/6 data: drawing tiles of concrete, with and without cracks"
	@$(CRACK_TF) data fetch synthetic --out $(DEMO)/data --count $(COUNT) --size 96
	@$(CRACK_TF) data split $(DEMO)/data/images --out $(DEMO)/split.csv --overwrite
	@echo "2/6 training"
	@$(CRACK_TF) train --model opnet --hp "widths=(16,32,64,128)" --hp dropout=0.2 --image-size 96 \
	    --data $(DEMO)/split.csv --epochs $(EPOCHS) --batch 32 --learning-rate 3e-3 --warmup-steps 30 --augmentation 0.3 \
	    --target-recall 0.95 --patience 0 --out $(RUN) --overwrite
	@echo "3/6 int8 by quantisation-aware training"
	@$(CRACK_TF) export $(RUN) --int8 $(LENIENT) --overwrite
	@echo "4/6 int8 by post-training quantisation"
	@$(CRACK_TF) export $(RUN) --int8 --ptq $(LENIENT) --overwrite
	@echo "5/6 evaluation on the test split"
	@$(CRACK_TF) evaluate $(RUN) $(QAT) $(PTQ) --data $(DEMO)/split.csv --out $(DEMO)/evaluation --overwrite
	@echo "6/6 benchmark on this machine"
	@$(BIN)/python -m tflite.benchmark $(QAT) $(PTQ) --manifest $(DEMO)/split.csv --compare \
	    --out $(DEMO)/benchmark --overwrite
	@echo
	@echo "Plots:"; find $(DEMO) -name '*.png' -not -path '$(DEMO)/data/*' | sort | sed 's/^/  /'

# -------------------------------------------------------------------------------------------------------- test

# The real images lie beside the checkout on some machines; tests that need them skip where they do not.
ifeq ($(origin CRACK_TF_DATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
pytest: export CRACK_TF_DATA := $(abspath ../shared/data)
endif
endif

test: lint types pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

pytest: $(VENV)/.dev
	$(BIN)/python -m pytest -q

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs/demo .mypy_cache .pytest_cache .ruff_cache
