#!/usr/bin/env bash
# Runs a fuzz target of tools/fuzz/ for some seconds: `fuzz.sh TARGET [SECONDS]`, of `intent` and `paths`. Needs a nightly
# compiler (`rustup toolchain install nightly`) and a C++ compiler, nothing else; `cargo fuzz` works on the same folder. What
# was found worth keeping is in corpus/TARGET there; an input that fails is written to artifacts/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/fuzz"
target=${1:?"which target? $(basename -s .rs fuzz_targets/* | tr '\n' ' ')"}
seconds=${2:-60}
mkdir -p "corpus/$target" "artifacts/$target"
# What `cargo fuzz` would say: coverage guides the search, the address sanitizer and the checks of a debug build find more.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1"
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
cargo +nightly build --quiet --release --target "$triple" --bin "$target"
exec "target/$triple/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
    -artifact_prefix="artifacts/$target/" "corpus/$target" "seeds/$target"
