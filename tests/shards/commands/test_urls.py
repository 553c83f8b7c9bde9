"""The `shards` commands on shards elsewhere: they read the same, and say nothing that could be a credential."""

from pathlib import Path

import pytest

HIDDEN = "mysterious"  # as a credential in a command would be


def elsewhere(shards: Path, name: str) -> str:
    """A `pipe:` URL with something secret in it."""
    return f"pipe:true {HIDDEN}; cat {shards}/{name}"


def test_list_fetches_the_indexes_only(run, shards: Path, tmp_path: Path) -> None:
    local, remote = (
        run("list", where, "--json", "--cache", tmp_path / "cache") for where in (shards, elsewhere(shards, "{}"))
    )
    assert remote.exit_code == 0
    assert remote.stdout == local.stdout
    table = run("list", elsewhere(shards, "{}"), "--cache", tmp_path / "cache").stdout
    assert table.startswith("pipe:…: recipe ")  # not the cache's folder
    names = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()} - {".lock"}
    assert names == {"dataset.json", "train.parquet", "val.parquet"}


def test_verify_fetches_and_checks_every_byte(run, shards: Path, tmp_path: Path) -> None:
    result = run("verify", "--full", elsewhere(shards, "{}"), "--cache", tmp_path / "cache", "--jobs", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("pipe:…: all right: 3 shards, 6 samples")


@pytest.mark.parametrize("command", ["list", "verify"])
def test_some_shards_are_no_folder(run, shards: Path, tmp_path: Path, command: str) -> None:
    result = run(command, elsewhere(shards, "train-000.tar"), "--cache", tmp_path / "cache")
    assert result.exit_code == 2
    assert "pipe:…: is no folder" in result.stderr


def test_reshard_and_split_give_what_they_give_for_a_folder(run, shards: Path, tmp_path: Path) -> None:
    for name, pattern in (("local", f"{shards}/train-*.tar"), ("remote", elsewhere(shards, "train-{000..001}.tar"))):
        cache = ("--shards", pattern, "--cache", tmp_path / "cache")
        assert run("reshard", *cache, "--out", tmp_path / name, "--jobs", 1).exit_code == 0
        assert run("split", *cache, "--by", "sample", "--out", tmp_path / f"{name}.csv").exit_code == 0
    assert (tmp_path / "remote.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    for path in (tmp_path / "local").iterdir():
        if path.suffix in {".tar", ".json", ".parquet"}:
            assert (tmp_path / "remote" / path.name).read_bytes() == path.read_bytes(), path.name
    assert all(HIDDEN.encode() not in path.read_bytes() for path in (tmp_path / "remote").iterdir() if path.is_file())


def test_a_page_shows_no_credentials(run, shards: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    url = elsewhere(shards, "train-000.tar")
    result = run("inspect", url, "--samples", 1, "--out", page, "--cache", tmp_path / "cache")
    assert result.exit_code == 0, result.stderr
    assert "pipe:…" in page.read_text()
    assert HIDDEN not in page.read_text()
    unknown = run("inspect", url, "--id", "nobody", "--out", page, "--cache", tmp_path / "cache")
    assert unknown.exit_code == 2
    assert "pipe:…: no sample nobody" in unknown.stderr
