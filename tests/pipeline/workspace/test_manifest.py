"""AUTSL trees, manifest CSVs, label and class files: what is taken and what is refused."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.workspace.clip import Sample
from pipeline.workspace.manifest import (
    apply_labels,
    class_names,
    formula_ids,
    read_classes,
    read_data,
    read_manifest,
    write_manifest,
)
from shards.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "mp4"
    touch(
        folder, "train/signer3_sample12_color.mp4", "train/signer3_sample12_depth.mp4", "val/b_color.mp4", "val/x.txt"
    )
    return folder


def test_a_tree(tree: Path) -> None:
    train, val = f"{tree}/train/signer3_sample12", f"{tree}/val/b_color.mp4"
    assert read_data(tree).samples == [
        Sample("b", "val", "", None, val, None),
        Sample("signer3_sample12", "train", "3", None, f"{train}_color.mp4", f"{train}_depth.mp4"),
    ]
    assert [sample.depth for sample in read_data(tree, use_depth=False).samples] == [None, None]


def test_a_depth_video_whose_content_is_not_here_is_not_left_out(tree: Path) -> None:
    """As in a tree of git-annex: a link to nothing. The frames stage says that there is no such file."""
    (tree / "val" / "b_depth.mp4").symlink_to("../.git/annex/objects/b_depth.mp4")
    assert read_data(tree).samples[0].depth == f"{tree}/val/b_depth.mp4"


def test_a_csv(tmp_path: Path) -> None:
    path = text(
        tmp_path / "clips.csv",
        "\ufeffid,split,signer,label,color,depth\n\n b ,test,5,,clips/b.mp4,\na,train,Ada,7,/abs/a.mp4,d.mp4\n",
    )
    assert read_data(path).samples == [
        Sample("a", "train", "Ada", 7, "/abs/a.mp4", f"{tmp_path}/d.mp4"),
        Sample("b", "test", "5", None, f"{tmp_path}/clips/b.mp4", None),
    ]
    path = text(tmp_path / "no-depth.csv", "id,split,signer,label,color\na,train,,1,a.mp4\n")
    assert read_data(path).samples[0].depth is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "clips.csv: is empty"),
        ("id,label\na,1\n", "clips.csv:1: no column split, signer, color"),
        ("id,split,signer,label,color\n\n", "clips.csv: has no rows"),
        ("id,split,signer,label,color\na,-x,1,2,a.mp4\n", "clips.csv:2: column split: '-x' cannot name a split"),
        ("id,split,signer,label,color\na,train,1,2\n", "clips.csv:2: 4 columns where the header has 5"),
        ("id,split,signer,label,color\na,../x,1,2,a.mp4\n", "clips.csv:2: column split: '../x' cannot name a split"),
        ("id,split,signer,label,color\na,train,1,two,a.mp4\nb,train,1,2,a.mp4\n", "clips.csv:2: class 'two' is a name"),
        ("id,split,signer,label,color\na,train,1,-2,a.mp4\n", "clips.csv:2: class '-2' is not a whole number"),
        ("id,split,signer,label,color\na,train,1,2,\n", "clips.csv:2: column color: empty"),
        ("id,split,signer,label,color\na.b,train,1,2,a.mp4\n", "an id cannot contain '.'"),
        ("id,split,signer,label,color\na/b,train,1,2,a.mp4\n", "an id cannot contain '/'"),
        ("id,split,signer,label,color\n,train,1,2,a.mp4\n", "an id has 1 to 83 bytes"),
        (
            "id,split,signer,label,color\na,train,1,2,a.mp4\na,val,1,2,b.mp4\n",
            "clips.csv:3: column id: a is in line 2 already",
        ),
        ('id,split,signer,label,color\n"a,train,1,2,a.mp4\n' + "x" * 200_000, "cannot be read as CSV"),
    ],
)
def test_a_wrong_csv(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_data(text(tmp_path / "clips.csv", content))
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_csv_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_bytes("id,split,signer,label,color\nä,train,1,2,a.mp4\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"clips.csv:2: column 1: .*no UTF-8"):
        read_data(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder or CSV file"):
        read_data(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no <split>/<id>_color.mp4 in it"):
        read_data(tmp_path)


def test_an_id_in_two_splits(tree: Path) -> None:
    touch(tree, "test/b_color.mp4")
    with pytest.raises(InputError, match=r"id b occurs twice: .*test/b_color.mp4 and .*val/b_color.mp4; rename one"):
        read_data(tree)


@pytest.mark.parametrize("name", [".trash", "-x", "a.b"])
def test_a_folder_that_cannot_name_a_split(tree: Path, name: str) -> None:
    touch(tree, f"{name}/c_color.mp4")
    with pytest.raises(InputError, match=rf"/{name}: its name cannot name a split; move or rename it"):
        read_data(tree)


def test_hidden_files_are_no_clips(tree: Path) -> None:
    before = read_data(tree)
    clip = next(tree.glob("train/*_color.mp4"))
    clip.with_name(f"._{clip.name}").touch()
    assert read_data(tree) == before


def test_a_split_that_is_not_utf8(tree: Path) -> None:
    (tree / "train").rename(tree / "tr\udcff")
    with pytest.raises(InputError, match="tr\udcff: its name cannot name a split"):
        read_data(tree)


def test_a_name_that_is_not_utf8(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/val/\xff_color.mp4")).touch()
    with pytest.raises(InputError, match="its name is not UTF-8"):
        read_data(tree)


def test_labels_and_splits(tree: Path, tmp_path: Path) -> None:
    samples = read_data(tree).samples
    labelled, unknown = apply_labels(samples, text(tmp_path / "l.csv", "b,4\nsigner3_sample12,2,test\nz,1\ny,1\n"))
    assert [(sample.id, sample.label, sample.split) for sample in labelled] == [
        ("b", 4, "val"),
        ("signer3_sample12", 2, "test"),
    ]
    assert unknown == ["y", "z"]
    labelled, unknown = apply_labels(samples, text(tmp_path / "l.csv", "b,4\nb,4\n"))
    assert [sample.label for sample in labelled] == [4, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("b\n", "l.csv:1: expected id,class or id,class,split, found 1 columns"),
        ("b,1,val,x\n", "found 4 columns"),
        ("b,eins\n", "l.csv:1: class 'eins' is not a whole number from 0 up"),
        ("b,1.0\n", "class '1.0' is not a whole number from 0 up"),
        ("b,1\nb,2\n", "l.csv:2: b has another class"),
        ("b,1,a/b\n", "l.csv:1: 'a/b' cannot name a split"),
        ("x,1\ny,2\n", "none of its ids names a clip (it has x, --data has"),
        ("b,1,-x\n", "l.csv:1: '-x' cannot name a split"),
        ("", "l.csv: has no rows"),
    ],
)
def test_wrong_labels(tree: Path, tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_labels(read_data(tree).samples, text(tmp_path / "l.csv", content))
    assert said in caught.value.message


def test_class_names(tmp_path: Path) -> None:
    samples = [Sample("a", "train", "", 2, "a", None), Sample("b", "train", "", None, "b", None)]
    assert class_names(samples, None, tmp_path) == ["0", "1", "2"]
    assert class_names([], None, tmp_path) == []
    names = text(tmp_path / "c.csv", "ClassId,TR,EN\n1,abla,sister\n0,abi,brother\n2,acele,hurry\n")
    assert read_classes(names) == ["brother", "sister", "hurry"]
    assert class_names(samples, read_classes(names), names) == ["brother", "sister", "hurry"]
    assert read_classes(text(tmp_path / "c2.csv", "ClassId,Name\n0,null\n")) == ["null"]
    with pytest.raises(InputError, match="names 1 classes, but a sample has class 2"):
        class_names(samples, ["null"], tmp_path / "c2.csv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Id,Name\n0,a\n", "its first line must be ClassId"),
        ("ClassId\n0\n", "its first line must be ClassId"),
        ("ClassId,Name\n0,a,b\n", "c.csv:2: 3 columns where the header has 2"),
        ("ClassId,Name\n0,a\n2,b\n", "classes must be 0 to 1, each once"),
        ("ClassId,Name\nx,a\n", "c.csv:2: class 'x'"),
        ("ClassId,Name\n0,a\n0,b\n", "c.csv:3: class 0 is further up already"),
    ],
)
def test_wrong_classes(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_classes(text(tmp_path / "c.csv", content))
    assert said in caught.value.message


def test_the_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    samples = [Sample("ä b", "train", "3", None, "/x/ä b.mp4", None), Sample("c", "val", "", 5, "/x/c", "/x/d")]
    write_manifest(tmp_path / "manifest.parquet", samples)
    assert read_manifest(tmp_path / "manifest.parquet") == samples
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.parquet"]
    pq.write_table(pa.table({"id": ["a"], "path": ["b"]}), tmp_path / "other.parquet")
    for wrong in (tmp_path / "none.parquet", text(tmp_path / "text.parquet", "x"), tmp_path / "other.parquet"):
        with pytest.raises(InputError, match="is --work a workspace of `pipeline run`"):
            read_manifest(wrong)


def test_autsl_labels_as_they_are_released(autsl_labels: Path) -> None:
    names = read_classes(autsl_labels / "SignList_ClassId_TR_EN.csv")
    assert (len(names), names[0], names[225]) == (226, "sister", "difficult")


def test_ids_that_a_spreadsheet_takes_for_formulas_are_named() -> None:
    assert formula_ids(["a", "b=1"]) is None
    assert "2 ids" in str(formula_ids(["a", "=1+1", "-b"]))
