"""Headless Chromium for the tests of pages."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from html import escape, unescape
from pathlib import Path
from typing import Any
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


def measure(profile: Path, page: Path, width: int, dark: bool) -> dict[str, Any]:
    """What `page_measures.js` finds out about a page in a window of a width, in the light or the dark theme."""
    document = page.read_text()
    policy = re.search(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", document)
    assert policy, "every page has one, and it would not run our script"
    script = (Path(__file__).parent / "page_measures.js").read_text()
    copy = profile.with_name(f"{profile.name}.html")
    framed = escape(f"{document.replace(policy[0], '')}<script>{script}</script>")
    # In a frame, since a window of Chromium's has 500 pixels or more.
    copy.write_text(f'<iframe srcdoc="{framed}" style="width: {width}px; height: 1600px; border: 0"></iframe>')
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    shown = run_chromium(profile, copy.as_uri(), *theme, "--window-size=1400,1700", "--dump-dom")
    found = re.search(r'<pre id="measures">(.*?)</pre>', shown, re.DOTALL)
    assert found, "the script did not run"
    return json.loads(unescape(found[1]))
