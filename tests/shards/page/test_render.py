import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

from shards.page.drawing import Drawing, rectangle, text
from shards.page.render import percent, render, svg_file

NASTY = "</script><script>alert(1)</script> & \"'<img src=x onerror=alert(1)>"
TEMPLATE = """{% extends "page.html" %}
{% block title %}{{ name }}{% endblock %}
{% block body %}<p title="{{ name }}">{{ name }}</p>{% endblock %}"""


class Reader(HTMLParser):
    """Which elements a page has, and its text by element."""

    def __init__(self, document: str):
        super().__init__()
        self.elements, self.text, self.open = [], {}, []
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package with a template of its own."""
    folder = tmp_path / "pages_of_a_test" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "small.html").write_text(TEMPLATE)
    (folder / "small.css").write_text("p { color: red; }")
    (folder / "small.js").write_text("let a = 1 && 2;")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder.parent.name


def test_a_page_holds_what_it_is_given_and_nothing_else(package):
    read = Reader(render(package, "small", {"name": NASTY}, name=NASTY))
    assert read.open == []
    assert [name for name, _ in read.elements].count("script") == 2
    assert "img" not in [name for name, _ in read.elements]
    assert ("p", {"title": NASTY}) in read.elements
    assert "".join(read.text["title"]) == "".join(read.text["p"]) == NASTY
    data, script = ("".join(part) for part in (read.text["script"][:-1], read.text["script"][-1:]))
    assert json.loads(data) == {"name": NASTY}
    assert script == "let a = 1 && 2;"
    assert "p { color: red; }" in "".join(read.text["style"])


@pytest.mark.parametrize("data", [None, {}])
def test_the_policy_allows_no_loading(package, data):
    elements = Reader(render(package, "small", data, name="n")).elements
    policies = [a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules if data is None else rules["script-src"].startswith("'sha256-")


def test_a_name_that_is_missing_is_an_error(package):
    with pytest.raises(UndefinedError):
        render(package, "small")


def test_percent():
    assert [percent(0.9292), percent(0.9292, 2), percent(1, 0)] == ["92.9\u00a0%", "92.92\u00a0%", "100\u00a0%"]


def test_a_drawing_as_a_file_is_xml_with_colors_of_its_own():
    words = text(3, 4, f"{NASTY}\x00\ud800", tip=NASTY)
    file = svg_file(
        Drawing((0, 0, 20, 10), [words, rectangle(0, 0, 2, 2, "cell-right", "", {"fill-opacity": 0.5})], "t")
    )
    root = ElementTree.fromstring(file)  # noqa: S314  our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("20", "10", "0 0 20 10")
    assert [child.tag.partition("}")[2] for child in root] == ["title", "style", "text", "rect"]
    title, style, written, _ = root
    assert title.text == "t"
    assert written[0].text == NASTY
    assert written[0].tail == f"{NASTY}\ufffd\ufffd"
    assert "var(" not in style.text
    assert re.search(r"\.cell-right { fill: #[0-9a-f]{6};", style.text)
    assert b"href" not in file
