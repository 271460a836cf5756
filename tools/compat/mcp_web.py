"""An HTTP MCP server with one tool, which tells who asks."""

import http.server
import json
import threading

import side
from mcp_tool import answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._send(405, None)

    def do_DELETE(self):
        self._send(200, None)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        asked_by = side.of_connection(self.client_address[1], self.server.server_address[1])
        told = answer(request, f"web server asked by the {asked_by}")
        self._send(202 if told is None else 200, told)

    def _send(self, status, told):
        body = b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    """Its URL; it ends with the program."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/mcp"
