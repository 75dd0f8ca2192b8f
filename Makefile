# What people and CI run. `make help` lists the targets.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s
# More for go test, such as TESTFLAGS=-v or TESTFLAGS=-json.
TESTFLAGS ?=
# How often make matrix runs each cell; CI says 2, a release takes all 20.
MATRIX_REPEATS ?= 20

# -buildvcs=false: a clone that belongs to another user must build too, and
# the version comes from here anyway.
GO_BUILD = go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)"

.DEFAULT_GOAL := help
.PHONY: help build run quick test soak matrix check fuzz bench deb

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/imapproxy, and bin/imaprig when there is one
	$(GO_BUILD) -o bin/imapproxy ./cmd/imapproxy
	@if ls cmd/imaprig/*.go >/dev/null 2>&1; then \
		echo "$(GO_BUILD) -o bin/imaprig ./cmd/imaprig"; \
		$(GO_BUILD) -o bin/imaprig ./cmd/imaprig; \
	fi

deb: ## build dist/imapproxy_VERSION_ARCH.deb, without root
	scripts/deb "$(VERSION)"

run: build ## start the demo: two backends in memory and the proxy on 127.0.0.1:1143 and :1993
	@exec bin/imapproxy demo

# -short leaves out the tests that need an installed program, root or many
# seconds, and the fault matrix; without -race, which needs gcc.
# Most tests wait, so more than one package runs at a time; those that take longest come first.
quick: ## run the tests that need nothing installed, in a minute
	go test -short -shuffle=on -p=3 $(TESTFLAGS) ./imapproxy ./backend ./cmd/imapproxy ./...

# Two packages at a time: most tests wait. Those that take longest come first, so that none of them runs last with
# half of the machine idle.
test: ## install what the tests need (as root, with apt-get) and run them all
	@scripts/install-test-programs
	go test -race -shuffle=on -p=2 -timeout=30m $(TESTFLAGS) ./cmd/imapproxy ./imapproxy ./cmd/imaprig/exits ./...

# What would take too long for make test: tests named TestSoak, with the build tag soak.
soak: ## run the tests that take many minutes, with the race detector
	@scripts/install-test-programs
	go test -race -count=1 -timeout=60m -tags soak -run '^TestSoak' $(TESTFLAGS) ./cmd/...

matrix: ## run each cell of the fault matrix 20 times, each pair of reasons 50 times, with the fault points built in
	TESTFLAGS='$(TESTFLAGS)' scripts/matrix $(MATRIX_REPEATS) 50 10000

check: ## gofmt, go mod tidy, go vet, staticcheck and the project's own rules
	@scripts/check-format
	go mod tidy -diff
	go vet ./...
	go vet -tags soak ./cmd/...
	go tool staticcheck ./...
	go test -count=1 ./scripts/rules

fuzz: ## run each fuzz target for FUZZTIME (30s), one after the other
	@scripts/fuzz $(FUZZTIME)

bench: build ## install nginx and haproxy (as root, with apt-get), measure us beside them, write docs/performance.md
	@scripts/install-bench-programs
	bin/imaprig bench --out docs/performance.md
