#!/usr/bin/env bash
# Checks that what is pinned in several places is pinned alike: Cargo.lock against the manifests, the Rust version and
# edition of Bazel against those of cargo, the list of manifests in MODULE.bazel against the workspace's members, the licences
# of releases against those of cargo-deny, and each package-lock.json against its package.json.
# Says what differs and what to run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
complain() {
  echo "lock check: $*" >&2
  failed=1
}
same() { # WHAT A B
  [[ $2 == "$3" ]] || complain "$1: '$2' and '$3' differ"
}

cargo metadata --locked --format-version 1 --manifest-path codex-rs/Cargo.toml >/dev/null 2>&1 ||
  complain "codex-rs/Cargo.lock does not fit the manifests; run: just bazel-lock-update"

toml() { sed -n "s/^$2 = \"\\(.*\\)\"/\\1/p" "$1" | head -n 1; }
same "Rust version in MODULE.bazel and rust-toolchain.toml" \
  "$(sed -n 's/^    versions = \["\(.*\)"\],/\1/p' MODULE.bazel)" "$(toml codex-rs/rust-toolchain.toml channel)"
same "edition in rust_crate.bzl and Cargo.toml" "$(toml tools/bazel/rust_crate.bzl EDITION)" "$(toml codex-rs/Cargo.toml edition)"
same "version in rust_crate.bzl and Cargo.toml" "$(toml tools/bazel/rust_crate.bzl VERSION)" "$(toml codex-rs/Cargo.toml version)"

members=$(sed -n '/^members = \[/,/^\]/s/^  "\(.*\)",/\1/p' codex-rs/Cargo.toml | sort)
manifests=$(sed -n 's#^        "//codex-rs[/:]\(.*\)[:/]Cargo.toml",#\1#p' MODULE.bazel | sort)
same "members of codex-rs/Cargo.toml and manifests of MODULE.bazel" "${members//$'\n'/ }" "${manifests//$'\n'/ }"
for member in $members; do
  [[ -f codex-rs/$member/BUILD.bazel ]] || complain "codex-rs/$member has no BUILD.bazel; see tools/bazel/rust_crate.bzl"
done
allowed=$(sed -n '/^allow = \[/,/^\]/s/^  "\(.*\)",/\1/p' codex-rs/deny.toml | sort)
accepted=$(sed -n 's/^accepted = \[\(.*\)\]/\1/p' tools/release/about.toml | tr ',' '\n' | sed 's/^ *"\(.*\)"$/\1/' | sort)
same "licences in deny.toml and about.toml" "${allowed//$'\n'/, }" "${accepted//$'\n'/, }"
lints=$(sed -n '/^\[workspace.lints/,/^\[profile/s/^\([a-z_]*\) = .*/\1/p' codex-rs/Cargo.toml)
for lint in $lints; do
  grep -q "clippy_flags=.*[W:D]$lint\b" .bazelrc || complain "lint $lint of codex-rs/Cargo.toml is not among .bazelrc's clippy_flags"
done
tools/bazel/npm_locks.py || complain "npm's locks do not fit their manifests; run: just bazel-lock-update"
exit $failed
