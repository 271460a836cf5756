# Daily commands. `just` alone lists them.
set working-directory := "codex-rs"

_default:
    @just --list --unsorted

# Run the tests; `just test -p codex-exec-server-core` for one crate
test *args:
    ../tools/test.sh {{ args }}

# Test the TypeScript package; `--storm` makes 1,000 cuts
test-sdk *args:
    ../tools/sdk-test.sh {{ args }}

# Format
fmt:
    cargo fmt --all

# Let clippy mend what it can, then format
fix *args:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged {{ args }}
    cargo fmt --all

# Everything that CI checks besides the tests
lint:
    ../tools/lint.sh

# Ask for parameters' names before opaque arguments; `--fix` writes them, `-- -p NAME --tests` chooses packages and targets
argument-comment-lint *args:
    cargo run -q -p codex-exec-server-argument-comment-lint -- {{ args }}

# Write what is generated from the Rust types: schema/json/ and sdk-ts/src/generated/, and what is made of those, the console
gen:
    cargo run -q -p codex-exec-server-schema-gen
    if [ -d ../sdk-ts/node_modules ]; then just console; fi

# Make the console that the program shows of sdk-ts/examples/console
console:
    npm --prefix ../sdk-ts run --silent console

# Run the program: `just run run -- uname -a`
run *args:
    cargo run -q --release -p codex-exec-server -- {{ args }}

# Measure against raw limits of the machine and a naive server; `--peer CMD` adds another server
bench *args:
    cargo build -q --release -p codex-exec-server
    cargo run -q --release -p codex-exec-server-bench -- {{ args }}

# The same, and write docs/performance.md with its plots and numbers
bench-docs *args:
    just bench --page ../docs/performance.md {{ args }}

# Measure the TypeScript package beside the Rust client and raw WebSockets, in Node and in Chromium; `--help` explains the rows.
# Builds what it measures with, unless BENCH_SERVER_BIN and BENCH_CLIENT_BIN name release builds
bench-sdk *args:
    if [ -z "${BENCH_SERVER_BIN:-}" ] || [ -z "${BENCH_CLIENT_BIN:-}" ]; then cargo build -q --release -p codex-exec-server -p codex-exec-server-bench; fi
    npm --prefix ../sdk-ts run --silent bench -- {{ args }}

# The same, and write sdk-ts/docs/performance.md
bench-sdk-docs *args:
    just bench-sdk --page docs/performance.md {{ args }}

# The main job on real input: a command on a server, over a connection that keeps breaking
demo:
    ../tools/demo.sh

# The public CLI as a client of this server and of its own, with the same results; `--cli PATH` says where it is
compat *args:
    cargo build -q --release -p codex-exec-server
    ../tools/compat/compat.py {{ args }}

# The client in a storm: 1,000 faults over hundreds of MiB; `SOAK_FAULTS` and `SOAK_SEED` make it another one
soak:
    cargo test --release -p codex-exec-server --test recovery -- --ignored --nocapture soak

# Ten GiB past a reader that stands still, and ten million single bytes
soak-output:
    cargo test --release -p codex-exec-server-local --test process -- --ignored --nocapture soak

# Make dist/codex-exec-server-TRIPLE.tar.gz; `--target` chooses another triple
release *args:
    ../tools/release.sh {{ args }}

# Check that archive: its contents, and its main job on another Debian (root); `--again` makes it twice
release-check *args:
    ../tools/release-check.sh {{ args }}

# Feed a fuzz target of tools/fuzz/ for some seconds (nightly): `just fuzz intent 600`; `intent` or `paths`
fuzz *args:
    ../tools/fuzz.sh {{ args }}

# Run every test 25 times and more, also on a busy machine: `just flakes --runs 100 --load both //codex-rs/...`
flakes *args:
    ../tools/bazel/flakes.py {{ args }}

# Check that what is pinned in several places is pinned alike
bazel-lock-check:
    ../tools/bazel/lock_check.sh

# Bring Cargo.lock, and the crates that Bazel finds, in line with the manifests
bazel-lock-update:
    cargo update --workspace
    for lock in ../tools/test-peers ../sdk-ts; do if [ -f $lock/package.json ]; then npm install --prefix $lock --package-lock-only --ignore-scripts --no-audit --no-fund; fi; done
    if [ -d "${BAZEL_PREFIX:-/opt/bazel-debian}" ]; then ../tools/bazel/debian/setup.sh; fi
    ../tools/bazel/lock_check.sh
