#!/usr/bin/env bash
# Runs the package's tests for Bazel: in a copy of what was declared, with the packages of package-lock.json.
set -euo pipefail
if ! command -v npm >/dev/null; then
  echo "Node.js with npm is missing (20.4 or later): tools/test-peers.sh installs it" >&2
  exit 1
fi
CODEX_EXEC_SERVER_BIN=$(realpath "$CODEX_EXEC_SERVER_BIN")
export CODEX_EXEC_SERVER_BIN
copy=$TEST_TMPDIR/copy
mkdir "$copy"
# What is declared are links, which the tools would follow out of here.
cp -RL sdk-ts schema "$copy"
mkdir -p "$copy/codex-rs/exec-server"
cp -RL codex-rs/exec-server/console "$copy/codex-rs/exec-server"
cd "$copy/sdk-ts"
npm ci --prefer-offline --no-audit --no-fund --loglevel=error >/dev/null
npm run --silent build
npm run --silent check
npx --no-install vitest run --reporter=dot
