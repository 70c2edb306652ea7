# make demo   set up, then the whole chain on made-up tiles: data, training, int8 export, benchmark
# make metu   the README's figures: both models on the METU tiles in $CRACK_TF_DATA (hours; goes on after a stop)
# make nano   the README's smallest model on METU (ten minutes; goes on after a stop)
# make generalise   the shipped default and its smaller twin: MobileNetV2 on METU and SDNET2018 together, after make metu (hours)
# make metu-tune   the README's search and study on METU, after make metu (about an hour and a half; goes on after a stop)
# make emulated-pi   the device bundle on an emulated Raspberry Pi 4 and 5 (arm64 under qemu); Debian or Ubuntu, no root
# make segmentation   the README's U-Net: trained, exported and tested on the pairs in $CRACK_TF_DATA (an hour; goes on after a stop)
# make unet-study   the segmentation study's twenty runs at a reduced scale on DeepCrack (half an hour; goes on after a stop)
# make survey-demo   a drawn flight, surveyed and compared with its truth; the report is in runs/survey-demo/found (a minute)
# make reports   executes all notebooks on made-up tiles and writes HTML to runs/reports (minutes)
# make figures   the documents' pictures in docs/figures, from the METU runs and results (minutes)
# make explain-results   results/explain: how far the shipped models' maps can be trusted, and their errors (20 minutes of CPU time)
# make docs   the documentation as a site, in site/; a warning is an error (half a minute)
# make test   set up, then lint, format, types, docs and tests
#
# PYTHON=/path/to/python3.12 picks an interpreter; otherwise the newest of 3.13, 3.12 and 3.11 that works is used.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo metu nano generalise metu-tune segmentation unet-study survey-demo survey-results emulated-pi reports figures explain-results docs test lint format types pytest clean

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

$(VENV)/.dev: $(VENV)/.base requirements-dev.txt requirements-jax.txt requirements-report.txt requirements-cluster.txt
	@$(call install,-r requirements-dev.txt -r requirements-jax.txt -r requirements-report.txt -r requirements-cluster.txt)
	@touch $@

# -------------------------------------------------------------------------------------------------------- demo

# OPNet at half its width on small tiles made up from a seed: the whole chain in minutes. Real data: see the README.
DEMO := runs/demo
RUN := $(DEMO)/opnet
FLOAT := $(RUN)/export/opnet-float32.tflite
QAT := $(RUN)/export/opnet-int8-qat.tflite
PTQ := $(RUN)/export/opnet-int8-ptq.tflite
CRACK_TF := $(BIN)/python -m crack_tf
COUNT := 1600
EPOCHS := 16
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
	@echo "3/6 float32 for comparison, and int8 by quantisation-aware training"
	@$(CRACK_TF) export $(RUN) --float32 --int8 $(LENIENT) --overwrite
	@echo "4/6 int8 by post-training quantisation"
	@$(CRACK_TF) export $(RUN) --int8 --ptq $(LENIENT) --overwrite
	@echo "5/6 evaluation on the test split"
	@$(CRACK_TF) evaluate $(RUN) $(QAT) $(PTQ) --data $(DEMO)/split.csv --out $(DEMO)/evaluation --overwrite
	@echo "6/6 benchmark on this machine"
	@$(BIN)/python -m tflite.benchmark $(FLOAT) $(QAT) $(PTQ) --manifest $(DEMO)/split.csv --compare \
	    --out $(DEMO)/benchmark --overwrite
	@echo
	@echo "Plots:"; find $(DEMO) -name '*.png' -not -path '$(DEMO)/data/*' | sort | sed 's/^/  /'

# -------------------------------------------------------------------------------------------------------- metu

# The figures of the README: both models on the METU tiles below $CRACK_TF_DATA, trained once and tested on both splits.
# Run again after an interruption, it goes on where it was. About two hours on two slow cores.
METU := runs/metu
SPLITS := results/data
# Keras downloads ImageNet weights; on a machine that cannot, name the file: make metu WEIGHTS=/path/to/notop.weights.h5
WEIGHTS ?= imagenet

# train-run,FOLDER,MANIFEST,OPTIONS: start it, go on with it, or leave a finished one alone.
define train-run
	@test -e $(1)/model.keras || $(CRACK_TF) train --data $(SPLITS)/$(2).csv --patience 0 \
	    --out $(1) `test -e $(1)/config.json && echo --resume` $(3)
endef

metu: $(VENV)/.base
	# OPNet learns at half size first, where a step costs a quarter, and ends at its own 224 pixels.
	$(call train-run,$(METU)/opnet-112,metu-joint,--model opnet --image-size 112 --epochs 5)
	$(call train-run,$(METU)/opnet,metu-joint,--model opnet --init-from $(METU)/opnet-112 --epochs 4 --steps-per-epoch 60 \
	    --batch 32 --learning-rate 5e-4)
	$(call train-run,$(METU)/mobilenet_v2,metu-joint,--model mobilenet_v2 --weights $(WEIGHTS) --freeze-epochs 1 --epochs 4 \
	    --steps-per-epoch 50 --batch 32 --learning-rate 5e-4)
	@for model in opnet mobilenet_v2; do \
	    $(CRACK_TF) export $(METU)/$$model --int8 --qat-steps 60 --resume && \
	    $(CRACK_TF) export $(METU)/$$model --int8 --ptq --resume || exit; \
	done
	@for split in plain grouped; do \
	    $(CRACK_TF) evaluate $(METU)/opnet $(METU)/opnet/export/*.tflite $(METU)/mobilenet_v2 \
	        $(METU)/mobilenet_v2/export/*.tflite --data $(SPLITS)/metu-$$split.csv --out results/metu-$$split --overwrite \
	        || exit; \
	done
	@$(BIN)/python -m tflite.benchmark $(METU)/opnet/export/*.tflite $(METU)/mobilenet_v2/export/*.tflite \
	    --manifest $(SPLITS)/metu-grouped.csv --threads 1,2 --compare --out results/benchmark --overwrite
	@mkdir -p results/training results/export
	@for run in opnet-112 opnet mobilenet_v2; do \
	    cp $(METU)/$$run/history.csv results/training/$$run.csv && cp $(METU)/$$run/curves.png results/training/$$run.png; \
	done
	@cp $(METU)/*/export/*.md $(METU)/*/export/*.comparison.* results/export
	@$(CRACK_TF) throughput --model opnet mobilenet_v2 --data $(SPLITS)/metu-joint.csv --batch 32 \
	    --out results/throughput.csv --overwrite

# -------------------------------------------------------------------------------------------------------- nano

# The smallest of the family, and the shipped OPNet beside it.
NANO := $(METU)/opnet_lite_nano
SHIPPED_OPNET := crack_tf/zoo_models/opnet/opnet-int8-qat.tflite

nano: $(VENV)/.base
	$(call train-run,$(NANO),metu-joint,--model opnet_lite --image-size 96 --hp width=9 --hp blocks=3 --hp separable=False \
	    --hp dropout=0.2 --epochs 36 --batch 64 --learning-rate 3e-3 --warmup-steps 80)
	@$(CRACK_TF) export $(NANO) --int8 --resume
	@$(CRACK_TF) evaluate $(NANO) $(NANO)/export/*.tflite $(SHIPPED_OPNET) \
	    --data $(SPLITS)/metu-joint.csv --out results/nano --overwrite
	@$(BIN)/python -m tflite.benchmark $(NANO)/export/*.tflite $(SHIPPED_OPNET) \
	    --manifest $(SPLITS)/metu-joint.csv --compare --out results/nano/benchmark --overwrite
	@cp $(NANO)/history.csv results/training/opnet_lite_nano.csv && cp $(NANO)/curves.png results/training/opnet_lite_nano.png

# -------------------------------------------------------------------------------------------------- generalise

# The zoo's two models for concrete of unknown kind, MobileNetV2 1.0 (the default) and 0.35. First fine-tuning on two data sets; of
# 1.0 then the mean of three epochs (each counted twice) and of the METU model: the largest share of the latter that costs less than
# 0.005 AUC on SDNET2018's validation tiles. The shipped file was made when seven of the ten epochs had run. Then training under
# drawn adverse conditions: 1.0 is a mean of before and after, three to one, 0.35 of epochs after alone (docs/decisions.md).
MIXED := runs/generalise
EPOCH := $(MIXED)/mn/checkpoints/epoch-00
ADVERSE := --epochs 10 --batch 32 --adverse 0.3
WEIGHTS_035 ?= imagenet

# mean-run,FOLDER,MODELS: average them, or leave a finished mean alone.
define mean-run
	@test -e $(1) || $(CRACK_TF) average $(2) --data $(SPLITS)/metu-sdnet2018.csv --out $(1)
endef

generalise: $(VENV)/.base
	$(call train-run,$(MIXED)/mn,mobilenet_v2_mixed-train,--model mobilenet_v2 --weights $(WEIGHTS) --freeze-epochs 1 \
	    --unfreeze-blocks 12 --epochs 10 --batch 32 --learning-rate 5e-4)
	$(call mean-run,$(MIXED)/mobilenet_v2_mixed,$(METU)/mobilenet_v2 \
	    $(foreach epoch,5 6 7,$(EPOCH)$(epoch).keras $(EPOCH)$(epoch).keras))
	$(call train-run,$(MIXED)/adverse,mobilenet_v2_mixed-train,--model mobilenet_v2 --init-from $(MIXED)/mobilenet_v2_mixed \
	    --unfreeze-blocks 6 --learning-rate 3e-4 $(ADVERSE))
	$(call mean-run,$(MIXED)/mobilenet_v2_adverse,$(foreach quarter,1 2 3,$(MIXED)/mobilenet_v2_mixed) \
	    $(MIXED)/adverse/checkpoints/epoch-010.keras)
	$(call train-run,$(MIXED)/mobilenet_v2_035,metu-sdnet2018,--model mobilenet_v2 --hp alpha=0.35 --weights $(WEIGHTS_035) \
	    --freeze-epochs 1 --epochs 8 --steps-per-epoch 90 --batch 32)
	$(call train-run,$(MIXED)/adverse_035,mobilenet_v2_mixed-train,--model mobilenet_v2 --hp alpha=0.35 \
	    --init-from $(MIXED)/mobilenet_v2_035 --learning-rate 5e-4 $(ADVERSE))
	$(call mean-run,$(MIXED)/mobilenet_v2_035_adverse,$(MIXED)/adverse_035 \
	    $(foreach epoch,008 009 010,$(MIXED)/adverse_035/checkpoints/epoch-$(epoch).keras))
	@for run in mixed adverse 035_adverse; do \
	    $(CRACK_TF) export $(MIXED)/mobilenet_v2_$$run --int8 --qat-steps 60 --resume || exit; \
	done
	@$(CRACK_TF) export $(MIXED)/mobilenet_v2_035 --int8 --ptq --resume
	# What adverse conditions brought: these are the models before them, the suite has those after.
	@$(CRACK_TF) evaluate --suite --parts splits,matrix,corruptions --corruption-limit 300 --out results/before-adverse --overwrite \
	    $(MIXED)/mobilenet_v2_mixed/export/*.tflite $(MIXED)/mobilenet_v2_035/export/*.tflite

# ---------------------------------------------------------------------------------------------------------- tune

# A search of the small OPNet family against int8 OPNet, on half of the training tiles; its finalists train on all of them.
TUNE := runs/tune-metu
STUDY := runs/study-metu

metu-tune: $(VENV)/.base
	@$(CRACK_TF) tune --data $(SPLITS)/metu-joint.csv --out $(TUNE) --limit 2700 --min-speedup 4 \
	    --vary image_size=64,96,128 --vary optimizer=adam,adamw --vary batch=32,64 --fix positive_weight=1.0 \
	    --reference $(METU)/opnet/export/opnet-int8-ptq.tflite --finalists 3 --final-epochs 6
	@mkdir -p results/tuning/finalists
	@cp $(TUNE)/trials.csv $(TUNE)/pareto.csv $(TUNE)/pareto.png $(TUNE)/search.json results/tuning
	@cp $(TUNE)/finalists/test/metrics.csv $(TUNE)/finalists/benchmark/benchmark-* results/tuning/finalists
	# The published study at a reduced scale, which its last line states.
	@$(CRACK_TF) tune --study all --data $(SPLITS)/metu-plain.csv --limit 1000 --epochs 3 --fix image_size=96 \
	    --weights $(WEIGHTS) --out $(STUDY)
	@cp $(STUDY)/study.csv results/tuning/study.csv

# ------------------------------------------------------------------------------------------------- segmentation

# The manifests name the drawn pairs below $CRACK_TF_DATA too. WEIGHTS is the file for alpha 0.35, or imagenet.
UNET := runs/segmentation/unet_mobile

segmentation: $(VENV)/.base
	@test -e "$$CRACK_TF_DATA/synthetic_masks" || $(CRACK_TF) data fetch synthetic_masks --count 320 --size 256 --seed 7 \
	    --out "$$CRACK_TF_DATA/synthetic_masks"
	@test -e $(UNET)/model.keras || $(CRACK_TF) train --model unet_mobile --hp alpha=0.35 --weights $(WEIGHTS) \
	    --data $(SPLITS)/segmentation/mix.csv --loss bce+dice --epochs 12 --steps-per-epoch 80 --batch 16 \
	    --learning-rate 2e-3 --warmup-steps 40 --empty-share 0.4 --patience 0 \
	    --out $(UNET) `test -e $(UNET)/config.json && echo --resume`
	@$(CRACK_TF) export $(UNET) --int8 --ptq --data $(SPLITS)/segmentation/mix.csv --resume
	@for set in crack500 deepcrack conglomerate mix; do \
	    $(CRACK_TF) evaluate $(UNET) $(UNET)/export/unet_mobile-int8-ptq.tflite --data $(SPLITS)/segmentation/$$set.csv \
	        --out results/segmentation/$$set --overwrite || exit; \
	done
	@$(BIN)/python -m crack_tf.segmentation.seam_check $(UNET)/export/unet_mobile-int8-ptq.tflite --overwrite \
	    --data $(SPLITS)/segmentation/crack500.csv $(SPLITS)/segmentation/deepcrack.csv \
	    $(SPLITS)/segmentation/conglomerate.csv --out results/segmentation/seams.csv
	@$(BIN)/python -m crack_tf.segmentation.latency $(UNET)/export/unet_mobile-int8-ptq.tflite --threads 1,2 \
	    --out results/segmentation/latency.csv --overwrite
	@cp $(UNET)/history.csv results/training/unet_mobile.csv && cp $(UNET)/curves.png results/training/unet_mobile.png
	@cp $(UNET)/export/*.md $(UNET)/export/*.comparison.json results/export

unet-study: $(VENV)/.base
	@$(CRACK_TF) tune --study unet --data $(SPLITS)/segmentation/deepcrack.csv --limit 0.1 --epochs 2 --fix width=4 \
	    --fix image_size=128 --fix learning_rate=1e-3 --fix batch=8 --out runs/unet-study
	@cp runs/unet-study/study.csv results/tuning/unet-study.csv

# -------------------------------------------------------------------------------------------------- survey demo

SURVEY := runs/survey-demo

survey-demo: $(VENV)/.base
	@$(CRACK_TF) data flight --seed 0 --out $(SURVEY)/flight --overwrite
	@$(CRACK_TF) survey $(SURVEY)/flight/photos --out $(SURVEY)/found --overwrite \
	    --flight-log $(SURVEY)/flight/flight.csv --truth $(SURVEY)/flight/truth.json

# The README's figures: three flights, and then speed and memory, on a machine that does nothing else.
survey-results: $(VENV)/.base
	@mkdir -p results/survey
	@for seed in 0 1 2 3 4 5 6 7 8 9; do \
	    $(CRACK_TF) data flight --seed $$seed --out $(SURVEY)/flight-$$seed --overwrite && \
	    $(CRACK_TF) survey $(SURVEY)/flight-$$seed/photos --out $(SURVEY)/found-$$seed --overwrite \
	        --flight-log $(SURVEY)/flight-$$seed/flight.csv --truth $(SURVEY)/flight-$$seed/truth.json && \
	    cp $(SURVEY)/found-$$seed/comparison.json results/survey/seed-$$seed.json || exit; \
	done
	@$(BIN)/python -m crack_tf.survey.scaling --out results/survey/performance.csv --overwrite

# ------------------------------------------------------------------------------------------------------- reports

$(VENV)/.report: $(VENV)/.base requirements-report.txt
	@$(call install,-r requirements-report.txt)
	@touch $@

reports: $(VENV)/.report
	@for notebook in notebooks/*.ipynb; do \
	    $(CRACK_TF) report --notebook `basename $$notebook .ipynb` --overwrite || exit; \
	done

# After make metu and metu-tune. The pictures of METU tiles are CC BY 4.0, see docs/explain.md.
SHIPPED := $(addprefix crack_tf/zoo_models/,opnet/opnet-int8-qat.tflite mobilenet_v2/mobilenet_v2-int8-qat.tflite)
FIGURES := --figures docs/figures --overwrite

figures: $(VENV)/.report
	@$(CRACK_TF) report $(METU)/opnet $(METU)/mobilenet_v2 --set evaluation=results/metu-grouped $(FIGURES) \
	    --pick "scores of opnet-int8-qat" --pick "scores of mobilenet_v2-int8-qat"
	@$(CRACK_TF) report results/tuning $(FIGURES)
	@$(CRACK_TF) report $(SHIPPED) --set comparisons=results/export --set benchmark=results/benchmark $(FIGURES) \
	    --pick Latency --pick opnet-int8-qat
	@$(CRACK_TF) report $(SHIPPED) --notebook 05 --set data=$(SPLITS)/metu-grouped.csv --set shown=3 --set measured=4 \
	    --set training_limit=1000 $(FIGURES) --pick "Maps of test tiles"
	@$(CRACK_TF) report --notebook 06 $(FIGURES) --pick "Cracks with"

# ---------------------------------------------------------------------------------------------- explain results

# What the maps of the two main models are worth, on tiles whose cracks are known; and errors of the shipped models. Run again
# after an interruption, it goes on where it was.
EXPLAIN := runs/explain
MASKED := deepcrack conglomerate crack500

explain-results: $(VENV)/.base
	@set -e; run() { \
	    name=$$1; shift; \
	    $(CRACK_TF) explain "$$@" --out $(EXPLAIN)/$$name `test -e $(EXPLAIN)/$$name/settings.json && echo --resume`; \
	}; \
	measure="opnet mobilenet_v2 --faithfulness --limit 12 --sanity 4"; \
	for set in $(MASKED); do run $$set $$measure --data $(SPLITS)/segmentation/$$set.csv; done; \
	run synthetic $$measure --data synthetic; \
	run errors-metu opnet mobilenet_v2 opnet_lite_nano opnet_lite_small opnet_lite_base --errors \
	    --data $(SPLITS)/metu-joint.csv --methods gradcam --training-limit 1000; \
	run errors-sdnet2018 opnet mobilenet_v2 opnet_lite_small --errors --data sdnet2018 --split all \
	    --methods gradcam --show 6 --neighbours 0
	@$(BIN)/python -m crack_tf.explain.summary $(MASKED:%=$(EXPLAIN)/%) $(EXPLAIN)/synthetic --out results/explain --overwrite
	@for set in metu sdnet2018; do \
	    cp $(EXPLAIN)/errors-$$set/errors.md results/explain/errors-$$set.md && \
	    cp $(EXPLAIN)/errors-$$set/groups.csv results/explain/groups-$$set.csv || exit; \
	done
	@cp $(EXPLAIN)/errors-metu/errors.csv results/explain/errors-metu.csv

# ------------------------------------------------------------------------------------------------- emulated Pi

# An arm64 user-space from Debian packages, kept in the user's cache, runs a bundle of small models made here, or the one
# given: make emulated-pi BUNDLE=crack_tf-bundle.zip. What it answered is in runs/emulated-pi.
EMULATED := runs/emulated-pi

emulated-pi: $(VENV)/.dev
	@$(BIN)/python -m tests.emulated_pi.prepare --out $(EMULATED) $(if $(BUNDLE),--bundle $(BUNDLE))
	@CRACK_TF_EMULATED_PI=$(EMULATED) $(BIN)/python -m pytest -q tests/emulated_pi

# -------------------------------------------------------------------------------------------------------- test

# The real images lie beside the checkout on some machines; tests that need them skip where they do not.
ifeq ($(origin CRACK_TF_DATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
pytest: export CRACK_TF_DATA := $(abspath ../shared/data)
endif
endif

# Each takes up to 3 GB. A file's tests stay together, since they share what they train.
TEST_PROCESSES ?= 2

$(VENV)/.docs: $(VENV)/.base requirements-docs.txt
	@$(call install,-r requirements-docs.txt)
	@touch $@

# The theme's makers announce what comes after mkdocs on every run; here its version is pinned.
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --clean

test: lint types docs pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

pytest: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs/demo .mypy_cache .pytest_cache .ruff_cache
