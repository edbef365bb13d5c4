# Every target sets up what it needs and works as the first command typed on a fresh clone.
PYTHON ?= $(shell tools/find-python)
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
ARGS   ?=
# The sample of the long runs that `make test` takes is drawn by this seed; `make test SEED=…` repeats one.
SEED   := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
export SEED
# Tests start hundreds of programs; without bytecode each would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-quick test-real proof lint format bench envtest image-tree shipping docs sbom audit deploy tables clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { tools/find-python; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)   ## the daemon between two embedded API servers, as a live table
	@$(BIN)/apinetlet demo --once $(ARGS)

test: $(READY)   ## every test that needs no real API server, on all cores, in random order
	@echo "seed $(SEED)"
	@$(BIN)/python -m pytest -n $(JOBS) -m "not real and not proof" --randomly-seed=$(SEED) $(ARGS)

test-quick: $(READY)  ## the quick part of it, for the other Python versions
	@$(BIN)/python -m pytest -n $(JOBS) -m "not real and not proof and not slow" --randomly-seed=$(SEED) $(ARGS)

envtest:         ## build a real kube-apiserver and etcd once, into a cache folder
	@tools/envtest/build.sh

test-real: $(READY)   ## every test that needs a real kube-apiserver
	@KUBEBUILDER_ASSETS="$$(tools/envtest/build.sh)" REQUIRE_REAL=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "real and not proof" $(ARGS)

proof: $(READY)  ## the long runs: exhaustive exploration, chaos on real servers; prints command, seed and figures
	@KUBEBUILDER_ASSETS="$$(tools/envtest/build.sh)" HELM="$$(tools/helm/build.sh)" REQUIRE_REAL=1 $(BIN)/python -m pytest -m proof -s -rA --randomly-seed=$(SEED) $(ARGS)

lint: $(READY)   ## style and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## put the code into its style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY)  ## micro benchmarks, beside the last recorded figures
	@$(BIN)/python -m benchmarks $(ARGS)

image-tree: $(READY)  ## make the root of the image without Docker, in build/image (as root, on Debian)
	@tools/debian-programs mmdebstrap
	@rm -rf build/image build/image.work && mkdir -p build
	@$(BIN)/python -m tools.image.play build/image

shipping: $(READY) docs  ## the long tests of what is shipped: image, alerts, dashboard, the site in a browser
	@tools/debian-programs mmdebstrap prometheus chromium
	@HELM="$$(tools/helm/build.sh)" REQUIRE_REAL=1 $(BIN)/python -m pytest -m "proof" -s -rA tests/shipping $(ARGS)

DOCS  = .venv-docs
$(DOCS)/.ready: pyproject.toml constraints.txt
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)/.ready  ## the site of the documents, in build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(DOCS)/bin/mkdocs build --quiet --strict
	@echo build/site

AUDIT = .venv-audit
$(AUDIT)/.ready: pyproject.toml constraints.txt
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[audit]'
	@touch $@

sbom: $(READY) $(AUDIT)/.ready  ## what everything is made of, in build/sbom.json (CycloneDX)
	@$(BIN)/python -m tools.supply sbom $(AUDIT)/bin/cyclonedx-py build/sbom.json

audit: $(AUDIT)/.ready  ## ask for known weaknesses of every pinned dependency; needs a network
	@$(AUDIT)/bin/python -m tools.supply audit $(AUDIT)/bin/pip-audit

deploy: $(READY) ## write the folder deploy anew: kustomize, Helm chart, alerts, dashboard
	@$(BIN)/python -m tools.deploy --write

tables: $(READY) ## make everything anew that follows from declarations: deploy, tables of the documents, licences
	@$(BIN)/python -m tools.deploy --write
	@$(BIN)/python -m tools.operations --write
	@$(BIN)/python -m tools.reference --write
	@$(BIN)/python -m tools.supply licences --write

clean:           ## remove what the targets above made here
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
