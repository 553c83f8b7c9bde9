from pathlib import Path

import pytest

from shards.errors import InputError
from shards.labels import Labelled, class_gaps, read_classes, read_labelled, read_labels


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,1\n b , 0 \n", {"a": (1, None), "b": (0, None)}),
        ("a,1,train\nb,0071,val\n", {"a": (1, "train"), "b": (71, "val")}),
        ("id,class\na,1\n", {"a": (1, None)}),
        ("color,label,split,id\nx.mp4,1,train,a\ny.mp4,,test,b\nz.mp4,0,,c\n", {"a": (1, "train"), "c": (0, None)}),
        ("id,label\na,book\nb,Apple\nc,book\n", {"a": (1, None), "b": (0, None), "c": (1, None)}),
        ("o\u0308,1\n", {"\u00f6": (1, None)}),
        ("a,1\na,1\n", {"a": (1, None)}),
        ("a,999999\n", {"a": (999999, None)}),
    ],
)
def test_labels(path: Path, content: str, expected: dict[str, tuple[int, str | None]]) -> None:
    path.write_text(content)
    assert read_labels(path) == expected


def test_names_are_numbered_by_the_classes(path: Path) -> None:
    path.write_text("id,label\na,book\nb,1\n")
    assert read_labels(path, ["1", "x", "book"]) == {"a": (2, None), "b": (0, None)}


def test_padded_numbers_that_classes_are_named_by_are_names(path: Path) -> None:
    path.write_text("id,label\na,0001\nb,0002\n")
    assert read_labels(path, ["0001", "0002"]) == {"a": (0, None), "b": (1, None)}
    assert read_labels(path, ["one", "two", "three"]) == {"a": (1, None), "b": (2, None)}
    path.write_text("id,label\na,1\nb,0\n")
    assert read_labels(path, ["0", "1", "2"]) == {"a": (1, None), "b": (0, None)}


def test_signers_are_the_files_or_the_ids(path: Path) -> None:
    path.write_text("id,signer,label\nsigner1_sample2,anna,0\nsigner3_sample4,,1\n")
    assert read_labelled(path) == [
        Labelled("signer1_sample2", 0, None, "anna"),
        Labelled("signer3_sample4", 1, None, "3"),
    ]
    path.write_text("signer3_sample4,1\n")
    assert read_labelled(path)[0].signer == "3"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "has no rows"),
        ("id,label\n", "has no rows"),
        ("id,label\na,\n", "no clip in it has a label"),
        ("a\n", "a.csv:1: expected id,class or id,class,split, found 1 columns"),
        ("a,1,,,\n", "a.csv:1: expected id,class or id,class,split, found 5 columns"),
        ("a,hello\n", "a.csv:1: class 'hello' is not a whole number from 0 up"),
        ("a,0.0\n", "class '0.0' is not a whole number"),
        ("a,-1\n", "class '-1' is not a whole number"),
        ("a,²\n", "class '²' is not a whole number"),
        ("a,1234567\n", "class '1234567' is larger than 999999"),
        ("a,1\na,2\n", "a.csv:2: a has another class, split or signer further up"),
        ("a,1,x\na,1,y\n", "a.csv:2: a has another class"),
        ("a,1,-x\n", "'-x' cannot name a split"),
        (",1\n", "a.csv:1: no id"),
        ("id,label\na,1\nb,two\n", "a.csv:3: class 'two' is a name, but in line 2 it is the number 1"),
        ("id,label\na,1.0\nb,2.0\n", "a.csv:2: class '1.0' is not a whole number"),
        ("id,split\na,train\n", "names no column label"),
        ("id;label\na;1\n", "separated by semicolons"),
    ],
)
def test_wrong_labels(path: Path, content: str, fault: str) -> None:
    path.write_text(content)
    with pytest.raises(InputError) as error:
        read_labels(path)
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("names", "fault"),
    [(["a"], "class 'book' is none of the classes' names"), (["book", "book"], "two classes are named 'book'")],
)
def test_names_that_no_class_or_two_have(path: Path, names: list[str], fault: str) -> None:
    path.write_text("id,label\na,book\n")
    with pytest.raises(InputError, match=fault):
        read_labels(path, names)


def test_gaps() -> None:
    assert class_gaps([0, None, 99]) is None
    assert class_gaps(range(0, 1000, 10)) is None
    assert "2 of 1,000,000 classes" in class_gaps([65123, 999999])
    assert class_gaps([]) is None


def test_classes_of_autsl(autsl_labels):
    names = read_classes(autsl_labels / "SignList_ClassId_TR_EN.csv")
    assert len(names) == 226
    assert (names[0], names[225]) == ("sister", "difficult")


def test_without_an_english_column_the_second_counts(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("ClassId,TR\n1,zor\n0,abla\n")
    assert read_classes(path) == ["abla", "zor"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0,abla\n",
        "ClassId\n0\n",
        "ClassId,EN\n0,a\n2,b\n",
        "ClassId,EN\n0\n",
        "ClassId,EN\nx,a\n",
        "ClassId,EN\n0,a\n0,b\n",
    ],
)
def test_wrong_files_of_classes(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"classes\.csv"):
        read_classes(path)
