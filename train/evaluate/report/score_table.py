"""A table of scores for a paper, in Markdown or LaTeX."""

import re
from collections.abc import Sequence
from pathlib import Path

from shards.errors import InputError
from shards.files import write_whole
from train.evaluate.comparison import Spread
from train.evaluate.outcome import Outcome

# The per-class mean has the name here that stands beside precision and F1.
HEADINGS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "top10": "Top-10",
    "precision": "Macro precision",
    "class_mean": "Macro recall",
    "f1": "Macro F1",
}
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\textasciigrave{}"}
# Without a package for another font encoding, the last three would be printed as ¡, ¿ and a dash.
_LATEX |= {"±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_LATEX |= {character: "\\" + character for character in "&%$#_{}"}
_WEIGHT = re.compile(r"^([\d.e-]+·)")


def check_table(path: Path) -> None:
    """InputError where a file's name says neither Markdown nor LaTeX."""
    if path.suffix not in (".md", ".tex"):
        raise InputError(f"{path}: a table is written as Markdown or LaTeX; give it a name that ends in .md or .tex")


def write_table(path: Path, outcomes: Sequence[Outcome], spread: dict[str, Spread] | None = None) -> None:
    """Write a row for each outcome, in percent, and one of mean ± standard deviation where there are several runs.

    Raises:
        OSError: the file cannot be written.
    """
    scores = [outcome.measures() for outcome in outcomes]
    columns = [name for name in HEADINGS if all(name in score for score in scores)]
    rows = [
        [name, str(len(outcome.ids)), *(f"{score[name] * 100:.2f}" for name in columns)]
        for name, outcome, score in zip(_row_names(outcomes), outcomes, scores, strict=True)
    ]
    if spread:
        values = (f"{spread[name].mean * 100:.2f} ± {spread[name].deviation * 100:.2f}" for name in columns)
        rows.append([f"mean ± sample SD of {len(outcomes)}", "", *values])
    header = ["", "Samples", *(HEADINGS[name] for name in columns)]
    write_whole(path, (_latex if path.suffix == ".tex" else _markdown)(header, rows).encode("utf-8", "replace"))


def _row_names(outcomes: Sequence[Outcome]) -> list[str]:
    """The names of the files, without folders where that tells them apart."""
    names = []
    for outcome in outcomes:
        # Of fused models: "0.6·a.npz + 0.4·b.npz".
        parts = [_WEIGHT.split(part, 1) for part in outcome.source.split(" + ")]
        names.append(" + ".join("".join([*weight, Path(file).stem]) for *weight, file in parts))
    return names if len(set(names)) == len(names) else [outcome.source for outcome in outcomes]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, rule, *rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _latex(header: list[str], rows: list[list[str]]) -> str:
    """A `tabular` with the rules of the package booktabs."""

    def line(cells: list[str]) -> str:
        return " & ".join(map(_escaped, cells)) + r" \\"

    body = [line(header), r"\midrule", *map(line, rows)]
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(cell: str) -> str:
    text = "".join(_LATEX.get(character, character) for character in cell).replace("--", r"-\/-\/")  # else a dash
    # After the `\\` of the row before, these would be its arguments.
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
