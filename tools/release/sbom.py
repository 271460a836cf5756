"""Prints an SBOM of what is linked into the program, from one of what the whole workspace could need: cargo's metadata joins
the features of all crates of a workspace, tests included, while a build of one of them takes its own alone.
Arguments: the SBOM (CycloneDX JSON), a file with what `cargo tree` lists (`NAME vVERSION ...`), the folder of sources."""

import json
import sys
from pathlib import Path

whole, tree, src = (Path(argument) for argument in sys.argv[1:])
linked = {tuple(line.split()[:2]) for line in tree.read_text().splitlines() if line}
# File URLs of this machine's folders are names here, and nobody else has those folders.
sbom = json.loads(whole.read_text().replace(f"file://{src}/", "file:///"))
sbom["components"] = [
    component for component in sbom["components"] if (component["name"], f"v{component['version']}") in linked
]
kept = {component["bom-ref"] for component in sbom["components"]} | {sbom["metadata"]["component"]["bom-ref"]}
sbom["dependencies"] = [
    {**entry, "dependsOn": [ref for ref in entry["dependsOn"] if ref in kept]} if "dependsOn" in entry else entry
    for entry in sbom["dependencies"]
    if entry["ref"] in kept
]
json.dump(sbom, sys.stdout, indent=2)
print()
