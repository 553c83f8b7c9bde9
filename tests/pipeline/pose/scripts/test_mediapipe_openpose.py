"""The mapping as pure functions, and the estimator itself, run by uv in its environment."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.processes.estimator_scripts import POSE, read_json_folder, read_people, run_estimator

from pipeline.pose.scripts.mediapipe_openpose import VERSION, main, to_body135

FACE = 65  # the first of the face's points
ROOT = Path(__file__).parents[4]
SCRIPT = POSE / "mediapipe_openpose.py"
DATA = ROOT.parent / "shared" / "data"
KARSL = DATA / "karsl-clips" / "test"
MINI = DATA / "autsl-mini"
needs_clips = pytest.mark.skipif(not KARSL.is_dir() or not MINI.is_dir(), reason=f"no sign clips in {DATA}")


def ffmpeg(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


# --- the mapping


def landmarks(count, start):
    """Landmark i at ((start + i) / 1000, (start + i) / 2000), all visible."""
    x = (start + np.arange(count)) / 1000
    return np.stack([x, x / 2, np.ones(count)], axis=1)


def sources(points):
    """Which landmark each point comes from: its x in a picture 1000 pixels wide."""
    return points[:, 0].round().astype(int)


def person(**changes):
    """A frontal person's 33 pose landmarks: shoulders 0.4 apart at y = 0.6, ears at y = 0.3, the nose ahead of them."""
    body = np.tile([0.5, 0.7, 1.0], (33, 1))
    body[11], body[12], body[7], body[8] = (0.7, 0.6, 1), (0.3, 0.6, 1), (0.6, 0.3, 1), (0.4, 0.3, 1)
    for index, row in changes.items():
        body[int(index.removeprefix("at"))] = row
    return body


def test_body_points_come_from_the_landmarks_of_that_name():
    body = to_body135(landmarks(33, 100), None, None, None, (1000, 1000))
    # MediaPipe's names: nose 0, left_eye 2, right_eye 5, left_ear 7, left_shoulder 11, right_wrist 16, left_hip 23,
    # right_ankle 28, left_heel 29, right_heel 30, left_foot_index 31, right_foot_index 32.
    expected = {0: 0, 1: 2, 2: 5, 3: 7, 4: 8, 5: 11, 6: 12, 7: 13, 8: 14, 9: 15, 10: 16, 11: 23, 12: 24, 13: 25, 14: 26}
    expected |= {15: 27, 16: 28, 19: 31, 21: 29, 22: 32, 24: 30}
    assert {point: sources(body)[point] - 100 for point in expected} == expected
    assert not body[[20, 23]].any(), "small toes"
    assert not body[25:].any(), "hands and face were not found"


def test_hands_lose_their_wrist_and_keep_their_side():
    points = to_body135(person(), landmarks(21, 100), landmarks(21, 200), None, (1000, 500))
    np.testing.assert_array_equal(sources(points)[25:45], np.arange(101, 121))
    np.testing.assert_array_equal(sources(points)[45:65], np.arange(201, 221))
    np.testing.assert_allclose(points[25:65, 1], points[25:65, 0] / 4)  # y = x / 2 of a picture half as high
    assert (points[25:65, 2] == 1).all()
    assert not to_body135(person(), None, landmarks(21, 200), None, (1000, 500))[25:45].any()


def test_neck_and_head_lie_on_the_line_from_shoulders_to_ears():
    points = to_body135(person(), None, None, None, (200, 100))
    # Shoulders' middle (0.5, 0.6), ears' middle (0.5, 0.3): 0.3 and 1.6 of the way.
    np.testing.assert_allclose(points[17], (100, 51, 1))
    np.testing.assert_allclose(points[18], (100, 12, 1))


def test_neck_turns_and_scales_with_the_person():
    upright = to_body135(person(), None, None, None, (100, 100))
    smaller = person()
    smaller[:, :2] = 0.5 + (smaller[:, [1, 0]] - 0.5) / 2  # lying, at half the size
    lying = to_body135(smaller, None, None, None, (100, 100))
    np.testing.assert_allclose(lying[17:19, :2], 50 + (upright[17:19, 1::-1] - 50) / 2)


def test_neck_survives_a_hidden_ear_but_not_a_hidden_shoulder():
    np.testing.assert_allclose(to_body135(person(at7=(0.6, 0.3, 0.1)), None, None, None, (100, 100))[17], (50, 51, 1))
    assert not to_body135(person(at12=(0.3, 0.6, 0.1)), None, None, None, (100, 100))[[6, 17, 18]].any()
    assert to_body135(person(at0=(0.5, 0.3, 0.75)), None, None, None, (100, 100))[18, 2] == 0.75


@pytest.mark.parametrize("row", [(0.5, 1.02, 0.9), (-0.01, 0.5, 1), (0.5, 0.5, 0.49)])
def test_unseen_points_are_missing(row):
    assert not to_body135(person(at23=row), None, None, None, (100, 100))[11].any()
    seen = to_body135(person(at23=(0.5, 0.99, 0.51)), None, None, None, (100, 100))[11]
    np.testing.assert_allclose(seen, (50, 99, 0.51))


def test_hand_points_and_head_top_outside_of_the_picture_are_missing():
    hand = landmarks(21, 100)
    hand[8, 1] = -0.1
    points = to_body135(person(at7=(0.6, 0.1, 1), at8=(0.4, 0.1, 1)), hand, None, None, (100, 100))
    assert not points[25 + 7].any()
    assert points[[*range(25, 32), *range(33, 45)]].all()
    assert points[17].any()
    assert not points[18].any()


def test_face_takes_70_different_mesh_points():
    points = to_body135(person(), None, None, landmarks(478, 100), (1000, 1000))
    mesh = sources(points)[65:] - 100
    assert len(set(mesh)) == 70
    assert mesh[68] == 468, "right pupil"
    assert mesh[69] == 473, "left pupil"


# --- the command line: without MediaPipe


def test_importing_needs_no_estimator():
    code = (
        "import sys, pipeline.pose.scripts.mediapipe_openpose; sys.exit(bool({'mediapipe', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_version_is_that_of_the_pinned_wheel(capsys):
    pinned = re.search(r'^#     "mediapipe==(\S+)",$', SCRIPT.read_text(), re.M)[1]
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == VERSION
    assert VERSION.endswith(f"(mediapipe {pinned})")


# --- the estimator itself


SIGN, OTHER, RELEASED = (
    KARSL / "01_01_0025.mp4",
    KARSL / "01_01_0026.mp4",
    MINI / "mp4" / "val" / "signer1_sample1_color.mp4",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One server's answers to several clips, and the folder that has their keypoints: (answers, folder)."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "broken.mp4").write_bytes(SIGN.read_bytes()[:2000])
    ffmpeg("-f", "lavfi", "-i", "color=gray:size=128x96:rate=5:duration=1", str(folder / "empty.mp4"))
    clips = [OTHER, folder / "broken.mp4", SIGN, folder / "empty.mp4", RELEASED]
    requests = [json.dumps({"video": str(clip), "write_json": str(folder / clip.stem)}) for clip in clips]
    done = run_estimator("mediapipe_openpose.py", "--serve", stdin="\n".join([*requests, "nonsense"]) + "\n")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], folder


@pytest.fixture(scope="module")
def sign(served):
    """The keypoints of SIGN, 256×256: (31, 135, 3)."""
    return read_json_folder(served[1] / SIGN.stem)


@needs_clips
def test_each_request_has_its_answer_and_nothing_else_is_on_stdout(served):
    answers, folder = served
    clips = [str(OTHER), str(folder / "broken.mp4"), str(SIGN), str(folder / "empty.mp4"), str(RELEASED), None]
    assert [reply["video"] for reply in answers] == clips
    assert [reply.get("frames") for reply in answers] == [26, None, 31, 5, 45, None]
    assert "broken.mp4: not a readable video" in answers[1]["error"]
    assert not (folder / "broken").exists()
    names = [f"{SIGN.stem}_{index:012d}_keypoints.json" for index in range(31)]
    assert sorted(path.name for path in (folder / SIGN.stem).iterdir()) == names


@needs_clips
def test_a_picture_without_a_person_has_no_people(served):
    frames = [json.loads(path.read_text()) for path in (served[1] / "empty").iterdir()]
    assert frames == [{"version": 1.3, "people": []}] * 5


@pytest.mark.slow
@needs_clips
def test_a_clip_alone_gives_what_it_gave_after_others(served, tmp_path):
    stale = tmp_path / f"{SIGN.stem}_{31:012d}_keypoints.json"
    stale.write_text("of a longer clip of that name")
    options = ["--render_pose", "0", "--number_people_max", "1", "--display", "0", "--model_pose", "BODY_135"]
    done = run_estimator("mediapipe_openpose.py", *options, "--video", str(SIGN), "--write_json", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    first = {path.name: path.read_bytes() for path in (served[1] / SIGN.stem).iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_broken_clip_alone_ends_with_2_and_one_line(tmp_path):
    done = run_estimator(
        "mediapipe_openpose.py", "--video", str(tmp_path / "absent.mp4"), "--write_json", str(tmp_path / "out")
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {tmp_path / 'absent.mp4'}: not a readable video")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@needs_clips
def test_a_signer_has_a_persons_shape(sign):
    present = sign[..., 2] > 0
    assert ((sign[present][:, :2] >= 0) & (sign[present][:, :2] < 256)).all()
    assert not sign[~present].any()
    assert present[:, [*range(8), 17, 18]].all()
    x, y = np.median(sign[..., 0], axis=0), np.median(sign[..., 1], axis=0)
    # The signer faces the camera: the person's left is the picture's right. Eyes, ears, shoulders; then of the face the
    # eyes, the ends of the jaw, the pupils and the corners of the mouth.
    lefts, rights = (
        [1, 3, 5, FACE + 42, FACE + 16, FACE + 69, FACE + 54],
        [2, 4, 6, FACE + 39, FACE, FACE + 68, FACE + 48],
    )
    assert (x[lefts] > x[rights] + 5).all()
    crown_to_chin = [18, FACE + 19, 1, FACE + 30, FACE + 62, FACE + 8]  # with brow, eye, tip of the nose, mouth
    assert (np.diff(y[crown_to_chin]) > 0).all()
    assert y[FACE:].argmax() in (7, 8, 9), "the chin is the lowest of the face"
    assert y[FACE + 62] < y[17] < min(y[5], y[6]), "the neck is between mouth and shoulders"


@needs_clips
def test_body_face_and_hands_agree_where_they_meet(sign):
    """Body, face and hands come from three models: what they say of the same place must agree."""
    width = np.median(np.linalg.norm(sign[:, 5, :2] - sign[:, 6, :2], axis=1))

    def apart(first, second):
        return np.median(np.linalg.norm(first - second, axis=-1)) / width

    right_eye, left_eye = (
        sign[:, FACE + 36 : FACE + 42, :2].mean(axis=1),
        sign[:, FACE + 42 : FACE + 48, :2].mean(axis=1),
    )
    assert apart(right_eye, sign[:, 2, :2]) < 0.1
    assert apart(left_eye, sign[:, 1, :2]) < 0.1
    assert apart(right_eye, sign[:, FACE + 68, :2]) < 0.05
    assert apart(left_eye, sign[:, FACE + 69, :2]) < 0.05
    assert apart(sign[:, FACE + 30, :2], sign[:, 0, :2]) < 0.1
    compared = 0
    for rows, own, other in ((slice(25, 45), 9, 10), (slice(45, 65), 10, 9)):
        seen = (sign[:, rows, 2] > 0).all(axis=1) & (sign[:, 9, 2] > 0) & (sign[:, 10, 2] > 0)
        if seen.any():
            hand = sign[seen, rows, :2].mean(axis=1)
            assert apart(hand, sign[seen, own, :2]) < 0.5 < apart(hand, sign[seen, other, :2])
            compared += seen.sum()
    assert compared > 10


@needs_clips
def test_neck_length_is_that_of_the_released_keypoints(sign):
    def ratio(points):
        return np.median(
            np.linalg.norm(points[:, 17] - points[:, 18], axis=1) / np.linalg.norm(points[:, 5] - points[:, 6], axis=1)
        )

    assert ratio(sign[..., :2]) == pytest.approx(ratio(released_keypoints()[..., :2]), rel=0.1)


def released_keypoints():
    """The keypoints released for RELEASED: (45, 135, 3)."""
    archive = io.BytesIO(b"".join(part.read_bytes() for part in sorted(MINI.glob("kp.tar.bz2.*"))))
    with tarfile.open(fileobj=archive, mode="r:bz2") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if f"/{RELEASED.stem}_0" in member.name}
    return np.stack([read_people(files[name]) for name in sorted(files)])


@needs_clips
def test_keypoints_are_near_the_released_ones(served):
    """The released ones come from the original clip, at half the size, with points knocked out on purpose."""
    ours, released = read_json_folder(served[1] / RELEASED.stem), released_keypoints()
    assert ours.shape == released.shape == (45, 135, 3)
    width = np.median(np.linalg.norm(released[:, 5, :2] - released[:, 6, :2], axis=1))
    both = (ours[..., 2] > 0) & (released[..., 2] > 0)
    distance = np.where(both, np.linalg.norm(ours[..., :2] - released[..., :2], axis=-1), np.nan) / width
    assert both[:, :11].mean() > 0.9
    assert both[:, 25:65].mean() > 0.3
    # Measured: 0.008, 0.005 and 0.044 shoulder widths; the released neck comes from the nose, ours from the ears.
    assert np.nanmedian(distance[:, :11]) < 0.02
    assert np.nanmedian(distance[:, 25:65]) < 0.02
    assert np.nanmedian(distance[:, 17:19]) < 0.1


@pytest.mark.slow
@needs_clips
def test_without_a_face_everything_else_is_the_same_to_the_bit(sign, tmp_path):
    done = run_estimator("mediapipe_openpose.py", "--no-face", "--video", str(SIGN), "--write_json", str(tmp_path))
    assert done.returncode == 0, done.stderr
    without = read_json_folder(tmp_path)
    assert sign[:, FACE:].any()
    assert not without[:, FACE:].any()
    np.testing.assert_array_equal(without[:, :FACE], sign[:, :FACE])
