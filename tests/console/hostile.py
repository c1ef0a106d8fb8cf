"""A partner who answers whatever it is told to: bodies that want to run, to mislead, or to be too much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

BODIES: Mapping[str, tuple[str, bytes]] = {
    "script": ("text/html", b"<script>alert(1)</script><script src='http://192.0.2.1/x.js'></script>"),
    "image": (
        "text/html",
        b"<img src=x onerror=alert(1)><svg onload=alert(1)><iframe src='http://192.0.2.1/'></iframe>",
    ),
    "closes": ("text/html", b"</pre></textarea></script><script>alert(1)</script>"),
    "link": ("text/plain", b"javascript:alert(1) <a href='javascript:alert(1)'>here</a>"),
    "turned": ("text/plain; charset=utf-8", "paid\u202e0001 \u2066\u200bLIAF".encode()),
    "template": ("text/plain", b"${alert(1)} {{constructor.constructor('alert(1)')()}} <template><b>x</b></template>"),
    "large": ("text/plain", b"a" * 70_000),
    "binary": ("application/octet-stream", bytes(range(256)) * 250),
    "number": ("application/json", b'{"id": 12345678901234567890, "x": 1.10}'),
    "prototype": ("application/json", b'{"__proto__": {"polluted": 1}, "constructor": 1}'),
}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        kind, body = BODIES[self.path.rsplit("/", 1)[-1]]
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(500)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def answering() -> Iterator[str]:
    """Serve while the block runs: the URL, to which the name of a body is added."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
