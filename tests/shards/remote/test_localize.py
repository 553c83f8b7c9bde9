"""The cache as its users see it: several processes, kills, too little room; real processes and a real server."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.data.shard_making import Plan, make_shards
from helpers.processes.faulty_server import Fault, FaultyServer, serving

from shards.errors import InputError
from shards.format.shardset import MemberReader, open_shards
from shards.remote.cache import CacheSettings
from shards.remote.localize import fetch_into, localize

# webdataset does without torch, whose import takes seconds.
LOCALIZE = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from shards.remote.cache import CacheSettings
from shards.remote.cache import CacheSettings
from shards.remote.localize import localize
limit = float(sys.argv[3]) if sys.argv[3:] else None
print(*localize(sys.argv[1], CacheSettings(Path(sys.argv[2]), limit)), flush=True)
sys.stdin.read()
"""


def start(*arguments: object) -> subprocess.Popen:
    """A process that localizes, prints the patterns and keeps the shards until its stdin ends."""
    command = [sys.executable, "-c", LOCALIZE, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def user_of(*arguments: object) -> Iterator[list[str]]:
    """The local patterns of another process, which keeps the shards while the block runs."""
    with start(*arguments) as process:
        found = process.stdout.readline().split()
        assert found, process.stderr.read()
        yield found
        process.stdin.close()


def shards_in(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*.tar")}


def all_bytes(pattern: str | list[str]) -> list[bytes]:
    """Every member of every sample, in the order of the set."""
    shards = open_shards(pattern)
    reader = MemberReader(shards)
    places = zip(*(range_.tolist() for range_ in (shards.offsets >= 0).nonzero()), strict=True)
    return [reader.read(sample, member) for sample, member in places]


@pytest.mark.parametrize(
    ("end", "local"),
    [("", ""), ("train-<000..003>.tar", "/train-{000..003}.tar"), ("{val,train}-000.tar", "/{val,train}-000.tar")],
)
def test_a_cold_a_warm_and_a_partly_evicted_cache_read_the_same(
    server: FaultyServer, noise_set: Path, tmp_path: Path, end: str, local: str
) -> None:
    expected = all_bytes(f"{noise_set}{local}")
    found = localize(server.url + end, CacheSettings(tmp_path / "cache"))
    ids = open_shards(f"{noise_set}{local}").ids.to_pylist()
    assert all_bytes(found) == expected
    assert open_shards(found).ids.to_pylist() == ids
    server.requests.clear()
    assert localize(server.url + end, CacheSettings(tmp_path / "cache")) == found
    assert [request.name for request in server.requests] == ["dataset.json"]
    next((tmp_path / "cache").rglob("train-000.tar")).unlink()
    server.requests.clear()
    assert localize(server.url + end, CacheSettings(tmp_path / "cache")) == found
    assert [request.name for request in server.requests] == ["dataset.json", "train-000.tar"]
    assert all_bytes(found) == expected


def test_a_local_pattern_stays(tmp_path: Path) -> None:
    found = localize("shards/train-<000..001>.tar", CacheSettings(tmp_path / "cache"))
    assert found == ["shards/train-<000..001>.tar"]
    assert not (tmp_path / "cache").exists()


def test_only_what_the_pattern_names_is_fetched(server: FaultyServer, tmp_path: Path) -> None:
    found = localize(f"{server.url}train-001.tar", CacheSettings(tmp_path / "cache"))
    assert [Path(path).name for path in found] == ["train-001.tar"]
    assert [request.name for request in server.requests] == ["dataset.json", "train.parquet", "train-001.tar"]
    assert len(open_shards(found)) == 2


def test_an_index_that_was_damaged_in_the_cache_is_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    found = localize(server.url, CacheSettings(tmp_path / "cache"))
    index = Path(*found) / "train.parquet"
    whole = index.read_bytes()
    index.write_bytes(whole[:-10])
    assert localize(server.url, CacheSettings(tmp_path / "cache")) == found
    assert index.read_bytes() == whole


def test_two_folders_in_one_pattern(noise_set: Path, tmp_path: Path) -> None:
    make_shards(tmp_path / "both" / "b", Plan({"extra": 3}, crop=30))
    shutil.copytree(noise_set, tmp_path / "both" / "a")
    with serving(tmp_path / "both") as server:
        found = localize(f"{server.url}{{b/extra,a/train}}-000.tar", CacheSettings(tmp_path / "cache"))
    assert [Path(path).name for path in found] == ["extra-000.tar", "train-000.tar"]
    assert all_bytes(found) == all_bytes(f"{tmp_path}/both/{{b/extra,a/train}}-000.tar")


def test_a_set_that_was_changed_is_another(noise_set: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(noise_set, tmp_path / "set"))
    with serving(folder) as server:
        old = localize(server.url, CacheSettings(tmp_path / "cache"))
        shutil.rmtree(folder)
        make_shards(folder, Plan({"train": 4}, per_shard=2, crop=30, seed=1))
        new = localize(server.url, CacheSettings(tmp_path / "cache"))
    assert old != new
    assert all_bytes(new) == all_bytes(str(folder))
    assert all_bytes(old) == all_bytes(str(noise_set))


def test_a_command_and_its_secrets(noise_set: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = localize(f"pipe:TOKEN=secret123; cat {noise_set}/train-{{000..001}}.tar", CacheSettings(tmp_path / "cache"))
    assert all_bytes(found) == all_bytes(f"{noise_set}/train-{{000..001}}.tar")
    with pytest.raises(InputError) as error:
        localize(f"pipe:TOKEN=secret123; false {noise_set}/train-000.tar; exit 127", CacheSettings(tmp_path / "cache"))
    assert "dataset.json: cannot be fetched: the command ended with exit status 127" in error.value.message
    files = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    said = "".join(capfd.readouterr()) + error.value.message + "".join(map(str, (tmp_path / "cache").rglob("*")))
    assert "secret123" not in said
    assert not any(b"secret123" in content for content in files)


def test_processes_that_ask_at_once_download_once(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    server.faults = {f"train-00{number}.tar": [Fault(pause=0.5)] for number in range(4)}
    processes = [start(server.url, tmp_path / "cache") for _ in range(3)]
    found = {process.communicate("")[0].strip() for process in processes}
    assert len(found) == 1
    assert all_bytes(found.pop()) == all_bytes(str(noise_set))
    names = [request.name for request in server.requests if request.name.endswith(".tar")]
    assert sorted(names) == sorted(path.name for path in noise_set.glob("*.tar"))


def test_a_killed_process_is_followed_by_one_that_goes_on(
    server: FaultyServer, noise_set: Path, tmp_path: Path
) -> None:
    server.faults = {"train-000.tar": [Fault(cut=200_000, pause=60)]}
    url = f"{server.url}train-{{000..001}}.tar"
    waiting: list[subprocess.Popen] = []
    with start(url, tmp_path / "cache") as first:
        until(lambda: sizes(tmp_path / "cache", ".train-000.tar.*.part") >= 100_000)
        until(lambda: "train-001.tar" in shards_in(tmp_path / "cache"))
        waiting.append(start(url, tmp_path / "cache"))  # which waits for the first
        time.sleep(0.5)
        first.kill()
    found = waiting[0].communicate("")[0].split()
    assert all_bytes(found) == all_bytes(f"{noise_set}/train-{{000..001}}.tar")
    first_start, second_start = server.asked("train-000.tar")
    assert first_start == 0
    assert 100_000 <= second_start <= 200_000
    assert server.asked("train-001.tar") == [0]
    assert not list((tmp_path / "cache").rglob("*.part"))


def sizes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_failure_stops_the_rest_and_what_came_is_kept(server: FaultyServer, tmp_path: Path) -> None:
    server.faults = {"train-000.tar": [Fault(404, pause=0.3)], "val-000.tar": [Fault(pause=30)]}
    before = time.monotonic()
    with pytest.raises(InputError, match=r"train-000\.tar: cannot be fetched: HTTP status 404"):
        localize(server.url, CacheSettings(tmp_path / "cache"))
    assert time.monotonic() - before < 20
    kept = shards_in(tmp_path / "cache")
    assert "train-001.tar" in kept
    localize(server.url, CacheSettings(tmp_path / "cache"))
    assert all(len(server.asked(name)) == 1 for name in kept)


def gigabytes_of(folder: Path, *names: str) -> float:
    return sum((folder / f"{name}.tar").stat().st_size for name in names) / 1e9


def test_what_was_used_longest_ago_goes_first(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in (0, 2, 1):  # each by a process of its own, which lets go of it
        with user_of(f"{server.url}train-00{number}.tar", cache):
            pass
    with user_of(f"{server.url}train-000.tar", cache):  # used again
        pass
    limit = gigabytes_of(noise_set, "train-000", "train-001", "val-000")
    with user_of(f"{server.url}val-000.tar", cache, limit):
        assert shards_in(cache) == {"train-000.tar", "train-001.tar", "val-000.tar"}


def test_what_another_process_uses_stays(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    limit = gigabytes_of(noise_set, "train-000", "val-000")
    with user_of(f"{server.url}train-000.tar", cache, limit) as used:
        with user_of(f"{server.url}train-001.tar", cache):
            pass
        with user_of(f"{server.url}val-000.tar", cache, limit):  # train-001 goes, though train-000 is older
            assert shards_in(cache) == {"train-000.tar", "val-000.tar"}
            with start(f"{server.url}train-003.tar", cache, limit) as third:
                assert "in use leaves less" in third.communicate("")[1]
            assert all_bytes(used) == all_bytes(f"{noise_set}/train-000.tar")
    with user_of(f"{server.url}train-003.tar", cache, limit):
        assert "train-000.tar" not in shards_in(cache)


def test_what_the_pattern_needs_does_not_make_room_for_the_rest(
    server: FaultyServer, noise_set: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    limit = sum(path.stat().st_size for path in noise_set.glob("train-*.tar")) / 1e9
    with user_of(f"{server.url}train-003.tar", cache), user_of(f"{server.url}val-000.tar", cache):
        pass
    with user_of(f"{server.url}train-*.tar", cache, limit):
        assert shards_in(cache) == {f"train-00{number}.tar" for number in range(4)}
    assert server.asked("train-003.tar") == [0]


def test_a_cache_smaller_than_the_set_is_refused_before_anything_is_fetched(
    server: FaultyServer, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--cache-gb"):
        localize(server.url, CacheSettings(tmp_path / "cache", 0.0001))
    assert not shards_in(tmp_path / "cache")


def test_files_of_others_in_the_cache_are_not_removed(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    mine = tmp_path / "cache" / "mine"
    mine.mkdir(parents=True)
    (mine / "train-000.tar").write_bytes(bytes(10_000_000))
    localize(
        server.url,
        CacheSettings(tmp_path / "cache", sum(path.stat().st_size for path in noise_set.glob("*.tar")) / 1e9),
    )
    assert (mine / "train-000.tar").stat().st_size == 10_000_000


def test_a_disk_too_small_is_said_before(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    for call, where in ((localize, CacheSettings(tmp_path / "cache")), (fetch_into, tmp_path / "here")):
        with pytest.raises(InputError, match=r"1\.69 MB are to be fetched, but 1 MB are free"):
            call(server.url, where)


@pytest.mark.parametrize("end", ["", "train-{000..003}.tar"])
def test_the_caches_name_is_no_pattern(server: FaultyServer, noise_set: Path, tmp_path: Path, end: str) -> None:
    found = localize(server.url + end, CacheSettings(tmp_path / "a{b,c}*[0]"))
    assert all_bytes(found) == all_bytes(f"{noise_set}/{end}")


def test_the_files_themselves(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    server.faults = {"train-000.tar": [Fault(cut=100_000), Fault(404)]}
    with pytest.raises(InputError, match="404"):
        fetch_into(server.url, out)
    assert not (out / "dataset.json").exists()
    whole = shards_in(out)
    shards, size, _ = fetch_into(server.url, out)
    assert (shards, size) == (5, sum(path.stat().st_size for path in noise_set.glob("*.tar")))
    here = {path.name: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}
    assert here == {path.name: path.read_bytes() for path in noise_set.iterdir()}
    assert server.asked("train-000.tar") == [0, 100_000, 100_000]
    assert all(len(server.asked(name)) == 1 for name in whole)


def test_a_damaged_copy_is_mended(server: FaultyServer, noise_set: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(noise_set, tmp_path / "out"))
    with (out / "train-001.tar").open("r+b") as file:
        file.seek(1000)
        file.write(b"ROT!")
    fetch_into(server.url, out)
    assert (out / "train-001.tar").read_bytes() == (noise_set / "train-001.tar").read_bytes()
    assert [request.name for request in server.requests if request.name.endswith("tar")] == ["train-001.tar"]


def test_other_shards_are_not_mixed(server: FaultyServer, tmp_path: Path) -> None:
    other = make_shards(tmp_path / "other", Plan({"train": 2}, crop=30))
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    with pytest.raises(InputError, match=r"other/dataset\.json: other shards"):
        fetch_into(server.url, other)
    (other / "dataset.json").unlink()
    (other / "train-000.tar").rename(other / "mine-000.tar")
    with pytest.raises(InputError, match=r"mine-000\.tar: is not one"):
        fetch_into(server.url, other)
    assert (other / "mine-000.tar").read_bytes() == before["train-000.tar"]


def test_a_second_fetch_into_the_same_folder_is_refused(server: FaultyServer, tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from shards.remote.localize import fetch_into
fetch_into(sys.argv[1], Path(sys.argv[2]))
"""
    server.faults = {"train-000.tar": [Fault(cut=10, pause=60)]}
    command = [sys.executable, "-c", script, server.url, str(tmp_path / "out")]
    with subprocess.Popen(command) as process:
        until(lambda: server.asked("train-000.tar"))
        with pytest.raises(InputError, match=f"process {process.pid} on .* works on these shards"):
            fetch_into(server.url, tmp_path / "out")
        process.kill()


def test_a_cache_that_cannot_be_written(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        localize(server.url, CacheSettings(tmp_path / "file" / "cache"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
