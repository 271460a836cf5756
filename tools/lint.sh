#!/usr/bin/env bash
# Everything that is checked besides the tests: formatting, clippy, documentation links, dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
../tools/deny.sh
