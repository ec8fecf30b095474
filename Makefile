# roadseal. "make help" lists the targets. Needs Go 1.26 and make; modules come
# through Go. Targets that need more say so.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN      := bin
COMMANDS := roadseal-agent roadseal-collector roadseal-open roadseal-sign roadseal-bench
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT   := $(shell git rev-parse HEAD 2>/dev/null)
# The day of the release: no trusted time on a vehicle is earlier.
BUILT    := $(shell git log -1 --format=%cs 2>/dev/null || echo 2026-11-24)
ifeq ($(BUILT),)
BUILT := 2026-11-24
endif
LDFLAGS  := -s -w -buildid= \
	-X roadseal/cmd/internal/cli.version=$(VERSION) \
	-X roadseal/cmd/internal/cli.commit=$(COMMIT) \
	-X main.built=$(BUILT)
# The same bytes wherever the same commit is built: no C, no paths, no build id.
GOBUILD  := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"
# What is not in the way of the data is compiled without inlining: 0.8 MB less
# on armv7 (docs/decisions.md). The patterns are matched from the last.
COLD := -gcflags=all=-l -gcflags=runtime/...= -gcflags=internal/...= -gcflags=crypto/internal/...= \
	-gcflags=crypto/internal/fips140/nistec/...=-l -gcflags=crypto/internal/fips140/ecdsa=-l \
	-gcflags=crypto/internal/fips140/rsa=-l -gcflags=crypto/internal/fips140/bigmod=-l \
	-gcflags=golang.org/x/crypto/...= -gcflags=vendor/golang.org/x/crypto/...= -gcflags=vendor/golang.org/x/crypto/cryptobyte=-l \
	-gcflags=github.com/cloudflare/circl/...= -gcflags=github.com/cloudflare/circl/hpke=-l \
	-gcflags=github.com/cloudflare/circl/dh/x448=-l -gcflags=github.com/cloudflare/circl/math/fp448=-l \
	-gcflags=roadseal/crypto/seal= -gcflags=roadseal/hal/gnss=
# Segments of the armv7 file begin at pages of 4 KiB, which every 32-bit ARM
# kernel has, not of 64 KiB as by default and on arm64, where a kernel may have such.
PAGES := -R 4096
# Above this the armv7 agent no longer fits its place in flash.
MAX_AGENT := 8000000

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
# What packages are dated: the bytes depend on the commit alone.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1795500000)
export SOURCE_DATE_EPOCH VERSION NFPM

##@ to begin with
.PHONY: help
help: ## list the targets
	@echo 'roadseal: make TARGET'
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build all programs into bin/
	@mkdir -p $(BIN)
	@for c in $(COMMANDS); do echo "building $$c"; $(GOBUILD) -o $(BIN)/$$c ./cmd/$$c; done

.PHONY: demo
demo: build ## a simulated drive, sealed, uploaded, and opened again by the key holder
	@echo "building age (the stock command, to open what was sealed)"
	@CGO_ENABLED=0 go build -buildvcs=false -o $(BIN)/age filippo.io/age/cmd/age
	@$(BIN)/roadseal-bench demo --age $(BIN)/age --out out/demo

.PHONY: test
test: ## all unit and integration tests
	@echo "go vet"; go vet ./...
	@echo "go test (about five minutes on two cores the first time)"
	@if CGO_ENABLED=0 go test ./...; then echo "make test: PASSED"; else echo "make test: FAILED"; exit 1; fi

##@ before a commit
.PHONY: lint
lint: ## gofmt, vet, staticcheck, tidy go.mod (staticcheck comes through Go)
	@echo "gofmt"; bad=$$(gofmt -l .); if test -n "$$bad"; then echo "$$bad"; exit 1; fi
	@echo "go vet"; go vet ./...
	@echo "go mod tidy"; go mod tidy -diff
	@echo "agent/mqttlink/nowebsocket"; cd agent/mqttlink/nowebsocket && go vet ./... && go mod tidy -diff
	@echo "staticcheck"; go run $(STATICCHECK) ./...
	@echo "make lint: PASSED"

.PHONY: man
man: ## write docs/man and the help texts of the tests anew from the commands
	@UPDATE_TEXTS=1 go test -count=1 -run 'TestManual|TestScripts/help' $(addprefix ./cmd/,$(COMMANDS))

.PHONY: race
race: ## all tests but those that only drive other processes, under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race $$(go list ./... | grep -vE 'cmd/roadseal-bench$$|bench/(crash|wallclock)$$')

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 10s); an input that fails is kept and named
	@.ci/fuzz $(FUZZTIME)

.PHONY: fuzz-nightly
fuzz-nightly: ## each fuzz target for two minutes (about an hour on two processors)
	@.ci/fuzz 2m

##@ how nothing is lost
# Recordings for "make kills"; without them a made-up drive and clips of noise
# are played.
ROADSEAL_DATA ?= ../shared/data

.PHONY: kills
kills: build ## kill -9 of agent, collector and broker, 20 times each in mid-upload (about 3 minutes)
	@mkdir -p out/noise; for i in 1 2 3 4 5 6; do test -s out/noise/$$i.mp4 || head -c 3000000 /dev/urandom > out/noise/$$i.mp4; done
	@if test -d $(ROADSEAL_DATA)/video; \
		then drive="--nmea $(ROADSEAL_DATA)/nmea/drive-comma2k19-10hz.nmea --camera $(ROADSEAL_DATA)/video --loop 25"; \
		else drive="--camera out/noise --loop 10"; fi; \
	$(BIN)/roadseal-bench drive $$drive --out out/kills --speed 40 --rate 4000000 --max-age 2s --kill agent=20,collector=20,broker=20

.PHONY: recorders
recorders: build ## a drive with each make of recorder and with a hostile folder (about 90 seconds)
	@$(BIN)/roadseal-bench recorders

.PHONY: crash
crash: build ## cut the power of agent and collector at every durable call and state (3 minutes; needs root and strace)
	@$(BIN)/roadseal-bench crash

.PHONY: crash-armv7
crash-armv7: build cross ## the same of the armv7 agent under emulation, a sample (5 minutes; needs root, strace, qemu-user)
	@$(BIN)/roadseal-bench crash --arch armv7

.PHONY: soak
soak: build ## ten vehicles while everything goes wrong for two minutes, then an audit (all of it only as root)
	@$(BIN)/roadseal-bench soak --out out/soak

##@ the vehicle's processors
.PHONY: cross
cross: ## build the agent for armv7 and arm64 and check its size
	@mkdir -p $(BIN)
	@GOOS=linux GOARCH=arm GOARM=7 $(GOBUILD) -ldflags "$(LDFLAGS) $(PAGES)" $(COLD) -o $(BIN)/roadseal-agent-armv7 ./cmd/roadseal-agent
	@GOOS=linux GOARCH=arm64 $(GOBUILD) $(COLD) -o $(BIN)/roadseal-agent-arm64 ./cmd/roadseal-agent
	@for a in armv7 arm64; do n=$$(stat -c %s $(BIN)/roadseal-agent-$$a); echo "roadseal-agent $$a: $$n bytes (limit $(MAX_AGENT))"; test $$n -le $(MAX_AGENT); done
	@GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $(BIN)/symbols ./cmd/roadseal-agent
	@if go tool nm $(BIN)/symbols | grep -q 'text/template.(\*Template).Execute$$'; then echo "the agent links text/template"; exit 1; fi; rm $(BIN)/symbols

.PHONY: sbom
sbom: cross ## bills of materials (CycloneDX) and licences of the agent, from its build information
	@for a in armv7 arm64; do go run ./cmd/internal/sbom $(BIN)/roadseal-agent-$$a $(VERSION); done

# The amd64 one is for the test in a chroot.
.PHONY: packages
packages: sbom ## .deb (arm64, armhf, amd64) and .ipk (arm64, armv7) of the agent into out/packages
	@rm -rf out/packages
	@GOOS=linux GOARCH=amd64 $(GOBUILD) $(COLD) -o $(BIN)/roadseal-agent-amd64 ./cmd/roadseal-agent
	@go run ./cmd/internal/sbom $(BIN)/roadseal-agent-amd64 $(VERSION)
	@for p in "deb amd64" "deb arm64" "deb armv7" "ipk arm64" "ipk armv7"; do set -- $$p; docs/deploy/package/build $$1 $$2 $(BIN)/roadseal-agent-$$2 out/packages; done
	@cd out/packages && sha256sum -- *

.PHONY: reproducible
reproducible: ## packages of the last commit, built in two directories, have the same bytes
	@.ci/reproducible

.PHONY: unit
unit: ## rate the systemd unit (limit 1.5) and check the scripts (needs systemd, shellcheck)
	@systemd-analyze security --offline=true --threshold=15 --no-pager docs/deploy/roadseal-agent.service | tail -n 1
	@shellcheck -s sh docs/deploy/roadseal-agent.init docs/deploy/package/{postinst,prerm,postrm}
	@shellcheck docs/deploy/package/build .ci/chroot .ci/reproducible cmd/internal/conformance/run

.PHONY: chroot
chroot: build packages ## install the package in a fresh Debian 12 and run it there (needs root, debootstrap, systemd-container, qemu-user)
	@.ci/chroot

.PHONY: ledger
ledger: ## what costs what in the armv7 agent: bytes of code and data by origin
	@mkdir -p $(BIN)
	@GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 go build -trimpath -buildvcs=false $(COLD) -o $(BIN)/symbols ./cmd/roadseal-agent
	@go tool nm -size $(BIN)/symbols | awk -f cmd/ledger.awk | sort -rn | expand -t 10
	@rm $(BIN)/symbols

.PHONY: cross-test
cross-test: ## unit tests of the vehicle's code for armv7 and arm64 under emulation (needs Debian's qemu-user)
	@for t in "arm qemu-arm" "arm64 qemu-aarch64"; do set -- $$t; echo "tests on linux/$$1 under $$2"; \
		GOOS=linux GOARCH=$$1 GOARM=7 CGO_ENABLED=0 go test -short -exec $$2 $$(go list ./agent/... ./crypto/... ./firmware/... ./hal/...); done

# What "make speed" measures: some of upload, link, memory, drive, arm; empty = all
# that can be done here.
MEASURE ?=
.PHONY: speed
speed: build cross ## upload, link, memory, processor time and ARM instructions beside peers (15 minutes; all of it only as root)
	@echo "building age (the stock command) for this machine, armv7 and arm64"
	@CGO_ENABLED=0 go build -buildvcs=false -o $(BIN)/age filippo.io/age/cmd/age
	@GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 go build -buildvcs=false -o $(BIN)/age-armv7 filippo.io/age/cmd/age
	@GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -buildvcs=false -o $(BIN)/age-arm64 filippo.io/age/cmd/age
	@mkdir -p out; $(BIN)/roadseal-bench speed --age $(BIN)/age $(MEASURE)


##@ other
.PHONY: bench
bench: ## all of docs/benchmarks.md that has a limit or a peer (20 minutes on a quiet machine)
	@go test -run '^$$' -bench . -benchtime 15x ./crypto/seal
	@go test -run '^$$' -bench . -benchmem -count 5 ./hal/gnss
	@go test -count 1 -v -run TestMemory ./cmd/roadseal-agent | grep VmHWM
	@$(MAKE) --no-print-directory speed

# The sources of tuf-conformance, python-tuf 5.1 and securesystemslib 1.4, each in
# a folder of that name (CONTRIBUTING.md).
SUITE ?=
.PHONY: conformance
conformance: ## the suite theupdateframework/tuf-conformance, whose sources are in SUITE=DIR (needs python3-pytest, faketime)
	@mkdir -p $(BIN); go build -o $(BIN)/conformance ./cmd/internal/conformance
	@cmd/internal/conformance/run "$(SUITE)" $(BIN)/conformance

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf $(BIN) out
