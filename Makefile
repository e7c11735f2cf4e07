# Two commands do everything from nothing: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test assets weights narrow golden table check clean

demo: $(READY)
	$(BIN)/grasplearn demo --out out/demo

test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Generates sim_assets/ again: the same bytes.
assets: $(READY)
	$(BIN)/python -m sim_assets.generator

# Renders, pre-trains and meta-trains what grasplearn/weights holds: docs/TRAINING.md. Some hours on
# two cores and eleven minutes on a GPU (DEVICE=cpu: many hours); every line goes on where it was
# stopped.
DEVICE ?= cuda
FAMILIES := --families out/train --threads 1
BROAD := --families out/wider
WIDE := --width 64 --features 48 --groups 6 --hidden 16 --composed 0.6
weights: $(READY)
	$(BIN)/python -m sim_assets.generator --further 12 --out out/further
	$(BIN)/python -m sim_assets.generator --invented 120 4 --out out/invented
	$(BIN)/grasplearn render --families 2400 --objects out/further --workers 2 --out out/train
	$(BIN)/grasplearn render --families 2000 --objects out/further,out/invented --seed 11 --workers 2 --out out/wider
	$(BIN)/python -m sim_assets.generator --invented 600 4 --out out/inventions
	$(BIN)/grasplearn render --families 2900 --objects out/further,out/inventions --seed 13 --workers 2 --out out/widest
	$(BIN)/grasplearn render --families 160 --split validation --seed 1 --workers 2 --out out/validation
	$(BIN)/grasplearn render --families 10 --tiers same --seed 7 --out grasplearn/weights/backdrops
	$(BIN)/grasplearn pretrain $(FAMILIES) --validation out/validation --steps 12000 --rate 0.0015 --out out/pretrained.safetensors
	$(BIN)/grasplearn pretrain $(FAMILIES) --validation out/validation --start out/pretrained.safetensors --composed 0.6 --bf16 --steps 14000 --out out/crowded.safetensors
	$(BIN)/grasplearn pretrain $(FAMILIES) --validation out/validation --start out/crowded.safetensors $(WIDE) --bf16 --workers 1 --steps 15000 --out out/wide.safetensors
	$(BIN)/grasplearn pretrain $(BROAD) --validation out/validation --start out/wide.safetensors $(WIDE) --kin 0.25 --batch 16 --steps 4600 --stop 4150 --rate 0.002 --device $(DEVICE) --workers 15 --out out/broad.safetensors
	$(BIN)/grasplearn train-verifier $(BROAD) --validation out/validation --weights out/broad.safetensors --kin 0 --cases 4000 --steps 1000 --threads 1 --workers 2 --out out/verified.safetensors
	$(BIN)/grasplearn meta-train $(BROAD) --weights out/verified.safetensors --steps 12 --batch 4 --tasks 120 --rate 3e-3 --inner 16 --reach 4 --threads 1 --out out/two-pass.safetensors
	$(BIN)/grasplearn meta-train $(BROAD) --weights out/two-pass.safetensors --rule static-sgm-one-pass --steps 12 --batch 4 --tasks 40 --inner 16 --reach 4 --threads 1 --out out/one-pass.safetensors
	$(BIN)/grasplearn train-verifier $(BROAD) --validation out/validation --weights out/one-pass.safetensors --cases 3600 --steps 1300 --batch 8 --rate 0.0015 --threads 1 --workers 2 --out out/windows.safetensors
	$(BIN)/grasplearn train-overview --families out/widest --validation out/validation --weights out/windows.safetensors --bf16 --device $(DEVICE) --workers 2 --out grasplearn/weights/shipped.safetensors

# The controls that know tier `same` alone: narrow, and narrow with teaching's own augmentation.
NARROW := --families out/narrow --threads 1
narrow: $(READY)
	$(BIN)/python -m sim_assets.generator --further 12 --out out/further
	$(BIN)/grasplearn render --families 1200 --tiers same --objects out/further --workers 2 --out out/narrow
	$(BIN)/grasplearn render --families 160 --split validation --seed 1 --workers 2 --out out/validation
	$(BIN)/grasplearn pretrain $(NARROW) --validation out/validation --bf16 --steps 6000 --rate 0.0015 --out out/narrow-pre.safetensors
	$(BIN)/grasplearn pretrain $(NARROW) --validation out/validation --bf16 --steps 6000 --rate 0.0015 --augmented 0.5 --out out/narrow-augmented.safetensors
	$(BIN)/grasplearn meta-train $(NARROW) --weights out/narrow-pre.safetensors --steps 12 --tasks 120 --out out/narrow-two-pass.safetensors
	$(BIN)/grasplearn meta-train $(NARROW) --weights out/narrow-two-pass.safetensors --steps 12 --tasks 40 --rule static-sgm-one-pass --refining-steps 48 --refining-rate 0.002 --refining-rates static-sgm=0.008,static-sgm-one-pass=0.004,cdni=0.004,meprop=0.004,forward-gradient=0.016,spsa=0.016,last-block=0.004 --refining-blocks 0.5 --refining-doubt 0.08 --out out/narrow.safetensors
	cp out/narrow.safetensors out/narrow-augmented.safetensors grasplearn/weights

# Records the quick benchmark's figures, which the tests compare with.
golden: $(READY)
	$(BIN)/python benchmarks/golden.py --record

# Writes a benchmark's results into docs/RESULTS.md: make table SUMMARY=out/benchmark/v2/summary.json
SUMMARY ?= docs/benchmark/summary.json
table: $(READY)
	$(BIN)/python benchmarks/table.py $(SUMMARY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "GraspLearn needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) out build dist *.egg-info
