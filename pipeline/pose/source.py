"""Where keypoints come from: an estimator that is run, files of a known layout, or an archive that others made."""

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from pipeline.errors import ClipError
from pipeline.pose.archive import archive_parts
from pipeline.pose.choice import EstimatorOptions, choose_estimator, refuse_unused
from pipeline.pose.estimators import Estimator
from pipeline.pose.importing import LOOK, ImportRules
from pipeline.pose.layouts.find import find_keypoints, find_layout
from pipeline.pose.layouts.keypoint_files import kind_of
from pipeline.workspace.fingerprint import stamp
from shards.command_line import print_line
from shards.errors import InputError


@dataclass(frozen=True)
class PoseSource(EstimatorOptions):
    """What the user asked for, as the options of `pipeline run` say it."""

    pose: str | None = None
    keypoints: Path | None = None


@dataclass(frozen=True)
class KeypointSource:
    """What it comes to. At most one of `estimator`, `files` and `archive` is set."""

    name: str  # for `dataset.json`: whose keypoints these are
    version: Any  # for fingerprints
    estimator: Estimator | None = None
    files: dict[str, str] | None = None  # sample id: file or folder
    root: str = ""  # of the files, for messages
    archive: tuple[Path, ...] = ()


NO_SOURCE = KeypointSource("import", "import")  # where only frames are counted


def keypoint_source(
    options: PoseSource, ids: Collection[str], rules: ImportRules, ffmpeg: str | None = None
) -> KeypointSource:
    """The source of keypoints of these clips, named in a line on stderr. `ffmpeg` is the binary for MediaPipe.

    Raises:
        InputError: the options contradict each other, or name something that is not there.
    """
    path = options.keypoints
    if options.pose == "import" and path is None:
        raise InputError("--pose import needs --keypoints: a folder with them, a tar, or the first part of a split one")
    if path is None:
        estimator, why = choose_estimator(options.pose, options, ffmpeg)
        print_line(f"keypoints from {why}", err=True)
        return KeypointSource(estimator.name, [estimator.name, estimator.version], estimator)
    if options.pose not in (None, "import"):
        raise InputError(f"--keypoints goes with --pose import, not with --pose {options.pose}")
    refuse_unused(options, "--keypoints", str(path))
    if path.is_dir():
        return _files(path, ids, rules)
    parts = archive_parts(path)
    if kind_of(path):
        raise InputError(f"{path}: keypoints of one clip; give the folder with a file for each, or list it in a CSV")
    if is_zipfile(path):
        raise InputError(f"{path}: is a zip archive; unpack it and give the folder")
    print_line(f"keypoints from {path}", err=True)
    return KeypointSource("import", ["import", [stamp(part) for part in parts]], archive=tuple(parts))


def refuse_unused_rules(source: KeypointSource, rules: ImportRules) -> None:
    """Make sure that no rule for keypoint files was given where none is read.

    Raises:
        InputError: one was.
    """
    if source.files is not None:
        return
    given = {"--keypoint-layout": rules.layout, "--picture-size": rules.size, "--mirrored": rules.mirrored}
    where, way_out = f"{source.name} is run", "leave it out"
    if source.archive:
        given["--person"] = rules.person != LOOK.person
        where, way_out = f"{source.archive[0]} is an archive", "unpack it and give the folder"
    if unused := next((option for option, value in given.items() if value), None):
        raise InputError(f"{unused} is for keypoint files, but {where}; {way_out}")


def _files(root: Path, ids: Collection[str], rules: ImportRules) -> KeypointSource:
    found = {key: str(path.absolute()) for key, path in find_keypoints(root, ids).items()}
    return KeypointSource(_name_of(str(root), found.values(), rules), "import", files=found, root=str(root.absolute()))


def own_keypoints(paths: Iterable[str], rules: ImportRules) -> KeypointSource:
    """Where every clip brings its own keypoints, at these paths.

    Raises:
        InputError: they cannot be used.
    """
    there = [path for path in paths if Path(path).exists()]
    return KeypointSource(_name_of("the clip list", there, rules), "import")


def _name_of(where: str, paths: Iterable[str], rules: ImportRules) -> str:
    """The name of a source of files: their layout, as a line on stderr says.

    The first that can be read is looked at now, so that a layout of no use ends no day's work; those that are damaged
    fail their clips.
    """
    layout = ""
    for path in sorted(paths):
        with contextlib.suppress(ClipError):
            layout = find_layout(Path(path), rules.layout).name
            break
    print_line(f"keypoints from {where} ({layout or 'none that can be read'})", err=True)
    return "import" if layout in ("", "body135") else f"import {layout}"
