#!/usr/bin/env bash
# Sets a Debian machine up that can't reach Bazel's own servers: once, and again after each change of Cargo.lock.
# Installs Bazel below BAZEL_PREFIX (/opt/bazel-debian unless set) if it is not there, files the third-party crates in its
# cache, and turns the overlay on for this checkout. Run as root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
prefix=${BAZEL_PREFIX:-/opt/bazel-debian}
[[ -x $prefix/bin/bazel ]] || tools/bazel/debian/install.sh
tools/bazel/debian/seed-crates.sh "$prefix/repository-cache" codex-rs/Cargo.toml "$prefix/seed/Cargo.toml"
enable() { grep -qxF "$1" user.bazelrc 2>/dev/null || echo "$1" >>user.bazelrc; }
enable "common --config=debian"
enable "build --disk_cache=${XDG_CACHE_HOME:-$HOME/.cache}/codex-exec-server/bazel"
