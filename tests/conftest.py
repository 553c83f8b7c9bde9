"""Data for the tests: small clips made here with FFmpeg, and the real ones under ../shared where they are."""

import io
import json
import resource
import tarfile
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.data.clip_making import SHARED, make_clip, moving_keypoints, run_pipeline, write_keypoints

from train.ranks.threads import wait_passively

wait_passively()  # before any test imports torch; processes that tests start inherit it


@pytest.fixture(scope="session")
def autsl_mini() -> Path:
    """24 real clips in AUTSL's form; they are research data and never committed."""
    folder = SHARED / "data" / "autsl-mini"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the real clips are not part of the project")
    return folder


@pytest.fixture(scope="session")
def autsl_labels() -> Path:
    """AUTSL's label files and the reference's published predictions."""
    folder = SHARED / "data" / "autsl-labels"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: AUTSL's label files are not part of the project")
    return folder


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture
def full_disk():
    """A disk without room: within `with full_disk(1000):`, a file of more bytes cannot be written."""

    @contextmanager
    def limited(size: int):
        # Python ignores SIGXFSZ: the write fails.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """A data set made here: mp4/{train,val}, kp/, kp.tar.bz2, labels.csv. 4 + 2 clips of 20 to 25 frames, 3 classes."""
    root = tmp_path_factory.mktemp("tiny")
    labels = []
    for number in range(6):
        split = "train" if number < 4 else "val"
        name, frames = f"signer{number % 2 if split == 'train' else 2}_sample{number}", 20 + number
        folder = root / "mp4" / split
        folder.mkdir(parents=True, exist_ok=True)
        make_clip(ffmpeg, folder / f"{name}_color.mp4", frames)
        make_clip(ffmpeg, folder / f"{name}_depth.mp4", frames, gray=True)
        kp = root / "kp" / split / f"{name}_color.kp"
        write_keypoints(kp, f"{name}_color", moving_keypoints(frames, number))
        labels.append(f"{name},{number % 3},{split}\n")
    (root / "labels.csv").write_text("".join(labels))
    with tarfile.open(root / "kp.tar.bz2", "w:bz2") as tar:
        tar.add(root / "kp", "kp")
    return root


@pytest.fixture(scope="session")
def tiny_work(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a whole run over `tiny`: shards of at most 3 samples. Read only."""
    work = tmp_path_factory.mktemp("work")
    assert run_pipeline(tiny, work, "--samples-per-shard", "3") == 0
    return work


@pytest.fixture(scope="session")
def tiny_reference_work(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the reference recipe. Read only."""
    work = tmp_path_factory.mktemp("work-reference")
    assert run_pipeline(tiny, work, "--samples-per-shard", "3", "--recipe", "reference") == 0
    return work


@pytest.fixture(scope="session")
def mini_keypoints(autsl_mini: Path) -> dict[str, np.ndarray]:
    """float32 (T, 135, 3) of the real clips, by id, straight from the released archive."""
    frames: dict[str, dict[int, list]] = {}
    stream = io.BytesIO(b"".join(part.read_bytes() for part in sorted(autsl_mini.glob("kp.tar.bz2.*"))))
    with tarfile.open(fileobj=stream, mode="r:bz2") as tar:
        for member in tar:
            if member.isfile():
                people = json.load(tar.extractfile(member))["people"]
                name = Path(member.name).name.removesuffix("_keypoints.json")
                sample_id, _, number = name.rpartition("_color_")
                points = people[0]["pose_keypoints_2d"] if people else [0.0] * 405
                frames.setdefault(sample_id, {})[int(number)] = points
    return {
        sample_id: np.array([parts[number] for number in range(len(parts))], np.float32).reshape(-1, 135, 3)
        for sample_id, parts in frames.items()
    }
