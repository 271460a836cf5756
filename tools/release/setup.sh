#!/usr/bin/env bash
# Installs what release.sh needs, in fixed versions, below the user's cache folder, and prints where. Skips what is there.
# Argument: the triple that is built; only glibc's need a linker of their own.
set -euo pipefail
target=${1:?usage: tools/release/setup.sh TRIPLE}
zigbuild=0.24.1 zig=0.17.1 about=0.9.3 cyclonedx=0.5.9
dir=${XDG_CACHE_HOME:-$HOME/.cache}/codex-exec-server/release-tools
mkdir -p "$dir/bin"

need() { command -v "$1" >/dev/null || { echo "release needs $1 ($2)" >&2; exit 1; }; }
need objdump binutils
need python3 python3
case $target in
  *-linux-gnu)
    stamp=$dir/python/zigbuild-$zigbuild-zig-$zig
    if [[ ! -e $stamp ]]; then
      echo "installing cargo-zigbuild and zig" >&2
      rm -rf "$dir/python"
      python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$dir/python" \
        "cargo-zigbuild==$zigbuild" "ziglang==$zig" >&2
      touch "$stamp"
    fi
    ln -sf ../python/bin/cargo-zigbuild "$dir/bin/cargo-zigbuild"
    ;;
esac
crate() { # NAME VERSION [ARGUMENT...]
  [[ -e $dir/$1-$2 ]] && return
  echo "compiling $1 $2, once" >&2
  CARGO_TARGET_DIR=$dir/build cargo install --locked --quiet --root "$dir" "$1@$2" "${@:3}" >&2
  rm -rf "$dir/build"
  touch "$dir/$1-$2"
}
crate cargo-about "$about" --features cli
crate cargo-cyclonedx "$cyclonedx"
echo "$dir"
