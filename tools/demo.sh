#!/usr/bin/env bash
# The main job on real input: commands run on a server, over a connection that is cut again and again, and every byte
# and exit code arrives. Compares with the same commands run without any of that, and fails if anything differs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../codex-rs"
cut_after=$((4 << 20))
size=$((200 << 20))

echo "building…" >&2
cargo build --locked --quiet --release -p codex-exec-server
cargo build --locked --quiet --release -p codex-exec-server-testkit --example cutting_proxy
target=${CARGO_TARGET_DIR:-target}
bin=$(realpath "$target/release/codex-exec-server")
proxy=$(realpath "$target/release/examples/cutting_proxy")

work=$(mktemp -d)
children=()
# shellcheck disable=SC2317,SC2329 # Called by the trap.
finish() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

first_line() { # FILE: waits for the first line that a program writes there
  local line
  read -r line < <(tail -n +1 -F "$1" 2>/dev/null) && echo "$line"
}
"$bin" --listen ws://127.0.0.1:0 >"$work/server" &
children+=($!)
server=$(first_line "$work/server")
"$proxy" "$server" "$cut_after" >"$work/proxy" 2>"$work/cuts" &
children+=($!)
url=$(first_line "$work/proxy")
echo "server on $server; the way there, $url, is cut after every $((cut_after >> 20)) MiB" >&2

failed=0
check() { # WHAT EXPECTED GOT
  if [[ $2 == "$3" ]]; then
    printf '  ok      %-34s %s\n' "$1" "$3"
  else
    printf '  FAILED  %-34s expected %s, got %s\n' "$1" "$2" "$3"
    failed=1
  fi
}
sum() { sha256sum | cut -c1-16; }

# Real input: the files of the Rust toolchain that built this, in a fixed order.
read_toolchain="find '$(rustc --print sysroot)' -type f -print0 | LC_ALL=C sort -z | xargs -0 cat 2>/dev/null | head -c $size"
started=$SECONDS
check "$((size >> 20)) MiB of output" "$(bash -c "$read_toolchain" | sum)" \
  "$("$bin" run --connect "$url" -- bash -c "$read_toolchain" 2>>"$work/log" | sum)"
check "64 MiB of stdin, hashed over there" "$(bash -c "$read_toolchain" | head -c $((64 << 20)) | sum)" \
  "$(bash -c "$read_toolchain" | head -c $((64 << 20)) | "$bin" run --connect "$url" -- sh -c 'sha256sum | cut -c1-16' 2>>"$work/log")"
set +e
out=$("$bin" run --quiet --connect "$url" -- sh -c 'seq 1 2000000; seq 1 300000 >&2; exit 7' 2>"$work/err" | sum; echo "${PIPESTATUS[0]}")
set -e
check "stdout, apart from stderr" "$(seq 1 2000000 | sum) 7" "${out//$'\n'/ }"
# --quiet: without a word of the program's own between the command's.
check "stderr, apart from stdout" "$(seq 1 300000 | sum)" "$(sum <"$work/err")"
cuts=$(grep -c cut "$work/cuts" || true)
echo "the connection was cut $cuts times in $((SECONDS - started)) s"
if [[ $cuts -lt 5 ]]; then
  echo "FAILED: the connection was hardly cut at all"
  failed=1
fi
exit $failed
