# make            builds bin/vedfolnir, and everything else to see that it builds
# make test       all tests: scripts, pages in a browser, every Go module
# make lint       vet, staticcheck, gofumpt, tidy modules
# make fuzz       every fuzz target, FUZZTIME each
# make attack     the attacks on the built program, with a report; ATTACK_SAMPLES of each answer are timed
# make vuln       known weaknesses in what is used; asks the Go project's database
# make bench      speed, beside a bare handler and beside scs
# make bench-sync  how soon tabs follow a switch, and what idle tabs cost
# make soak       SOAKTIME of mixed load; fails if memory grows or an answer is wrong.
#                 Then CLUSTER_TIME of three nodes under faults, in parts of five minutes
# make web        builds the scripts that the binary embeds
# make e2e        pages in a real browser (part of make test)
# make release    static programs for every system, with checksums, into bin/release
# make image      what deploy/Dockerfile wants: bin/image.tar
# make screenshots  pictures of every page, into bin/screenshots
#
# CI=true makes a failure of what is skipped elsewhere for want of a compiler, of
# Node, of a browser or of a server.

FUZZTIME ?= 2m
SOAKTIME ?= 10m
CLUSTER_TIME ?= 1h
ATTACK_SAMPLES ?= 60

MODULES := $(sort $(shell find . -name node_modules -prune -o -name testdata -prune -o -name go.mod -exec dirname {} \;))
# The repository's own tests go last; tools holds no package.
OTHERS := $(patsubst %,%/...,$(filter-out ./test ./tools,$(MODULES)))
# What npm tests without a browser.
NPM := $(filter-out ./test/e2e,$(sort $(shell find . \( -name node_modules -o -name dist \) -prune -o -name package.json -exec dirname {} \;)))
PACKAGES := $(OTHERS) ./test/...

# Results that were good before are good enough on a developer's machine.
ifeq ($(CI),true)
ANEW := -count=1 -shuffle=on
endif

SKIP_UNLESS_CI = { test "$$CI" != true; exit; }
define npm-ci
if ! [ $(1)/node_modules/.package-lock.json -nt $(1)/package-lock.json ]; then \
	echo "npm ci in $(1)" && npm ci --prefix $(1) --no-audit --no-fund --loglevel=error; fi
endef

.NOTPARALLEL:
.PHONY: release image all build test test-web test-go lint fuzz attack vuln bench bench-sync soak web e2e screenshots modules

all: build

build:
	go build $(PACKAGES)
	CGO_ENABLED=0 go build -trimpath -o bin/vedfolnir ./cmd/vedfolnir

# No secret may be in what it says, nor in what the programs say that it starts.
test:
	@sh tools/overheard $(MAKE) --no-print-directory test-web e2e test-go

test-web:
	@sh tools/need node || $(SKIP_UNLESS_CI); \
	for package in $(NPM); do $(call npm-ci,$$package); \
	npm run --silent --prefix $$package typecheck && npm test --prefix $$package || exit 1; done

# Packages wait for servers and disks much of the time: one more than there are
# processors keeps those busy. The cluster takes long, and so begins; it is not beside
# the tests that have a browser, whose requests fail while it lays cables: a browser
# drops them when its machine's addresses change. Each run of it has a seed of its own,
# so that no old result is good enough. With races, pointers are checked: in SQLite,
# which was C, that is half of the work, and shows nothing of ours; races are looked for
# there as everywhere.
test-go:
	@race="-race -gcflags=modernc.org/...=-d=checkptr=0"; sh tools/need cc || { test "$$CI" != true || exit 1; race=; }; \
	for thing in nginx chromium caddy flask curl postgresql redis pgbouncer ip; do sh tools/need $$thing || test "$$CI" != true || exit 1; done; \
	set -ex; export CLUSTER_SEED=$${CLUSTER_SEED:-$$(date +%s)}; go test $$race -p=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) -timeout=20m $(ANEW) ./test/cluster $(OTHERS); \
	go test $$race -timeout=20m -count=1 $$(go list ./test/... | grep -v /cluster$$)

e2e:
	@sh tools/need node chromium || $(SKIP_UNLESS_CI); \
	for thing in firefox nginx flask postgresql; do sh tools/need $$thing || test "$$CI" != true || exit 1; done; \
	$(call npm-ci,test/e2e) && \
	CGO_ENABLED=0 go build -trimpath -o bin/vedfolnir ./cmd/vedfolnir && \
	cd test/e2e && npm test

release:
	@sh tools/release

image:
	CGO_ENABLED=0 go build -trimpath -o bin/vedfolnir ./cmd/vedfolnir
	@sh tools/image bin/vedfolnir bin/image.tar

screenshots: build
	@sh tools/need node chromium && $(call npm-ci,test/e2e) && cd test/e2e && npm run screenshots

lint:
	@GOWORK=off GOBIN="$(CURDIR)/bin/tools" go -C tools install honnef.co/go/tools/cmd/staticcheck mvdan.cc/gofumpt
	go vet $(PACKAGES)
	bin/tools/staticcheck $(PACKAGES)
	@unformatted=$$(find . -name node_modules -prune -o -name '*.go' -exec bin/tools/gofumpt -l {} +); \
	test -z "$$unformatted" || { echo "not formatted; run bin/tools/gofumpt -w on:"; echo "$$unformatted"; exit 1; }
	@for module in $(MODULES); do GOWORK=off go -C $$module mod tidy -diff || { echo "$$module: run go mod tidy"; exit 1; }; done

fuzz:
	@sh tools/fuzz $(FUZZTIME)

attack:
	@sh tools/need nginx chromium; ATTACK_SAMPLES=$(ATTACK_SAMPLES) go test -count=1 -timeout 2h -v ./test/attack

# Not part of lint: its answer changes without a change here.
vuln:
	@GOWORK=off GOBIN="$(CURDIR)/bin/tools" go -C tools install tool
	bin/tools/govulncheck $(PACKAGES)

bench:
	@cd bench && go run .

bench-sync:
	@sh tools/need node chromium && $(call npm-ci,test/e2e) && \
	CGO_ENABLED=0 go build -trimpath -o bin/vedfolnir ./cmd/vedfolnir && \
	cd test/e2e && npm run --silent bench-sync

soak:
	@cd bench && go run . -soak $(SOAKTIME)
	@sh tools/need nginx postgresql ip && go test -count=1 -timeout=0 -v ./test/cluster -run TestNodesKeepTheirPromises -cluster.time=$(CLUSTER_TIME)

web:
	cd web && go run .

# For the test that no module is missed.
modules:
	@printf '%s\n' $(PACKAGES)
