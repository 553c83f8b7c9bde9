"""Every part of the bench, at its smallest: it measures what it names, prints it, and keeps every run as JSON."""

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools.bench.__main__ import main

SMALLEST = {
    "loader": {"EPOCH": 4, "QUALITIES": (80, 90, 95, 100)},
    "stages": {"COPIES": 1},
    "reshard": {"SIZES": (1,)},
    "train": {"SMALL": "--cnn small --image-size 32 --sequence-length 4 --num-layers 1 --batch-size 2 --device cpu"},
}
MEASURED = {
    "loader": ["loader, RGB", "loader, RGB-D", "without shards (decoding alone, no crops)", "decoding a crop"],
    "stages": [
        "stages, one worker on 1 core",
        "stages, one worker on 2 cores",
        "whole pipeline without pose estimation",
        "keypoints from an archive",
        "starting",
    ],
    "reshard": ["reshard, 1 MB"],
    "train": ["training VTN_HCPF, CPU", "training VTN_HCPF_D, CPU"],
}


@pytest.mark.parametrize(
    "part", ["reshard", *(pytest.param(name, marks=pytest.mark.slow) for name in ("loader", "stages", "train"))]
)
def test_a_part_runs_alone(part: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"tools.bench.{part}")
    for name, value in SMALLEST[part].items():
        monkeypatch.setattr(module, name, value)
    data = ["--data", str(tiny / "mp4"), "--labels", str(tiny / "labels.csv"), "--keypoints", str(tiny / "kp")]
    result = CliRunner().invoke(main, [part, *data, "--rounds", "1", "--json", str(tmp_path / "runs.json")])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "runs.json").read_text())
    assert report["machine"]["processor"]
    titles = [table["title"] for table in report["tables"]]
    assert [title[: len(start)] for title, start in zip(titles, MEASURED[part], strict=True)] == MEASURED[part]
    for table in report["tables"]:
        assert table["title"] in result.stdout
        for row in table["rows"]:
            assert row["name"] in result.stdout
            assert all(seconds > 0 for seconds in row["seconds"])
            assert len(row["ratios"]) in (0, 1)


def test_a_part_of_the_data_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["loader", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "--data, --labels and --keypoints go together" in result.output


def test_a_pipeline_that_fails_is_shown(tiny: Path, tmp_path: Path) -> None:
    data = ["--data", str(tiny / "mp4"), "--labels", str(tiny / "none.csv"), "--keypoints", str(tiny / "kp")]
    result = CliRunner().invoke(main, ["loader", *data])
    assert result.exit_code == 2
    assert "none.csv" in result.output
