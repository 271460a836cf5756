"""The two servers that are compared, a network between them and the client, and one run of the client."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from responses import Model
from side import SIDE

PATIENCE = 120


class Server:
    """An exec server: `ours`, or the client's own. Ends with the `with` block."""

    def __init__(self, name, program, arguments):
        self.name = name
        self.home = tempfile.TemporaryDirectory(prefix="compat-executor-")
        environment = base_environment(self.home.name) | {SIDE: "executor"}
        self.process = subprocess.Popen(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("ws://"):
            raise RuntimeError(f"{program} does not say where it listens but {self.url!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.home.cleanup()


def base_environment(home):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


class Cuts:
    """A proxy before a server that cuts its connections, once, right behind the first message that holds `after`."""

    def __init__(self, url, after):
        host, port = re.fullmatch(r"ws://([\d.]+):(\d+)/?", url).groups()
        self.target = (host, int(port))
        self.after = after
        self.cut = False
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(self.target)
            threading.Thread(target=self._carry, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, self.after), daemon=True).start()

    def _carry(self, source, sink, after):
        seen = b""
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
                if after and not self.cut:
                    seen = seen[-200:] + piece
                    if after in seen:
                        self.cut = True
                        break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Run:
    """What one run of the client came to."""

    def __init__(self, code, model, project, events, proxy):
        self.code = code
        self.outputs = model.outputs()
        self.told = str(model.requests[0]) if model.requests else ""
        self.requests = model.requests
        self.faults = model.faults
        self.events = events
        self.connections = proxy.connections if proxy else None
        self.files = {
            str(path.relative_to(project)): path.read_bytes()
            for path in sorted(project.rglob("*"))
            if path.is_file() and ".git" not in path.parts
        }


def run(cli, server, scenario, folder):
    """Runs the client on `server`: a project of `scenario.files`, and the script as its model."""
    # The same path for both servers, so that it may appear in outputs.
    project = pathlib.Path(folder) / "project"
    shutil.rmtree(project, ignore_errors=True)
    for name, content in scenario.files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (project / ".git").mkdir(parents=True, exist_ok=True)
    model = Model(scenario.steps)
    proxy = Cuts(server.url, scenario.cut_after) if scenario.cut_after else None
    with tempfile.TemporaryDirectory(prefix="compat-client-") as home:
        config = (
            'model = "scripted"\nmodel_provider = "scripted"\n'
            f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{model.url}"\nwire_api = "responses"\n'
        )
        (pathlib.Path(home) / "config.toml").write_text(config + scenario.config(folder))
        environment = base_environment(home) | {
            "CODEX_HOME": home,
            "CODEX_EXEC_SERVER_URL": proxy.url if proxy else server.url,
        }
        command = [cli, "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        command += ["-C", str(project / scenario.workdir), "go"]
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
            )
            code, events = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            code, events = f"not over after {PATIENCE} s", str(late.stdout)
        finally:
            model.close()
            if proxy:
                proxy.close()
    return Run(code, model, project, events, proxy)


# What is different in every run: names of chunks, times, numbers of sessions.
_CHANGING = [
    (re.compile(r"Chunk ID: [0-9a-f]+"), "Chunk ID: *"),
    (re.compile(r"[Ww]all time: [\d.]+ seconds"), "Wall time: *"),
    (re.compile(r"session ID \d+"), "session ID *"),
]


def steady(text):
    for pattern, told in _CHANGING:
        text = pattern.sub(told, text)
    return text
