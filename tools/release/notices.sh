#!/usr/bin/env bash
# Prints the licence notices of every crate that is linked into the program: what it is, its licence, and the text with
# its copyright lines. Fails on a licence that about.toml doesn't allow, or a crate without one.
# Arguments: TRIPLE, and the folder of sources.
set -euo pipefail
target=${1:?} src=${2:?}
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
cd "$src/codex-rs"
cargo about generate --frozen --offline --fail --manifest-path exec-server/Cargo.toml --target "$target" \
  --config "$here/about.toml" "$here/about.hbs"
