"""A page of metrics such as a process serves, saying what a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Page(ThreadingHTTPServer):
    """Answers every request with `text`."""

    daemon_threads = True

    def __init__(self, text: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.text = text

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        body = self.server.text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def serving(text: str) -> Iterator[Page]:
    with Page(text) as page:
        thread = Thread(target=page.serve_forever, daemon=True)
        thread.start()
        try:
            yield page
        finally:
            page.shutdown()
            thread.join()
