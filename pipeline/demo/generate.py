"""Writing the generated data set: an AUTSL tree of videos, OpenPose keypoints, labels and class names.

Everything is GENERATED: drawn figures and an invented vocabulary, no person and no language. Signers differ in build,
place, appearance, speed and habits; those of val and test occur nowhere else but come from the same distributions.

    mp4/<split>/signer<S>_sample<N>_color.mp4, …_depth.mp4     512×512, 30 fps, H.264; depth: nearer is brighter
    kp/<split>/<id>_color.kp/<id>_color_<frame:012d>_keypoints.json    OpenPose BODY_135
    labels.csv (id,class,split; no header), classes.csv (ClassId,EN), README.txt
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.figure import ELBOWS, FINGERS, WRISTS, figure_keypoints
from pipeline.demo.scene import Scene
from pipeline.demo.signer import SIZE, random_appearance, random_body
from pipeline.demo.signs import LEFT, RIGHT, SIGNS, perform, random_style, vary
from pipeline.video.encode import RawFrames, write_video
from pipeline.video.program import ffmpeg_binary
from pipeline.workers.local import end_workers
from pipeline.workers.signals import signals_held_by_workers
from shards.body135 import POINTS
from shards.errors import InputError
from shards.files import remove_leftovers, write_whole
from shards.progress import progress
from shards.workers import in_workers

FPS = 30
# Stands in README.txt, so that clips of another generator are not taken for this one's: raise it when the drawing,
# the motion or the noise changes.
VERSION = 1


@dataclass(frozen=True)
class DemoSettings:
    """How many signers each split has, and how often each of them performs each of the eight signs.

    Many signers who perform each sign once teach more about unseen signers than few who repeat themselves.
    """

    signers_train: int = 12
    signers_val: int = 2
    signers_test: int = 4
    repetitions: int = 1
    seed: int = 42


@dataclass(frozen=True)
class DemoClip:
    """One performance: `sample` counts from 1 within a signer, `label` is the sign's place in `SIGNS`."""

    split: str
    signer: int
    sample: int
    label: int

    @property
    def id(self) -> str:
        """The id as AUTSL forms it."""
        return f"signer{self.signer}_sample{self.sample}"


def plan(settings: DemoSettings) -> list[DemoClip]:
    """Every clip of the data set. Each signer is in one split and performs every sign, in an order of their own."""
    counts = {"train": settings.signers_train, "val": settings.signers_val, "test": settings.signers_test}
    splits = [split for split, count in counts.items() for _ in range(count)]
    clips = []
    for signer, split in enumerate(splits):
        order = _generator(settings.seed, signer, 0, "order").permutation(len(SIGNS) * settings.repetitions)
        clips += [DemoClip(split, signer, n, int(place) % len(SIGNS)) for n, place in enumerate(order, start=1)]
    return clips


def generate(out: Path, settings: DemoSettings, jobs: int) -> None:
    """Write the data set into `out` with `jobs` processes; what an interrupted call left is continued, not redone.

    The same settings give the same files. A complete data set is left untouched, times of its files included.

    Raises:
        InputError: `out` holds something else, or a video cannot be written.
    """
    _claim(out, _readme(settings))
    clips = plan(settings)
    for split in sorted({clip.split for clip in clips}):
        (out / "mp4" / split).mkdir(parents=True, exist_ok=True)
        remove_leftovers(out / "mp4" / split)
        (out / "kp" / split).mkdir(parents=True, exist_ok=True)
    missing = [clip for clip in clips if not _video(out, clip, "color").exists()]
    _make_all(out, settings.seed, missing, jobs)
    if not (out / "labels.csv").exists():
        names = "".join(f"{label},{sign.name}\n" for label, sign in enumerate(SIGNS))
        write_whole(out / "classes.csv", f"ClassId,EN\n{names}".encode())
        labels = "".join(f"{clip.id},{clip.label},{clip.split}\n" for clip in clips)
        write_whole(out / "labels.csv", labels.encode())


def _make_all(out: Path, seed: int, clips: list[DemoClip], jobs: int) -> None:
    """Draw clips in worker processes.

    Raises:
        InputError: a video cannot be written.
    """
    if not clips:
        return
    arguments = [(out, seed, clip, ffmpeg_binary()) for clip in clips]
    try:
        with signals_held_by_workers():  # Ctrl-C would print a traceback of each
            made = in_workers(_make, arguments, jobs)
            first = next(made)
        for _ in progress(chain([first], made), len(arguments), "drawing"):
            pass
    finally:
        end_workers()


def _claim(out: Path, readme: str) -> None:
    """Mark `out` as holding the data set that `readme` describes; refuses a folder that holds anything else."""
    remove_leftovers(out)  # all that is there when the first call was killed in this function
    found = out / "README.txt"
    ours = found.is_file() and found.read_bytes() == readme.encode()
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something else than these generated clips; name another folder or remove it")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(found, readme.encode())


def observe(points: NDArray[np.float64], unit: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """What a pose estimator would make of a clip's true points (T, 135, 3): (T, 135, 3) of x, y, score; missing is 0.

    Points jitter by about 0.6 % of the shoulder width (`unit`, pixels), fingers by 1 %. Lost are: points outside the
    picture or unknown, 1 % of all others, and for each hand in two of three clips a spell of 2 to 8 frames without
    fingers, without fingers and wrist, or without elbow.
    """
    frames = len(points)
    seen = np.empty_like(points)
    spread = np.full((POINTS, 1), 0.006 * unit)
    spread[[*FINGERS[LEFT], *FINGERS[RIGHT]]] = 0.01 * unit
    seen[..., :2] = points[..., :2] + spread * rng.standard_normal((frames, POINTS, 2))
    seen[..., 2] = rng.uniform(0.55, 0.95, (frames, POINTS))
    with np.errstate(invalid="ignore"):
        inside = ((seen[..., :2] > 0) & (seen[..., :2] < SIZE)).all(axis=-1)
    lost = ~inside | (rng.random((frames, POINTS)) < 0.01)
    for hand in (LEFT, RIGHT):
        fingers = list(FINGERS[hand])
        spells: tuple[list[int], ...] = (fingers, [*fingers, WRISTS[hand]], [ELBOWS[hand]], [])
        spell = spells[rng.choice(4, p=[2 / 9, 2 / 9, 2 / 9, 1 / 3])]
        begin, length = rng.integers(0, frames - 8), rng.integers(2, 9)
        lost[begin : begin + length, spell] = True
    seen[lost] = 0
    return seen.round(3)


def _generator(seed: int, signer: int, sample: int, purpose: str) -> np.random.Generator:
    """Independent of the order in which clips are made, and of what is drawn for other purposes."""
    return np.random.default_rng([seed, signer, sample, *purpose.encode()])


def _make(out: Path, seed: int, clip: DemoClip, binary: str) -> None:
    """Draw one clip and write its files; the color video comes last: where it exists, the rest does too."""
    of_signer = _generator(seed, clip.signer, 0, "signer")
    body, appearance = random_body(of_signer), random_appearance(of_signer)
    habits = random_style(of_signer)
    rng = _generator(seed, clip.signer, clip.sample, "clip")
    shift, scale = rng.uniform(-8, 8, 2), rng.uniform(0.97, 1.03)
    body = replace(body, x=body.x + shift[0], y=body.y + shift[1], unit=body.unit * scale)
    points = figure_keypoints(body, perform(SIGNS[clip.label], vary(habits, rng), rng))
    points[..., :2] += _sway(len(points), 0.02 * body.unit, rng)
    _write_keypoints(out / "kp" / clip.split / f"{clip.id}_color.kp", observe(points, body.unit, rng))
    scene = Scene(body, appearance, rng)
    frames = [scene.draw(frame) for frame in points]
    _encode(_video(out, clip, "depth"), (depth for _, depth in frames), "gray", binary)
    _encode(_video(out, clip, "color"), (picture for picture, _ in frames), "rgb24", binary)


def _sway(frames: int, size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(T, 1, 2): nobody sits quite still."""
    time = np.arange(frames)[:, None]
    return size * np.sin(2 * np.pi * time / rng.uniform(25, 60, 2) + rng.uniform(0, 2 * np.pi, 2))[:, None]


def _video(out: Path, clip: DemoClip, kind: str) -> Path:
    return out / "mp4" / clip.split / f"{clip.id}_{kind}.mp4"


def _write_keypoints(folder: Path, seen: NDArray[np.float64]) -> None:
    """One OpenPose JSON per frame, one person each."""
    if folder.exists():  # from a call that was killed before it wrote the clip's color video
        shutil.rmtree(folder)
    folder.mkdir()
    for index, frame in enumerate(seen):
        person = {"person_id": [-1], "pose_keypoints_2d": frame.ravel().tolist()}
        text = json.dumps({"version": 1.3, "people": [person]})
        (folder / f"{folder.stem}_{index:012d}_keypoints.json").write_text(text, encoding="utf-8")


def _encode(path: Path, frames: Iterable[NDArray[np.uint8]], pixels: str, binary: str) -> None:
    """H.264 of frames of 512×512[×3]; one thread, because clips run side by side and bytes must not depend on cores.

    `ultrafast` takes 0.30 s of processor time for both videos of a clip, 340 KB; `veryfast` 0.55 s, 110 KB.
    """
    raw = RawFrames(pixels, SIZE, SIZE, FPS)
    options: dict[str, str | int] = {"preset": "ultrafast", "crf": 23, "threads": 1}
    write_video(path, (frame.tobytes() for frame in frames), raw, binary, options)


def _readme(settings: DemoSettings) -> str:
    names = ", ".join(sign.name for sign in SIGNS)
    return (
        "These clips are GENERATED by `pipeline demo` (signshards): drawn figures performing invented signs.\n"
        "They show no person and no sign language; scores on them say only that the programs work from end to end.\n"
        f"Signs: {names}.\n"
        "Keypoints are the drawing's own, with jitter and losses added; no pose estimator has seen these clips.\n"
        f"Made with {settings}, generator version {VERSION}.\n"
    )
