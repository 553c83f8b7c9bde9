from pathlib import Path

import pytest

from shards.errors import InputError
from shards.format.pattern import expand, expand_files, folder_and_names, tars_in, whole_folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train-008", "train-009", "train-010", "val-000", "val-001", "test-7"):
        (tmp_path / f"{name}.tar").touch()
    (tmp_path / "train.parquet").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("train-{008..010}.tar", ["train-008", "train-009", "train-010"]),
        ("train-<009..010>.tar", ["train-009", "train-010"]),
        ("val-{000..001}.tar", ["val-000", "val-001"]),
        ("{val,train}-{008..008,000}.tar", None),  # nested: not supported, so an error
        ("{val-001,train-008}.tar", ["val-001", "train-008"]),
        ("{val,val}-00{0..1}.tar", None),  # twice
        ("test-{7..7}.tar", ["test-7"]),
        ("t*.tar", ["test-7", "train-008", "train-009", "train-010"]),
        ("train-00[89].tar", ["train-008", "train-009"]),
        ("val-00?.tar", ["val-000", "val-001"]),
        ("val-000.tar", ["val-000"]),
        ("", ["test-7", "train-008", "train-009", "train-010", "val-000", "val-001"]),
    ],
)
def test_expand(folder: Path, pattern: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(InputError):
            expand(f"{folder}/{pattern}")
    else:
        assert [path.stem for path in expand(f"{folder}/{pattern}")] == expected


def test_missing_shard_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"train-011\.tar: no such shard"):
        expand(f"{folder}/train-{{008..011}}.tar")


@pytest.mark.parametrize("pattern", ["shards", "sh*", "train-000.tar.part"])
def test_a_file_of_another_kind_is_no_shard(tmp_path: Path, pattern: str) -> None:
    """Such as the empty one that a redirection leaves."""
    for name in ("shards", "train-000.tar.part"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"/(shards|train-000\.tar\.part): is no shard"):
        expand(f"{tmp_path}/{pattern}")


def test_folders_of_a_glob_are_no_shards(folder: Path) -> None:
    (folder / "sets" / "one").mkdir(parents=True)
    with pytest.raises(InputError, match=r"sets/one: is a folder; a glob names shards, such as \S+/sets/\*/\*\.tar$"):
        expand(f"{folder}/sets/*")
    (folder / "sets" / "one" / "x.tar").mkdir()
    for pattern in ("sets/one", "sets/one/*.tar"):
        with pytest.raises(InputError, match=r"sets/one/x\.tar: is a folder; move it away$"):
            expand(f"{folder}/{pattern}")


def test_whole_folders(folder: Path) -> None:
    (folder / "more").mkdir()
    assert whole_folders(f"{folder}/{{more,train-00{{8..9}}.tar,.}}") == []  # nested braces name nothing
    assert whole_folders(f"{folder}{{/more,/val-000.tar,}}") == [folder / "more", folder]
    assert whole_folders(f"{folder}/m*") == []


def test_range_backwards(folder: Path) -> None:
    with pytest.raises(InputError, match="backwards"):
        expand(f"{folder}/train-{{010..008}}.tar")


def test_shard_twice(folder: Path) -> None:
    with pytest.raises(InputError, match="twice"):
        expand(f"{folder}/{{val-000,val-000}}.tar")
    (folder / "link").symlink_to(folder)
    with pytest.raises(InputError, match="names a shard twice"):
        expand(f"{folder}/{{,link/}}val-000.tar")


def test_folder_without_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.tar"):
        expand(str(tmp_path))


def test_names_with_a_dot_in_front_are_none(folder: Path) -> None:
    """macOS writes `._NAME` beside a file that it copies to another file system."""
    expected = expand(str(folder))
    (folder / "._train-008.tar").touch()
    assert expand(str(folder)) == tars_in(folder) == expected
    assert "._train-008.tar" not in {path.name for path in expand(f"{folder}/*.tar")}


@pytest.mark.parametrize("name", ["s{x,y}", "s{0..1}", "s<0..1>", "s[xy]", "s*", "{a,b}{0..3}"])
def test_what_exists_under_its_very_name_is_no_pattern(folder: Path, name: str) -> None:
    inside = folder / name / "t{1,2}"
    inside.mkdir(parents=True)
    for number in range(3):
        (inside / f"train-00{number}.tar").touch()
    (folder / "sx" / "t1").mkdir(parents=True)
    (folder / "sx" / "t1" / "train-000.tar").touch()
    every = [inside / f"train-00{number}.tar" for number in range(3)]
    assert expand(str(inside)) == every
    assert expand(f"{inside}/*.tar") == every
    assert expand(f"{inside}/train-{{001..002}}.tar") == every[1:]
    assert expand(f"{inside}/train-<000..000>.tar") == every[:1]
    assert whole_folders(str(inside)) == [inside]


def test_a_list_longer_than_a_file_name(folder: Path) -> None:
    names = ",".join(["train-008"] + [f"absent-{number}" for number in range(40)])
    with pytest.raises(InputError, match=r"absent-0\.tar: no such shard"):
        expand(f"{folder}/{{{names}}}.tar")
    with pytest.raises(InputError, match=r"absent-0\.tar: no such shard"):
        folder_and_names(f"{folder}/{{{names}}}.tar")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["val-*.tar", "test-7.tar"], ["val-000.tar", "val-001.tar", "test-7.tar"]),
        (["train-0{10,08}.tar"], ["train-010.tar", "train-008.tar"]),
        (["train-0<08..09>.tar"], ["train-008.tar", "train-009.tar"]),
        (["."], ["."]),
        (["absent.tar"], ["absent.tar"]),  # the command says what is wrong with it
        (["a[1].tar", "b*.tar", "{c,d}.tar"], ["a[1].tar", "b*.tar", "{c,d}.tar"]),
    ],
)
def test_files_of_names_and_patterns(
    folder: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], expected: list[str]
) -> None:
    monkeypatch.chdir(folder)
    Path("inner").mkdir()
    for name in ("a[1]", "b*", "{c,d}", "a1", "b2", "c", "d"):
        Path(f"{name}.tar").touch()
    assert list(map(str, expand_files(map(Path, names)))) == expected


@pytest.mark.parametrize("name", ["absent*.tar", "train-{009..011}.tar", "val-[5-9]00.tar"])
def test_a_pattern_of_no_file_is_named(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"(absent\*|train-011|val-\[5-9\]00)\.tar: names no file"):
        expand_files([folder / name])


def test_files_in_folders(folder: Path) -> None:
    names = [f"{name}.tar" for name in ("test-7", "train-008", "train-009", "train-010", "val-000", "val-001")]
    (folder / ".hidden.tar").touch()
    assert [path.name for path in expand_files([folder, folder / "train.parquet"], ".tar")] == [*names, "train.parquet"]
    assert expand_files([folder]) == [folder]
    with pytest.raises(InputError, match=r"the folder has no \.npz file"):
        expand_files([folder], ".npz")
