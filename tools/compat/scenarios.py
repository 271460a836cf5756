"""What the client is made to do on each server, and what must come out of it on both.

`expect` gives facts that hold on any good server; what is compared beyond them are the tool outputs as the model sees them
and the files of the project afterwards.
"""

import base64
import dataclasses
import pathlib
import re
import sys
from collections.abc import Callable

from responses import call

HERE = pathlib.Path(__file__).parent
INSTRUCTIONS = b"Always mention the word heliotrope.\n"


@dataclasses.dataclass
class Scenario:
    name: str
    steps: list
    expect: Callable
    files: dict = dataclasses.field(default_factory=dict)
    workdir: str = "."
    config: Callable = lambda folder: ""
    cut_after: bytes = None
    # Whether outputs must be the same to the byte, beside what is expected of each.
    compare_outputs: bool = True


def shell(command, **more):
    return call("exec_command", cmd=command, **{"login": False, "yield_time_ms": 30000} | more)


def session(outputs):
    """The number of the session that still runs."""
    for output in reversed(outputs):
        if found := re.search(r"session ID (\d+)", output):
            return int(found[1])
    raise LookupError("no session runs")


def type_in(characters, yield_time_ms=5000):
    return lambda outputs: [
        call("write_stdin", session_id=session(outputs), chars=characters, yield_time_ms=yield_time_ms)
    ]


def said(run, *texts):
    """Which of `texts` no output holds."""
    everything = "\n".join(run.outputs)
    return [f"no output says {text!r}" for text in texts if text not in everything]


READ_LINES = """trap 'echo interrupted; exit 7' INT
echo ready
while read -r line; do echo "got $line"; done"""

PATCH = """apply_patch <<'EOF'
*** Begin Patch
*** Add File: made/new.txt
+first
+second
*** Update File: kept.txt
@@
-old
+new
*** Delete File: gone.txt
*** End Patch
EOF"""

# One pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def mcp_config(folder):
    return (
        f'[mcp_servers.near]\ncommand = "{sys.executable}"\nargs = ["-B", "{HERE}/mcp_stdio.py"]\n'
        f'environment_id = "remote"\ncwd = "{HERE}"\n'
        f'[mcp_servers.web]\nurl = "{(pathlib.Path(folder) / "mcp-url").read_text()}"\nenvironment_id = "remote"\n'
    )


SCENARIOS = [
    Scenario(
        "a command",
        [lambda _: [shell("pwd; echo out; echo err >&2; exit 3")]],
        lambda run: said(run, "exited with code 3", "\nout\n", "err\n"),
        # Nothing orders the two streams.
        compare_outputs=False,
    ),
    Scenario(
        "large output",
        [lambda _: [shell("seq 1 130000", max_output_tokens=1000000)]],
        lambda run: said(run, "exited with code 0", "\n1\n2\n", "\n129999\n130000\n"),
    ),
    Scenario(
        "an interactive session with later writes and Ctrl-C",
        [
            lambda _: [shell(READ_LINES, tty=True, yield_time_ms=1000)],
            type_in("one\n"),
            type_in("two\n"),
            type_in("\u0003"),
        ],
        lambda run: said(run, "ready", "got one", "got two", "interrupted", "exited with code 7"),
        # Which output comes with which write depends on how fast each was.
        compare_outputs=False,
    ),
    Scenario(
        "a patch that creates, updates and deletes",
        [lambda _: [shell(PATCH)]],
        lambda run: []
        if run.files == {"made/new.txt": b"first\nsecond\n", "kept.txt": b"a\nnew\nz\n"}
        else [f"the files are {run.files}"],
        files={"kept.txt": b"a\nold\nz\n", "gone.txt": b"x\n"},
    ),
    Scenario(
        "instruction files",
        [],
        lambda run: [f"the model was not told {text!r}" for text in ("heliotrope", "vermilion") if text not in run.told],
        files={"AGENTS.md": INSTRUCTIONS, "sub/AGENTS.md": b"And vermilion.\n"},
        workdir="sub",
    ),
    Scenario(
        "a picture",
        [lambda _: [call("view_image", path="picture.png")]],
        lambda run: [] if "data:image/png;base64,iVBOR" in str(run.requests[-1]) else ["the model does not see it"],
        files={"picture.png": PICTURE},
    ),
    Scenario(
        "MCP servers on the executor, over its stdio and over its HTTP",
        [
            lambda _: [call("side", namespace="mcp__near")],
            lambda _: [call("side", namespace="mcp__web")],
        ],
        lambda run: said(run, "stdio server on the executor", "web server asked by the executor"),
        config=mcp_config,
    ),
    Scenario(
        "a connection that is cut in the middle",
        [lambda _: [shell("for n in $(seq 1 30); do echo line $n; sleep 0.1; done; exit 5")]],
        lambda run: said(run, "exited with code 5", *[f"line {n}\n" for n in range(1, 31)])
        + ([] if run.connections >= 2 else ["it was not cut"]),
        cut_after=b'"process/output"',
    ),
]
