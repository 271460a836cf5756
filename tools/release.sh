#!/usr/bin/env bash
# Makes dist/codex-exec-server-TRIPLE.tar.gz from the commit that is checked out: the program, completions, manual,
# licence notices, an SBOM, and the SHA-256 sum of each. The same commit gives the same bytes. docs/releases.md says why
# things are as they are.
set -euo pipefail
repo=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
from=$PWD
cd "$repo/codex-rs" # Whose rust-toolchain.toml says which Rust.
name=codex-exec-server
# The C library of CentOS 7 and everything since; what is linked against it runs on all later ones.
glibc=2.17
limit_mib=12

usage() {
  cat <<END
usage: tools/release.sh [--target TRIPLE] [--out DIR]

  --target TRIPLE  a Linux triple whose standard library this toolchain has and whose programs run here
                   [default: this machine's own: $(rustc -vV | sed -n 's/^host: //p')]
                     *-linux-gnu   runs with every glibc since $glibc, and asks the system who its users are
                     *-linux-musl  needs no C library, so it also runs where there is no glibc
  --out DIR        where the archive goes [default: dist]
END
}
fail() { echo "release.sh: $*" >&2; exit 1; }
step() { echo "== $*" >&2; }

target=$(rustc -vV | sed -n 's/^host: //p')
out=$repo/dist
while [[ $# -gt 0 ]]; do
  case $1 in
    --target) target=${2:?--target needs a triple}; shift 2 ;;
    --out) out=$(cd "$from" && realpath -m "${2:?--out needs a directory}"); shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
case $target in
  *-linux-gnu | *-linux-musl) ;;
  *) fail "no release for $target: the program runs on 64-bit Linux alone" ;;
esac
[[ -d $(rustc --print target-libdir --target "$target" 2>/dev/null) ]] ||
  fail "this toolchain has no standard library for $target; \`rustup target add $target\` gets it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git -C "$repo" rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git -C "$repo" log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022

# Built from what is committed, and from nothing else that happens to lie around. The folder is always the same, so that
# libraries need not be compiled anew for each release, and the files are new, so that our own crates always are: git
# would date them back to the commit, and cargo would take them for what it compiled last.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/codex-rs/target/dist} CARGO_INCREMENTAL=0
[[ -z $(git -C "$repo" status --porcelain) ]] ||
  echo "release.sh: changes that are not committed are NOT in this release" >&2
src=$CARGO_TARGET_DIR/source
rm -rf "$src"
mkdir -p "$src"
git -C "$repo" archive "$commit" | tar -x --touch -C "$src"
cd "$src/codex-rs"

step "tools"
tools=$("$repo/tools/release/setup.sh" "$target")
export PATH=$tools/bin:$PATH PYTHONPATH=$tools/python${PYTHONPATH:+:$PYTHONPATH}

step "$name for $target from $commit"
# No path of this machine gets into the program.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$src=/src"$'\x1f'"--remap-path-prefix=$cargo_home=/cargo"
case $target in
  *-gnu) cargo zigbuild --locked --release -p "$name" --target "$target.$glibc" ;;
  *-musl)
    # Half a MiB of relocations in a twentieth of that: musl has known the short form since 1.2.4, which is Rust's own copy.
    cargo rustc --locked --release -p "$name" --bin "$name" --target "$target" -- \
      -C link-arg=-Wl,-z,pack-relative-relocs
    ;;
esac
binary=$CARGO_TARGET_DIR/$target/release/$name
unset CARGO_ENCODED_RUSTFLAGS

step "what it needs of a system"
case $target in
  *-gnu)
    newest=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n1)
    echo "glibc $newest or later, by its symbols" >&2
    [[ $(printf '%s\n' "$newest" "$glibc" | sort -V | tail -n1) == "$glibc" ]] ||
      fail "it asks for glibc $newest, which systems with $glibc don't have"
    ;;
  *-musl)
    if readelf -d "$binary" | grep -q NEEDED; then fail "it needs shared libraries, but should be static"; fi
    echo "no shared library" >&2
    ;;
esac
bytes=$(stat -c %s "$binary")
printf 'program: %d bytes, %d.%02d MiB of at most %d\n' "$bytes" $((bytes >> 20)) $((bytes % 1048576 * 100 / 1048576)) "$limit_mib" >&2
[[ $bytes -le $((limit_mib << 20)) ]] || fail "the program is larger than $limit_mib MiB"
if grep -aqF -e "$repo" -e "$src" -e "$cargo_home" "$binary"; then fail "the program holds paths of this machine"; fi

step "what goes with it"
root=$work/$name-$target
doc=$root/share/doc/$name
install -D -m755 "$binary" "$root/bin/$name"
# Run with nothing of this machine: defaults that come from variables would get into the manual.
self() { env -i PATH="$PATH" "$root/bin/$name" "$@"; }
mkdir -p "$root/share/bash-completion/completions" "$root/share/zsh/site-functions" \
  "$root/share/fish/vendor_completions.d" "$root/share/man/man1" "$doc"
self completions bash >"$root/share/bash-completion/completions/$name"
self completions zsh >"$root/share/zsh/site-functions/_$name"
self completions fish >"$root/share/fish/vendor_completions.d/$name.fish"
self man --dir "$root/share/man/man1"
cp "$src/README.md" "$src/LICENSE" "$doc/"
"$repo/tools/release/notices.sh" "$target" "$src" >"$doc/THIRD-PARTY-NOTICES.txt"
cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" "$doc/RUST-STANDARD-LIBRARY-NOTICES.html" ||
  fail "this toolchain lacks the notices of Rust's standard library"

cargo cyclonedx --quiet --manifest-path exec-server/Cargo.toml --format json --spec-version 1.5 --all --no-build-deps \
  --target "$target" --override-filename release-sbom
cargo tree --locked --quiet -p "$name" --edges normal --target "$target" --prefix none --format '{p}' >"$work/linked"
python3 "$repo/tools/release/sbom.py" exec-server/release-sbom.json "$work/linked" "$src" >"$doc/sbom.cdx.json"
if grep -rlF -e "$repo" -e "$src" -e "$cargo_home" "$root"; then fail "the files above hold paths of this machine"; fi

(cd "$root" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum >"$work/sums" && mv "$work/sums" SHA256SUMS)

step "archive"
mkdir -p "$out"
archive=$name-$target.tar.gz
tar --create --directory "$work" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
  --numeric-owner --mode=u+rw,go=rX "$name-$target" | gzip -9 --no-name >"$out/$archive.new"
mv "$out/$archive.new" "$out/$archive"
cp "$doc/sbom.cdx.json" "$out/$name-$target.cdx.json"
(cd "$out" && sha256sum "$archive" >"$archive.sha256" && cat "$archive.sha256")
