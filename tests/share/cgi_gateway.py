"""A web server that asks one CGI program: how map servers are run in these tests.

python cgi_gateway.py PORT PROGRAM [NAME=VALUE …]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gateway(BaseHTTPRequestHandler):
    """Hands each GET to the program, and its answer back."""

    def do_GET(self) -> None:
        """Run the program once."""
        if "ASK_FIRST" in os.environ and not self._may():
            return
        path, _, query = self.path.partition("?")
        fixed = os.environ.get("CGI_QUERY", "")
        query = f"{fixed}&{query}" if fixed else query
        environment = {
            **os.environ, "QUERY_STRING": query, "REQUEST_METHOD": "GET", "SCRIPT_NAME": path,
            "REQUEST_URI": f"{path}?{query}", "SERVER_NAME": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_PORT": str(self.server.server_address[1]), "GATEWAY_INTERFACE": "CGI/1.1",
        }  # fmt: skip
        done = subprocess.run([sys.argv[2]], env=environment, capture_output=True, check=False)
        head, body = re.split(rb"\r?\n\r?\n", done.stdout, maxsplit=1)
        listed = [line.split(":", 1) for line in head.decode().splitlines() if ":" in line]
        headers = {name.strip().lower(): value.strip() for name, value in listed}
        self.send_response(int(headers.get("status", "200").split()[0]))
        self.send_header("content-type", headers.get("content-type", "text/plain"))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _may(self) -> bool:
        """Whether citymap lets the asker in: what nginx does by `auth_request`."""
        sent = {k: v for k, v in self.headers.items() if k.lower() == "authorization"}
        try:
            urllib.request.urlopen(urllib.request.Request(os.environ["ASK_FIRST"], headers=sent))  # noqa: S310
        except urllib.error.HTTPError as refused:
            self.send_response(refused.code)
            for name in ("www-authenticate", "content-type"):
                if name in refused.headers:
                    self.send_header(name, refused.headers[name])
            self.end_headers()
            return False
        return True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    os.environ.update(pair.split("=", 1) for pair in sys.argv[3:])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Gateway).serve_forever()
