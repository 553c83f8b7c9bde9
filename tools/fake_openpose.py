"""A stand-in for OpenPose's binary, for tests of the pipeline: it looks at no pixel.

It takes OpenPose's command line, refuses any other, and writes BODY_135 JSON of an invented body, one file per frame.

What a clip's name contains decides what happens: `nobody` (no person in any frame), `crash` (an error and status 1),
`hang` (never ends, and has started a process that never ends either), `short` (the last frame is missing). With
$FAKE_OPENPOSE_LOG every call adds a line `<clip name> <CUDA_VISIBLE_DEVICES>` to that file.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import imageio_ffmpeg

# BODY_135, as in shards/body135.py: this file runs by itself.
_POINTS = 135
_LEFT_WRIST, _RIGHT_WRIST = 9, 10
# Shoulders, elbows, neck and head top.
_FIXED = {5: (100, 50), 6: (60, 50), 7: (108, 80), 8: (52, 80), 17: (80, 45), 18: (80, 18)}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the 2021 entry's call, each of which must be there; status 2 otherwise."""
    parser = argparse.ArgumentParser("openpose", allow_abbrev=False)
    for option, value in (("render_pose", "0"), ("number_people_max", "1"), ("display", "0")):
        parser.add_argument(f"--{option}", required=True, choices=[value])
    parser.add_argument("--model_pose", required=True, choices=["BODY_135"])
    parser.add_argument("--video", required=True, type=Path)
    parser.add_argument("--write_json", required=True, type=Path)
    parser.add_argument("--model_folder", type=Path)
    return parser.parse_args(arguments)


def body(name: str, frame: int) -> list[float]:
    """135 × (x, y, score) for a frame of 160×120: a body that stands still and circles its hands."""
    seed = zlib.crc32(name.encode())
    points: dict[int, tuple[float, float]] = {
        number: (40 + (seed + 37 * number) % 60, 40 + (seed // 7 + 53 * number) % 60) for number in range(_POINTS)
    }
    turn = frame / 5 + seed % 7
    points |= _FIXED
    points[_LEFT_WRIST] = (110 + 10 * math.cos(turn), 70 + 10 * math.sin(turn))
    points[_RIGHT_WRIST] = (50 - 10 * math.cos(turn), 70 - 10 * math.sin(turn))
    return [round(value, 3) for number in range(_POINTS) for value in (*points[number], 0.9)]


def main() -> int:
    """Write the JSON of a clip; returns the exit status."""
    options = parse(sys.argv[1:])
    name = options.video.stem
    if log := os.environ.get("FAKE_OPENPOSE_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{name} {os.environ.get('CUDA_VISIBLE_DEVICES', '-')}\n")
    if "crash" in name:
        print("Starting OpenPose demo...\nError:\nCuda check failed (2 vs. 0): out of memory", file=sys.stderr)
        return 1
    if "hang" in name:
        subprocess.Popen(["sleep", "3600"])
        time.sleep(3600)
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(options.video))
    for frame in range(frames - ("short" in name)):
        people = [] if "nobody" in name else [{"person_id": [-1], "pose_keypoints_2d": body(name, frame)}]
        path = options.write_json / f"{name}_{frame:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
