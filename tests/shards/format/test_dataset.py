import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.format.dataset import Dataset, Shard, read_dataset, sha256_of
from shards.format.recipe import REFERENCE

_DATASET = Dataset(
    REFERENCE,
    {"estimator": "import", "quality": 95},
    ["abla", "açmak", "<b>"],
    {"val": [Shard("val-000.tar", 1, 10240, "00" * 32)], "train": [Shard("train-000.tar", 2, 20480, "ab" * 32)]},
)


def test_round_trip(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    assert read_dataset(tmp_path) == _DATASET
    assert "açmak" in (tmp_path / "dataset.json").read_text(encoding="utf-8")
    first = (tmp_path / "dataset.json").read_bytes()
    _DATASET.write(tmp_path)
    assert (tmp_path / "dataset.json").read_bytes() == first


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not finished here"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "absent")
    (tmp_path / "shards").touch()
    with pytest.raises(InputError, match=r"shards is a file, and no shard"):
        read_dataset(tmp_path / "shards")


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "set\udcff"
    folder.mkdir()
    _DATASET.write(folder)
    with pytest.raises(InputError, match=r"set\\udcff': its name is not UTF-8; rename it"):
        read_dataset(folder)


def test_samples_that_are_no_shards_yet(tmp_path: Path) -> None:
    (tmp_path / "signer0_sample1.tar").touch()
    with pytest.raises(InputError, match=r"dataset\.json: not found \(signer0_sample1\.tar is no shard"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"{}", b'{"format": "signshards-0"}'),
        *(b"[" * 100_000, b'{"format": ' + b"9" * 400 + b"}", b'{"format": "\\ud800"}', b'{"format": NaN}'),
    ],
)
def test_not_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(InputError, match=r"dataset\.json: "):
        read_dataset(tmp_path)


@pytest.mark.parametrize("key", ["recipe", "settings", "classes", "splits"])
def test_part_missing(tmp_path: Path, key: str) -> None:
    _DATASET.write(tmp_path)
    value = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    del value[key]
    (tmp_path / "dataset.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=key):
        read_dataset(tmp_path)


_SHARD = {"name": "val-000.tar", "samples": 1, "bytes": 10240, "sha256": "00" * 32}


def _val(*shards: dict) -> dict:
    return {"val": {"index": "val.parquet", "shards": list(shards)}}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("recipe", "default", "a part is missing or wrong"),
        ("settings", None, r"wrong \(settings is not an object\)"),
        ("settings", ["import"], r"wrong \(settings is not an object\)"),
        ("classes", None, r"wrong \(classes is not a list of names\)"),
        ("classes", {"0": "abla"}, r"wrong \(classes is not a list of names\)"),
        ("classes", ["abla", 1], r"wrong \(classes is not a list of names\)"),
        ("splits", _val(_SHARD | {"samples": "1"}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"bytes": None}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"sha256": 7}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"sha256": "../00"}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"samples": 0}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"bytes": 0}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"samples": True}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD | {"bytes": -1}), r"wrong \(samples, bytes or sha256 of val-000"),
        ("splits", _val(_SHARD, _SHARD | {"bytes": 20480}), "val lists a shard twice"),
        ("splits", _val(), "val lists no shards"),
        ("splits", {}, "lists no shards"),
        ("splits", {"val": {"index": "train.parquet", "shards": [_SHARD]}}, "cannot name the index of val"),
        ("splits", {"val": {"shards": [_SHARD]}}, "index"),
    ],
)
def test_a_part_of_another_type(tmp_path: Path, key: str, value: object, said: str) -> None:
    _changed(tmp_path, **{key: value})
    with pytest.raises(InputError, match=rf"dataset\.json: .*{said}"):
        read_dataset(tmp_path)


def test_a_part_that_is_nested_too_deep_for_its_sum(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    text = (tmp_path / "dataset.json").read_text(encoding="utf-8")
    deep = '{"a":' * 1000 + "0" + "}" * 1000  # which orjson reads
    (tmp_path / "dataset.json").write_text(text.replace('"settings": {', f'"settings": {{"deep": {deep}, ', 1))
    with pytest.raises(InputError, match=r"dataset\.json: .*recursion"):
        read_dataset(tmp_path)


def _changed(folder: Path, **entries) -> None:
    _DATASET.write(folder)
    value = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(json.dumps(value | entries))


@pytest.mark.parametrize("split", ["../x", "/x", "", ".", "..", "-x", "a.b"])
def test_a_split_whose_files_would_be_elsewhere(tmp_path: Path, split: str) -> None:
    shard = {"name": f"{split}-000.tar", "samples": 1, "bytes": 10240, "sha256": "00" * 32}
    _changed(tmp_path, splits={split: {"index": f"{split}.parquet", "shards": [shard]}})
    with pytest.raises(InputError, match=r"dataset\.json: .*'.*' cannot name a split"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["../val-000.tar", "/val-000.tar", "train-000.tar", "val-00.tar", "val-000.tar\n", 7])
def test_a_shard_that_would_be_elsewhere(tmp_path: Path, name: object) -> None:
    shard = {"name": name, "samples": 1, "bytes": 10240, "sha256": "00" * 32}
    _changed(tmp_path, splits=_val(shard))
    with pytest.raises(InputError, match=r"dataset\.json: .*a (name|shard) of val"):
        read_dataset(tmp_path)


def test_recipe_of_another_version(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    value = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    value["recipe"]["quirks"].pop()
    (tmp_path / "dataset.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="not one this version has"):
        read_dataset(tmp_path)


def test_a_change_after_it_was_written_is_refused(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    path = tmp_path / "dataset.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])  # a digit becomes another one
        try:
            assert read_dataset(tmp_path) == _DATASET, place  # white space, or the key `sha256` itself
        except InputError as error:
            assert str(path) in error.message


def test_a_change_that_was_meant_has_a_way_out(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    path = tmp_path / "dataset.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | {"classes": ["open", "close", "<b>"]}
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"dataset\.json: changed after it was written .* remove the key sha256"):
        read_dataset(tmp_path)
    del changed["sha256"]  # which is also how sets of earlier versions are
    path.write_text(json.dumps(changed))
    assert read_dataset(tmp_path) == replace(_DATASET, classes=["open", "close", "<b>"])


def test_another_layout_of_the_same_content_is_no_change(tmp_path: Path) -> None:
    _DATASET.write(tmp_path)
    path = tmp_path / "dataset.json"
    text = path.read_text(encoding="utf-8")
    for other in (json.dumps(json.loads(text), sort_keys=True), text.replace("\n", "\r\n")):
        path.write_text(other, encoding="utf-8", newline="")
        assert read_dataset(tmp_path) == _DATASET


def test_the_sum_is_that_of_the_page(tmp_path: Path) -> None:
    """`docs/format.md` gives the rule, for other writers."""
    settings = _DATASET.settings | {"depth_range": [0.1, 1e300, -0.0], "größe": None, "size": 256}
    replace(_DATASET, settings=settings).write(tmp_path)
    value = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    found = value.pop("sha256")
    assert found == hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()
    assert read_dataset(tmp_path).settings == settings


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_pipeline_states_count_bytes_and_hash_of_every_shard(tiny_work: Path) -> None:
    folder = tiny_work / "shards"
    dataset = read_dataset(folder)
    listed = {shard.name: shard for shards in dataset.splits.values() for shard in shards}
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.tar"))
    for name, shard in listed.items():
        data = (folder / name).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
