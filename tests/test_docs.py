"""The pages of documentation: their examples run and print what they say; commands, options and links are there."""

import os
import re
import shutil
from pathlib import Path

import click
import pytest
import torch
from helpers.doc_examples import blocks, commands, examples, matches, named_options, options_of, run

import pipeline.demo.generate as demo_clips
from pipeline.workers.local import end_workers
from shards.names import LONGEST_ID

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMAND_PAGES = sorted((ROOT / "docs" / "commands").glob("*.md"))
WITH_EXAMPLES = [page for page in PAGES if examples(page.read_text())]
# Signers of `pipeline demo`, two to train on and one each to validate and to test: 32 of its 144 clips, byte for byte.
SIGNERS = (0, 1, 12, 14)
# Options of others' programs that the pages name in their text.
FOREIGN = {"--signals-to-handle", "--signal", "--requeue", "--array", "--ntasks", "--gres"}
FOREIGN |= {"--no-python", "--ntasks-per-node", "--cpus-per-task", "--kill-on-bad-exit"}
MODEL = (
    "--cnn small --weights none --image-size 32 --sequence-length 8 --temporal-stride 4 --num-layers 1 --num-heads 2 "
    "--embed-size 16"
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pipeline demo` leaves (clips, work, run), of fewer clips and with less training. Read only."""
    out = tmp_path_factory.mktemp("docs") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        plan = demo_clips.plan
        patch.setattr(demo_clips, "plan", lambda settings: [clip for clip in plan(settings) if clip.signer in SIGNERS])
        demo_clips.generate(out / "clips", demo_clips.DemoSettings(), 2)
        patch.chdir(out.parent)
        torch.set_num_threads(1)  # two loader processes beside it
        for command in (
            "pipeline run --data demo/clips/mp4 --labels demo/clips/labels.csv --classes demo/clips/classes.csv "
            "--pose import --keypoints demo/clips/kp --work demo/work",
            "train --shards 'demo/work/shards/train-*.tar' --val-shards 'demo/work/shards/val-*.tar' "
            f"--run-dir demo/run --max-epochs 1 {MODEL}",
        ):
            status, output = run(command)
            assert status == 0, output
    rows = (out / "clips" / "labels.csv").read_text().splitlines(keepends=True)
    (out / "test_labels.csv").write_text("".join(row for row in rows if row.endswith(",test\n")))
    return out


@pytest.fixture
def here(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a page's examples run."""
    folder = tmp_path / "demo"
    folder.mkdir()
    for name in ("clips", "test_labels.csv"):
        (folder / name).symlink_to(demo / name)
    shutil.copytree(demo / "work", folder / "work")
    shutil.copytree(demo / "run", folder / "run", copy_function=os.link)  # checkpoints of 190 MB
    monkeypatch.chdir(tmp_path)
    end_workers()  # those of an example before would still be in its folder
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("OPENPOSE_BIN", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_examples_print_what_the_page_says(page: Path, here: Path) -> None:
    for example in examples(page.read_text()):
        status, output = run(example.command)
        place = f"{name_of(page)}:{example.line}: {example.command}"
        assert status == example.status, f"{place}\nended with {status}:\n{output}"
        right = matches(example.output, output, example.figures_vary)
        assert right, f"{place}\nprinted:\n{output}\n\nbut the page says:\n{example.output}"


def test_every_command_has_a_page_with_examples_and_no_page_is_left_over() -> None:
    pages = {page.stem.replace("-", " ", 1): page for page in COMMAND_PAGES if page.stem != "README"}
    assert pages.keys() == commands().keys()
    for command, page in pages.items():
        assert any(example.command.startswith(command) for example in examples(page.read_text())), page


def test_grouped_options_are_all_in_a_group() -> None:
    for name, command in commands().items():
        grouped = [option for group in command.groups.values() for option in group]
        options = {option.name for option in command.params if isinstance(option, click.Option)}
        assert len(grouped) == len(set(grouped))
        assert not grouped or options - set(grouped) <= {"version", "out"}, name
        assert set(grouped) <= options, name


def test_an_option_is_one_kind_of_thing_in_all_commands() -> None:
    """`--folds` was a number of folds in one command and a CSV of them in another."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for name, command in commands().items():
        for option in command.params:
            if isinstance(option, click.Option):
                kind = "path" if isinstance(option.type, click.Path) else option.type.name
                kinds.setdefault(option.opts[0], {}).setdefault(kind, []).append(name)
    assert {option: found for option, found in kinds.items() if len(found) > 1} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_that_a_page_names_are_those_of_the_commands(page: Path) -> None:
    known = {name: options_of(command) for name, command in commands().items()}
    # On a command's own page an option without a command is that command's.
    own = page.stem.replace("-", " ", 1) if page in COMMAND_PAGES else None
    anyones = set().union(*known.values())
    wrong = [
        f"{command or ''} {option}".strip()
        for command, option in named_options(page.read_text())
        if option not in known.get(command or own or "", anyones) | FOREIGN
    ]
    assert not wrong, f"{name_of(page)} names {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_source_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:pipeline|shards|train|tools|tests|docs)/[\w./-]+)`", page.read_text())
    # A bare `shards/` may be a user's folder, too.
    missing = [name for name in named if name.endswith((".py", ".md")) and not (ROOT / name).exists()]
    assert not missing, f"{name_of(page)} names {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page.read_text()) if not leads_somewhere(page, link)]
    assert not broken, f"{name_of(page)} links to {broken}"


@pytest.mark.parametrize("page", ["format.md", "your-data.md"])
def test_the_longest_id_of_a_page_is_that_of_the_code(page: str) -> None:
    assert re.search(rf"\b{LONGEST_ID} bytes", (ROOT / "docs" / page).read_text())


def test_pictures_are_small_and_shown() -> None:
    pictures = set((ROOT / "docs" / "pictures").iterdir())
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page.read_text())}
    assert pictures <= shown


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# A heading: `x`\n[a](page.md#a-heading-x) [b](b.md) [c](#c) [d](https://x.org) `[e](e.md)` ![f](f.png)\n"
    page.write_text(text)
    assert [link for link in links(text) if not leads_somewhere(page, link)] == ["b.md", "#c", "f.png"]


def without_code(text: str) -> str:
    return re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def links(text: str) -> list[str]:
    """Targets of the links and pictures of a page that lead into the project."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    return [link for link in found if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize(
    ("expected", "actual", "vary", "right"),
    (
        ("all right: 3", "all right: 3\n", False, True),
        ("all right: 3", "all right: 4\n", False, False),
        ("all right: 3", "all right: 3\nand more\n", False, False),
        ("all right: …", "all right: 4\n", False, True),
        ("all right: …", "all wrong: 4\n", False, False),
        ("all … right", "all\nright", False, False),
        ("first\n…\nlast", "first\nlast", False, True),
        ("first\n…\nlast", "first\n2\n3\nlast", False, True),
        ("first\n…\nlast", "first\n2\n3\n", False, False),
        ("", "an error", False, False),
        ("train   96  1.5 MB", "train 8  0.2 MB", True, True),
        ("train   96  1.5 MB", "train 8  0.2 GB", True, False),
        ("train 96", "train 8", False, False),
    ),
)
def test_output_is_compared(expected: str, actual: str, vary: bool, right: bool) -> None:
    assert matches(expected, actual, vary) is right


def test_examples_are_found() -> None:
    text = "```console\n$ a \\\n    b\nout\n[exit 2]\n$ c\n```\n```sh\n$ not run\n```\n"
    text += "```console figures-vary\n$ d\n1\n```\n"
    found = [(one.line, one.command, one.output, one.status, one.figures_vary) for one in examples(text)]
    assert found == [(2, "a  b", "out", 2, False), (6, "c", "", 0, False), (12, "d", "1", 0, True)]
    with pytest.raises(ValueError, match="line 2"):
        examples("```console\noutput first\n```\n")
    assert [block.info for block in blocks(text)] == ["console", "sh", "console figures-vary"]


def test_options_are_found() -> None:
    text = "See `train --resume` and `--gpus 0,1`, `sbatch --array`.\n"
    text += "```sh\npipeline run --stage all \\\n  --jobs 2\n```\n"
    assert sorted(named_options(text), key=str) == [
        ("pipeline run", "--jobs"),
        ("pipeline run", "--stage"),
        ("train", "--resume"),
        (None, "--gpus"),
    ]
