#!/usr/bin/env bash
# Everything that is checked besides the tests: formatting, clippy, documentation links, the architecture's rules,
# dependencies that nothing uses, or whose licence won't do, and the shell scripts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
cargo fmt --all --check
# Outside of the workspace, since it needs another compiler to run.
cargo fmt --manifest-path ../tools/fuzz/Cargo.toml --check
cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
cargo run --locked --quiet -p codex-exec-server-tidy -- --root ..
cargo run --locked --quiet -p codex-exec-server-argument-comment-lint
../tools/shellcheck.sh
../tools/shear.sh
../tools/deny.sh
