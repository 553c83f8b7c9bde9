"""docs/format.md: its reader runs, and its lists are those of the code."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from shards.body135 import HANDS
from shards.format.dataset import FORMAT, read_dataset
from shards.format.index import SCHEMA
from shards.format.sample import MEMBERS, array_from_npy, info_from_json
from shards.format.shardset import MemberReader, open_shards

_PAGE = Path(__file__).parents[3] / "docs" / "format.md"


def reader(tmp_path: Path) -> Path:
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL) if "tarfile" in block
    ]
    assert "shards." not in code.replace("shards train", "")  # independent of this project
    path = tmp_path / "reader.py"
    path.write_text(code)
    return path


def run_reader(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-I", reader(tmp_path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("work", ["tiny_work", "tiny_reference_work"])
@pytest.mark.parametrize("hand", HANDS)
def test_reader_on_the_page_finds_what_ours_finds(request, tmp_path: Path, work: str, hand: str) -> None:
    folder = request.getfixturevalue(work) / "shards"
    shards = open_shards(f"{folder}/train-*.tar")
    own, expected = MemberReader(shards), []
    for sample, sample_id in enumerate(shards.ids.to_pylist()):
        info = info_from_json(own.read(sample, 0))
        track, digest = info.hands[hand], hashlib.sha256()
        for offset, size, _, _ in track.jpegs.tolist():
            digest.update(own.read(sample, MEMBERS.index(f"{hand}.mjpg"), offset, size))
        expected.append(f"{sample_id} {info.label} {info.frames} {track.missing.sum()} {digest.hexdigest()}")
    result = run_reader(tmp_path, folder, "train", hand)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == expected


def test_reader_on_the_page_takes_samples_without_video(tmp_path: Path, mixed: Path) -> None:
    result = run_reader(tmp_path, mixed, "extra", "left")
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first == "signer0_keypoints has no video"
    assert second.startswith(str(open_shards(str(mixed)).ids[1]))


def test_reader_on_the_page_notices_a_cut(tmp_path: Path, shards: Path) -> None:
    second = open_shards(f"{shards}/train-000.tar").offsets[1, 0] - 512
    with (shards / "train-000.tar").open("r+b") as file:
        file.truncate(second)
    result = run_reader(tmp_path, shards, "train", "left")
    assert result.returncode == 1
    assert "train-000.tar is not whole" in result.stderr


def test_page_names_format_members_columns_and_keys(tiny_work: Path) -> None:
    text = _PAGE.read_text()
    assert f'`"{FORMAT}"`' in text
    assert re.findall(r"^\| `(\w+\.(?:mjpg|npy)|json)` \|", text, re.MULTILINE) == list(MEMBERS)
    for column in SCHEMA.names:
        prefix = column.removesuffix("_offset").removesuffix("_size")
        assert f"`{column}`" in text or f"`{prefix}_…`" in text
    for quirk in re.findall(r"quirk `(\w+)`", text):
        assert hasattr(read_dataset(tiny_work / "shards").recipe, quirk)


def test_missing_hands_are_as_the_page_says(tiny_work: Path, tiny_reference_work: Path) -> None:
    for work, own_picture in ((tiny_work, False), (tiny_reference_work, True)):
        shards = open_shards(str(work / "shards"))
        own = MemberReader(shards)
        for sample in range(len(shards)):
            info = info_from_json(own.read(sample, 0))
            track = info.hands["right"]
            (first, second) = np.flatnonzero(track.missing).tolist()  # side by side, in the middle of the clip
            rows = track.jpegs.tolist()
            if own_picture:
                assert len({tuple(row) for row in rows}) == info.frames
                assert [rows[frame][2:] for frame in (first, second)] == [[info.width, info.height]] * 2
            else:
                assert (rows[first], rows[second]) == (rows[first - 1], rows[second + 1])


def test_jpegs_are_as_the_page_says(tiny_work: Path) -> None:
    shards = open_shards(str(tiny_work / "shards"))
    own = MemberReader(shards)
    info = info_from_json(own.read(0, 0))
    for hand, track in info.hands.items():
        for depth, table in (("", track.jpegs), ("_depth", track.depth_jpegs)):
            member = own.read(0, MEMBERS.index(f"{hand}{depth}.mjpg"))
            for frame, (offset, size, width, height) in enumerate(table.tolist()):
                data = member[offset : offset + size]
                found = simplejpeg.decode_jpeg_header(data)
                assert found == (height, width, "Gray" if depth else "YCbCr", found[3] if depth else "420")
                assert b"\xff\xc0" in data  # SOF0: baseline
                if not track.missing[frame]:
                    x0, y0, x1, y1 = track.boxes[frame].tolist()
                    assert (width, height) == (x1 - x0, y1 - y0)


def test_arrays_are_as_the_page_says(tiny_work: Path) -> None:
    shards = open_shards(str(tiny_work / "shards"))
    own = MemberReader(shards)
    for name, shape in (("flow.npy", (-1, 135, 2)), ("pose.npy", (0, 135, 3))):
        data = own.read(0, MEMBERS.index(name))
        assert data[:8] == b"\x93NUMPY\x01\x00"
        assert b"'descr': '<f4', 'fortran_order': False" in data[:128]
        assert array_from_npy(data).shape == (shards.frames[0] + shape[0], *shape[1:])
