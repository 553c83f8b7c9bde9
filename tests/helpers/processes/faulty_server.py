"""A web server on this machine that serves a folder, understands `Range`, and fails as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Fault:
    """What happens to one request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # the connection is closed after so many bytes of the body
    whole: bool = True  # the length is announced; else the end of the connection ends the body, also where it is cut
    pause: float = 0.0  # seconds before the answer, and after `cut` bytes
    ignore_range: bool = False
    wrong_range: bool = False
    body: bytes | None = None  # instead of the file


@dataclass
class Request:
    """What was asked for."""

    name: str
    start: int
    query: str
    authorization: str | None


@dataclass
class FaultyServer:
    """`faults` maps file names to what happens to the next requests; the last fault stays where `stay` has the name."""

    folder: Path
    url: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    stay: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, name: str) -> Fault:
        with self.lock:
            faults = self.faults.get(name, [])
            if not faults:
                return Fault()
            return faults[0] if name in self.stay and len(faults) == 1 else faults.pop(0)

    def asked(self, name: str) -> list[int]:
        """The first bytes that were asked for, of a file."""
        return [request.start for request in self.requests if request.name == name]


@contextmanager
def serving(folder: Path) -> Iterator[FaultyServer]:
    """Serve a folder under /data/ while the block runs."""
    state = FaultyServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = unquote(parts.path.removeprefix("/data/"))
            wanted = self.headers.get("Range", "bytes=0-")
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            state.requests.append(Request(name, start, parts.query, self.headers.get("Authorization")))
            self.answer(name, start, state.fault(name))

        def answer(self, name: str, start: int, fault: Fault) -> None:
            time.sleep(fault.pause if fault.cut is None else 0)
            path = state.folder / name
            status = fault.status if path.is_file() or fault.body is not None else 404
            if status != 200:
                self.send_response(status)
                for key, value in {"Content-Length": "5", **fault.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if status >= 400:
                    self.wfile.write(b"sorry")
                return
            data = path.read_bytes() if fault.body is None else fault.body
            partial = start and not fault.ignore_range
            self.send_response(206 if partial else 200)
            if partial:
                place = start - 1 if fault.wrong_range else start
                self.send_header("Content-Range", f"bytes {place}-{len(data) - 1}/{len(data)}")
                data = data[place:]
            if fault.whole:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: fault.cut])
            self.wfile.flush()
            if fault.cut is not None:
                time.sleep(fault.pause)

        def log_message(self, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client went away
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/data/"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
