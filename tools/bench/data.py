"""What the benchmarks run on: a user's data, or clips generated here (drawn figures, 512×512, with depth)."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.demo.generate import DemoSettings, generate


@dataclass(frozen=True)
class BenchData:
    """Clips, keypoints and a finished workspace."""

    mp4: Path
    labels: Path
    keypoints: Path  # a folder of JSON, or an archive
    work: Path


def prepare(folder: Path, mp4: Path | None, labels: Path | None, keypoints: Path | None) -> BenchData:
    """The user's data, or, without any, generated clips; and a workspace with all stages done, under `folder`."""
    if mp4 is None or labels is None or keypoints is None:
        generate(folder / "clips", DemoSettings(signers_train=2, signers_val=1, signers_test=1), jobs=2)
        mp4, labels, keypoints = (folder / "clips" / name for name in ("mp4", "labels.csv", "kp"))
    data = BenchData(mp4, labels, keypoints, folder / "work")
    run_pipeline(data, data.work, jobs=2)
    return data


def run_pipeline(data: BenchData, work: Path, jobs: int, *more: str) -> None:
    """`pipeline run` in a process of its own; CalledProcessError when it fails."""
    arguments = ["run", "--data", data.mp4, "--labels", data.labels, "--work", work, "--pose", "import"]
    arguments += ["--keypoints", data.keypoints, "--jobs", jobs, *more]
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
