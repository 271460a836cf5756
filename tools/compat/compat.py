#!/usr/bin/env python3
"""The public CLI as a client of this project's server and of its own: the same scenarios on both, the same results.

    tools/compat/compat.py --cli PATH/TO/codex [--server PATH/TO/codex-exec-server] [--only WORD] [--verbose]

The model is scripted and everything happens on loopback. Ends with 1 if a scenario fails on our server, or comes out
differently on the two. docs/compatibility.md says what is compared, and what is known to differ.
"""

import argparse
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
# The checkout stays as it is.
sys.dont_write_bytecode = True

import mcp_web
from machines import Server, run, steady
from scenarios import SCENARIOS


def differences(scenario, ours, theirs):
    """In what two runs that succeeded differ."""
    found = []
    if ours.code != theirs.code:
        found.append(f"exit code {ours.code}, there {theirs.code}")
    if ours.files != theirs.files:
        found.append(f"files {ours.files}, there {theirs.files}")
    if scenario.compare_outputs:
        pairs = (list(map(steady, ours.outputs)), list(map(steady, theirs.outputs)))
        if pairs[0] != pairs[1]:
            found.append(f"outputs {shown(pairs[0])}, there {shown(pairs[1])}")
    return found


def shown(outputs):
    return [output if len(output) < 2000 else f"{output[:900]} ... {output[-900:]}" for output in outputs]


def failures(scenario, result):
    failed = list(result.faults)
    if result.code != 0:
        failed.append(f"the client ended with {result.code}: {result.events[-1500:]}")
    return failed + scenario.expect(result)


def servers(arguments):
    return (
        Server("ours", arguments.server, ["--listen", "ws://127.0.0.1:0"]),
        Server("reference", arguments.cli, ["exec-server", "--listen", "ws://127.0.0.1:0"]),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cli", default=os.environ.get("CODEX_REFERENCE_BIN"), help="the public CLI, 0.169.0")
    root = pathlib.Path(__file__).resolve().parents[2]
    default = root / "codex-rs/target/release/codex-exec-server"
    parser.add_argument("--server", default=str(default), help="our server's program")
    parser.add_argument("--only", default="", help="scenarios whose name has this word")
    parser.add_argument("--verbose", action="store_true", help="show what the model was told by the tools")
    arguments = parser.parse_args()
    if not arguments.cli:
        parser.error("name the public CLI with --cli or CODEX_REFERENCE_BIN (npm install @openai/codex@0.169.0)")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        (pathlib.Path(folder) / "mcp-url").write_text(mcp_web.serve())
        ours, reference = servers(arguments)
        with ours, reference:
            for scenario in SCENARIOS:
                if arguments.only not in scenario.name:
                    continue
                results = {server.name: run(arguments.cli, server, scenario, folder) for server in (ours, reference)}
                failed = {name: failures(scenario, result) for name, result in results.items()}
                # What the reference itself fails at says nothing about ours.
                differ = [] if any(failed.values()) else differences(scenario, results["ours"], results["reference"])
                verdict = "same" if not any(failed.values()) and not differ else "DIFFERENT"
                if failed["reference"] and not failed["ours"]:
                    verdict = "good, but the reference fails"
                bad += bool(failed["ours"] or differ)
                print(f"{verdict:>9}  {scenario.name}", flush=True)
                for name, texts in failed.items():
                    for text in texts:
                        print(f"           {name} fails: {text}")
                for text in differ:
                    print(f"           {text}")
                if arguments.verbose:
                    for name, result in results.items():
                        print(f"           {name}: {shown(result.outputs)}")
    print(f"{bad} scenarios fail or differ" if bad else "every scenario comes out the same on both servers")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
