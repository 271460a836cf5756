#!/usr/bin/env bash
# Checks every shell script of the checkout. Where shellcheck can't be had, says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v shellcheck >/dev/null 2>&1; then
  echo "shell scripts were NOT checked: shellcheck is missing; tools/setup.sh installs it where pip is"
  exit 0
fi
mapfile -t scripts < <(git ls-files -z --cached --others --exclude-standard | xargs -0 grep -IlsE -m 1 '^#!.*/(env (ba)?sh|(ba)?sh)$')
shellcheck --external-sources -- "${scripts[@]}"
