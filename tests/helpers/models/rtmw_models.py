"""Small ONNX graphs with the inputs and outputs of a YOLOX detector and of an RTMW model, and a clip that they see.

They are no neural networks: the detector finds a dark red and a dark blue rectangle, the model a bright spot.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 96, 64
RED, BLUE, SPOT, GRAY = (120, 0, 0), (0, 0, 120), (255, 0, 160), (40, 40, 40)
MODEL_WIDTH, MODEL_HEIGHT = 48, 64
# Of the points of COCO-WholeBody the model scores these, legs, feet and the left hand, lower than 0.3.
UNCERTAIN = [*range(13, 23), *range(91, 112)]
# What a spot's red becomes in RTMPose's normalization, (255 - 123.675) / 58.395, times the model's own factor.
CERTAIN_SCORE = 0.4 * 2.24891


def write_detector(path: Path, with_scores_of_classes: bool = False) -> Path:
    """A detector: (1, 3, HEIGHT, WIDTH) BGR to boxes x0, y0, x1, y1, score of red, blue, and a car, with their classes.

    `with_scores_of_classes`: as YOLOX without non-maximum suppression gives them, x, y of the middle, logarithms of
    width and height in cells of 8 pixels, a score, and one for each class; constant, whatever the picture.
    """
    if with_scores_of_classes:
        return _write_raw_detector(path)
    nodes = [
        helper.make_node("Split", ["picture"], ["b", "g", "r"], axis=1, num_outputs=3),
        helper.make_node("Sub", ["r", "b"], ["redness"]),
        helper.make_node("Sub", ["b", "r"], ["blueness"]),
    ]
    for color in ("red", "blue"):
        nodes += _box_nodes(color)
    nodes.append(helper.make_node("Concat", ["red_box", "blue_box", "car"], ["dets"], axis=1))
    nodes.append(helper.make_node("Identity", ["classes"], ["labels"]))
    car = np.array([[[0, 0, WIDTH, HEIGHT, 0.99]]], np.float32)
    # Of the colors and their shades only dark red differs from blue by more than 108, and dark blue from red.
    constants = {"threshold": np.float32(108), "car": car, "classes": np.array([[0, 0, 2]], np.int64)}
    outputs = [("dets", TensorProto.FLOAT, [1, 3, 5]), ("labels", TensorProto.INT64, [1, 3])]
    return _save(path, nodes, ("picture", [1, 3, HEIGHT, WIDTH]), outputs, constants)


def _box_nodes(color: str) -> list[onnx.NodeProto]:
    """Nodes that find the box (1, 1, 5) of the pixels of a color; its score is 0.9 where there are any."""

    def name(part: str) -> str:
        return f"{color}_{part}"

    nodes = [
        helper.make_node("Greater", [f"{color}ness", "threshold"], [name("bool")]),
        helper.make_node("Cast", [name("bool")], [name("mask")], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", [name("mask"), "all_axes"], [name("any")], keepdims=0),
        helper.make_node("Mul", [name("any"), "confidence"], [name("score")]),
    ]
    sides = []
    for axis, side, others in ((3, "x", "axis_2"), (2, "y", "axis_3")):
        profile = name(f"profile_{side}")
        nodes.append(helper.make_node("ReduceMax", [name("mask"), others], [profile], keepdims=1))
        for last in (0, 1):
            place = name(f"{side}{last}")
            nodes += [
                helper.make_node(
                    "ArgMax", [profile], [f"{place}_index"], axis=axis, select_last_index=last, keepdims=0
                ),
                helper.make_node("Cast", [f"{place}_index"], [f"{place}_float"], to=TensorProto.FLOAT),
                helper.make_node("Reshape", [f"{place}_float", "single"], [f"{place}_first"]),
                helper.make_node("Add", [f"{place}_first", f"offset_{last}"], [place]),
            ]
            sides.append(place)
    nodes.append(helper.make_node("Reshape", [name("score"), "single"], [name("score_3d")]))
    x0, x1, y0, y1 = sides
    nodes.append(helper.make_node("Concat", [x0, y0, x1, y1, name("score_3d")], [name("box")], axis=2))
    return nodes


def _write_raw_detector(path: Path) -> Path:
    """A detector whose boxes are constant: cell (2, 2) of the first grid, a person of 16×32 pixels, and a dog."""
    cells = sum((HEIGHT // stride) * (WIDTH // stride) for stride in (8, 16, 32))
    found = np.zeros((1, cells, 7), np.float32)
    found[0, 2 * (WIDTH // 8) + 2] = (0.5, 0.5, np.log(2), np.log(4), 0.9, 1.0, 0.0)
    found[0, 2 * (WIDTH // 8) + 8] = (0.5, 0.5, np.log(2), np.log(4), 0.9, 0.0, 1.0)
    nodes = [
        helper.make_node("ReduceMin", ["picture"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        helper.make_node("Add", ["found", "nothing"], ["output"]),
    ]
    constants = {"found": found, "zero": np.float32(0)}
    return _save(path, nodes, ("picture", [1, 3, HEIGHT, WIDTH]), [("output", 1, [1, cells, 7])], constants)


def write_model(path: Path, points: int = 133) -> Path:
    """A whole-body model: (1, 3, MODEL_HEIGHT, MODEL_WIDTH) RGB, normalized, to SimCC whose points are all at the
    reddest pixel."""
    nodes = [helper.make_node("Split", ["picture"], ["r", "g", "b"], axis=1, num_outputs=3)]
    outputs = []
    for side, axis, pixels in (("x", "axis_2", MODEL_WIDTH), ("y", "axis_3", MODEL_HEIGHT)):
        nodes += [
            helper.make_node("ReduceMax", ["r", axis], [f"profile_{side}"], keepdims=0),  # (1, 1, pixels)
            helper.make_node("Reshape", [f"profile_{side}", "column"], [f"column_{side}"]),  # (pixels, 1)
            helper.make_node("Concat", [f"column_{side}", f"column_{side}"], [f"pairs_{side}"], axis=1),
            helper.make_node("Reshape", [f"pairs_{side}", "row"], [f"bins_{side}"]),  # two bins a pixel: (1, 1, bins)
            helper.make_node("Mul", [f"bins_{side}", "factors"], [f"simcc_{side}"]),
        ]
        outputs.append((f"simcc_{side}", TensorProto.FLOAT, [1, points, 2 * pixels]))
    factors = np.full((1, points, 1), 0.4, np.float32)
    factors[:, [point for point in UNCERTAIN if point < points]] = 0.1
    constants = {"factors": factors, "column": np.array([-1, 1]), "row": np.array([1, 1, -1])}
    return _save(path, nodes, ("picture", [1, 3, MODEL_HEIGHT, MODEL_WIDTH]), outputs, constants)


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    picture: tuple[str, list[int]],
    outputs: Sequence[tuple[str, int, list[int]]],
    constants: dict[str, np.ndarray | np.generic],
) -> Path:
    common = {
        "all_axes": np.array([0, 1, 2, 3]),
        "axis_2": np.array([2]),
        "axis_3": np.array([3]),
        "single": np.array([1, 1, 1]),
        "confidence": np.float32(0.9),
        "offset_0": np.float32(0),
        "offset_1": np.float32(1),
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(picture[0], TensorProto.FLOAT, picture[1])],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (common | constants).items()
            if name in used
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def write_pictures(ffmpeg: str, path: Path, pictures: np.ndarray) -> Path:
    """A clip of uint8 (T, height, width, 3) RGB pictures, without loss."""
    height, width = pictures.shape[1:3]
    command = [ffmpeg, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", "25", "-i", "-", "-c:v", "ffv1", "-pix_fmt", "bgr0", str(path)]
    subprocess.run(command, input=np.ascontiguousarray(pictures).tobytes(), check=True, timeout=60)
    return path


def two_people(frames: int = 8, red_gone: Sequence[int] = ()) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of a small red person who walks to the right and a larger blue one who stands, each with a spot.

    Returns:
        uint8 (T, HEIGHT, WIDTH, 3), and (T, 2) middles of the red and the blue person's spots.
    """
    pictures = np.full((frames, HEIGHT, WIDTH, 3), GRAY, np.uint8)
    spots = []
    for color, y0, y1, width, step, x0 in ((RED, 20, 44, 16, 2, 4), (BLUE, 8, 60, 28, 0, 60)):
        middles = []
        for frame, picture in enumerate(pictures):
            left = x0 + step * frame
            middles.append((left + 5.5, y0 + 9.5))
            if color == RED and frame in red_gone:
                continue
            picture[y0:y1, left : left + width] = color
            picture[y0 + 7 : y0 + 13, left + 3 : left + 9] = SPOT
        spots.append(np.array(middles))
    return pictures, *spots
