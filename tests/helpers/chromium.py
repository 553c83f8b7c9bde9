"""Headless Chromium for the tests of pages."""

import http.server
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

# Asked for by Chromium itself, whatever the page: time, updates, accounts.
BROWSERS_OWN = ("clients2.google.com", "update.googleapis.com", "accounts.google.com")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=3000 --window-size=1280,1600"""


def run_chromium(profile: Path, address: str, *more: str) -> str:
    """What Chromium prints for an address; the test is skipped where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    command = [program, *FLAGS.split(), nowhere, f"--user-data-dir={profile}", *more, address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@contextmanager
def recording_proxy(document: bytes):
    """A proxy that answers every request with `document`; gives its address and the list of what the page asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if urlsplit(self.path).hostname in BROWSERS_OWN:
                self.send_error(403)
                return
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(document)

        def do_CONNECT(self):
            if self.path.rpartition(":")[0] not in BROWSERS_OWN:
                asked.append(self.path)
            self.send_error(403)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
