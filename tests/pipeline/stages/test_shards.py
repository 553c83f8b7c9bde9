"""From the samples' tars to shards and indexes."""

import io
import json
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from pipeline.stages.shards import PlannedShards, plan_shards, shard_fingerprint
from pipeline.workers.local import row_of
from pipeline.workspace.clip import Clip, CropTar, ResultFile, Sample, Video
from pipeline.workspace.ledger import Ledger, read_ledger_rows
from pipeline.workspace.paths import Workspace
from pipeline.workspace.result import named
from pipeline.workspace.row import DONE, LedgerRow
from pipeline.workspace.shard_folder import rows_to_keep, shards_folder
from shards.errors import InputError
from shards.format.dataset import FILE_NAME, Dataset, read_dataset
from shards.format.index import read_index
from shards.format.recipe import DEFAULT
from shards.format.tar import pack
from shards.format.writer import shard_order


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work")
    workspace.create()
    return workspace


def item(
    workspace: Workspace, key: str, split: str = "train", content: bytes = b'{"fps":30.0}', label: int | None = 7
) -> Clip:
    """A clip that has come through the stages before."""
    members = {"json": content, "left.mjpg": key.encode() * 300, "flow.npy": b"n" * len(key)}
    packed = pack(key, members)
    workspace.handcrops(key).write_bytes(packed.data)
    clip = Clip(Sample(key, split, "3", label, "/x", None), None, None)
    clip.video = Video(60, 160, 120, 30.0)
    clip.handcrops = CropTar(len(packed.data), zlib.crc32(packed.data), packed.extent, packed.places, 1)
    return clip


class Run:
    """The stage as `run.py` drives it, in this process; `names` are the shards that were written."""

    def __init__(self, workspace: Workspace, items: list[Clip], size: int = 3, folder: Path | None = None) -> None:
        folder = folder or workspace.shards
        self.shards = plan_shards(items, size)
        self.planned = PlannedShards(folder, self.shards, workspace)
        self.ledger = Ledger(workspace.ledgers, "shards")
        with shards_folder(folder, {i.sample.split for i in items}, workspace, self.ledger.rows):
            rows = self.planned.write(self.ledger, lambda tasks: map(row_of, tasks))
            self.failed = [row.error for row in rows if row.status != DONE]
            if self.failed:
                return
            assert all(Path(row.id).parent == folder for row in rows)
            self.names = sorted(Path(row.id).name for row in rows)
            self.ledger.fold(keep=rows_to_keep(folder, self.shards, self.ledger.rows))
            self.dataset = self.planned.finish(self.ledger.rows, Dataset(DEFAULT, {"quality": 95}, ["a"]))
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_shards_hold_the_samples_in_hash_order_whatever_the_order_of_the_items(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}", "val" if n % 3 == 0 else "train") for n in range(12)]
    first = Run(workspace, items)
    assert first.names == ["train-000.tar", "train-001.tar", "train-002.tar", "val-000.tar", "val-001.tar"]
    for split in ("train", "val"):
        names = []
        for shard in read_dataset(workspace.shards).splits[split]:
            with tarfile.open(workspace.shards / shard.name) as tar:
                names += [name.split(".")[0] for name in tar.getnames()]
        expected = sorted((i.id for i in items if i.sample.split == split), key=shard_order)
        assert list(dict.fromkeys(names)) == expected
    again = Run(Workspace(workspace.root), items[::-1])
    assert again.names == []
    assert again.files == first.files


def test_an_index_row_points_at_its_members(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(3)]
    run = Run(workspace, items)
    assert_index_points_at_members(workspace)
    data = run.files["train-000.tar"]
    for row in read_index(workspace.shards / "train.parquet").to_pylist():
        cut = data[row["left_offset"] :][: row["left_size"]]
        assert cut == row["id"].encode() * 300
        assert (row["frames"], row["label"], row["signer"], row["right_offset"]) == (60, 7, "3", None)


def assert_index_points_at_members(workspace: Workspace) -> None:
    """Every row's JSON begins with the sample's id, signer and label, and goes on with what its own tar holds."""
    for row in read_index(workspace.shards / "train.parquet").to_pylist():
        cut = (workspace.shards / row["shard"]).read_bytes()[row["json_offset"] :][: row["json_size"]]
        with tarfile.open(workspace.handcrops(row["id"])) as tar:
            own = tar.extractfile(f"{row['id']}.json").read()
        head = {"id": row["id"], "signer": row["signer"], "label": row["label"]}
        assert json.loads(cut) == head | json.loads(own)
        assert cut.endswith(own[1:])


def test_what_cannot_be_read_names_itself_and_not_the_shard(workspace: Workspace) -> None:
    items = [item(workspace, "s0")]
    workspace.handcrops("s0").unlink()
    workspace.handcrops("s0").mkdir()
    (reason,) = Run(workspace, items).failed
    assert "s0.tar" in reason and "train-000" not in reason


def test_a_lost_sample_that_comes_back_with_other_sizes_is_written_again(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(3)]
    Run(workspace, items)
    # By another version of the JPEGs' encoder.
    items[0] = item(workspace, "s0", content=b'{"fps":"' + b"x" * 600 + b'"}')
    assert Run(workspace, items).names == ["train-000.tar"]
    assert_index_points_at_members(workspace)


def test_a_shard_of_other_settings_that_no_row_tells_of_is_written_again(workspace: Workspace) -> None:
    items = [item(workspace, "s0", content=b'{"fps":1}')]
    first = Run(workspace, items)
    # Of the same size; its driver was killed between the renaming and the row.
    path = workspace.shards / "train-000.tar"
    written = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b'"fps":1', b'"fps":2'))
    os.utime(path, ns=(written, written + 1))
    assert Run(workspace, items).names == ["train-000.tar"]
    assert path.read_bytes() == first.files["train-000.tar"]


def test_only_what_changed_is_written_again(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(9)]
    first = Run(workspace, items)
    changed = first.shards["train-001.tar"][0].id
    items = [i for i in items if i.id != changed] + [item(workspace, changed, content=b'{"fps":1}')]
    assert Run(workspace, items).names == ["train-001.tar"]
    assert Run(workspace, items).names == []
    (workspace.shards / "train-002.tar").unlink()
    (workspace.shards / "train-000.tar").write_bytes(b"short")
    again = Run(workspace, items)
    assert again.names == ["train-000.tar", "train-002.tar"]
    assert again.files["train-000.tar"] == first.files["train-000.tar"]


def test_shards_and_splits_that_are_no_longer_planned_go(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}", "val" if n > 6 else "train") for n in range(9)]
    Run(workspace, items)
    theirs = {"mytable.parquet": b"1", ".keep.tmp": b"2", ".keep.1234.tmp": b"3"}
    for name, content in theirs.items():
        (workspace.shards / name).write_bytes(content)
    (workspace.shards / ".train-000.tar.0123456789ab.tmp").touch()
    after = Run(workspace, items[:2])
    assert after.files.keys() == {"dataset.json", "train-000.tar", "train.parquet"} | theirs.keys()
    assert theirs.items() <= after.files.items()
    assert after.ledger.rows.keys() == {str(workspace.shards / "train-000.tar")}


def test_dataset_json_is_gone_while_shards_are_written(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(4)]
    Run(workspace, items)
    seen = []

    def run(tasks):
        seen.append((workspace.shards / FILE_NAME).exists())
        return map(row_of, tasks)

    ledger = Ledger(workspace.ledgers, "shards")
    PlannedShards(workspace.shards, plan_shards(items, 2), workspace).write(ledger, run)
    assert seen == [False]


@pytest.mark.parametrize("damage", [lambda data: b"short", lambda data: data[:600] + b"?" + data[601:]])
def test_a_damaged_sample_is_named_and_leaves_no_set(workspace: Workspace, damage) -> None:
    items = [item(workspace, "s1")]
    path = workspace.handcrops("s1")
    before = path.stat()
    path.write_bytes(damage(path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (reason,) = Run(workspace, items).failed
    assert reason.startswith(f"{path}: damaged since it was written")
    assert not path.exists()
    assert not (workspace.shards / "dataset.json").exists()


def test_another_label_changes_the_json_alone(workspace: Workspace) -> None:
    first = Run(workspace, [item(workspace, "s0"), item(workspace, "s1")])
    again = Run(workspace, [item(workspace, "s0", label=None), item(workspace, "s1")])
    assert again.names == ["train-000.tar"]
    assert_index_points_at_members(workspace)
    old, new = ({row["id"]: row for row in tar_members(run.files["train-000.tar"])} for run in (first, again))
    assert {name for name in old if old[name] != new[name]} == {"s0.json"}
    assert b'"label":null' in new["s0.json"]["content"]


def tar_members(data: bytes) -> list[dict]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [{"id": member.name, "content": tar.extractfile(member).read()} for member in tar]


def test_a_clip_without_video_is_json_flow_and_pose(workspace: Workspace) -> None:
    clip = Clip(Sample("k", "train", "3", 7, None, None, "/k.npy"), None, None)
    clip.video = Video(60, 160, 120, 25.0)
    for path, data in ((workspace.keypoints("k"), b"points"), (workspace.poseflow("k"), b"flow")):
        path.write_bytes(data)
    clip.keypoints, clip.poseflow = ResultFile(6, zlib.crc32(b"points")), ResultFile(4, zlib.crc32(b"flow"))
    run = Run(workspace, [clip, item(workspace, "s0")])
    found = {row["id"]: row["content"] for row in tar_members(run.files["train-000.tar"])}
    assert {name: found[name] for name in ("k.flow.npy", "k.pose.npy")} == {
        "k.flow.npy": b"flow",
        "k.pose.npy": b"points",
    }
    assert json.loads(found["k.json"]) == {
        **{"id": "k", "signer": "3", "label": 7, "fps": 25.0, "width": 160, "height": 120, "frames": 60}
    }
    assert sum(name.startswith("k.") for name in found) == 3
    (row,) = [row for row in read_index(workspace.shards / "train.parquet").to_pylist() if row["id"] == "k"]
    assert run.files["train-000.tar"][row["pose_offset"] :][: row["pose_size"]] == b"points"
    assert row["left_offset"] is None


def test_the_fingerprint_covers_place_order_and_content(workspace: Workspace, tmp_path: Path) -> None:
    a, b = item(workspace, "a"), item(workspace, "b")
    other = item(workspace, "b", content=b'{"fps":2}')
    labeled = item(workspace, "b", label=8)
    folders = tmp_path / "1", tmp_path / "2"
    lists = [a, b], [b, a], [a, other], [a, labeled], [a]
    assert len({shard_fingerprint(folder, items) for folder in folders for items in lists}) == 10


def test_rows_of_another_folder_are_not_taken_for_this_one(workspace: Workspace) -> None:
    Run(workspace, [item(workspace, "a")])
    ledger = Ledger(workspace.ledgers, "shards")
    ledger.record(LedgerRow("/elsewhere/val-000.tar", DONE, "f", facts={"size": 1}))
    (workspace.shards / "val-000.tar").touch()  # of somebody else
    Run(workspace, [item(workspace, "a")])
    assert (workspace.shards / "val-000.tar").exists()


@pytest.mark.parametrize("change", ["moved", "ledger lost", "named otherwise"])
def test_old_shards_go_also_when_the_ledger_does_not_know_them(workspace: Workspace, tmp_path: Path, change) -> None:
    items = [item(workspace, f"s{n}", "val" if n > 6 else "train") for n in range(9)]
    Run(workspace, items, 2)
    (workspace.shards / "train-099.tar").write_text("somebody else's")
    if change == "moved":
        workspace.root.rename(tmp_path / "elsewhere")
        workspace = Workspace(tmp_path / "elsewhere")
    elif change == "ledger lost":
        (workspace.ledgers / "shards.parquet").unlink()
    else:
        workspace = Workspace(workspace.root / ".." / "work")
    after = Run(workspace, items[:2])
    assert after.files.keys() == {"dataset.json", "train-000.tar", "train-099.tar", "train.parquet"}
    assert after.ledger.rows.keys() == {str(workspace.shards / "train-000.tar")}


def test_old_shards_go_also_when_a_run_without_its_ledger_was_killed(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(9)]
    Run(workspace, items, 2)
    (workspace.ledgers / "shards.parquet").unlink()

    def killed(tasks):
        raise KeyboardInterrupt

    ledger, shards = Ledger(workspace.ledgers, "shards"), plan_shards(items, 9)
    with pytest.raises(KeyboardInterrupt):
        PlannedShards(workspace.shards, shards, workspace).write(ledger, killed)
    assert not (workspace.shards / "dataset.json").exists()
    after = Run(workspace, items, 9)
    assert after.files.keys() == {"dataset.json", "train-000.tar", "train.parquet"}
    assert after.ledger.rows.keys() == {str(workspace.shards / "train-000.tar")}


def test_a_link_that_leads_elsewhere_now_makes_nothing_ours(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    other.create()
    mine, theirs, link = tmp_path / "mine", tmp_path / "theirs", tmp_path / "latest"
    mine.mkdir()
    link.symlink_to(mine)
    Run(workspace, [item(workspace, "a")], folder=link)
    before = Run(other, [item(other, "bcd")], folder=theirs).files
    link.unlink()
    link.symlink_to(theirs)
    with pytest.raises(InputError, match=r"theirs: holds train-000\.tar, which this workspace's ledger does not know"):
        Run(workspace, [item(workspace, "a")], folder=theirs)
    assert {path.name: path.read_bytes() for path in theirs.iterdir() if path.name != ".lock"} == before


def test_a_folder_of_a_row_may_be_a_loop_of_links(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    Ledger(workspace.ledgers, "shards").record(LedgerRow(f"{tmp_path}/loop/train-000.tar", DONE, "f"))
    assert Run(workspace, [item(workspace, "a")]).names == ["train-000.tar"]


def test_a_damaged_set_is_made_again(workspace: Workspace) -> None:
    items = [item(workspace, f"s{n}") for n in range(4)]
    before = Run(workspace, items).files
    (workspace.shards / "dataset.json").write_text("{")
    assert Run(workspace, items).files == before


def test_a_folder_of_our_own_named_otherwise(workspace: Workspace, tmp_path: Path) -> None:
    items = [item(workspace, f"s{n}") for n in range(4)]
    before = Run(workspace, items, 2, tmp_path / "out").files
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for folder in (tmp_path / "work" / ".." / "out", tmp_path / "link"):
        again = Run(workspace, items, 2, folder)
        assert again.files == before
        assert {Path(key).parent for key in again.ledger.rows} == {folder}


def test_a_folder_of_our_own_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    items, folder = [item(workspace, f"s{n}", "val" if n > 6 else "train") for n in range(9)], tmp_path / "a" / "b"
    assert len(Run(workspace, items, folder=folder).names) == 4
    (folder / "mytable.parquet").write_text("mine")
    assert Run(workspace, items[:2], folder=folder).names == ["train-000.tar"]
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "dataset.json",
        "mytable.parquet",
        "train-000.tar",
        "train.parquet",
    }


def test_runs_may_alternate_between_folders(workspace: Workspace, tmp_path: Path) -> None:
    items = [item(workspace, f"s{n}") for n in range(4)]
    folders = workspace.shards, tmp_path / "out"
    for folder in folders:
        assert len(Run(workspace, items, 1, folder).names) == 4
    for folder in folders:
        assert Run(workspace, items, 1, folder).names == []
    for folder in folders:  # fewer shards: none of the others may stay
        again = Run(workspace, items, 4, folder)
        assert again.files.keys() == {"dataset.json", "train-000.tar", "train.parquet"}
    assert again.ledger.rows.keys() == {str(folder / "train-000.tar") for folder in folders}


def test_rows_of_a_folder_that_is_gone_go(workspace: Workspace, tmp_path: Path) -> None:
    items, folder = [item(workspace, "a")], tmp_path / "out"
    Run(workspace, items, folder=folder)
    folder.rename(tmp_path / "away")
    assert Run(workspace, items).ledger.rows.keys() == {str(workspace.shards / "train-000.tar")}


def test_after_a_kill_between_renaming_and_row_the_folder_is_still_ours(workspace: Workspace, tmp_path: Path) -> None:
    items, folder = [item(workspace, f"s{n}") for n in range(4)], tmp_path / "out"
    shards = plan_shards(items, 2)

    def killed(tasks):
        for task in tasks:
            named(row_of(task), Path(task.id))
        raise KeyboardInterrupt

    ledger = Ledger(workspace.ledgers, "shards")
    with pytest.raises(KeyboardInterrupt), shards_folder(folder, {"train"}, workspace, ledger.rows):
        PlannedShards(folder, shards, workspace).write(ledger, killed)
    assert {path.name for path in folder.glob("*.tar")} == {"train-000.tar", "train-001.tar"}
    assert {row.status for row in read_ledger_rows(workspace.ledgers, "shards").values()} == {"begun"}
    assert Run(workspace, items, 2, folder).names == ["train-000.tar", "train-001.tar"]


@pytest.mark.parametrize("name", ["train-007.tar", "dataset.json", "train.parquet"])
def test_a_folder_with_something_of_others_is_refused_and_left_alone(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / name).write_text("theirs")
    with pytest.raises(InputError) as caught:
        Run(workspace, [item(workspace, "a")], folder=folder)
    assert caught.value.message == (
        f"{folder}: holds {name}, which this workspace's ledger does not know; move it away, or give another "
        "--shards-out"
    )
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "theirs")]


def test_what_macos_writes_beside_a_file_is_no_shard(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "._train-000.tar").write_text("macOS")
    assert Run(workspace, [item(workspace, "a")], folder=tmp_path / "out").names == ["train-000.tar"]


def test_the_set_of_another_workspace_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    other.create()
    folder = tmp_path / "out"
    before = Run(other, [item(other, "a")], folder=folder).files
    with pytest.raises(InputError, match=r"out: holds train-000\.tar, which this workspace's ledger does not know"):
        Run(workspace, [item(workspace, "b")], folder=folder)
    assert Run(other, [item(other, "a")], folder=folder).files == before


def test_folders_that_shards_cannot_go_to(workspace: Workspace, tmp_path: Path) -> None:
    workspace.manifest.write_text("manifest")
    for folder in (workspace.root, *workspace.folders, workspace.root / "shards" / ".."):
        with pytest.raises(InputError, match="the workspace keeps other files there"):
            Run(workspace, [item(workspace, "a")], folder=folder)
    with pytest.raises(InputError, match="its name is not UTF-8; rename it, or give another --shards-out"):
        Run(workspace, [item(workspace, "a")], folder=tmp_path / "\udcff")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cannot be written .*; give another --shards-out"):
            Run(workspace, [item(workspace, "a")], folder=folder)
    assert workspace.manifest.read_text() == "manifest"


def test_two_workspaces_cannot_have_one_folder_at_a_time(workspace: Workspace, tmp_path: Path) -> None:
    with (
        shards_folder(tmp_path / "out", {"train"}, workspace, {}),
        pytest.raises(InputError, match="works on these shards"),
        shards_folder(tmp_path / "out", {"train"}, Workspace(tmp_path / "other"), {}),
    ):
        pytest.fail("it was let in")
