"""Folders of keypoints below a folder. Which source a run has is `test_options.py`'s business."""

from pathlib import Path


def test_folders_of_keypoints_are_found_through_links(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "kp"
    (elsewhere / "a_color.kp").mkdir(parents=True)
    (root / "val" / "b.kp").mkdir(parents=True)
    (root / "train").symlink_to(elsewhere)
    (root / "val" / "c_color.kp").symlink_to(elsewhere)
    found = {"a": "train/a_color.kp", "b": "val/b.kp", "c": "val/c_color.kp"}
    assert find_folders(root) == {key: str(root / path) for key, path in found.items()}


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "train" / "a_color.kp").mkdir(parents=True)
    (tmp_path / "train" / "back").symlink_to(tmp_path)
    (tmp_path / "train" / "self").symlink_to(".")
    assert find_folders(tmp_path).keys() == {"a"}


def test_folders_of_keypoints_are_not_looked_into(tmp_path: Path) -> None:
    """An AUTSL has 36,000 of them, with 2 million files."""
    (tmp_path / "a_color.kp" / "b_color.kp").mkdir(parents=True)
    assert find_folders(tmp_path) == {"a": str(tmp_path / "a_color.kp")}
