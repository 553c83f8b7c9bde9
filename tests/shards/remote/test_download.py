"""A shard from a web server that cuts, delays, refuses, changes."""

import threading
import time
from pathlib import Path

import pytest
from helpers.processes.faulty_server import Fault, FaultyServer

import shards.remote.download as downloads
import shards.remote.transfer as transfers
from shards.errors import InputError
from shards.format.dataset import Shard, read_dataset
from shards.remote.download import Download
from shards.remote.transfer import TransferStopped
from shards.remote.urls import RemoteFolder, parse

NAME = "train-000.tar"


@pytest.fixture
def shard(noise_set: Path) -> Shard:
    return read_dataset(noise_set).splits["train"][0]


class Fetch:
    """Fetches `NAME` of a server and counts what is reported."""

    def __init__(self, folder: RemoteFolder, shard: Shard, partial: Path) -> None:
        self.folder, self.shard, self.partial, self.reported = folder, shard, partial, 0
        self.stop = threading.Event()

    def __call__(self) -> bytes:
        self.reported = 0
        Download(self.stop, self._report).shard(self.folder, self.shard, self.partial)
        return self.partial.read_bytes()

    def _report(self, size: int) -> None:
        self.reported += size


@pytest.fixture
def fetch(server: FaultyServer, shard: Shard, tmp_path: Path) -> Fetch:
    return Fetch(RemoteFolder(server.url), shard, tmp_path / "part")


@pytest.fixture
def data(noise_set: Path) -> bytes:
    return (noise_set / NAME).read_bytes()


@pytest.mark.parametrize("whole", [True, False])  # with a Content-Length, and with the end of the connection only
def test_a_cut_connection_is_resumed(fetch: Fetch, server: FaultyServer, data: bytes, whole: bool) -> None:
    server.faults[NAME] = [Fault(cut=100_000, whole=whole), Fault(cut=50_000, whole=whole)]
    assert fetch() == data
    assert server.asked(NAME) == [0, 100_000, 150_000]
    assert fetch.reported == len(data)


def test_a_server_without_ranges_begins_anew(fetch: Fetch, server: FaultyServer, data: bytes) -> None:
    server.faults[NAME] = [Fault(cut=100_000), Fault(ignore_range=True)]
    assert fetch() == data
    assert fetch.reported == len(data)


@pytest.mark.parametrize("fault", [Fault(416), Fault(wrong_range=True)])
def test_a_wrong_range_begins_anew(fetch: Fetch, server: FaultyServer, data: bytes, fault: Fault) -> None:
    server.faults[NAME] = [Fault(cut=100_000), fault]
    assert fetch() == data
    assert server.asked(NAME) == [0, 100_000, 0]
    assert fetch.reported == len(data)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(fetch: Fetch, server: FaultyServer, data: bytes, status: int) -> None:
    server.faults[NAME] = [Fault(status), Fault(status)]
    assert fetch() == data


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honored(fetch: Fetch, server: FaultyServer, data: bytes, status: int) -> None:
    server.faults[NAME] = [Fault(status, {"Retry-After": "1"})]
    before = time.monotonic()
    assert fetch() == data
    assert time.monotonic() - before >= 1


def test_a_server_that_asks_for_an_hour_is_not_waited_for(fetch: Fetch, server: FaultyServer) -> None:
    server.faults[NAME] = [Fault(503, {"Retry-After": "3600"})]
    with pytest.raises(InputError, match="asks to wait 3600 s"):
        fetch()
    assert len(server.asked(NAME)) == 1


def test_tries_end(fetch: Fetch, server: FaultyServer) -> None:
    server.faults[NAME], server.stay = [Fault(503)], {NAME}
    with pytest.raises(InputError, match=rf"{NAME}: cannot be fetched \(6 tries\): HTTP status 503"):
        fetch()
    assert len(server.asked(NAME)) == 6


def test_pauses_grow(fetch: Fetch, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults[NAME], server.stay = [Fault(500)], {NAME}
    pauses: list[float] = []
    monkeypatch.setattr(fetch.stop, "wait", lambda seconds: pauses.append(seconds))
    monkeypatch.setattr(downloads, "_FIRST_PAUSE", 4.0)
    with pytest.raises(InputError):
        fetch()
    expected = [4, 8, 16, 32, 60]
    assert all(least <= pause <= 1.25 * least for least, pause in zip(expected, pauses, strict=True))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(fetch: Fetch, server: FaultyServer, status: int) -> None:
    server.faults[NAME] = [Fault(status)]
    with pytest.raises(InputError, match=f"{NAME}: cannot be fetched: HTTP status {status}"):
        fetch()
    assert len(server.asked(NAME)) == 1


def test_nobody_there(fetch: Fetch, unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.folder = RemoteFolder(f"http://me:secret@127.0.0.1:{unused_port}/d/", "?sig=secret")
    with pytest.raises(InputError, match=r"6 tries\): no connection") as error:
        fetch()
    assert error.value.message.startswith(f"http://127.0.0.1:{unused_port}/d/{NAME}: ")
    assert "secret" not in error.value.message


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_changed_file_is_fetched_twice_and_refused(fetch: Fetch, server: FaultyServer, data: bytes) -> None:
    changed = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
    server.faults[NAME] = [Fault(body=changed)]
    assert fetch() == data  # a proxy that had an old one, once
    fetch.partial.unlink()
    server.faults[NAME], server.stay = [Fault(body=changed)], {NAME}
    server.requests.clear()
    with pytest.raises(InputError, match=f"{NAME}: its SHA-256 is not that"):
        fetch()
    assert server.asked(NAME) == [0, 0]
    assert not fetch.partial.exists()
    assert fetch.reported == 0


def test_a_file_without_end_is_left_early(fetch: Fetch, server: FaultyServer, data: bytes) -> None:
    server.faults[NAME], server.stay = [Fault(body=data + bytes(50_000_000))], {NAME}
    with pytest.raises(InputError, match=f"{NAME}: longer than the {len(data)} bytes"):
        fetch()
    assert not fetch.partial.exists()


def test_a_part_of_another_version_is_not_kept(fetch: Fetch, server: FaultyServer, data: bytes) -> None:
    fetch.partial.write_bytes(b"other" * 1000)
    assert fetch() == data
    assert server.asked(NAME) == [5000, 0]
    assert fetch.reported == len(data)


def test_a_part_that_is_whole_is_not_fetched(fetch: Fetch, server: FaultyServer, data: bytes) -> None:
    fetch.partial.write_bytes(data)
    assert fetch() == data
    assert server.asked(NAME) == []


def test_a_slow_server_is_waited_for_and_a_silent_one_not(
    fetch: Fetch, server: FaultyServer, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "STALL_SECONDS", 1.0)
    server.faults[NAME] = [Fault(pause=0.3), Fault(cut=100_000, pause=30.0)]
    assert fetch() == data
    fetch.partial.unlink()
    assert fetch() == data
    *first, resumed = server.asked(NAME)
    assert first == [0, 0]
    assert 90_000 < resumed <= 100_000  # curl had a few kilobytes in its own buffer


def test_progress_gives_new_tries(
    fetch: Fetch, server: FaultyServer, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_PROGRESS", 30_000)
    server.faults[NAME] = [Fault(cut=40_000) for _ in range(8)]
    assert fetch() == data
    fetch.partial.unlink()
    server.faults[NAME] = [Fault(cut=20_000) for _ in range(8)]
    with pytest.raises(InputError, match="6 tries"):
        fetch()


def test_a_stop_during_a_pause(fetch: Fetch, server: FaultyServer) -> None:
    server.faults[NAME] = [Fault(503, {"Retry-After": "60"})]
    threading.Timer(0.5, fetch.stop.set).start()
    with pytest.raises(TransferStopped):
        fetch()


@pytest.mark.parametrize("command", ["head -c 1000 {}; exit 5", "head -c 1000 {}"])
def test_a_command_that_fails_every_time(shard: Shard, noise_set: Path, tmp_path: Path, command: str) -> None:
    url = "pipe:" + command.format(f"{noise_set}/{{}}")
    fetch = Fetch(parse(url)[0].folder, shard, tmp_path / "part")
    with pytest.raises(InputError, match=rf"pipe:… {NAME}: cannot be fetched \(6 tries\)"):
        fetch()


def test_a_command_that_fails_once(shard: Shard, noise_set: Path, tmp_path: Path, data: bytes) -> None:
    flag = tmp_path / "flag"
    command = (
        f"pipe:if test -e {flag}; then cat {noise_set}/{{}}; else touch {flag}; head -c 900 {noise_set}/{NAME}; fi"
    )
    folder = RemoteFolder(*command.split("{}"))
    fetch = Fetch(folder, shard, tmp_path / "part")
    assert fetch() == data
    assert fetch.reported == len(data)


def test_small_files_are_bounded(server: FaultyServer) -> None:
    server.faults["dataset.json"] = [Fault(body=bytes(3_000_000))]
    download = Download(threading.Event(), lambda size: None)
    with pytest.raises(InputError, match=r"dataset\.json: longer than 1000 bytes"):
        download.content(RemoteFolder(server.url), "dataset.json", 1000)


@pytest.mark.parametrize("there", [True, False])
def test_a_part_that_is_a_link_is_not_followed(fetch: Fetch, tmp_path: Path, there: bool) -> None:
    other = tmp_path / "other"
    if there:
        other.write_text("precious")
    fetch.partial.symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        fetch()
    assert other.read_text() == "precious" if there else not other.exists()
