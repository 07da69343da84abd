# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# The lab wants the machine for itself, and prerequisites stand in the order in
# which a failure costs least.
.NOTPARALLEL:

# sudo drops /usr/local/go/bin from PATH, where Go's own archive installs it.
# $(shell) does not see what is exported, hence the variable.
path := $(PATH):/usr/local/go/bin

# Tools are built once for each set of pinned versions and kept over clean and clone.
cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mallee
tools := $(cache)/tools-$(shell PATH='$(path)' go env GOVERSION 2>/dev/null)-$(shell sha256sum tools/go.sum | cut -c1-12)

export PATH := $(tools):$(path)
# Nothing is resolved or fetched but the pinned modules, and those only once.
export GOFLAGS := -mod=readonly
export GOTOOLCHAIN := local

version := $(shell git describe --always --dirty --tags 2>/dev/null || echo dev)

# How many samples `make bench` takes of ours.
N ?= 20

# For how long `make fuzz` runs each fuzz test.
FUZZTIME ?= 30s

# What the lab's machines run on: uml, or qemu with Debian's own kernel.
BACKEND ?= $(or $(LAB_BACKEND),uml)
export LAB_BACKEND := $(BACKEND)

build_packages := ca-certificates
unit_packages := ca-certificates gcc libc6-dev
generate_packages := ca-certificates protobuf-compiler
lab_packages := ca-certificates user-mode-linux mmdebstrap gpg iproute2 iptables util-linux openssl awscli python3-boto3 $(if $(filter qemu,$(BACKEND)),qemu-system-x86)

# The packages with tests that run in the lab or as root; those are named TestLab….
lab_tests := $(patsubst %/lab_test.go,./%,$(wildcard */lab_test.go internal/*/lab_test.go test/identity/lab_test.go)) ./test/e2e

##@ Build

.PHONY: help
help: ## say what can be made
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: require-go ## build/mallee, build/malleed, build/mallee-lab: static, no root
	tools/debian-packages $(build_packages)
	mkdir -p build
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(version)' -o build/ ./cmd/...
	ln -sf mallee build/euca-describe-properties
	ln -sf mallee build/euca-modify-property

.PHONY: man
man: build ## build/man: the manual pages, dated by the last commit
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || date +%s) build/mallee man build/man

.PHONY: generate
generate: require-go $(tools)/protoc-gen-go $(tools)/protoc-gen-go-grpc ## write the Go code of api/**/*.proto
	tools/debian-packages $(generate_packages)
	go generate ./api

.PHONY: clean
clean: ## remove build/; the lab's root file system and the tools stay cached
	rm -rf build

##@ Check

.PHONY: test
test: require-root lint check-generate unit lab-test ## everything, the lab included; needs root

.PHONY: unit
unit: require-go ## tests that need neither root nor the lab, with the race detector
	tools/debian-packages $(unit_packages)
	packages=$$(go list ./... | grep --invert-match '/test/e2e$$'); \
	CGO_ENABLED=1 go test -race -timeout 10m $$packages

# The operations of the model test that `make soak` carries out, from a new seed each
# time; `make unit` has 20000, always the same.
OPERATIONS ?= 1000000

.PHONY: soak
soak: require-go ## the model test of the connector for OPERATIONS (1000000) random operations
	tools/debian-packages $(build_packages)
	go test -timeout 60m -v -run '^TestModel$$' ./connector -operations $(OPERATIONS) -seed $$(date +%s)

.PHONY: fuzz
fuzz: require-go ## every fuzz test for FUZZTIME (30s) each; inputs that fail stay in testdata/fuzz
	tools/debian-packages $(build_packages)
	tools/fuzz $(FUZZTIME)

.PHONY: lint
lint: require-go $(tools)/golangci-lint ## golangci-lint, format included
	golangci-lint run

.PHONY: check-generate
check-generate: require-go ## fail if `make generate` changes something
	@mkdir -p build
	find api -name '*.pb.go' | sort | xargs sha256sum >build/generated.sha256
	$(MAKE) --no-print-directory generate
	sha256sum --check --quiet build/generated.sha256

.PHONY: lab-test
lab-test: require-root build ## tests on real kernels, in the lab; needs root
	tools/debian-packages $(lab_packages)
	go test -v -p 1 -count 1 -timeout 80m -tags lab -run '^TestLab' $(lab_tests)

.PHONY: lab-test-qemu
lab-test-qemu: ## the lab's own test with Debian's kernel in QEMU, a minute; needs root
	$(MAKE) --no-print-directory lab-test BACKEND=qemu lab_tests=./internal/lab

.PHONY: bench
bench: require-root build ## how fast, against os-brick and the floor; ONLY=row,row, N=samples, BACKEND=qemu; needs root
	tools/debian-packages $(lab_packages)
	go run ./test/bench -n '$(N)' -only '$(ONLY)'

##@ See it work

.PHONY: demo
demo: require-root build ## a volume over four paths, cut and healed while it is written; needs root
	tools/debian-packages $(lab_packages)
	go run ./test/demo

.PHONY: lab
lab: require-root build ## the lab's machines, left up until Ctrl-C; needs root
	tools/debian-packages $(lab_packages)
	build/mallee-lab up --binary build/mallee --binary build/malleed

.PHONY: require-root
require-root:
	@((EUID == 0)) || { echo 'the lab makes network namespaces, taps and mounts: run this as root (sudo make …). Without root there are `make unit` and `make lint`.' >&2; exit 1; }

.PHONY: require-go
require-go:
	@command -v go >/dev/null || { echo 'go is neither in PATH nor in /usr/local/go/bin: install Go as go.mod names it, https://go.dev/dl' >&2; exit 1; }

$(tools)/golangci-lint:
	@echo 'building golangci-lint; this takes minutes, once' >&2
	tools/debian-packages $(build_packages)
	CGO_ENABLED=0 go -C tools build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(tools)/protoc-gen-go:
	tools/debian-packages $(build_packages)
	CGO_ENABLED=0 go -C tools build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

$(tools)/protoc-gen-go-grpc:
	tools/debian-packages $(build_packages)
	CGO_ENABLED=0 go -C tools build -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc
