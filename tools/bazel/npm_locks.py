#!/usr/bin/env python3
"""Checks every package.json of the checkout against its package-lock.json, without a registry: what is asked for is what is
locked, everything locked has a checksum, and nothing is pinned to a place that others can't reach. Prints what differs."""

import json
import pathlib
import subprocess
import sys

ASKED = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "engines"]


def tracked(name):
    """Files of this name that belong to the checkout, also new ones that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", name, f"*/{name}"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [pathlib.Path(line) for line in listed.splitlines() if pathlib.Path(line).exists()]


def differences(manifest, lock):
    """What is wrong between these two, in words."""
    packages = lock.get("packages", {})
    if lock.get("lockfileVersion") != 3:
        yield f"lockfileVersion is {lock.get('lockfileVersion')}, not 3"
    root = packages.get("", {})
    for what in ["name", "version", *ASKED]:
        asked, locked = manifest.get(what), root.get(what)
        if asked != locked and (what != "version" or locked is not None):
            yield f"{what} is {json.dumps(asked)} in package.json and {json.dumps(locked)} in the lock"
    for what in ASKED[:3]:
        for name, wanted in manifest.get(what, {}).items():
            found = packages.get(f"node_modules/{name}", {}).get("version")
            if found is None:
                yield f"{name} is asked for and not locked"
            elif wanted[:1].isdigit() and wanted != found:
                yield f"{name} {wanted} is asked for and {found} is locked"
    for path, package in packages.items():
        if not path or package.get("link") or package.get("inBundle"):
            continue
        if not package.get("integrity", "").startswith("sha512-"):
            yield f"{path} has no SHA-512 sum"
        resolved = package.get("resolved", "https://registry.npmjs.org/")
        if not resolved.startswith("https://registry.npmjs.org/"):
            yield f"{path} is pinned to {resolved}"


def main():
    failed = False
    for path in tracked("package.json"):
        lock = path.with_name("package-lock.json")
        if not lock.exists():
            print(f"{path} has no {lock.name} beside it", file=sys.stderr)
            failed = True
            continue
        try:
            found = list(differences(json.loads(path.read_text()), json.loads(lock.read_text())))
        except (ValueError, AttributeError) as error:
            found = [f"it can't be read: {error}"]
        for difference in found:
            print(f"{lock}: {difference}", file=sys.stderr)
        failed = failed or bool(found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
