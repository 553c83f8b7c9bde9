import pytest

from shards.classes import read_classes
from shards.errors import InputError


def test_autsl(autsl_labels):
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
def test_wrong_files(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"classes\.csv"):
        read_classes(path)
