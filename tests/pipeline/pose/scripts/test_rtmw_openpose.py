"""The mapping to BODY_135 and the choice of a person as pure functions; the script itself, run by uv, with small ONNX
graphs in the place of RTMW and its detector."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.models.rtmw_models import (
    CERTAIN_SCORE,
    HEIGHT,
    UNCERTAIN,
    WIDTH,
    two_people,
    write_detector,
    write_model,
    write_pictures,
)
from helpers.processes.estimator_scripts import POSE, read_json_folder, run_estimator

from pipeline.errors import ClipError
from pipeline.pose.estimators import ModelFile, Rtmw
from pipeline.pose.layouts import point_tables
from pipeline.pose.layouts.apply import apply_layout, finish
from pipeline.pose.script_server import end_server
from pipeline.pose.scripts.person import CHOICES
from pipeline.pose.scripts.rtmw_openpose import BODY135, VERSION, WHOLEBODY, follow_boxes, to_body135

SCRIPT = "rtmw_openpose.py"
# Half a spot of 6 pixels, and the pixels of the picture that are one of the model's.
NEAR = 4.5


# --- the mapping


def test_the_table_has_body_feet_face_and_hands_in_their_order() -> None:
    assert point_tables.LAYOUTS["wholebody133"].body135 == {
        **{point: point for point in range(17)},
        **{19 + foot: 17 + foot for foot in range(6)},
        **{65 + face: 23 + face for face in range(68)},
        **{25 + hand: 92 + hand for hand in range(20)},
        **{45 + hand: 113 + hand for hand in range(20)},
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_becomes_what_a_file_of_it_becomes(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = np.concatenate([random.uniform(1, 90, (133, 2)), random.uniform(0, 1.1, (133, 1))], axis=1)
    points[random.random(133) < 0.2] = 0
    points[[0, 5, 6], 2] = 0.9  # so that there is a neck
    points[[0, 5, 6], :2] = random.uniform(20, 60, (3, 2))
    layout = point_tables.LAYOUTS["wholebody133"]
    expected = finish(apply_layout(points[None], layout, (1000, 1000)), layout)[0]
    ours = to_body135(points, (1000, 1000))
    inside = (expected[:, :2] >= 0).all(axis=1)
    np.testing.assert_allclose(ours[inside], expected[inside], rtol=1e-5)
    assert not ours[~inside].any()
    assert ours[17].all()


def test_points_outside_of_the_picture_are_missing() -> None:
    points = np.tile([50.0, 40.0, 0.9], (133, 1))
    points[9, :2], points[10, :2], points[92, :2] = (-1, 40), (100, 40), (50, 80)
    body135 = to_body135(points, (100, 80))
    assert not body135[[9, 10, 25]].any()
    assert body135[[0, 5, 6, 26, 45]].all()


def test_boxes_are_followed_as_people_are() -> None:
    one, other = np.array([10.0, 10, 30, 50]), np.array([60.0, 5, 95, 60])
    frames = [np.zeros((0, 4)), np.stack([one, other]), np.stack([other + 1, one + 1]), other[None], one[None] + 2]
    followed = {choice: follow_boxes(frames, choice, (100, 64)) for choice in CHOICES}
    assert [box is None for box in followed["first"]] == [True, False, False, True, False]
    np.testing.assert_array_equal(followed["first"][2], one + 1)  # though she comes second now
    np.testing.assert_array_equal(followed["first"][4], one + 2)
    np.testing.assert_array_equal(followed["largest"][3], other)
    assert followed["largest"][4] is None  # too far from where he was
    np.testing.assert_array_equal(followed["central"][1], other)
    assert follow_boxes([], "largest", (100, 64)) == []
    assert follow_boxes([np.zeros((0, 4))] * 2, "largest", (100, 64)) == [None, None]


def test_the_version_is_that_of_the_pinned_packages() -> None:
    for script in (SCRIPT, "rtmw_openpose_cuda.py"):
        pins = dict(re.findall(r'^#     "([\w-]+)(?:\[.*\])?==(\S+)",$', (POSE / script).read_text(), re.M))
        runtime = pins.get("onnxruntime") or pins["onnxruntime-gpu"]
        assert VERSION.endswith(f"(rtmlib {pins['rtmlib']}, onnxruntime {runtime})")


# --- the script, in its environment


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A detector and a whole-body model."""
    folder = tmp_path_factory.mktemp("models")
    return write_detector(folder / "detector.onnx"), write_model(folder / "model.onnx")


def serve(models: tuple[Path, Path], clips: list[Path], out: Path, *options: str) -> list[dict]:
    """The answers of one server."""
    requests = [json.dumps({"video": str(clip), "write_json": str(out / clip.stem)}) for clip in clips]
    given = ["--detector", str(models[0]), "--model", str(models[1]), *options]
    done = run_estimator(SCRIPT, *given, "--serve", stdin="\n".join(requests) + "\n")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_server_estimates_clip_after_clip(ffmpeg: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, _, blue = two_people()
    clips = [write_pictures(ffmpeg, tmp_path / "two.mkv", pictures)]
    clips.append(write_pictures(ffmpeg, tmp_path / "nobody.mkv", np.full_like(pictures[:3], 40)))
    clips.append(tmp_path / "absent.mkv")
    answers = serve(models, clips, tmp_path)
    assert [answer.get("frames") for answer in answers] == [8, 3, None]
    assert "absent.mkv: not a readable video" in answers[2]["error"]
    frame = json.loads((tmp_path / "nobody" / "nobody_000000000000_keypoints.json").read_text())
    assert frame == {"version": 1.3, "people": []}
    keypoints = read_json_folder(tmp_path / "two")
    missing = [BODY135[WHOLEBODY.index(point)] for point in UNCERTAIN if point in WHOLEBODY]
    seen = np.setdiff1d(BODY135, missing)
    assert not keypoints[:, missing].any()
    assert not keypoints[:, [133, 134]].any(), "COCO-WholeBody has no pupils"
    assert (np.abs(keypoints[:, seen, :2] - blue[:, None]) < NEAR).all(), "the larger one is blue"
    # The spot has more red than blue: the model sees RGB. (The detector sees BGR, or it would find nobody.)
    np.testing.assert_allclose(keypoints[:, seen, 2], CERTAIN_SCORE, atol=0.02)


def test_the_person_who_was_chosen_is_followed(ffmpeg: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, red, _ = two_people(8, red_gone=(3, 4))
    clip = write_pictures(ffmpeg, tmp_path / "two.mkv", pictures)
    serve(models, [clip], tmp_path, "--person", "first")
    keypoints = read_json_folder(tmp_path / "two")
    gone = np.isin(np.arange(8), (3, 4))
    assert not keypoints[gone].any(), "the other one does not stand in"
    assert (np.abs(keypoints[~gone, 0, :2] - red[~gone]) < NEAR).all()


def test_a_detector_without_suppression_and_with_other_classes(
    ffmpeg: str, models: tuple[Path, Path], tmp_path: Path
) -> None:
    detector = write_detector(tmp_path / "raw.onnx", with_scores_of_classes=True)
    pictures = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    pictures[:, 18:22, 18:22] = pictures[:, 18:22, 66:70] = (255, 0, 160)  # in the person, and in the dog
    clip = write_pictures(ffmpeg, tmp_path / "two.mkv", pictures)
    serve((detector, models[1]), [clip], tmp_path)
    assert (np.abs(read_json_folder(tmp_path / "two")[:, 0, :2] - 19.5) < NEAR).all()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("absent detector", "nowhere.onnx: no such file"),
        ("no ONNX", "text.onnx: not a readable ONNX model"),
        ("detector as model", r"detector.onnx: its outputs are .*, not SimCC of 133 points"),
        ("17 points", r"coco.onnx: its outputs are \[\(1, 17, 96\), \(1, 17, 128\)\], not SimCC of 133 points"),
        ("model as detector", "model.onnx: its output is"),
        ("GPU", "this ONNX Runtime has no CUDA"),
    ],
)
def test_a_wrong_model_ends_with_2_and_one_line(
    models: tuple[Path, Path], tmp_path: Path, case: str, said: str
) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    detector, model = {
        "absent detector": (tmp_path / "nowhere.onnx", models[1]),
        "no ONNX": (models[0], tmp_path / "text.onnx"),
        "detector as model": (models[0], models[0]),
        "17 points": (models[0], write_model(tmp_path / "coco.onnx", points=17)),
        "model as detector": (models[1], models[1]),
        "GPU": models,
    }[case]
    options = ["--detector", str(detector), "--model", str(model), *(["--gpu", "0"] if case == "GPU" else [])]
    done = run_estimator(SCRIPT, *options, "--serve", stdin="")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(f"^Error: .*{said}", done.stderr.splitlines()[-1]), done.stderr
    assert "Traceback" not in done.stderr


def test_the_pipelines_estimator_runs_the_script(ffmpeg: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    serve(models, [], tmp_path)  # skips where the environment cannot be built
    pictures, red, _ = two_people()
    clip = write_pictures(ffmpeg, tmp_path / "two.mkv", pictures)
    detector, model = (tmp_path / path.name for path in models)
    for path in models:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    estimator = Rtmw(ModelFile.read(detector), ModelFile.read(model), person="first", ffmpeg=ffmpeg)
    try:
        keypoints = estimator.estimate(str(clip), 8, 0)
        assert keypoints.shape == (8, 135, 3)
        assert (np.abs(keypoints[:, 0, :2] - red) < NEAR).all()
        with pytest.raises(ClipError, match="keypoints of 8 frames for a video of 9"):
            estimator.estimate(str(clip), 9, 1)
        end_server()
        write_model(model, points=17)
        with pytest.raises(ClipError, match=r"model\.onnx: is not the model that the run began with"):
            estimator.estimate(str(clip), 8, 2)
    finally:
        end_server()
