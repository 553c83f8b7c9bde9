import io
import json
import subprocess
import sys
import tarfile

import pytest

from shards.format.sample import MEMBERS
from shards.format.tar import end_of_archive, lay_out, pack, split_member_name, tar_header
from shards.names import LONGEST_ID

_IDS = ["a", "signer1_sample2", "işaret çok güzel", "日本語", "x" * 83, "ü" * 41]
_PACK = r"""
import hashlib
from shards.format.tar import pack
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
            header = tarfile.TarInfo(f"{'x' * 83}.{name}")
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


@pytest.mark.parametrize("member", MEMBERS)
def test_member_names_split_at_the_first_dot(member: str) -> None:
    assert split_member_name(f"signer0_sample1.{member}") == ("signer0_sample1", member)


def test_an_id_that_needs_a_longer_header_is_refused() -> None:
    tar_header("x" * LONGEST_ID, "right_depth.mjpg", 1)
    with pytest.raises(ValueError, match="too long"):
        pack("x" * (LONGEST_ID + 1), {"right_depth.mjpg": b""})
