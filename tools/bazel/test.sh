#!/usr/bin/env bash
# Runs every test by Bazel, on a machine that has only Debian's packages as well. Arguments are targets (default: all).
# Where Bazel can't be had today, says so in one line and returns 75, so that a gate can run the same tests by cargo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
unavailable=75
# Longer than a slow mirror takes to send 200 MB; a mirror that hangs must not hold up the gate.
set_up_within=20m
if ! command -v bazelisk >/dev/null; then
  if ! timeout "$set_up_within" tools/bazel/debian/setup.sh; then
    echo "Bazel can't be had from Debian's archive today: its tests are left to cargo" >&2
    exit "$unavailable"
  fi
  export PATH=${BAZEL_PREFIX:-/opt/bazel-debian}/bin:$PATH
fi
bazel=$(command -v bazelisk || command -v bazel)
# The server would wait for hours for another build.
trap '"$bazel" shutdown' EXIT
"$bazel" test --noshow_progress --test_summary=terse "${@:-//...}"
