"""Checks what lies in an unpacked release: that everything is there, that the SBOM is valid CycloneDX, and that the SBOM
and the licence notices, which two programs made, name the same libraries. Argument: the folder."""

import json
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
doc = root / "share/doc/codex-exec-server"
failures = []


def check(what: str, ok: bool, detail: str) -> None:
    print(f"  {'ok     ' if ok else 'FAILED '} {what:44} {detail}")
    if not ok:
        failures.append(what)


wanted = [
    "bin/codex-exec-server",
    "share/bash-completion/completions/codex-exec-server",
    "share/zsh/site-functions/_codex-exec-server",
    "share/fish/vendor_completions.d/codex-exec-server.fish",
    "share/man/man1/codex-exec-server.1",
    "share/man/man1/codex-exec-server-run.1",
    *(f"share/doc/codex-exec-server/{name}" for name in (
        "LICENSE", "README.md", "THIRD-PARTY-NOTICES.txt", "RUST-STANDARD-LIBRARY-NOTICES.html", "sbom.cdx.json")),
]
missing = [path for path in wanted if not (root / path).is_file() or not (root / path).stat().st_size]
check("files", not missing, f"missing: {missing}" if missing else f"{len(wanted)} of those that must be there")

listed = {line.split("  ", 1)[1] for line in (root / "SHA256SUMS").read_text().splitlines()}
there = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {"SHA256SUMS"}
check("SHA256SUMS lists every file", listed == there, f"{len(listed)} files; apart: {sorted(listed ^ there)}")

text = (doc / "sbom.cdx.json").read_text()
sbom = json.loads(text)
try:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
except ImportError:
    print("  NOT CHECKED: the SBOM against its schema (pip install 'cyclonedx-python-lib[json-validation]')")
else:
    problem = JsonStrictValidator(SchemaVersion.from_version(sbom["specVersion"])).validate_str(text)
    check("SBOM against its schema", problem is None, f"CycloneDX {sbom['specVersion']}" if problem is None else str(problem).splitlines()[0])

libraries = {
    (component["name"], component["version"])
    for component in sbom["components"]
    if not component["name"].startswith(("codex-exec-server", "codex-linux-sandbox"))
}
notices = (doc / "THIRD-PARTY-NOTICES.txt").read_text()
noticed = set(re.findall(r"^  (\S+) (\d+\.\d+\.\S+)(?:  .*)?$", notices, flags=re.MULTILINE))
check("notices and SBOM name the same libraries", libraries == noticed,
      f"{len(libraries)} libraries; in one alone: {sorted(libraries ^ noticed)}")
check("no library without a licence in the SBOM",
      all(component.get("licenses") for component in sbom["components"]), f"{len(sbom['components'])} components")
sys.exit(bool(failures))
