#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies, and known vulnerabilities where their database can be reached.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
if ! cargo deny --version >/dev/null 2>&1; then
  echo "cargo-deny is missing; tools/setup.sh installs it" >&2
  exit 1
fi
cargo deny --locked --log-level error check licenses bans sources
database=${CARGO_DENY_DATABASE:-https://github.com/rustsec/advisory-db}
if timeout 20 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
  cargo deny --locked --log-level error check advisories
else
  echo "advisories were NOT checked: $database can't be reached from here"
fi
