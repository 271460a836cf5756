#!/bin/sh
# The server's main job on a system that it was not built on; release-check.sh runs this in there. POSIX sh, and only
# tools that a minimal Debian and busybox both have. Arguments: ARCHIVE TRIPLE.
# shellcheck disable=SC2016 # What stands in single quotes is for shells that the server starts.
set -eu
archive=$1 target=$2
work=$(mktemp -d)
server=''
# shellcheck disable=SC2317,SC2329 # Called by the trap.
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
failed=0
check() { # WHAT EXPECTED GOT
  if [ "$2" = "$3" ]; then
    printf '  ok      %-44s %s\n' "$1" "$3"
  else
    printf '  FAILED  %-44s expected %s, got %s\n' "$1" "$2" "$3"
    failed=1
  fi
}

libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc='no glibc'
echo "this is Debian $(cat /etc/debian_version 2>/dev/null || echo 'not at all'), $libc"
sh /release/install.sh --archive "$archive" --target "$target" --prefix /usr/local 2>"$work/install" || { cat "$work/install"; exit 1; }
name=codex-exec-server
check "installed" "/usr/local/bin/$name" "$(command -v $name)"

# A user that only this system's database knows. The server runs as that user, with nothing in its environment.
echo 'builder:x:4711:4711:,,,:/home/of/builder:/bin/shell-of-builder' >>/etc/passwd
echo 'builder:x:4711:' >>/etc/group
mkdir -p /home/of/builder && chown 4711:4711 /home/of/builder
mkfifo "$work/url"
chmod 755 "$work"
if command -v setpriv >/dev/null && setpriv --reuid 4711 --regid 4711 --clear-groups true 2>/dev/null; then
  env -i PATH=/usr/bin:/bin setpriv --reuid 4711 --regid 4711 --clear-groups /usr/local/bin/$name --listen ws://127.0.0.1:0 >"$work/url" &
  server=$!
else
  # busybox: `su` leaves the variables of this shell, so they are taken away after it.
  su -s /bin/sh builder -c "exec env -i PATH=/usr/bin:/bin /usr/local/bin/$name --listen ws://127.0.0.1:0" >"$work/url" &
  server=$!
fi
read -r url <"$work/url"
echo "server on $url"

run() { "$name" run --connect "$url" "$@"; }
code() { if "$@" >/dev/null 2>&1; then echo 0; else echo $?; fi; }
sum() { sha256sum | cut -c1-16; }

check "exit code" 7 "$(code run -- sh -c 'exit 7')"
check "death by a signal" 143 "$(code run -- sh -c 'kill -TERM $$')"
check "a command that is not there" 127 "$(code run -- no-such-command)"
check "who runs it" 4711 "$(run -- id -u)"
told() { "$name" info --connect "$url" | sed -n "s/^$1  *//p"; }
check "home, from the user database" /home/of/builder "$(told home)"
check "shell, from the user database" /bin/shell-of-builder "$(told shell)"
numbers='i=0; while [ $i -lt 40000 ]; do echo "line $i of what is compared"; i=$((i + 1)); done'
check "output, every byte" "$(sh -c "$numbers" | sum)" "$(run -- sh -c "$numbers" | sum)"
check "stdin, every byte and its end" "$(head -c 20000000 "/usr/local/bin/$name" | sum)" \
  "$(head -c 20000000 "/usr/local/bin/$name" | run -- sh -c 'sha256sum | cut -c1-16')"
check "stdout and stderr apart" 'out|err' "$(run -- sh -c 'echo out; echo err >&2' 2>"$work/err")|$(cat "$work/err")"
check "a variable" "two words" "$(run --env 'GIVEN=two words' -- sh -c 'echo "$GIVEN"')"
check "a terminal" yes "$(run --tty -- sh -c 'test -t 0 && test -t 1 && echo yes' </dev/null | tr -d '\r')"
check "time-out" 124 "$(code run --timeout 0.2 -- sleep 600)"
# The command's daemon left its session and its parent died; ending the command must end the daemon too.
check "everything ends with it" 124 \
  "$(code run --timeout 0.5 -- sh -c "(setsid sh -c 'exec sleep 4242' &) ; sleep 600")"
left=0
for process in /proc/[0-9]*; do
  if [ "$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)" = 'sleep 4242 ' ]; then left=$((left + 1)); fi
done
check "what is left of a daemon" 0 $left
id=$(HOME=/root run --detach -- sh -c 'echo left alone; exit 5' 2>/dev/null)
check "left running and found again" 'left alone' "$(HOME=/root $name attach "$id" 2>/dev/null || true)"
check "here, without a server" 3 "$(code $name run -- sh -c 'exit 3')"
kill "$server"
wait "$server" 2>/dev/null && stopped=0 || stopped=$?
server=''
check "told to stop, it stops" 0 "$stopped"
exit $failed
