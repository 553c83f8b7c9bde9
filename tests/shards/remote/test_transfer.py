"""What is run for a URL; failures of a web server are tests of `download`."""

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers.processes.faulty_server import Fault, FaultyServer

import shards.remote.transfer as transfers
from shards.errors import InputError
from shards.remote.transfer import TransferError, TransferStopped, transfer

GO = threading.Event()


def read(url: str, start: int = 0, stop: threading.Event = GO) -> tuple[int, bytes]:
    with transfer(url, start, stop) as source:
        return source.start, b"".join(source.chunks())


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a program of a cloud, first on PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_command_is_a_shell_command(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert read(f"pipe:cat {tmp_path}/x | tr a b") == (0, b"bbc" * 1_000_000)


@pytest.mark.parametrize(
    ("command", "reason", "transient"),
    [
        ("echo half; exit 3", "exit status 3", True),
        ("no-such-program", "exit status 127", False),
        ("kill -9 $$", "signal 9", True),
    ],
)
def test_a_command_that_fails(command: str, reason: str, transient: bool) -> None:
    with pytest.raises(TransferError, match=reason) as error:
        read(f"pipe:{command}")
    assert error.value.transient is transient
    assert command not in str(error.value)


def test_a_command_without_a_byte_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "STALL_SECONDS", 0.3)
    before = time.monotonic()
    with pytest.raises(TransferError, match="no byte"):
        read("pipe:exec sleep 60")
    assert time.monotonic() - before < 20


def test_a_stop_ends_the_command(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(TransferStopped):
        read(f"pipe:echo $$ > {tmp_path}/pid; exec sleep 60", stop=stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_s3_and_gs_are_read_by_their_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "aws", 'echo "aws $*"', monkeypatch)
    program(tmp_path, "gsutil", 'echo "gsutil $*"', monkeypatch)
    assert read("s3://b/$(id).tar") == (0, b"aws s3 cp --only-show-errors s3://b/$(id).tar -\n")
    assert read("gs://b/x.tar") == (0, b"gsutil cat gs://b/x.tar\n")


def test_a_program_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for url, name in (("s3://b/x", "aws"), ("gs://b/x", "gsutil"), ("http://h/x", "curl")):
        with pytest.raises(InputError, match=f"needs the program {name}"):
            read(url)


def test_a_scheme_that_nobody_opens_is_refused_without_its_url() -> None:
    with pytest.raises(InputError, match="no way to open") as error:
        read("gopher://me:secret@h/x")
    assert "secret" not in error.value.message


def test_a_web_server_goes_on_from_a_byte_or_begins_anew(server: FaultyServer, noise_set: Path) -> None:
    data = (noise_set / "train-000.tar").read_bytes()
    assert read(f"{server.url}train-000.tar", 1000) == (1000, data[1000:])
    server.faults["train-000.tar"] = [Fault(ignore_range=True)]
    assert read(f"{server.url}train-000.tar", 1000) == (0, data)


def test_brackets_are_not_interpreted(server: FaultyServer) -> None:
    server.faults["a[1-2]{3,4}.tar"] = [Fault(body=b"abc")]
    assert read(f"{server.url}a[1-2]{{3,4}}.tar") == (0, b"abc")
    assert [request.name for request in server.requests] == ["a[1-2]{3,4}.tar"]


def test_redirects_are_followed_but_not_out_of_http(server: FaultyServer, noise_set: Path) -> None:
    server.faults["train-000.tar"] = [Fault(302, {"Location": f"{server.url}train-001.tar"})]
    assert read(f"{server.url}train-000.tar")[1] == (noise_set / "train-001.tar").read_bytes()
    server.faults["train-000.tar"] = [Fault(302, {"Location": f"file://{noise_set}/train-001.tar"})]
    with pytest.raises(TransferError):
        read(f"{server.url}train-000.tar")


def test_the_url_is_not_in_the_list_of_processes(server: FaultyServer) -> None:
    server.faults["train-000.tar"] = [Fault(cut=100_000, pause=0.5)]
    address = server.url.replace("//", "//me:pass%22word@")
    with transfer(f"{address}train-000.tar?sig=abc", 0, GO) as source:
        process = source._stream.proc
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert arguments.startswith(b"curl\0")
        assert b"word" not in arguments and b"sig" not in arguments
    assert server.requests[0].query == "sig=abc"
    assert server.requests[0].authorization == "Basic bWU6cGFzcyJ3b3Jk"  # me:pass"word


def test_credentials_come_from_netrc(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    read(f"{server.url}val-000.tar")
    assert server.requests[0].authorization == "Basic bWU6cHc="


def test_gopens_own_settings_hold(noise_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPEN_REWRITE", f"https://h/=pipe:cat {shlex.quote(str(noise_set))}/")
    assert read("https://h/dataset.json") == (0, (noise_set / "dataset.json").read_bytes())


def test_what_is_no_web_server(tmp_path: Path) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
    code += "c = s.accept()[0]; c.recv(999); c.sendall(b'hello ' * 20000); c.close()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        with pytest.raises(TransferError):
            read(f"http://127.0.0.1:{port}/x")
        process.kill()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert transfers._seconds(value) == seconds
