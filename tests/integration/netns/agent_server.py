"""Answers as a node agent does at a path of its own: `agent_server.py PORT PATH BODY`. The rest is 404."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    """Knows one path."""

    def do_GET(self) -> None:
        """Answer."""
        _, _, path, body = sys.argv
        content = body.encode() if self.path == path else b""
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


server = HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler)
sys.stdout.write("ready\n")
sys.stdout.flush()
server.serve_forever()
