#!/usr/bin/env python3
"""Hunts flakes by repetition: runs each test many times and prints target, runs, failures and the slowest run.

    tools/bazel/flakes.py [--runs 25] [--load none|cpu|io|both] [TARGET ...]

With --load, processes beside the tests keep all cores, or the disk, busy meanwhile, which is when a race shows. They end
with this command. Tests that only read the sources (tag `lint`) are left out. Exits 1 when any run failed, and names the
logs of those runs.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUSY = ["sh", "-c", "while :; do :; done"]
# Writes and flushes a file again and again; conv=fsync waits for the disk each time.
WRITING = ["sh", "-c", "while :; do dd if=/dev/zero of=\"$0\" bs=1M count=64 conv=fsync status=none; done"]


def load(kind, folder):
    """Starts what keeps the machine busy; returns the processes."""
    commands = []
    if kind in ("cpu", "both"):
        commands += [BUSY] * (os.cpu_count() or 1)
    if kind in ("io", "both"):
        commands += [WRITING + [os.path.join(folder, "written")]]
    return [subprocess.Popen(command, start_new_session=True) for command in commands]


def bazel():
    """The command, as tools/bazel/test.sh finds it too."""
    prefix = os.environ.get("BAZEL_PREFIX", "/opt/bazel-debian")
    found = shutil.which("bazelisk") or shutil.which("bazel") or shutil.which("bazel", path=f"{prefix}/bin")
    return found or sys.exit("flakes.py: no Bazel here; docs/bazel.md says how to get it")


def results(events):
    """From Bazel's event file: per target its runs as (passed, milliseconds, log)."""
    runs = collections.defaultdict(list)
    with open(events, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            result = event.get("testResult")
            if result is None:
                continue
            logs = {output["name"]: output.get("uri", "") for output in result.get("testActionOutput", [])}
            duration = result.get("testAttemptDuration", "0s")
            milliseconds = int(result.get("testAttemptDurationMillis") or float(duration.rstrip("s")) * 1000)
            label = event["id"]["testResult"]["label"]
            runs[label].append((result["status"] == "PASSED", milliseconds, logs.get("test.log", "")))
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=25, help="how often each test runs (default 25)")
    parser.add_argument("--load", choices=["none", "cpu", "io", "both"], default="none", help="what runs beside them")
    parser.add_argument("targets", nargs="*", default=["//..."], help="Bazel targets (default: every test)")
    options = parser.parse_args()
    if not 1 <= options.runs <= 10_000:
        parser.error("--runs must be from 1 to 10000")
    with tempfile.TemporaryDirectory() as folder:
        events = os.path.join(folder, "events.json")
        busy = load(options.load, folder)
        try:
            command = [bazel(), "test", f"--runs_per_test={options.runs}", "--nocache_test_results", "--keep_going",
                       "--test_tag_filters=-lint",
                       "--test_output=errors", f"--build_event_json_file={events}", *options.targets]
            code = subprocess.run(command, check=False).returncode
        finally:
            for process in busy:
                os.killpg(process.pid, 9)
                process.wait()
        if not os.path.exists(events):
            sys.exit(code or 1)
        runs = results(events)
    if not runs:
        print("no test ran", file=sys.stderr)
        sys.exit(code or 1)
    width = max(len(label) for label in runs)
    print(f"{'target':{width}}  {'runs':>5}  {'failures':>8}  slowest")
    failed = []
    for label in sorted(runs):
        attempts = runs[label]
        failures = [log for passed, _, log in attempts if not passed]
        failed += failures
        slowest = max(milliseconds for _, milliseconds, _ in attempts) / 1000
        print(f"{label:{width}}  {len(attempts):>5}  {len(failures):>8}  {slowest:.1f} s")
    total = sum(len(attempts) for attempts in runs.values())
    print(f"{total - len(failed)} passed, {len(failed)} failed")
    for log in failed:
        print(f"log of a failed run: {log.removeprefix('file://')}")
    # Bazel's own code says whether anything did not even build.
    sys.exit(1 if failed else code)


if __name__ == "__main__":
    main()
