"""The lists' own rules, on small lists made here in their forms."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.lists.csv_lists import read_asl_citizen, read_gislr, read_gsl, read_include
from pipeline.lists.msasl import read_msasl
from pipeline.lists.named_files import read_autsl, read_karsl, read_lsa64, read_slr500
from pipeline.lists.record import ClipListing, youtube_id
from pipeline.lists.sources import Sources
from pipeline.lists.wlasl import read_wlasl
from shards.errors import InputError


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


def told(listing: ClipListing) -> list[tuple[str, str, str, int | None, str]]:
    return [(one.name, one.split, one.signer, one.label, "".join(one.color[:1])) for one in listing.records]


def instance(video: str, split: str = "train", url: str = "http://x/a.mp4", **more: int) -> dict[str, object]:
    one = {"video_id": video, "split": split, "url": url, "signer_id": 3, "fps": 25, "frame_start": 1, "frame_end": -1}
    return one | more


WLASL = [
    {
        "gloss": "book",
        "instances": [instance("00623"), instance("12", url="https://youtu.be/abcdefghijk", frame_end=9)],
    },
    {"gloss": "drink", "instances": [instance("13", "val", frame_start=5)]},
]


def test_wlasl(tmp_path: Path) -> None:
    root = write(tmp_path, {"WLASL_v0.3.json": WLASL, "wlasl_class_list.txt": "0\tdrink\n1\tall right\n2\tbook\n"})
    listing = read_wlasl(Sources([root]))
    assert told(listing) == [
        ("00623", "train", "3", 2, "videos/00623.mp4"),
        ("12", "train", "3", 2, "videos/12.mp4"),
        ("13", "val", "3", 0, "videos/13.mp4"),
    ]
    assert [one.frames for one in listing.records] == [None, (0, 9), (4, None)]
    assert "raw_videos/abcdefghijk.mp4" in listing.records[1].color
    assert listing.classes == ["drink", "all right", "book"]


def test_a_subset_of_wlasl_has_its_own_splits_and_fewer_classes(tmp_path: Path) -> None:
    subset = {"12": {"subset": "test", "action": [0, 5, 6]}, "99": {"subset": "test", "action": [0, 1, 2]}}
    root = write(tmp_path, {"WLASL_v0.3.json": WLASL, "nslt_1.json": subset})
    listing = read_wlasl(Sources([root / "nslt_1.json", root]))
    assert told(listing) == [("12", "test", "3", 0, "videos/12.mp4")]
    assert (listing.records[0].frames, listing.classes) == ((0, 9), ["book"])
    assert listing.unreadable == [f"{root / 'nslt_1.json'}: 99, which the list does not have"]


def msasl(label: int, text: str, **more: object) -> dict[str, object]:
    url = "www.youtube.com/watch?v=PWGruSSI30c&t=54s"
    one = {"url": url, "start_time": 1.5, "end_time": 2.0, "label": label, "text": text, "signer_id": 7, "signer": -1}
    return one | {"clean_text": "other", "fps": 30.0, "start": 45, "end": 60} | more


def test_msasl(tmp_path: Path) -> None:
    files = {
        "MSASL_classes.json": ["hello", "nice"],
        "MSASL_train.json": [msasl(1, "nice"), msasl(0, "hello", url="x.org")],
    }
    listing = read_msasl(Sources([write(tmp_path, files)]))
    assert told(listing) == [("train_0", "train", "7", 1, "videos/PWGruSSI30c.mp4")]
    assert (listing.records[0].start, listing.records[0].end, listing.records[0].frames) == (1.5, 2.0, None)
    assert "record 1: x.org is no video" in listing.unreadable[0]


def test_msasl_without_times(tmp_path: Path) -> None:
    record = {name: value for name, value in msasl(0, "a").items() if name not in ("start_time", "end_time", "fps")}
    root = write(tmp_path, {"MSASL_classes.json": ["a"], "SI_train.json": [record]})
    listing = read_msasl(Sources([root / "SI_train.json", root / "MSASL_classes.json"]))
    assert (listing.records[0].frames, listing.records[0].fps, listing.records[0].start) == ((45, 60), None, None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.youtube.com/watch?v=-DMFu-nAsok", "-DMFu-nAsok"),
        ("www.youtube.com/watch?a=b&v=abcdefghij_&t=1", "abcdefghij_"),
        ("https://youtu.be/abcdefghij_", "abcdefghij_"),
        ("http://aslbricks.org/New/book.mp4", None),
    ],
)
def test_youtube_ids(url: str, expected: str | None) -> None:
    assert youtube_id(url) == expected


def test_asl_citizen_takes_the_gloss_from_the_list_and_the_classes_from_train(tmp_path: Path) -> None:
    head = "Participant ID,Video file,Gloss,ASL-LEX Code\n"
    files = {
        "splits/train.csv": head + "P1,4.7e-7-seedSOUR.mp4,SOUR ,x\nP2,1-THIS-IT.mp4,THIS/IT,x",
        "splits/test.csv": head + "P3,2-ANY.mp4,SOUR,x\n",
    }
    listing = read_asl_citizen(Sources([write(tmp_path, files)]))
    assert told(listing) == [
        ("4.7e-7-seedSOUR", "train", "P1", 0, "videos/4.7e-7-seedSOUR.mp4"),
        ("1-THIS-IT", "train", "P2", 1, "videos/1-THIS-IT.mp4"),
        ("2-ANY", "test", "P3", 0, "videos/2-ANY.mp4"),
    ]
    assert read_asl_citizen(Sources([tmp_path / "splits" / "train.csv"])).roots == [tmp_path]


def test_include(tmp_path: Path) -> None:
    head = "Category,Word,Video,FilePath\n"
    files = {
        "train_include50.csv": head + "A,4. Bird,1.MOV,A/4. Bird/1.MOV\n",
        "test_include50.csv": head + "A,1. Dog,2.MP4,A/1. Dog/2.MP4\n",
        "train_include.csv": head + "A,9. Cat,3.MOV,A/9. Cat/3.MOV\n",
    }
    listing = read_include(Sources([write(tmp_path, files)]))
    assert told(listing) == [
        ("A/4. Bird/1", "train", "", 1, "A/4. Bird/1.MOV"),
        ("A/1. Dog/2", "test", "", 0, "A/1. Dog/2.MP4"),
    ]


def test_gsl(tmp_path: Path) -> None:
    files = {
        "train_greek_iso.csv": "h1_signer3_rep1_glosses/glosses0000|ΕΓΩ(1)\n",
        "test_greek_iso.csv": "h1_signer3_rep2_glosses/glosses0000| 10 \n",
        "iso_classes.csv": "1\n10\nΕΓΩ(1)\n",
    }
    assert told(read_gsl(Sources([write(tmp_path, files)]))) == [
        ("h1_signer3_rep1_glosses/glosses0000", "train", "3", 2, "h1_signer3_rep1_glosses/glosses0000"),
        ("h1_signer3_rep2_glosses/glosses0000", "test", "3", 1, "h1_signer3_rep2_glosses/glosses0000"),
    ]


@pytest.mark.parametrize(("splits", "expected"), [({}, ["", ""]), ({"s/val.txt": "12\n13\n"}, ["train", "val"])])
def test_gislr(tmp_path: Path, splits: dict[str, str], expected: list[str]) -> None:
    files = {
        "train.csv": "path,participant_id,sequence_id,sign\nf/1/11.parquet,1,11,wait\nf/2/12.parquet,2,12,TV\n\n",
        "sign_to_prediction_index_map.json": {"TV": 0, "wait": 1},
    }
    listing = read_gislr(Sources([write(tmp_path, files | splits)]))
    assert [(one.name, one.split, one.signer, one.label) for one in listing.records] == [
        ("11", expected[0], "1", 1),
        ("12", expected[1], "2", 0),
    ]
    assert listing.unreadable == ([f"val.txt: 13, which {tmp_path / 'train.csv'} does not have"] if splits else [])
    assert [(one.color, one.keypoints) for one in listing.records] == [((), "f/1/11.parquet"), ((), "f/2/12.parquet")]


def test_lsa64(tmp_path: Path) -> None:
    root = write(tmp_path, {"all/001_010_005.MP4": "", "all/064_002_001.mp4": "", "all/1_1_1.mp4": ""})
    listing = read_lsa64(Sources([root]))
    assert [(one.name, one.signer, one.label) for one in listing.records] == [
        ("001_010_005", "10", 0),
        ("064_002_001", "2", 63),
    ]
    assert listing.unreadable == [str(root / "all/1_1_1.mp4")]
    assert (listing.classes[0], listing.classes[63]) == ("001", "064")
    assert "of the 3,200 clips of LSA64 3,198 are not there, e.g. 001_001_001" in listing.notes


def test_slr500_without_lists_has_the_splits_of_its_readme(tmp_path: Path) -> None:
    root = write(tmp_path, {"499/P35_25_19_2._color.mp4": "", "000/P36_01_00_0._color.mp4": "", "000/x.mp4": ""})
    listing = read_slr500(Sources([root]))
    assert [(one.name, one.split, one.signer, one.label) for one in listing.records] == [
        ("P36_01_00_0", "test", "P36", 0),
        ("P35_25_19_2", "train", "P35", 499),
    ]
    assert (len(listing.classes), len(listing.unreadable)) == (500, 1)


def test_slr500_names_classes_as_its_lists_do(tmp_path: Path) -> None:
    files = {"split.train.csv": "video_path,class_name\n001/P01_01_01_0._color.mp4,不是\n", "gloss_label.txt": "惊\n"}
    listing = read_slr500(Sources([write(tmp_path, files)]))
    assert listing.classes == ["000", "不是"]


def test_karsl_has_signer_and_split_from_its_folders(tmp_path: Path) -> None:
    files = {
        "03/03/train/0071/01_02_0071_(1)_c.mp4": "",
        "test/0001/a.b_c/001.jpg": "",
        "test/0503/a.mp4": "",
        "x/0001/a.mp4": "",
    }
    root = write(tmp_path, files)
    listing = read_karsl(Sources([root]))
    assert [(one.name, one.split, one.signer, one.label) for one in listing.records] == [
        ("01_02_0071_(1)_c", "train", "03", 70),
        ("a.b_c", "test", "", 0),
    ]
    assert listing.unreadable == [str(root / "test/0503/a.mp4"), str(root / "x/0001/a.mp4")]


def test_autsl(tmp_path: Path) -> None:
    files = {
        "train/signer0_sample1_color.mp4": "",
        "train/signer0_sample1_depth.MKV": "",
        "test/signer3_sample2_color.MP4": "",
        "test/signer3_sample3_depth.mp4": "",
        "test/other.mp4": "",
        "train_labels.csv": "signer0_sample1,1\nsigner9_sample9,0\n",
    }
    root = write(tmp_path, files)
    listing = read_autsl(Sources([root]))
    assert "of the 2 clips with labels 1 are not there, e.g. signer9_sample9" in listing.notes
    assert [(one.name, one.split, one.signer, one.label, one.depth) for one in listing.records] == [
        ("signer3_sample2", "test", "3", None, None),
        ("signer0_sample1", "train", "0", 1, str(root / "train/signer0_sample1_depth.MKV")),
    ]
    assert listing.unmatched == [str(root / "test/other.mp4"), str(root / "test/signer3_sample3_depth.mp4")]


@pytest.mark.parametrize(
    ("reader", "files", "fault"),
    [
        (read_wlasl, {"nslt_100.json": {}}, "WLASL_v0.3.json, which says who signs is not there"),
        (read_wlasl, {"wlasl.json": WLASL, "wlasl_class_list.txt": "0\tbook\n"}, "no gloss 'drink'"),
        (read_wlasl, {"wlasl.json": [{"gloss": "a"}]}, "not in the form"),
        (read_wlasl, {"wlasl.json": "[{"}, "cannot be read as JSON"),
        (
            read_wlasl,
            {"wlasl.json": [{"gloss": "a", "instances": [instance("1") | {"video_id": 623}]}]},
            "leading zeros",
        ),
        (read_wlasl, {"wlasl.json": [3]}, "wlasl.json: not in the form"),
        (read_karsl, {"KARSL-502_Labels.json": {"words": []}}, "KARSL-502_Labels.json: expected an object"),
        (read_msasl, {"MSASL_train.json": []}, "MSASL_classes.json is not there"),
        (
            read_msasl,
            {"MSASL_classes.json": ["a"], "MSASL_val.json": [msasl(0, "b")]},
            "record 0: 0 is not the class of 'b'",
        ),
        (
            read_msasl,
            {"MSASL_classes.json": ["a"], "MSASL_val.json": [msasl(-1, "a")]},
            "record 0: -1 is not the class",
        ),
        (read_asl_citizen, {"test.csv": "Participant ID,Video file,Gloss\n"}, "train.csv is needed too"),
        (read_gsl, {"val_greek_iso.csv": "a|b\n", "iso_classes.csv": "c\n"}, "line 1: 'a|b' is not"),
        (read_slr500, {"split.test.csv": "video_path,class_name\n0/x.mp4,a\n"}, "split.test.csv:2: column video_path"),
        (
            read_gislr,
            {
                "train.csv": "path,participant_id,sequence_id,sign\n",
                "sign_to_prediction_index_map.json": {},
                "test.txt": "1\n",
                "val.txt": "1\n",
            },
            "val.txt: 1 is in test, too",
        ),
        (read_lsa64, {"signs.md": "02|Red|R|\n"}, "expected lines of a number, from 1"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, reader: Callable[[Sources], ClipListing], files: dict[str, object], fault: str
) -> None:
    with pytest.raises(InputError) as error:
        reader(Sources([write(tmp_path, files)]))
    assert fault in str(error.value)


@pytest.mark.parametrize("subset", [{"00001": {"split": "train"}}, {"name": "package"}, {"1": {"action": []}}])
def test_another_json_is_no_subset_of_wlasl(tmp_path: Path, subset: dict[str, object]) -> None:
    root = write(tmp_path, {"wlasl.json": WLASL, "other.json": subset})
    with pytest.raises(InputError, match=r"other\.json: not in the form of nslt_100"):
        read_wlasl(Sources([root / "wlasl.json", root / "other.json"]))
