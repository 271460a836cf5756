#!/usr/bin/env bash
# Runs the tests of the workspace, and without arguments those of the TypeScript package (tools/sdk-test.sh). Arguments go
# to the test runner: `tools/test.sh -p codex-exec-server-core`.
# Uses cargo-nextest where it is installed, and cargo's own runner otherwise: the same tests either way. nextest does not
# run the examples in the documentation, so without arguments cargo runs those first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
scope=(--workspace)
for argument in "$@"; do
  case $argument in -p | --package | -p?* | --package=*) scope=() ;; esac
done
[[ $# -gt 0 ]] || ../tools/sdk-test.sh
if cargo nextest --version >/dev/null 2>&1; then
  [[ $# -gt 0 ]] || cargo test --locked --quiet --workspace --doc
  exec cargo nextest run --locked "${scope[@]}" "$@"
fi
exec cargo test --locked "${scope[@]}" "$@"
