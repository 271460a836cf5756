#!/usr/bin/env bash
# Checks an archive that release.sh made: what is in it, and that the program does its main job on another system, which
# it installs into a folder of its own (debootstrap, so it needs root) and enters with chroot. Nothing is left behind but
# the unpacked system in the user's cache folder.
set -euo pipefail
repo=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
here=$repo/tools/release
name=codex-exec-server
suite=bullseye again=no archive=

usage() {
  cat <<END
usage: tools/release-check.sh [--archive FILE] [--suite DEBIAN] [--again]

  --archive FILE  what to check [default: the one in dist/]
  --suite DEBIAN  release of Debian to run it on; \`busybox\` is a system without any C library, for musl's archives
                  [default: bullseye, the oldest that Debian's servers still have in their usual place]
  --again         make the archive a second time, in another folder and from nothing, and compare the bytes
END
}
fail() { echo "release-check.sh: $*" >&2; exit 1; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --archive) archive=$(realpath "${2:?}"); shift 2 ;;
    --suite) suite=${2:?}; shift 2 ;;
    --again) again=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
if [[ -z $archive ]]; then
  found=("$repo"/dist/"$name"-*.tar.gz)
  [[ ${#found[@]} -eq 1 && -e ${found[0]} ]] || fail "say which archive: there are ${#found[@]} of ${found[*]}"
  archive=${found[0]}
fi
target=${archive##*/"$name"-} target=${target%.tar.gz}
[[ $(id -u) -eq 0 ]] || fail "entering another system takes root"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== what is in it"
(cd "$(dirname "$archive")" && sha256sum --quiet --check "$archive.sha256")
tar -xzf "$archive" -C "$work"
root=$work/$name-$target
(cd "$root" && sha256sum --quiet --check SHA256SUMS)
schemas=${XDG_CACHE_HOME:-$HOME/.cache}/codex-exec-server/release-tools/schemas
[[ -d $schemas ]] || python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$schemas" \
  'cyclonedx-python-lib[json-validation]==11.12.0' || echo "the SBOM's schema could not be installed" >&2
PYTHONPATH=$schemas python3 "$here/contents.py" "$root"

if [[ $again == yes ]]; then
  echo "== made again from nothing in another folder"
  git clone --quiet "$repo" "$work/clone"
  CARGO_TARGET_DIR=$work/target "$work/clone/tools/release.sh" --target "$target" --out "$work/again" >/dev/null
  cmp "$archive" "$work/again/$(basename "$archive")"
  echo "the same $(stat -c %s "$archive") bytes"
fi

echo "== on $suite"
other=$work/system
mkdir "$other"
case $suite in
  busybox)
    busybox=$(command -v busybox) || fail "busybox is missing (Debian: busybox-static)"
    mkdir -p "$other/bin" "$other/etc" "$other/root" "$other/tmp" "$other/proc" "$other/dev"
    cp "$busybox" "$other/bin/busybox"
    chroot "$other" /bin/busybox --install -s /bin
    echo 'root:x:0:0:root:/root:/bin/sh' >"$other/etc/passwd"
    echo 'root:x:0:' >"$other/etc/group"
    ;;
  *)
    command -v debootstrap >/dev/null || fail "debootstrap is missing"
    cached=${XDG_CACHE_HOME:-$HOME/.cache}/codex-exec-server/systems/$suite.tar
    if [[ ! -e $cached ]]; then
      echo "installing Debian $suite, once" >&2
      mkdir -p "$(dirname "$cached")"
      debootstrap --variant=minbase "$suite" "$work/fresh" >"$work/log" || { tail -n5 "$work/log" >&2; exit 1; }
      tar -cf "$cached.new" -C "$work/fresh" --one-file-system .
      mv "$cached.new" "$cached"
      rm -rf "$work/fresh"
    fi
    tar -xf "$cached" -C "$other"
    ;;
esac
mkdir "$other/release"
cp "$archive" "$archive.sha256" "$repo/tools/install.sh" "$here/main-job.sh" "$other/release/"
# A namespace of mounts and of processes for it: when its shell ends, so does everything that runs or is mounted there.
# shellcheck disable=SC2016 # Expanded by the shell in there.
unshare --mount --pid --fork --kill-child -- bash -euc '
  mount -t proc proc "$1/proc"
  mount -t tmpfs tmpfs "$1/dev"
  for device in null zero full random urandom tty; do touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"; done
  mkdir "$1/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root chroot "$1" /bin/sh /release/main-job.sh "/release/$2" "$3"
' _ "$other" "$(basename "$archive")" "$target"
