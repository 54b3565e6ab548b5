# make demo    set up .venv, install farpoint, run it on real embeddings
# make test    set up .venv, install farpoint for testing, run every test (C++ and Python)
# make lint    formats, static analysis, types, spelling, the stub
# make soak    ten minutes of random instances against the reference (SOAK_ARGUMENTS="--seconds 3600")
# make bench   farpoint against its peers, under benchmarks/results/ (BENCH_ARGUMENTS="--only clustered,small")
# make bench-kernels   the inner loops against what the processor can multiply
# make format  apply the formats;  make stub  rewrite the extension's type stub
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := CMakeLists.txt pyproject.toml tools/build_backend.py $(wildcard csrc/*/*) python/farpoint/_cpu.pyi
CPP := $(wildcard csrc/*/*.cpp csrc/*/*.h csrc/*/*.inl)
# Analysed as their own files; what they include is analysed with them.
TIDY := $(filter-out %_neondot.cpp,$(wildcard csrc/core/*.cpp csrc/cpu/*.cpp csrc/bindings/*.cpp))
PY := python tests benchmarks tools
CMAKE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DFARPOINT_WERROR=ON
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# Without isolation the build folder is reused, so that a second build compiles only what changed.
INSTALL = $(PIP) --no-build-isolation --editable
# Warnings are errors for developers. The demo is for users, whose compilers may warn of more.
INSTALL_STRICT = $(PIP) --no-build-isolation --config-settings=cmake.define.FARPOINT_WERROR=ON --editable

.PHONY: demo test test-cpp test-python lint sanitize soak bench bench-kernels format stub clean

$(VENV)/.created:
	tools/system_packages.sh
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) "scikit-build-core>=0.11" "pybind11==3.1.0" cmake ninja
	touch $@

$(VENV)/.demo: $(VENV)/.created $(SOURCES)
	$(INSTALL) ".[progress,plot]"
	touch $@

$(VENV)/.test: $(VENV)/.created $(SOURCES)
	$(INSTALL_STRICT) ".[test]"
	touch $@

$(VENV)/.dev: $(VENV)/.created $(SOURCES)
	$(INSTALL_STRICT) ".[dev]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/farpoint demo

test: test-cpp test-python

test-cpp: $(VENV)/.created
	$(CMAKE) -S . -B build/tests -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON
	$(BIN)/cmake --build build/tests
	build/tests/csrc/tests/farpoint_tests

test-python: $(VENV)/.test
	$(BIN)/pytest $(PYTEST_ARGUMENTS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check $(PY)
	$(BIN)/ruff check $(PY)
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(CMAKE) -S . -B build/lint -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DSKBUILD_PROJECT_VERSION=0
	printf '%s\n' $(TIDY) | xargs -P 2 -n 1 $(BIN)/clang-tidy -p build/lint --quiet
	$(BIN)/python tools/stub.py --check

# Assertions and stack traces matter here, speed does not.
sanitize: $(VENV)/.created
	for kind in address,undefined thread; do \
	  $(CMAKE) -S . -B build/sanitize-$${kind%%,*} -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON \
	    -DFARPOINT_SANITIZE=$$kind -DCMAKE_CXX_FLAGS_RELEASE="-O1 -g" && \
	  $(BIN)/cmake --build build/sanitize-$${kind%%,*} && \
	  build/sanitize-$${kind%%,*}/csrc/tests/farpoint_tests || exit 1; \
	done

bench-kernels: $(VENV)/.created
	$(CMAKE) -S . -B build/tests -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON
	$(BIN)/cmake --build build/tests
	build/tests/csrc/bench/farpoint_kernel_bench

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(SOAK_ARGUMENTS)

# The peers get their own environment: they pull in old versions of what the tests want new.
.venv-bench/.installed: $(SOURCES) $(shell find python -name '*.py')
	tools/system_packages.sh
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --upgrade pip
	.venv-bench/bin/pip install --quiet ".[bench]"
	touch $@

bench: .venv-bench/.installed
	.venv-bench/bin/python benchmarks/run.py $(BENCH_ARGUMENTS)

format: $(VENV)/.dev
	$(BIN)/ruff format $(PY)
	$(BIN)/ruff check --fix $(PY)
	$(BIN)/clang-format -i $(CPP)

stub: $(VENV)/.dev
	$(BIN)/python tools/stub.py

clean:
	rm -rf build $(VENV) .venv-bench farpoint-demo
