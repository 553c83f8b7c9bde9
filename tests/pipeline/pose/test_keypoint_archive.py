"""Archives as they are released, and as they should not be."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import moving_keypoints

from pipeline.errors import ClipError
from pipeline.pose.archive import archive_parts
from pipeline.pose.keypoint_archive import KEYPOINTS, POSE_FLOW, Series, import_archive, parse_flow
from pipeline.workspace.ledger import read_ledger_rows
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE
from shards.errors import InputError
from shards.format.sample import npy_bytes

FRAMES = 5


def frame_json(frame: np.ndarray) -> bytes:
    return json.dumps({"people": [{"pose_keypoints_2d": frame.ravel().tolist()}]}).encode()


def clip_members(name: str, frames: int = FRAMES) -> dict[str, bytes]:
    """The files of a clip, whose first coordinate in frame i is the i-th of `moving_keypoints`."""
    keypoints = moving_keypoints(frames, len(name))
    folder = f"kp/train/{name}_color.kp"
    return {f"{folder}/{name}_color_{i:012d}_keypoints.json": frame_json(keypoints[i]) for i in range(frames)}


def pack(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:bz2") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> dict[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return {name: info}


def arrays_of(parts: list[Path], names: tuple[str, ...], series: Series = KEYPOINTS) -> dict:
    """What comes of each clip: its array, or the reason why there is none."""
    return {
        key: value if isinstance(value, np.ndarray) else str(value)
        for key, value in import_archive(parts, dict.fromkeys(names, FRAMES), series)
    }


def done(arrays: dict) -> list[str]:
    return [name for name, value in arrays.items() if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_in_any_compression(tmp_path: Path, mode: str) -> None:
    members = clip_members("a") | clip_members("bb") | clip_members("other", 70) | {"kp/README": b"hello"}
    path = pack(tmp_path / "kp.tar", members, mode)
    arrays = arrays_of([path], ("a", "bb"))
    assert arrays.keys() == {"a", "bb"}
    for name, keypoints in arrays.items():
        np.testing.assert_array_equal(keypoints, moving_keypoints(FRAMES, len(name)).astype(np.float32))


def test_a_folder_that_comes_again_fails_its_clip(tmp_path: Path) -> None:
    """In another split, or after `tar --append`, also where it is the last of the clips that are wanted."""
    again = {name.replace("/train/", "/test/"): content for name, content in clip_members("a").items()}
    path = pack(tmp_path / "kp.tar", clip_members("bb") | clip_members("a") | clip_members("other") | again)
    given = list(import_archive([path], dict.fromkeys(("a", "bb"), FRAMES), KEYPOINTS))
    assert [key for key, _ in given] == ["bb", "a", "a"]
    assert done(dict(given)) == ["bb"]
    assert str(given[-1][1]) == f"{path}: keypoints of a are there twice; remove one"


@pytest.mark.parametrize("folder", ["kp/val/a_color.kp", "kp/train/a.kp"])
def test_a_second_folder_right_after_the_first_fails_its_clip(tmp_path: Path, folder: str) -> None:
    again = {f"{folder}/{Path(name).name}": content for name, content in clip_members("a").items()}
    path = pack(tmp_path / "kp.tar.bz2", clip_members("a") | again | clip_members("bb"))
    found = arrays_of([path], ("a", "bb"))
    assert done(found) == ["bb"]
    assert found["a"].startswith(f"{path}: {folder}/a_color_000000000000_keypoints.json: frame 0 is there twice")


def test_a_clip_whose_id_ends_with_color_is_not_the_one_without(tmp_path: Path) -> None:
    members = clip_members("a") | clip_members("a_color")
    path = pack(tmp_path / "kp.tar.bz2", {name.replace("_color.kp", ".kp"): members[name] for name in members})
    found = arrays_of([path], ("a", "a_color"))
    for name in ("a", "a_color"):
        np.testing.assert_array_equal(found[name], moving_keypoints(FRAMES, len(name)).astype(np.float32))


def test_hidden_files_are_no_frames(tmp_path: Path) -> None:
    """As a tar made on macOS has them."""
    members = {}
    for name, content in clip_members("a").items():
        folder, _, file = name.rpartition("/")
        members |= {f"{folder}/._{file}": b"\0\5\x16\7Mac OS X", name: content}
    assert done(arrays_of([pack(tmp_path / "kp.tar.bz2", members)], ("a",))) == ["a"]


def split(path: Path, size: int, suffixes: list[str]) -> list[Path]:
    data = path.read_bytes()
    parts = []
    for number, suffix in enumerate(suffixes):
        part = path.with_name(f"{path.name}.{suffix}")
        part.write_bytes(data[number * size : (number + 1) * size if suffix != suffixes[-1] else None])
        parts.append(part)
    path.unlink()
    return parts


@pytest.mark.parametrize("suffixes", [["aa", "ab", "ac"], ["00", "01", "02"], ["aaa", "aab", "aac"]])
@pytest.mark.parametrize(("name", "mode"), [("kp.tar.bz2", "w:bz2"), ("kp.tar", "w:")])
def test_parts_are_found_from_the_first_and_read_as_one(tmp_path, suffixes, name, mode) -> None:
    archive = pack(tmp_path / name, clip_members("a") | clip_members("bb"), mode)
    parts = split(archive, 1000, suffixes)
    for suffix in ("md5sum", "md5", "m5", "1"):
        (tmp_path / f"{name}.{suffix}").touch()
    (tmp_path / "kpflow2.tar.bz2.aa").touch()
    assert archive_parts(parts[0]) == parts
    assert done(arrays_of(parts, ("a", "bb"))) == ["a", "bb"]
    with pytest.raises(InputError, match=f"not the first part; give {name}.{suffixes[0]}"):
        archive_parts(parts[1])
    parts[1].unlink()
    with pytest.raises(InputError, match=f"{name}.{suffixes[1]}: this part of the archive is missing"):
        archive_parts(parts[0])


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_archive_keeps_the_clips_that_are_whole(tmp_path, mode, keep) -> None:
    noise = {"kp/noise": np.random.default_rng(0).bytes(900_000)}  # a block of bzip2, of which half a one gives nothing
    names = ("a", "bb", "ccc", "dddd")
    members = clip_members("a") | noise | clip_members("bb") | {"kp/n2": noise["kp/noise"]} | clip_members("ccc")
    path = pack(tmp_path / "kp.tar", members | {"kp/n3": noise["kp/noise"][::-1]} | clip_members("dddd"), mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    arrays = arrays_of([path], names)
    assert arrays.keys() == set(names)
    whole = done(arrays)
    assert whole == list(names[: len(whole)])
    assert 1 <= len(whole) < 4
    for name in names[len(whole) :]:
        assert "of 5 frames; " in arrays[name] and "the archive ends too early or is damaged" in arrays[name]


def test_damage_in_the_middle_is_reported_too(tmp_path: Path) -> None:
    noise = {"kp/noise": np.random.default_rng(0).bytes(2_000_000)}
    path = pack(tmp_path / "kp.tar.bz2", clip_members("a") | noise | clip_members("bb"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    path.write_bytes(data)
    assert done(arrays_of([path], ("a", "bb"))) == ["a"]


@pytest.mark.parametrize(
    "member",
    [
        {"/etc/evil": b"x"},
        {"kp/../../evil": b"x"},
        {"..": b"x"},
        special("kp/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("kp/hard", tarfile.LNKTYPE, "kp/other"),
        special("kp/device", tarfile.CHRTYPE),
        special("kp/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: next(iter(member)),
)
def test_archives_that_are_not_harmless_are_refused(tmp_path, member) -> None:
    path = pack(tmp_path / "kp.tar.bz2", clip_members("a") | clip_members("c") | member | clip_members("bb"))
    found = []
    with pytest.raises(InputError, match=r"refused: its member .* is a link or leaves its folder"):
        for name, _ in import_archive([path], dict.fromkeys(("a", "bb"), FRAMES), KEYPOINTS):
            found.append(name)
    assert found == ["a"]


Spoil = Callable[[dict[str, bytes]], object]
HUGE = b'{"people": [{"pose_keypoints_2d": [' + b"9" * 400 + b"]}]}"


def add_a_frame(members: dict[str, bytes]) -> dict[str, bytes]:
    last = max(members)
    members[last.replace("0004", "0005")] = members[last]
    return members


def turn_round(members: dict[str, bytes]) -> None:
    for name in sorted(members, reverse=True):
        members[name] = members.pop(name)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: m.pop(sorted(m)[2]), "keypoints of 4 of 5 frames"),
        (lambda m: m.update({sorted(m)[2]: b"{"}), "not OpenPose's JSON"),
        (lambda m: m.update({sorted(m)[2]: b" " * (2 << 20)}), "keypoints of 4 of 5 frames"),
        (lambda m: m.update(dict.fromkeys(m, b'{"people": []}')), "no person found in any of 5 frames"),
        (lambda m: m.update({sorted(m)[4].replace("0004", "0007"): m.pop(sorted(m)[4])}), "frame 4 is missing"),
        (lambda m: add_a_frame(m), "frame 5 is too many"),
        (lambda m: turn_round(add_a_frame(m)), "frame 5 is too many"),
        (lambda m: m.update({sorted(m)[2]: HUGE}), "not OpenPose's JSON"),
        (lambda m: m.update({sorted(m)[2]: b"[" * 100_000}), "not OpenPose's JSON"),
    ],
)
def test_a_clip_that_is_wrong_in_an_archive_fails_alone(tmp_path, spoil: Spoil, said: str) -> None:
    bad = clip_members("a")
    spoil(bad)
    path = pack(tmp_path / "kp.tar", bad | clip_members("bb"), "w:")
    arrays = arrays_of([path], ("a", "bb"))
    assert done(arrays) == ["bb"]
    assert str(path) in arrays["a"] and said in arrays["a"]


def test_pose_flow(tmp_path: Path) -> None:
    flows = np.random.default_rng(1).normal(size=(FRAMES, 135, 2))
    folder = "kpflow2/train/a_color.kpflow2"
    members = {f"{folder}/flow_{i:05d}.npy": npy_bytes(flows[i]) for i in range(FRAMES)}
    bad = {name.replace("/a_", "/b_"): data for name, data in members.items()}
    bad["kpflow2/train/b_color.kpflow2/flow_00001.npy"] = npy_bytes(np.full((135, 2), np.nan))
    path = pack(tmp_path / "kpflow2.tar.bz2", members | bad)
    arrays = dict(import_archive([path], {"a": FRAMES, "b": FRAMES, "one": 0}, POSE_FLOW))
    np.testing.assert_array_equal(arrays["a"], flows.astype(np.float32))
    assert arrays["one"].shape == (0, 135, 2)
    assert "flow_00001.npy: not 135×2 finite numbers" in str(arrays["b"])


@pytest.mark.parametrize(
    "data",
    [b"", b"text", npy_bytes(np.zeros((135, 3))), npy_bytes(np.zeros((135, 2), np.int64)), npy_bytes(np.zeros(0))],
)
def test_what_is_no_flow(data: bytes) -> None:
    with pytest.raises(ClipError, match=r"f.npy: not "):
        parse_flow(data, "f.npy")


def test_a_pickle_is_not_opened() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ClipError, match=r"not a .npy file"):
        parse_flow(buffer.getvalue(), "f.npy")


def test_released_pose_flow_is_the_one_that_we_compute(autsl_mini: Path, tmp_path: Path) -> None:
    arguments = ["run", "--data", str(autsl_mini / "mp4"), "--keypoints", str(autsl_mini / "kp.tar.bz2.aa")]
    stages = [f"--stage={stage}" for stage in ("frames", "keypoints", "poseflow")]
    for name, more in (("ours", []), ("theirs", ["--poseflow", str(autsl_mini / "kpflow2.tar.bz2.aa")])):
        command = [*arguments, "--work", str(tmp_path / name), "--recipe", "reference", *stages, *more]
        assert invoke(command)[0] in (0, 3)
    ours, theirs = (read_ledger_rows(tmp_path / name / "ledger", "poseflow") for name in ("ours", "theirs"))
    assert sum(row.status == DONE for row in theirs.values()) == 24
    for key, row in ours.items():
        if row.status == DONE:
            a, b = (np.load(Workspace(tmp_path / name).poseflow(key)) for name in ("ours", "theirs"))
            np.testing.assert_allclose(a[..., 1], b[..., 1], atol=1e-5)
            turn = np.abs(a[..., 0] - b[..., 0])
            assert np.minimum(turn, 2 * np.pi - turn).max() < 1e-3


def invoke(arguments: list[str]) -> tuple[int, str]:
    from click.testing import CliRunner

    from pipeline.cli import main

    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_pose_flow_of_another_recipe_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "kpflow2.tar.bz2").touch()
    arguments = ["run", "--data", str(tiny / "mp4"), "--work", str(tmp_path / "w"), "--keypoints", str(tiny / "kp")]
    code, said = invoke([*arguments, "--poseflow", str(tmp_path / "kpflow2.tar.bz2")])
    assert (code, "released pose flow goes with --recipe reference" in said) == (2, True)
