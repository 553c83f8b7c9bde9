import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from shards.format.sample import MEMBERS, array_from_npy, info_from_json, npy_bytes
from shards.format.tar import end_of_archive, lay_out, pack, split_member_name
from shards.names import id_problem

_IDS = ["a", "signer1_sample2", "işaret çok güzel", "日本語", "x" * 83, "ü" * 41]
_PACK = r"""
import hashlib
from shards.format.sample import pack
print(hashlib.sha256(pack("i\u015faret", {"pose.npy": b"p", "json": b"{}"}).data).hexdigest())
"""


def some_members(sample_id: str) -> dict[str, bytes]:
    return {"pose.npy": b"p" * 700, "json": json.dumps({"id": sample_id}).encode(), "left.mjpg": b"l" * 512}


@pytest.mark.parametrize("sample_id", _IDS)
def test_pack_is_a_tar_whose_members_are_at_the_places(sample_id: str) -> None:
    members = some_members(sample_id)
    packed = pack(sample_id, members)
    assert list(packed.places) == ["json", "left.mjpg", "pose.npy"]  # the order of MEMBERS
    with tarfile.open(fileobj=io.BytesIO(packed.data), encoding="utf-8") as tar:
        headers = tar.getmembers()
        assert [header.name for header in headers] == [f"{sample_id}.{name}" for name in packed.places]
        for header, (name, (offset, size)) in zip(headers, packed.places.items(), strict=True):
            assert (header.offset_data, header.size) == (offset, size)
            assert packed.data[offset : offset + size] == members[name]
            assert (header.mtime, header.uid, header.gid, header.uname, header.gname) == (0, 0, 0, "", "")


def test_pack_is_what_tarfile_itself_writes() -> None:
    members = some_members("x" * 83)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("json", "left.mjpg", "pose.npy"):
            header = tarfile.TarInfo(f"{'x' * 95}.{name}")
            header.size = len(members[name])
            tar.addfile(header, io.BytesIO(members[name]))
    assert pack("x" * 83, members).data == buffer.getvalue()


def test_pack_is_the_same_in_another_locale_time_zone_and_umask() -> None:
    environments = [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Tokyo"}, {"TZ": "UTC"}]
    found = {
        subprocess.run(
            [sys.executable, "-c", _PACK], env=env | {"PYTHONPATH": ":".join(sys.path)}, umask=mask, capture_output=True
        ).stdout
        for env, mask in zip(environments, (0o077, 0o022), strict=True)
    }
    assert len(found) == 1
    assert len(found.pop()) == 65


@pytest.mark.parametrize("extent", [0, 512, 8704, 9216, 9728, 10240, 1024000])
def test_end_of_archive_fills_up_a_record(extent: int) -> None:
    end = end_of_archive(extent)
    assert 1024 <= len(end) < 1024 + 10240
    assert (extent + len(end)) % 10240 == 0
    assert not any(end)


def test_lay_out_of_members_in_any_order() -> None:
    layout = lay_out({"pose.npy": 1, "json": 513})
    assert layout.places == {"json": (512, 513), "pose.npy": (512 + 1024 + 512, 1)}
    assert layout.extent == 512 + 1024 + 512 + 512


@pytest.mark.parametrize(
    "sample_id", ["", "a.b", "a/b", "..", "a\\b", "a\nb", "a\x00", "a\x7f", "x" * 84, "ü" * 42, "\udcff"]
)
def test_forbidden_ids(sample_id: str) -> None:
    assert id_problem(sample_id)


@pytest.mark.parametrize("sample_id", _IDS)
def test_allowed_ids(sample_id: str) -> None:
    assert id_problem(sample_id) is None


@pytest.mark.parametrize("member", MEMBERS)
def test_member_names_split_at_the_first_dot(member: str) -> None:
    assert split_member_name(f"signer0_sample1.{member}") == ("signer0_sample1", member)


def test_info_survives_its_json_byte_for_byte(members: dict[str, bytes]) -> None:
    info = info_from_json(members["json"])
    assert info.to_json() == members["json"]
    named = replace(info, id="işaret", label=None, fps=29.97002997002997)
    again = info_from_json(named.to_json())
    assert (again.id, again.label, again.fps) == ("işaret", None, 29.97002997002997)
    assert "işaret".encode() in named.to_json()


def test_info_has_the_types_it_promises(members: dict[str, bytes]) -> None:
    info = info_from_json(members["json"])
    for track in info.hands.values():
        assert track.boxes.dtype == np.int32
        assert track.boxes.shape == track.jpegs.shape == track.depth_jpegs.shape == (info.frames, 4)
        assert track.missing.dtype == bool
        assert track.missing.shape == (info.frames,)
    assert info.hands["right"].missing.sum() == 2  # the fixture loses the right wrist in two frames


@pytest.mark.parametrize(
    "change",
    [
        lambda value: [],
        lambda value: None,
        lambda value: value | {"hands": {}},
        lambda value: value | {"hands": {"left": 3, "right": 3}},
        lambda value: value | {"colour": "red"},
        lambda value: {key: value[key] for key in value if key != "fps"},
        lambda value: value | {"hands": {"left": {"boxes": [[0, 0, 1]], "missing": [], "jpegs": []}, "right": {}}},
        lambda value: value | {"hands": {"left": {"boxes": [[10**12] * 4], "missing": [], "jpegs": []}, "right": {}}},
    ],
)
def test_wrong_json_is_one_of_two_errors(members: dict[str, bytes], change) -> None:
    with pytest.raises((KeyError, ValueError)):
        info_from_json(json.dumps(change(json.loads(members["json"]))).encode())
    with pytest.raises(ValueError):
        info_from_json(members["json"][:-5])


def test_npy_round_trip_and_no_pickles() -> None:
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert np.array_equal(array_from_npy(memoryview(npy_bytes(array))), array)
    with pytest.raises(ValueError):
        npy_bytes(np.array([object()]))
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError):
        array_from_npy(buffer.getvalue())
