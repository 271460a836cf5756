#!/usr/bin/env bash
# Tests install.sh: against a server on this machine that holds small made-up releases, and with platforms and tools that
# it should refuse. Each case says in its name what must hold.
set -euo pipefail
script=$(realpath "$(dirname "${BASH_SOURCE[0]}")/install.sh")
name=codex-exec-server triple=x86_64-unknown-linux-gnu
work=$(mktemp -d)
server=
# shellcheck disable=SC2317,SC2329 # Called by the trap.
finish() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
passed=0 failed=0
shells=(sh)
if command -v busybox >/dev/null; then shells+=('busybox sh'); fi

release() { # FOLDER TRIPLE VERSION [EXIT-CODE]: an archive and its sum
  local root=$work/tree/$name-$2
  rm -rf "$work/tree"
  mkdir -p "$root/bin" "$root/share/man/man1" "$1"
  printf '#!/bin/sh\necho "%s %s"\nexit %d\n' "$name" "$3" "${4:-0}" >"$root/bin/$name"
  chmod 755 "$root/bin/$name"
  echo manual >"$root/share/man/man1/$name.1"
  tar -czf "$1/$name-$2.tar.gz" -C "$work/tree" "$name-$2"
  (cd "$1" && sha256sum "$name-$2.tar.gz" >"$name-$2.tar.gz.sha256")
}
only() { # TOOL...: a folder for PATH that has nothing else
  local dir tool
  dir=$(mktemp -d "$work/path.XXXX")
  for tool in "$@"; do ln -s "$(command -v "$tool")" "$dir/$tool"; done
  echo "$dir"
}
pretend() { # TOOL SCRIPT: the PATH of this machine, with another TOOL before it
  local dir
  dir=$(mktemp -d "$work/path.XXXX")
  printf '#!/bin/sh\n%s\n' "$2" >"$dir/$1"
  chmod 755 "$dir/$1"
  echo "$dir:$PATH"
}
# run NAME WANTED-CODE WANTED-TEXT ARGUMENT...: in every shell, with PATH from `path` and an installed version of `before`.
path=$PATH before='' after=''
run() {
  local what=$1 code=$2 text=$3 shell command got output version
  shift 3
  for shell in "${shells[@]}"; do
    rm -rf "$work/prefix"
    if [[ -n $before ]]; then
      mkdir -p "$work/prefix/bin"
      printf '#!/bin/sh\necho "%s %s"\n' "$name" "$before" >"$work/prefix/bin/$name"
      chmod 755 "$work/prefix/bin/$name"
    fi
    read -ra command <<<"$shell"
    command[0]=$(command -v "${command[0]}")
    output=$(PATH=$path HOME=$work "${command[@]}" "$script" --prefix "$work/prefix" "$@" 2>&1) && got=0 || got=$?
    version=$("$work/prefix/bin/$name" 2>/dev/null) || version=
    if [[ $got == "$code" && $output == *"$text"* && $version == "${after:+$name $after}" ]]; then
      passed=$((passed + 1))
      echo "ok      $what ($shell)"
    else
      failed=$((failed + 1))
      printf 'FAILED  %s (%s)\n  wanted code %s, text "%s", installed "%s"\n  got code %s, installed "%s", and\n%s\n' \
        "$what" "$shell" "$code" "$text" "${after:+$name $after}" "$got" "$version" "$output"
    fi
  done
}

site=$work/site
release "$site/good" "$triple" 2.0
release "$site/good" x86_64-unknown-linux-musl 2.0-musl
release "$site/good" aarch64-unknown-linux-musl 2.0-arm
release "$site/broken" "$triple" 3.0 1
cp -r "$site/good" "$site/corrupted"
# One bit of the middle, as a bad disk or line would do it.
python3 - "$site/corrupted/$name-$triple.tar.gz" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(100)
    byte = file.read(1)[0]
    file.seek(100)
    file.write(bytes([byte ^ 1]))
END
cp -r "$site/good" "$site/sumless" && rm "$site/sumless/$name-$triple.tar.gz.sha256"
cp -r "$site/good" "$site/emptysum" && : >"$site/emptysum/$name-$triple.tar.gz.sha256"
cp -r "$site/good" "$site/page" && echo '<html>Not found</html>' >"$site/page/$name-$triple.tar.gz.sha256"
mkdir "$site/other" && cp "$site/good/$name-x86_64-unknown-linux-musl.tar.gz" "$site/other/$name-$triple.tar.gz"
(cd "$site/other" && sha256sum "$name-$triple.tar.gz" >"$name-$triple.tar.gz.sha256")

mkfifo "$work/port"
python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$site" >"$work/port" 2>/dev/null &
server=$!
read -r line <"$work/port"
[[ $line =~ port\ ([0-9]+) ]] || { echo "no port in: $line"; exit 1; }
url=http://127.0.0.1:${BASH_REMATCH[1]}
good=$site/good/$name-$triple.tar.gz
is=(--target "$triple")

after=2.0
run 'installs from a server' 0 "$name 2.0 is in" --from "$url/good" "${is[@]}"
run 'a slash after the address does no harm' 0 'is in' --from "$url/good/" "${is[@]}"
run 'installs from a folder named by URL' 0 'is in' --from "file://$site/good" "${is[@]}"
run 'installs a file that is here' 0 'is in' --archive "$good" "${is[@]}"
run 'takes the sum from elsewhere' 0 'is in' --archive "$good" --sha256 "$(sha256sum <"$good" | cut -c1-64)" "${is[@]}"
run 'takes the sum in capitals' 0 'is in' --archive "$good" --sha256 "$(sha256sum <"$good" | cut -c1-64 | tr a-f A-F)" "${is[@]}"
before=1.0
run 'takes the place of an older version' 0 'is in' --from "$url/good" "${is[@]}"

after=2.0-musl
path=$(pretend getconf 'echo glibc 2.12') run 'takes musl where glibc is too old' 0 'is in' --from "$url/good"
path=$(pretend getconf 'exit 1') run 'takes musl where there is no glibc' 0 'is in' --from "$url/good"

after=1.0
run 'a corrupted archive is refused' 1 'nothing was installed' --from "$url/corrupted" "${is[@]}"
run 'a corrupted file is refused' 1 'nothing was installed' --archive "$site/corrupted/$name-$triple.tar.gz" "${is[@]}"
run 'another sum than the given one is refused' 1 'nothing was installed' --archive "$good" --sha256 "$(printf '0%.0s' {1..64})" "${is[@]}"
run 'a sum that is none is refused' 1 'is no SHA-256 sum' --archive "$good" --sha256 abc "${is[@]}"
run 'a server without the sum is refused' 1 "could not get $url/sumless/$name-$triple.tar.gz.sha256" --from "$url/sumless" "${is[@]}"
run 'an empty sum is refused' 1 'is empty' --from "$url/emptysum" "${is[@]}"
run 'a page in place of the sum is refused' 1 'is no SHA-256 sum' --from "$url/page" "${is[@]}"
run 'an archive of another triple is refused' 1 "no release for $triple" --from "$url/other" "${is[@]}"
run 'a program that does not run is not installed' 1 'does not run here' --from "$url/broken" "${is[@]}"
run 'a triple that is not there is refused' 1 'could not get' --from "$url/good" --target mips-unknown-linux-gnu
run 'a file that is not there is refused' 1 'no archive' --archive "$work/nothing.tar.gz" "${is[@]}"
run 'plain HTTP off this machine is refused' 1 'use https' --from http://releases.invalid "${is[@]}"
run 'plain HTTP is not taken for local by its beginning' 1 'use https' --from http://127.0.0.1.invalid "${is[@]}"
run 'what is no URL is refused' 1 'is no URL' --from "$site/good" "${is[@]}"
run 'no place to get it from is a mistake in usage' 2 'say where the release is' "${is[@]}"
run 'an unknown flag is a mistake in usage' 2 'unknown argument --form' --form "$url/good"
run 'a flag without its value is a mistake in usage' 2 'needs a value' --from

shells=(sh) # From here on; busybox has these tools inside and takes them from nowhere else.
system() { pretend uname "case \$1 in -s) echo $1 ;; *) echo $2 ;; esac"; }
after=2.0
path=$(system Linux x86_64) run 'finds the triple of a system with glibc' 0 'is in' --from "$url/good"
after=2.0-arm
path=$(system Linux aarch64) run 'finds the triple of arm64' 0 'is in' --from "$url/good"
after=1.0
path=$(system Darwin arm64) run 'another system is refused' 1 'no release for Darwin' --from "$url/good"
path=$(system Linux riscv64) run 'another processor is refused' 1 'processor riscv64' --from "$url/good"
basic=(sh id mktemp rm cp cut tr mkdir chmod mv find uname getconf)
path=$(only "${basic[@]}" gzip sha256sum curl) run 'says that tar is missing' 1 'tar is needed' --from "$url/good" "${is[@]}"
path=$(only "${basic[@]}" tar sha256sum curl) run 'says that gzip is missing' 1 'gzip is needed' --from "$url/good" "${is[@]}"
path=$(only "${basic[@]}" tar gzip curl) run 'says that nothing can check sums' 1 'is needed to check' --from "$url/good" "${is[@]}"
path=$(only "${basic[@]}" tar gzip sha256sum) run 'says that nothing can download' 1 'curl is needed' --from "$url/good" "${is[@]}"
after=2.0
path=$(only "${basic[@]}" tar gzip sha256sum) run 'needs no download for a file' 0 'is in' --archive "$good" "${is[@]}"
if command -v wget >/dev/null; then
  path=$(only "${basic[@]}" tar gzip sha256sum wget) run 'makes do with wget' 0 'is in' --from "$url/good" "${is[@]}"
else
  echo 'SKIPPED makes do with wget (there is none)'
fi
if command -v openssl >/dev/null; then
  path=$(only "${basic[@]}" tar gzip openssl curl) run 'makes do with openssl' 0 'is in' --from "$url/good" "${is[@]}"
else
  echo 'SKIPPED makes do with openssl (there is none)'
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
