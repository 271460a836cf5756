#!/bin/sh
# Installs a release of codex-exec-server below a prefix: finds this machine's archive, checks its SHA-256 sum before
# anything is unpacked, and copies program, completions, manual and notices. POSIX sh; docs/releases.md has examples.
set -eu

name=codex-exec-server
usage() {
  cat <<END
usage: install.sh --from URL | --archive FILE  [--prefix DIR] [--target TRIPLE]

  --from URL        folder that holds the releases: https://..., http:// on this machine, or file:///...
                    [default: \$CODEX_EXEC_SERVER_RELEASES]
  --archive FILE    an archive that is already here; FILE.sha256 must lie beside it
  --sha256 HEX      the sum that the archive must have, known from elsewhere, in place of the .sha256 file
  --prefix DIR      where to install [default: ~/.local, or /usr/local for root]
  --target TRIPLE   which archive [default: found out: glibc 2.17 or later, else musl]
END
}
say() { printf '%s\n' "install.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

from=${CODEX_EXEC_SERVER_RELEASES:-} archive='' sum='' prefix='' target=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --from | --archive | --sha256 | --prefix | --target)
      if [ $# -lt 2 ] || [ -z "$2" ]; then say "$1 needs a value"; usage >&2; exit 2; fi
      case $1 in
        --from) from=$2 ;; --archive) archive=$2 ;; --sha256) sum=$2 ;; --prefix) prefix=$2 ;; --target) target=$2 ;;
      esac
      shift 2 ;;
    *) say "unknown argument $1"; usage >&2; exit 2 ;;
  esac
done
[ -n "$archive$from" ] || { say "say where the release is: --from URL or --archive FILE"; usage >&2; exit 2; }
if [ -z "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?"no HOME; say --prefix DIR"}/.local; fi
fi

# Whether this system's C library is glibc of at least 2.17.
has_glibc() {
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 1
  version=${version#glibc }
  minor=${version#*.}
  [ "${version%%.*}" -gt 2 ] || [ "${minor%%.*}" -ge 17 ]
}
find_target() {
  system=$(uname -s) machine=$(uname -m)
  [ "$system" = Linux ] || fail "no release for $system: the server runs on Linux alone"
  case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "no release for the processor $machine: there are x86_64 and aarch64; others build from source" ;;
  esac
  # Releases for arm64 need no C library at all.
  if [ $machine = x86_64 ] && has_glibc; then echo x86_64-unknown-linux-gnu; else echo $machine-unknown-linux-musl; fi
}
sum_of() {
  if have sha256sum; then sha256sum <"$1"; elif have shasum; then shasum -a 256 <"$1"; else openssl dgst -sha256 -r <"$1"; fi |
    cut -d' ' -f1
}
fetch() { # URL FILE
  case $1 in
    https://* | file://*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | 'http://[::1]'[:/]*) ;;
    http://*) fail "$1 can be changed on its way: use https" ;;
    *) fail "$1 is no URL; for a file on this machine use --archive" ;;
  esac
  if have curl; then curl --fail --silent --show-error --location --proto-redir =https --output "$2" "$1"
  elif have wget && [ "${1#file:}" = "$1" ]; then wget -q -O "$2" "$1"
  else fail "curl is needed to get $1 (or wget, for other URLs than file:)"; fi || fail "could not get $1"
}

have tar || fail "tar is needed to unpack the release"
have gzip || fail "gzip is needed to unpack the release"
have sha256sum || have shasum || have openssl || fail "sha256sum, shasum or openssl is needed to check the release"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ -n "$target" ] || target=$(find_target) || exit 1
file=$name-$target.tar.gz

if [ -n "$archive" ]; then
  [ -f "$archive" ] || fail "no archive $archive"
  cp "$archive" "$work/$file"
  if [ -z "$sum" ]; then
    [ -f "$archive.sha256" ] || fail "no $archive.sha256 to check the archive with; put it there, or say --sha256 HEX"
    cp "$archive.sha256" "$work/$file.sha256"
  fi
else
  from=${from%/}
  say "getting $from/$file"
  fetch "$from/$file" "$work/$file"
  [ -n "$sum" ] || fetch "$from/$file.sha256" "$work/$file.sha256"
fi

# Nothing of the archive is looked into before its sum is right.
[ -n "$sum" ] || { read -r sum _ <"$work/$file.sha256" || [ -n "$sum" ] || fail "$file.sha256 is empty"; }
case $sum in *[!0-9a-fA-F]*) fail "'$sum' is no SHA-256 sum" ;; esac
[ ${#sum} = 64 ] || fail "'$sum' is no SHA-256 sum: it has ${#sum} digits, not 64"
sum=$(printf %s "$sum" | tr A-F a-f)
got=$(sum_of "$work/$file")
[ "$got" = "$sum" ] || fail "$file is damaged or not what it should be; nothing was installed
  its SHA-256 sum should be $sum
  and is                    $got"

mkdir "$work/unpacked"
gzip -dc "$work/$file" | (cd "$work/unpacked" && tar -xf -) || fail "could not unpack $file"
root=$work/unpacked/$name-$target
[ -f "$root/bin/$name" ] || fail "$file is no release for $target: it holds no $name-$target/bin/$name"
# Tried before it takes the place of a version that works.
version=$("$root/bin/$name" --version 2>&1) || fail "the program of $file does not run here: $version"

# A program that runs can't be written over, but its name can be given to another.
put() { # FILE MODE
  mkdir -p "$prefix/${1%/*}" && cp "$root/$1" "$prefix/$1.new" && chmod "$2" "$prefix/$1.new" && mv -f "$prefix/$1.new" "$prefix/$1"
}
for path in $(cd "$root" && find share -type f); do put "$path" 644 || fail "could not write $prefix/$path"; done
put "bin/$name" 755 || fail "could not write $prefix/bin/$name"
say "$version is in $prefix/bin"
case :$PATH: in *":$prefix/bin:"*) ;; *) say "$prefix/bin is not in PATH" ;; esac
