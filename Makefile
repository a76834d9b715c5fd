# demo · test · test-peers · bench · check · tools: thin, each a line or two. All of it works on a fresh clone.
CLOCK := scripts/with-clock.sh
LOGS := target/logs
MAESTRO := target/release/maestro

.PHONY: demo test test-peers bench check tools peers build

demo: tools build
	@$(MAESTRO) demo

test: tools
	@$(CLOCK) "building the tests" $(LOGS)/build-tests.log cargo test --workspace --locked --no-run
	@$(CLOCK) "running the tests" $(LOGS)/test.log cargo test --workspace --locked --no-fail-fast

test-peers: tools peers
	@$(CLOCK) "building what the tests start" $(LOGS)/build-peers.log cargo build --workspace --locked
	@$(CLOCK) "running the tests against peers" $(LOGS)/test-peers.log cargo test --workspace --locked --test peers -- --skip brownout
	@$(CLOCK) "running a brownout of four providers" $(LOGS)/test-brownout.log cargo test --workspace --locked --test peers brownout -- --nocapture

bench: tools build
	@$(MAESTRO) bench

check:
	@$(CLOCK) "checking the format" $(LOGS)/fmt.log cargo fmt --all --check
	@$(CLOCK) "checking the lints" $(LOGS)/clippy.log cargo clippy --workspace --all-targets --locked -- -D warnings
	@$(CLOCK) "checking those of the tests against peers" $(LOGS)/clippy-peers.log cargo clippy --workspace --test peers --locked -- -D warnings
	@$(CLOCK) "checking the house" $(LOGS)/tidy.log cargo xtask tidy
	@$(CLOCK) "checking the schemas" $(LOGS)/schemas.log cargo xtask schemas --check

tools:
	@scripts/get-tools.sh

peers:
	@scripts/get-tools.sh --peers

build:
	@$(CLOCK) "building maestro" $(LOGS)/build.log cargo build --release --locked --bin maestro
