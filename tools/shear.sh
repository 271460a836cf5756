#!/usr/bin/env bash
# Finds dependencies that a crate names and doesn't use, or uses in its tests alone; `tools/shear.sh --fix` removes them.
# One that is named for a feature is listed, with its reason, under [package.metadata.cargo-shear] of its crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
if ! command -v cargo-shear >/dev/null 2>&1; then
  echo "cargo-shear is missing; tools/setup.sh installs it" >&2
  exit 1
fi
cargo shear --locked "$@"
