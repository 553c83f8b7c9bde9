# /// script
# requires-python = ">=3.10,<3.13"
# dependencies = [
#     "rtmlib==0.0.16",
#     "onnxruntime==1.23.2",
#     "numpy==1.26.4",
#     "opencv-python-headless==4.11.0.86",
#     "imageio-ffmpeg==0.8.1",
# ]
#
# [tool.uv]
# # rtmlib asks for both; it needs neither windows (libGL, X11) nor the contributed modules.
# override-dependencies = [
#     "opencv-python; python_version < '3'",
#     "opencv-contrib-python; python_version < '3'",
# ]
# ///
"""A pose estimator with OpenPose's command line: RTMW or another COCO-WholeBody model, mapped to BODY_135.

    uv run --no-project --frozen --script pipeline/pose/scripts/rtmw_openpose.py --detector YOLOX.onnx \
        --model RTMW.onnx --video CLIP --write_json DIR

`--serve` instead of clip and folder: see `mediapipe_openpose.py`. rtmlib prepares the pictures and reads the models'
outputs, ONNX Runtime computes. The model files are the user's; nothing is ever downloaded.

The detector finds people in every frame, the clip's person is followed through the frames by their boxes, and the model
sees that person alone. It has an environment of its own (above, every package with its hash in
`rtmw_openpose.py.lock`); `rtmw_openpose_cuda.py` is the same with ONNX Runtime for CUDA. Of the project it imports
`openpose_script.py` and `person.py`, which lie beside it and need numpy alone.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

if __name__ != "__main__":
    from pipeline.pose.scripts import openpose_script, person
else:  # run by uv, in an environment without the project: they lie beside this file
    import openpose_script  # type: ignore[import-not-found, no-redef]
    import person  # type: ignore[import-not-found, no-redef]

# Fingerprints have this line, the checksums of the models, and nothing else of the script: raise the first number
# whenever the keypoints of a clip can change, be it by the code or by a pin above.
VERSION = "rtmw-openpose 1 (rtmlib 0.0.16, onnxruntime 1.23.2)"

# The points of COCO-WholeBody that those of BODY_135 come from: body, feet, face, left hand and right hand without
# their wrists. Files of such keypoints are read by this table and the bound below, too.
BODY135 = [*range(17), *range(19, 25), *range(65, 133), *range(25, 45), *range(45, 65)]
WHOLEBODY = [*range(17), *range(17, 23), *range(23, 91), *range(92, 112), *range(113, 133)]
WHOLEBODY_POINTS = 133
# mmpose's and Uni-Sign's own bound. COCO-WholeBody has no mark for missing points: legs below the picture are guessed,
# with a median score of 0.17, where hands in sight have 0.34 or more (a television interpreter, 126 frames).
MIN_SCORE = 0.3

# rtmlib's own for YOLOX, where a model's input has no fixed size.
_DETECTOR_SIZE = (640, 640)
_BINS_PER_PIXEL = 2  # of SimCC, rtmlib's and that of all RTMW models


def to_body135(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The BODY_135 keypoints of one person's COCO-WholeBody points in one frame.

    Args:
        points: (133, 3) x, y in pixels, score. Left is the person's left in both. Scores are kept; SimCC's go a little
            beyond 1.
        size: width and height of the picture; points outside are missing, as they are in OpenPose.

    Returns:
        float64 (135, 3): x, y in pixels, score; a missing point is (0, 0, 0).
    """
    body135 = np.zeros((openpose_script.POINTS, 3))
    body135[BODY135] = points[WHOLEBODY]
    body135[~np.isfinite(body135).all(axis=1) | (body135[:, 2] <= 0)] = 0
    head = openpose_script.head_of(body135)  # before any is dropped: a hidden ear still has its place
    body135[(body135[:, 2] < MIN_SCORE) | openpose_script.outside(body135, *size)] = 0
    openpose_script.add_neck(body135, head)
    body135[openpose_script.outside(body135, *size)] = 0
    return body135


def follow_boxes(boxes: Sequence[np.ndarray], choice: str, size: tuple[int, int]) -> list[np.ndarray | None]:
    """The box of the clip's person in each frame, by the rule for keypoints of several people.

    Args:
        boxes: for each frame (P, 4) x0, y0, x1, y1 of P people, in the detector's order.
        choice: who it is in the first frame with anybody: `first` of the detector's, `largest` or `central`.
        size: width and height of the picture.

    Returns:
        For each frame (4,), None where nobody is near enough to where the person was.
    """
    most = max((len(frame) for frame in boxes), default=0)
    if not most:
        return [None] * len(boxes)
    corners = np.zeros((len(boxes), most, 2, 3))  # a box as a person of two points
    for number, frame in enumerate(boxes):
        corners[number, : len(frame), :, :2] = frame.reshape(-1, 2, 2)
        corners[number, : len(frame), :, 2] = 1
    followed = person.follow(corners, choice, size)
    return [frame[:, :2].reshape(4) if frame[:, 2].all() else None for frame in followed]


def estimate(clip: str, models: "Models", choice: str) -> list[np.ndarray | None]:
    """The keypoints of every frame, (135, 3) as in `to_body135`, None where nobody was found.

    The clip is decoded twice, which costs little beside the models: for the boxes, and when the person is known.

    Raises:
        EstimatorError: the clip cannot be decoded, or a model does not give what it should.
    """
    boxes: list[np.ndarray] = []
    size = (0, 0)
    for frame in openpose_script.clip_frames(clip):
        size = size if boxes else (frame.shape[1], frame.shape[0])
        boxes.append(models.people(frame))
    followed = follow_boxes(boxes, choice, size)
    keypoints: list[np.ndarray | None] = []
    for frame, box in zip(openpose_script.clip_frames(clip), followed, strict=True):
        picture = (frame.shape[1], frame.shape[0])
        keypoints.append(None if box is None else to_body135(models.points(frame, box), picture))
    return keypoints


class Models:
    """The detector and the whole-body model, loaded.

    Raises:
        EstimatorError: a file is missing or is no such model, or the GPU cannot be used.
    """

    def __init__(self, detector: str, model: str, gpu: int | None) -> None:
        import onnxruntime
        from rtmlib import YOLOX, RTMPose

        if gpu is not None:
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise openpose_script.EstimatorError("this ONNX Runtime has no CUDA; rtmw_openpose_cuda.py has")
            onnxruntime.preload_dlls()  # CUDA's libraries from the environment's own packages
        # One thread, as clips run in parallel. rtmlib's tools load the files themselves, and take no options for that.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        onnxruntime.InferenceSession = partial(onnxruntime.InferenceSession, sess_options=options)
        self._detector, size = _load(YOLOX, detector, gpu)
        self._detector.model_input_size = height, width = size or _DETECTOR_SIZE
        _check_detector(detector, self._detector.inference(np.zeros((height, width, 3)))[0].shape, (height, width))
        self._pose, size = _load(RTMPose, model, gpu)
        if size is None:
            raise openpose_script.EstimatorError(f"{model}: its input has no fixed height and width")
        height, width = size
        self._pose.model_input_size = width, height
        _check_pose(model, [output.shape for output in self._pose.inference(np.zeros((height, width, 3)))], size)

    def people(self, frame: np.ndarray) -> np.ndarray:
        """Boxes of the people in an RGB picture (height, width, 3): float64 (P, 4) x0, y0, x1, y1 in pixels."""
        # YOLOX was trained on BGR. Only class 0 is people; rtmlib takes all classes of a model that tells them apart.
        picture, ratio = self._detector.preprocess(np.ascontiguousarray(frame[..., ::-1]))
        outputs = self._detector.inference(picture)
        found = outputs[0]
        if found.shape[2] > 5:  # without non-maximum suppression: box, score, a score for each class
            found[..., 6:] = 0
        elif len(outputs) > 1:
            found[..., 4] *= outputs[1] == 0
        boxes = np.asarray(self._detector.postprocess(found, ratio), np.float64).reshape(-1, 4)
        return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]

    def points(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        """COCO-WholeBody points of the person in a box of an RGB picture: (133, 3) x, y in pixels, score."""
        # RTMW was trained on RGB (`bgr_to_rgb` of its configuration), though rtmlib's own demos give it BGR.
        places, scores = self._pose(frame, bboxes=[box])
        return np.concatenate([places[0], scores[0][:, None]], axis=1)


def _check_detector(file: str, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse a model whose output is neither boxes with a score nor what YOLOX says of each cell of its three grids."""
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in (8, 16, 32))
    if len(shape) != 3 or not (shape[2] == 5 or (shape[2] > 5 and shape[1] == cells)):
        raise openpose_script.EstimatorError(
            f"{file}: its output is {shape}, not (1, boxes, 5) or (1, {cells}, 6 or more); give a YOLOX detector"
        )


def _check_pose(file: str, shapes: list[tuple[int, ...]], size: tuple[int, int]) -> None:
    """Refuse a model whose outputs are not SimCC of 133 points: one bin for each half pixel, in x and in y."""
    height, width = size
    expected = [(1, WHOLEBODY_POINTS, int(side * _BINS_PER_PIXEL)) for side in (width, height)]
    if shapes != expected:
        raise openpose_script.EstimatorError(
            f"{file}: its outputs are {shapes}, not SimCC of {WHOLEBODY_POINTS} points, {expected}; "
            "give an RTMW or RTMPose model for COCO-WholeBody"
        )


def _load(tool: Any, file: str, gpu: int | None) -> tuple[Any, tuple[int, int] | None]:
    """One of rtmlib's tools with a model, and height and width of the pictures that it takes, where they are fixed."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    if not Path(file).is_file():  # rtmlib would take the name for a URL
        raise openpose_script.EstimatorError(f"{file}: no such file")
    device, provider = ("cpu", "CPU") if gpu is None else (f"cuda:{gpu}", "CUDA")
    try:
        loaded = tool(file, backend="onnxruntime", device=device)
    except (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf) as error:
        reason = openpose_script.one_line(error)
        raise openpose_script.EstimatorError(f"{file}: not a readable ONNX model ({reason})") from error
    if loaded.session.get_providers()[0] != f"{provider}ExecutionProvider":
        raise openpose_script.EstimatorError(f"{file}: ONNX Runtime cannot use GPU {gpu}; its log says why")
    inputs = loaded.session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise openpose_script.EstimatorError(f"{file}: its input is not pictures as float (batch, 3, height, width)")
    height, width = inputs[0].shape[2:]
    return loaded, (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _ready(options: argparse.Namespace) -> openpose_script.Estimate:
    return partial(estimate, models=Models(options.detector, options.model, options.gpu), choice=options.person)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for a wrong command line, model or clip."""
    parser = argparse.ArgumentParser(description="RTMW as OpenPose's BODY_135", allow_abbrev=False)
    parser.add_argument("--detector", metavar="ONNX", required=True, help="YOLOX detector of people")
    parser.add_argument("--model", metavar="ONNX", required=True, help="RTMW or RTMPose model for COCO-WholeBody")
    parser.add_argument("--person", choices=person.CHOICES, default="largest", help="whom to follow, of several")
    parser.add_argument("--gpu", type=int, metavar="N", help="number of the GPU to run on  [default: the CPU]")
    return openpose_script.run_script(arguments, parser, VERSION, _ready)


if __name__ == "__main__":
    # The script's own folder comes first on the path: its neighbours must not stand in for a library's modules.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    sys.exit(main())
