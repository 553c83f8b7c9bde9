"""Running the estimator scripts as a user would: by uv, in their own locked environments."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

POSE = Path(__file__).parents[3] / "pipeline" / "pose" / "scripts"
# Words of uv when it cannot reach the package index; any other failure of it is a failure of the test.
_NO_NETWORK = re.compile(r"error sending request|operation timed out|network was disabled|dns error")


def uv(*arguments: str, stdin: str | None = None, timeout: float = 550) -> subprocess.CompletedProcess[str]:
    """Run uv; the test is skipped where there is none, or where it lacks packages and cannot reach the index."""
    module = pytest.importorskip("uv", reason="uv is not installed")
    command = [module.find_uv_bin(), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    if done.returncode and _NO_NETWORK.search(done.stderr):
        pytest.skip(f"uv cannot reach the package index: {done.stderr.strip().splitlines()[-1]}")
    return done


def run_estimator(script: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script of `pipeline/pose` with what its lock file names."""
    return uv("run", "--no-project", "--frozen", "--script", str(POSE / script), *arguments, stdin=stdin)


def read_people(text: str) -> np.ndarray:
    """A frame's JSON: (135, 3), zeros where nobody was found."""
    people = json.loads(text)["people"]
    return np.array(people[0]["pose_keypoints_2d"]).reshape(135, 3) if people else np.zeros((135, 3))


def read_json_folder(folder: Path) -> np.ndarray:
    """All frames of a folder of OpenPose JSON: (T, 135, 3), zeros where nobody was found."""
    return np.stack([read_people(path.read_text()) for path in sorted(folder.glob("*_keypoints.json"))])
