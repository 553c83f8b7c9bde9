"""One transfer: the bytes behind a URL as they come, and why they stopped coming.

webdataset's `gopen` decides by the URL's scheme what is run, with its environment variables (`GOPEN_REWRITE`,
`USE_AIS_FOR`): a shell for a `pipe:` command, `gsutil cat` for gs://, curl for http(s)://; here `aws s3 cp` for s3://,
which it leaves open. Where it would run its curl, this module runs curl itself, in gopen's own `Pipe`, because gopen's
command line cannot say three things: from which byte to go on (`--range`), whether a failure is a 404 or a 503 with a
`Retry-After` (`--include`), and the URL, which may hold a password, elsewhere than in the list of processes
(`--config -`).
"""

import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from shards.errors import InputError

STALL_SECONDS = 120.0  # without a byte; a tape robot or a cold cloud store may take a minute to begin
_CHUNK = 1 << 20
_LOOK_SECONDS = 0.25  # how soon a stop is noticed
_LONGEST_HEADERS = 1 << 16
# Tell curl not to interpret the URL, to follow redirects within HTTP only, and to read ~/.netrc. Retrying is ours.
_CURL = (
    "curl", "--config", "-", "--globoff", "--location", "--max-redirs", "10", "--proto", "=http,https",
    "--proto-redir", "=http,https", "--netrc-optional", "--suppress-connect-headers", "--include", "--fail", "--silent",
    "--connect-timeout", "30",
)  # fmt: skip
# Exit statuses of curl that may be another time: name, connection, TLS handshake, partial file, stream.
_CURL_TRANSIENT = {
    5: "the proxy's name is not known",
    6: "the host's name is not known",
    7: "no connection",
    16: "connection lost",
    18: "cut off",
    28: "too slow",
    35: "no secure connection",
    52: "empty answer",
    55: "connection lost",
    56: "connection lost",
    92: "connection lost",
}
_CURL_LASTING = {3: "not a URL", 47: "too many redirects", 60: "the server's certificate is not trusted"}
_TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_REFUSALS = {
    401: ", no credentials; curl takes them from ~/.netrc or ~/.curlrc",
    403: ", not with these credentials; curl takes them from ~/.netrc or ~/.curlrc",
    404: ", not there; is the URL right?",
}
_NO_PROGRAM = (126, 127)  # exit statuses of a shell


class TransferError(Exception):
    """A transfer failed; the message says why, without credentials."""

    def __init__(self, reason: str, transient: bool = True, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.transient = transient  # worth another try
        self.retry_after = retry_after  # seconds, where the server said so


class RangeError(TransferError):
    """The server cannot go on from a byte; from the first one it may."""


class TransferStopped(Exception):
    """Another transfer failed, or the user stopped the command."""


class Transfer:
    """The bytes of a URL. `start` is the place of the first one: 0 where the source does not go on from elsewhere."""

    def __init__(self, stream: Any, start: int, stop: threading.Event) -> None:
        self.start = start
        self._stream = stream
        self._stop = stop
        self._is_curl = False
        self._buffer = b""

    def chunks(self) -> Iterator[bytes]:
        """Pieces of at most 1 MiB, as they come.

        Raises:
            TransferError: they end with an error, or none comes for `STALL_SECONDS`.
            Stopped: `stop` is set.
        """
        if self._buffer:
            yield self._buffer
        while chunk := self._read():
            yield chunk
        self._check_end()

    def _read(self) -> bytes:
        deadline = time.monotonic() + STALL_SECONDS
        file = self._stream.fileno() if hasattr(self._stream, "fileno") else self._stream.stream.fileno()
        while not select.select([file], [], [], _LOOK_SECONDS)[0]:
            if self._stop.is_set():
                raise TransferStopped
            if time.monotonic() > deadline:
                raise TransferError(f"no byte for {STALL_SECONDS:.0f} s")
        if self._stop.is_set():
            raise TransferStopped
        return os.read(file, _CHUNK)

    def _check_end(self) -> None:
        process = getattr(self._stream, "proc", None)
        try:
            status = process.wait(STALL_SECONDS) if process else 0
        except subprocess.TimeoutExpired:
            raise TransferError("the command does not end") from None
        if status == 0:
            return
        if self._is_curl:
            reason = _CURL_TRANSIENT.get(status) or _CURL_LASTING.get(status) or f"curl ended with {status}"
            raise TransferError(reason, status in _CURL_TRANSIENT)
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        raise TransferError(f"the command {ended}", status not in _NO_PROGRAM)

    def read_headers(self, start: int) -> None:
        """Take off what curl's `--include` prints in front of the bytes, and see what the server does.

        Raises:
            TransferError: it refuses.
        """
        self._is_curl = True
        status, headers = self._answer()
        if status == 206:
            place = re.match(r"bytes (\d+)-", headers.get("content-range", ""))
            if place is None or int(place[1]) != start:
                raise RangeError("the server sent another range than it was asked for")
            self.start = start
        elif status == 416:
            raise RangeError("HTTP status 416")
        elif status != 200:
            retry_after = _seconds(headers.get("retry-after", ""))
            reason = f"HTTP status {status}{_REFUSALS.get(status, '')}"
            raise TransferError(reason, status in _TRANSIENT_STATUSES, retry_after)

    def _answer(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the last answer: those of redirects stand before it."""
        while True:
            while not (end := re.search(rb"\r?\n\r?\n", self._buffer)):
                chunk = self._read()
                if not chunk:
                    self._check_end()
                    raise TransferError("no answer of a web server")
                self._buffer += chunk
                if len(self._buffer) > _LONGEST_HEADERS + _CHUNK:
                    raise TransferError("no answer of a web server", transient=False)
            lines = self._buffer[: end.start()].decode("latin-1").splitlines()
            self._buffer = self._buffer[end.end() :]
            status = re.match(r"HTTP/\S+ (\d{3})", lines[0])
            if status is None:
                raise TransferError("no answer of a web server", transient=False)
            pairs = (line.partition(":") for line in lines[1:])
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            code = int(status[1])
            if code >= 200 and not (300 <= code < 400 and "location" in headers):
                return code, headers

    def close(self) -> None:
        """End the command, if it still runs."""
        process = getattr(self._stream, "proc", None)
        if process and process.poll() is None:
            process.kill()  # before `Pipe.close`, which would wait for two hours
        with suppress(OSError):  # the exit status, in a message with the whole command
            self._stream.close()


@contextmanager
def transfer(url: str, start: int, stop: threading.Event) -> Iterator[Transfer]:
    """Open a URL; of http(s) from byte `start` on, where the server can.

    Raises:
        InputError: nothing opens such a URL, or the program for it is not installed.
        TransferError: the server refuses.
    """
    from webdataset.gopen import (
        gopen,
        gopen_curl,
        gopen_schemes,
        rewrite_url,
    )  # 2.8 s: it imports torch, if it is there

    real = rewrite_url(url)
    scheme = urlsplit(real).scheme
    by_curl = gopen_schemes.get(scheme) is gopen_curl and scheme in ("http", "https")
    try:
        if by_curl:
            stream = _curl(real, start)
        elif scheme == "s3" and "s3" not in gopen_schemes:
            stream = _pipe(["aws", "s3", "cp", "--only-show-errors", real, "-"])
        else:
            stream = gopen(url)
    except FileNotFoundError as error:
        raise InputError(f"{scheme}: needs the program {error.filename}; install it, or use pipe:") from None
    except ValueError:  # with the whole URL in its message
        raise InputError(f"{scheme}: no way to open such a URL; use https:, s3:, gs: or pipe:") from None
    opened = Transfer(stream, 0, stop)
    try:
        if by_curl:
            opened.read_headers(start)
        yield opened
    finally:
        opened.close()


def _curl(url: str, start: int) -> Any:
    stream = _pipe([*_CURL, *(("--range", f"{start}-") if start else ())], stdin=True)
    escaped = url.replace("\\", "\\\\").replace('"', '\\"')
    with suppress(BrokenPipeError), stream.proc.stdin as file:
        file.write(f'url = "{escaped}"\n'.encode())
    return stream


def _pipe(arguments: list[str], stdin: bool = False) -> Any:
    from webdataset.gopen import Pipe

    return Pipe(arguments, mode="rb", stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)


def _seconds(retry_after: str) -> float | None:
    """The seconds of a `Retry-After`, which is a number of them or a date (RFC 9110, 10.2.3)."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds()) if date.tzinfo else None
