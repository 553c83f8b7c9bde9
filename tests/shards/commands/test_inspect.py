"""The page itself is looked at in a real browser, where there is one."""

import json
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.chromium import run_chromium
from helpers.data.shard_making import Plan, make_shards
from PIL import Image

from shards.commands.inspect import choose
from shards.format.dataset import read_dataset
from shards.format.index import scan_shard
from shards.format.shardset import open_shards


class Outline(HTMLParser):
    """How many of which elements, sources of pictures, texts of headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.sources: list[str] = []
        self.headings: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        self.elements[f"{tag}.{values['class']}" if values.get("class") else tag] += 1
        self.sources += [values[key] for key in ("src", "href") if key in values]
        if tag == "h2":
            self.headings.append("")
        self._inside = tag

    def handle_data(self, data) -> None:
        if self._inside == "h2":
            self.headings[-1] += data

    def handle_endtag(self, tag) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Chromium without a window; returns the page's elements after it has been rendered, and a picture of it."""

    def look(page: Path) -> tuple[Outline, np.ndarray]:
        folder = tmp_path_factory.mktemp("chromium")
        whole = (folder / "profile", page.as_uri(), "--window-size=1200,4000")
        dom = run_chromium(*whole, "--dump-dom")
        run_chromium(*whole, f"--screenshot={folder}/page.png")
        return Outline(dom), np.asarray(Image.open(folder / "page.png").convert("RGB")).astype(int)

    return look


def near(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    """How many pixels of a picture have about this color."""
    return int((np.abs(picture - color).max(axis=2) < 25).sum())


def missing_columns(folder: Path) -> int:
    """How many of the hands at the frames shown (12, evenly) are missing, by the JSON members."""
    count = 0
    for path in folder.glob("*.tar"):
        data = path.read_bytes()
        for row in scan_shard(path):
            info = json.loads(data[row["json_offset"] :][: row["json_size"]])
            frames = [round(i * (info["frames"] - 1) / 11) for i in range(12)]
            count += sum(info["hands"][hand]["missing"][frame] for hand in ("left", "right") for frame in frames)
    return count


def test_page_in_a_browser(run, browse, tiny_work: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = run("inspect", tiny_work / "shards", "--out", out)
    assert result.exit_code == 0
    outline, picture = browse(out)
    assert outline.elements["section.sample"] == 6
    assert outline.elements["img"] == 6 * 12 * 4  # both hands, in color and depth
    assert outline.elements["svg.skeleton"] == 6 * 12
    assert outline.elements["svg.chart"] == 3
    missing = missing_columns(tiny_work / "shards")
    assert missing > 0
    assert outline.elements["td.missing"] == 2 * missing  # in color and in depth
    assert all(source.startswith("data:image/jpeg;base64,") for source in outline.sources)
    # The clips are a test pattern with magenta and yellow fields: they can only come from decoded crops.
    assert near(picture, (255, 0, 255)) > 2000
    assert near(picture, (255, 255, 0)) > 2000
    assert near(picture, (200, 30, 30)) > 100  # marks of missing hands
    assert near(picture, (53, 102, 168)) > 2000  # bars of train
    assert near(picture, (217, 130, 43)) > 2000  # and of val
    assert near(picture, (194, 65, 12)) > 100  # the skeleton's left hand
    assert near(picture, (15, 118, 110)) > 100  # and right hand


def test_a_narrow_screen_scrolls_only_within(run, tiny_work: Path, tmp_path: Path) -> None:
    """The page itself is no wider than the screen: the right edge shows the ground from top to bottom."""
    run("inspect", tiny_work / "shards", "--out", tmp_path / "page.html")
    picture = tmp_path / "page.png"
    size = ("--window-size=420,3000", f"--screenshot={picture}")
    run_chromium(tmp_path / "profile", (tmp_path / "page.html").as_uri(), *size)
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape[1] == 420
    assert (np.abs(pixels[:, -4:] - (245, 247, 249)).max(axis=(1, 2)) < 5).all()


def test_names_cannot_break_the_page(run, browse, shards: Path, tmp_path: Path) -> None:
    nasty = '</title><script>document.body.innerHTML="x"</script><img src="http://example.org/a.png">&amp;'
    classes = [f"{nasty}{number}" for number in range(3)]
    dataset = read_dataset(shards)
    replace(dataset, classes=classes, settings=dataset.settings | {"estimator": nasty}).write(shards)
    out = tmp_path / "page.html"
    assert run("inspect", shards, "--out", out).exit_code == 0
    outline, _ = browse(out)
    assert outline.elements["script"] == 0
    assert outline.elements["img"] == 6 * 12 * 4
    assert outline.headings[:2] == ["Splits", "Hands"]
    assert {heading.split(" (class")[0] for heading in outline.headings[3:]} <= set(classes)
    assert all(source.startswith("data:") for source in outline.sources)


def test_the_set_is_not_written_over(run, shards: Path) -> None:
    for name in ("train-000.tar", "train.parquet", "dataset.json"):
        before = (shards / name).read_bytes()
        result = run("inspect", shards, "--out", shards / name)
        assert result.exit_code == 2
        assert f"{name}: belongs to the shard set; give --out another file" in result.stderr
        assert (shards / name).read_bytes() == before


def test_page_asks_the_network_for_nothing(run, tiny_work: Path, tmp_path: Path) -> None:
    run("inspect", tiny_work / "shards", "--out", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "default-src 'none'" in unescape(text)
    assert not re.findall(r"https?:|@import|url\(|<script|<link|<iframe", text)


def test_pictures_are_the_crops_themselves(run, tiny_work: Path, tmp_path: Path) -> None:
    import base64

    shards = tiny_work / "shards"
    row = scan_shard(shards / "train-001.tar")[0]
    run("inspect", shards, "--id", row["id"], "--out", tmp_path / "page.html")
    data = (shards / "train-001.tar").read_bytes()
    info = json.loads(data[row["json_offset"] :][: row["json_size"]])
    member = data[row["left_offset"] :][: row["left_size"]]
    offset, size, _, _ = info["hands"]["left"]["jpegs"][0]
    outline = Outline((tmp_path / "page.html").read_text())
    assert outline.elements["section.sample"] == 1
    assert base64.b64decode(outline.sources[0].partition(",")[2]) == member[offset : offset + size]


def test_set_without_depth_and_pose(run, tiny_work: Path, tmp_path: Path) -> None:
    source = tiny_work / "shards"
    run("reshard", "--shards", source, "--drop", "depth", "--drop", "pose", "--out", tmp_path / "out")
    assert run("inspect", tmp_path / "out", "--out", tmp_path / "page.html").exit_code == 0
    outline = Outline((tmp_path / "page.html").read_text())
    assert outline.elements["img"] == 6 * 12 * 2
    assert outline.elements["svg.skeleton"] == 0


def test_clips_without_video_are_shown_as_skeletons(run, tmp_path: Path) -> None:
    shards = make_shards(tmp_path / "shards", Plan({"val": 4}, keypoints_only=2, frames=6))
    assert run("inspect", shards, "--out", tmp_path / "page.html").exit_code == 0
    text = (tmp_path / "page.html").read_text()
    outline = Outline(text)
    frames = open_shards(str(shards)).frames
    with_video = open_shards(str(shards)).has("left.mjpg")
    assert with_video.sum() == 2
    assert outline.elements["svg.skeleton"] == frames.sum()
    assert outline.elements["img"] == 2 * frames[with_video].sum()
    assert text.count("without video") == 2


def test_choice_of_samples(tiny_work: Path) -> None:
    shards = open_shards(str(tiny_work / "shards"))
    assert sorted(choose(shards, 3, ())) == [0, 2, 5]
    # All lose the right hand in two frames: a shorter clip in a larger share of them.
    assert choose(shards, 100, ()) == np.argsort(shards.frames, kind="stable").tolist()
    ids = shards.ids.to_pylist()
    assert choose(shards, 1, (ids[4], ids[1])) == [4, 1]


@pytest.mark.parametrize(("arguments", "message"), [(["--id", "nobody"], "no sample nobody"), (["--samples", 0], "0")])
def test_wrong_options(run, tiny_work: Path, tmp_path: Path, arguments: list, message: str) -> None:
    result = run("inspect", tiny_work / "shards", *arguments, "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_has_no_place_is_refused_before_it_is_made(run, tmp_path: Path) -> None:
    result = run("inspect", tmp_path / "no-shards", "--out", tmp_path / "absent" / "page.html")
    assert result.exit_code == 2
    assert "absent/page.html: its folder does not exist" in result.stderr


def test_long_work_shows_rate_and_time_left(run, tiny_work: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shards.progress._LOG_SECONDS", 0)
    result = run("inspect", tiny_work / "shards", "--samples", 3, "--out", tmp_path / "page.html")
    assert re.fullmatch(r"(pictures: [12]/3, [\d.]+/s, \d+ s left\n){2}", result.stderr)


def test_damaged_sample_is_named(run, shards: Path, tmp_path: Path) -> None:
    data = bytearray((shards / "val-000.tar").read_bytes())
    row = scan_shard(shards / "val-000.tar")[0]
    data[row["pose_offset"]] ^= 1
    (shards / "val-000.tar").write_bytes(data)
    result = run("inspect", shards, "--id", row["id"], "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    assert f"val-000.tar: {row['id']} is damaged" in result.stderr
