import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.errors import InputError
from shards.format.index import SCHEMA, counts_of, read_index, scan_shard, write_index
from shards.format.tar import end_of_archive, lay_out, pack, tar_member


def rows_of(folder: Path, shard: str) -> list[dict]:
    return [row for row in read_index(folder / f"{shard[:-8]}.parquet").to_pylist() if row["shard"] == shard]


@pytest.mark.parametrize("shard", ["train-000.tar", "train-001.tar", "val-000.tar"])
def test_scan_finds_what_the_pipeline_indexed(tiny_work: Path, shard: str) -> None:
    rows = scan_shard(tiny_work / "shards" / shard)
    assert rows == rows_of(tiny_work / "shards", shard)
    assert rows


def test_index_round_trip(tiny_work: Path, tmp_path: Path) -> None:
    rows = scan_shard(tiny_work / "shards" / "train-000.tar")
    write_index(tmp_path / "a.parquet", rows)
    table = read_index(tmp_path / "a.parquet")
    assert table.to_pylist() == rows
    assert table.schema.equals(SCHEMA)


def test_index_is_the_same_bytes_again(tiny_work: Path, tmp_path: Path) -> None:
    rows = scan_shard(tiny_work / "shards" / "train-000.tar")
    write_index(tmp_path / "a.parquet", rows)
    write_index(tmp_path / "b.parquet", rows)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_unreadable_indexes(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    with pytest.raises(InputError, match=r"train\.parquet"):
        read_index(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"train\.parquet: cannot read"):
        read_index(path)
    pq.write_table(pa.table({"id": ["a"], "label": [1]}), path)
    with pytest.raises(InputError, match="not a file of this version"):
        read_index(path)


_ROW = {"id": "a", "shard": "train-000.tar", "label": 1, "signer": "", "frames": 9, "json_offset": 512, "json_size": 2}


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_column_of_another_type(tmp_path: Path, name: str) -> None:
    path = tmp_path / "train.parquet"
    write_index(path, [_ROW])
    assert len(read_index(path)) == 1
    table = read_index(path)
    for kind in (pa.list_(pa.int64()), pa.float64(), pa.bool_()):
        changed = table.set_column(SCHEMA.names.index(name), name, pa.nulls(1, kind))
        pq.write_table(changed, path)
        with pytest.raises(InputError, match=rf"train\.parquet: not a file of this version .*{name} "):
            read_index(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, "no id"),
        ({"shard": None}, "no shard"),
        ({"signer": None}, "no signer"),
        ({"frames": None}, "no frames"),
        ({"json_offset": None, "json_size": None}, "no json_offset"),
        ({"flow_offset": 1024}, "one of flow_offset and flow_size"),
        ({"pose_size": 1024}, "one of pose_offset and pose_size"),
        ({"label": -1}, "label -1"),
        ({"frames": 0}, "frames 0"),
        ({"json_offset": -1}, "json_offset -1"),
        ({"left_offset": 512, "left_size": -2}, "left_size -2"),
        (
            {"left_guessed": 1, "left_missing": 1, "right_guessed": 1},
            "some of left_guessed, left_missing, right_guessed",
        ),
        (
            {"left_guessed": 5, "left_missing": 5, "right_guessed": 0, "right_missing": 0},
            "of more frames than there are",
        ),
        ({"left_guessed": -1, "left_missing": 5, "right_guessed": 0, "right_missing": 0}, "left_guessed -1"),
    ],
)
def test_values_that_no_sample_has(tmp_path: Path, change: dict, said: str) -> None:
    path = tmp_path / "train.parquet"
    write_index(path, [_ROW, _ROW | change])
    with pytest.raises(InputError, match=rf"train\.parquet: a sample has .*{said}"):
        read_index(path)


def test_an_index_without_numbers_of_guessed_hands_is_that_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write_index(path, [_ROW])
    assert pq.read_schema(path).names == SCHEMA.names[:-4]
    assert counts_of(read_index(path)).tolist() == [[[-1, -1], [-1, -1]]]
    known = _ROW | {"left_guessed": 1, "left_missing": 2, "right_guessed": 3, "right_missing": 4}
    write_index(path, [_ROW, known])
    assert pq.read_schema(path).names == SCHEMA.names
    assert counts_of(read_index(path)).tolist() == [[[-1, -1], [-1, -1]], [[1, 2], [3, 4]]]
    pq.write_table(read_index(path).drop_columns(["right_missing"]), path)
    with pytest.raises(InputError, match="not a file of this version"):
        read_index(path)


def test_a_folder_that_looks_like_a_partition(tmp_path: Path) -> None:
    folder = tmp_path / "seed=1"
    folder.mkdir()
    write_index(folder / "train.parquet", [_ROW])
    assert read_index(folder / "train.parquet").schema.names == SCHEMA.names


def cut(folder: Path, size: int) -> Path:
    path = folder / "train-000.tar"
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def test_cut_at_a_sample_boundary(shards: Path) -> None:
    second = rows_of(shards, "train-000.tar")[1]
    path = cut(shards, second["json_offset"] - 512)
    with tarfile.open(path) as tar:
        assert len(tar.getmembers()) == 7  # tarfile notices nothing
    with pytest.raises(InputError, match=r"train-000\.tar: cut off"):
        scan_shard(path)


def test_cut_between_members(shards: Path) -> None:
    path = cut(shards, rows_of(shards, "train-000.tar")[1]["right_offset"] - 512)
    with pytest.raises(InputError, match="cut off"):
        scan_shard(path)


def test_cut_inside_a_member(shards: Path) -> None:
    path = cut(shards, rows_of(shards, "train-000.tar")[1]["right_offset"] + 100)
    with pytest.raises(InputError, match=r"train-000\.tar: cut off inside signer"):
        scan_shard(path)


def test_empty_file_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    for name in ("a.tar", "b.tar"):
        with pytest.raises(InputError, match=name):
            scan_shard(tmp_path / name)


@pytest.mark.parametrize("byte", [0, 100, 124, 136, 148, 156, 257])  # name, mode, size, mtime, checksum, type, magic
def test_flipped_bit_in_a_header(shards: Path, byte: int) -> None:
    path = shards / "train-000.tar"
    data = bytearray(path.read_bytes())
    data[rows_of(shards, path.name)[1]["flow_offset"] - 512 + byte] ^= 1
    path.write_bytes(data)
    with tarfile.open(path) as tar:
        assert len(tar.getmembers()) < 21  # tarfile stops there without a word
    with pytest.raises(InputError, match=r"neither a member nor the end of the archive"):
        scan_shard(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE, tarfile.SYMTYPE])
def test_extended_headers_are_not_followed(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("a.json")
    header.type, header.size = kind, 8 << 30  # which tarfile would read into memory
    path = tmp_path / "a.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) * 2000)
    with path.open("r+b") as file:
        file.truncate(9 << 30)  # sparse
    with pytest.raises(InputError, match=r"a\.tar: a\.json is not a member"):
        scan_shard(path)


@pytest.mark.parametrize("size", [-512, -1024, 1 << 40])
def test_a_size_that_leads_elsewhere(tmp_path: Path, members: dict[str, bytes], size: int) -> None:
    header = tarfile.TarInfo(f"{scan_id(members)}.json")
    header.size = size
    path = tmp_path / "a.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + members["json"] + bytes(20480))
    with pytest.raises(InputError, match=r"a\.tar: "):
        scan_shard(path)


def test_foreign_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO())
    with pytest.raises(InputError, match=r"readme\.txt is not a member"):
        scan_shard(path)


def write_members(path: Path, members: list[tuple[str, str, bytes]]) -> Path:
    data = b"".join(tar_member(*member) for member in members)
    path.write_bytes(data + end_of_archive(len(data)))
    return path


def test_members_twice_or_out_of_order(tmp_path: Path, members: dict[str, bytes]) -> None:
    key = scan_id(members)
    for second in ("flow.npy", "left.mjpg"):
        names = ["json", "flow.npy", second]
        path = write_members(tmp_path / "a.tar", [(key, name, members[name]) for name in names])
        with pytest.raises(InputError, match="precede, or twice"):
            scan_shard(path)


def test_json_of_another_sample(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = write_members(tmp_path / "a.tar", [("other", "json", members["json"])])
    with pytest.raises(InputError, match=f"is about sample {scan_id(members)}"):
        scan_shard(path)


def scan_id(members: dict[str, bytes]) -> str:
    from shards.format.sample import info_from_json

    return info_from_json(members["json"]).id


def test_packed_sample_with_a_long_non_ascii_id(tmp_path: Path, members: dict[str, bytes]) -> None:
    old, new = scan_id(members), "ü" * 41
    changed = members | {"json": members["json"].replace(old.encode(), new.encode())}
    packed = pack(new, changed)
    (tmp_path / "a.tar").write_bytes(packed.data)
    (row,) = scan_shard(tmp_path / "a.tar")
    assert row["id"] == new
    sizes = {name: len(content) for name, content in changed.items()}
    assert row["pose_offset"] == lay_out(sizes).places["pose.npy"][0] == packed.places["pose.npy"][0]
