"""A scripted model: the part of the Responses endpoint that the public CLI uses, on loopback.

A script is a list of steps. Each is called with the outputs of the tool calls so far and gives the items of the next
answer; behind the last step the model says that it is done. Every request is kept, so that a scenario can look at what the
model was told.
"""

import http.server
import json
import threading


class Model:
    """One run's model. `requests` holds the bodies of all requests, oldest first."""

    def __init__(self, steps):
        self.steps = list(steps)
        self.requests = []
        self.faults = []
        self._lock = threading.Lock()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self._send(404, "application/json", b"{}")

            def do_POST(self):
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length))
                self._send(200, "text/event-stream", model.answer(body))

            def _send(self, status, kind, body):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def outputs(self):
        """Outputs of all tool calls, oldest first."""
        return outputs_of(self.requests[-1]) if self.requests else []

    def answer(self, body):
        with self._lock:
            step = len(self.requests)
            self.requests.append(body)
            items = [message("done")]
            if step < len(self.steps):
                try:
                    items = self.steps[step](outputs_of(body))
                except Exception as error:  # A step that can't go on ends the run, and the run says why.
                    self.faults.append(f"step {step + 1}: {error!r}; the last output was {outputs_of(body)[-1:]}")
            events = [{"type": "response.created", "response": {"id": f"r{step}"}}]
            events += [{"type": "response.output_item.done", "item": item} for item in items]
            usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
            events.append({"type": "response.completed", "response": {"id": f"r{step}", "usage": usage}})
            return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def outputs_of(body):
    found = [item["output"] for item in body["input"] if item.get("type", "").endswith("_output")]
    return [output if isinstance(output, str) else json.dumps(output) for output in found]


def message(text):
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


_calls = iter(range(1, 1 << 30))


def call(name, namespace=None, **arguments):
    """One tool call."""
    item = {
        "type": "function_call",
        "call_id": f"call-{next(_calls)}",
        "name": name,
        "arguments": json.dumps(arguments),
    }
    if namespace:
        item["namespace"] = namespace
    return item
