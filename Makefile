# The commands of the project; `make help` lists them. The build itself is CMake's (CMakePresets.json).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo build test perf sanitize format format-check clean packages

DEMO := scenarios/training/deepseek_v3_h800_2048.json
CPUS := $(shell nproc)
SOURCES := find sim kernels calibrate tests -type f -regex '.*\.\(cpp\|hpp\|h\|cu\|cuh\)'

help: ## this list
	@echo "Orrery: predicts what a cluster of GPUs will do with a large language model."
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1 \2/p' Makefile | \
	    while read -r name text; do printf '    make %-13s %s\n' "$$name" "$$text"; done

demo: packages build/release/build.ninja ## DeepSeek-V3's training step on 2,048 H800s, predicted beside published
	@cmake --build build/release --target orrery
	@mkdir -p build/demo
	@build/release/orrery run $(DEMO) --trace build/demo/timeline.json --out build/demo
	@echo "Every number with its origin: build/demo/result.json"
	@echo "Timeline, for https://ui.perfetto.dev: build/demo/timeline.json"

build: packages build/release/build.ninja ## everything, into build/release (the program is build/release/orrery)
	@cmake --build build/release

test: build ## build, then every test
	@ctest --test-dir build/release --output-on-failure --parallel $(CPUS) --no-tests=error

perf: build ## event, operator and step rates, with their goals
	@cmake --build build/release --target perf

# Whole scenarios that take minutes under the sanitizers; what they run is tested there on smaller inputs.
LONG := RowsAreSteps|Works/.*_validate|Validate.Prints|Bounds.Every|SharedLinksInStep.FoldedIsUnfolded|RoutingInStep.S|TwoBatchesChangeSign
sanitize: packages build/sanitize/build.ninja ## every test under the address and undefined-behaviour sanitizers
	@cmake --build build/sanitize
	@ctest --test-dir build/sanitize --output-on-failure --parallel $(CPUS) --no-tests=error --exclude-regex '$(LONG)' 

format: ## rewrite the sources in the project's format
	@setup/install_packages.sh clang-format
	@$(SOURCES) | xargs clang-format -i

format-check: ## say which sources are not in the project's format
	@setup/install_packages.sh clang-format
	@odd=$$($(SOURCES) | xargs -P $(CPUS) -n 1 bash -c 'clang-format "$$0" | cmp -s - "$$0" || echo "    $$0"'); \
	    [ -z "$$odd" ] || { printf 'Not in the project'\''s format (make format mends it):\n%s\n' "$$odd"; exit 1; }

clean: ## remove everything built
	rm -rf build

packages:
	@setup/install_packages.sh

# Configured once, and again when a preset changes; ninja itself notices changed CMake files.
build/%/build.ninja: CMakePresets.json | packages
	@cmake --preset $* --log-level=NOTICE
	@touch $@
