import json
from html.parser import HTMLParser

import pytest

from shards.page.html import Markup, joined, page, tag

NASTY = "</script><script>alert(1)</script> & \"'<img src=x onerror=alert(1)>"


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


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "<b>", tag("b", "&"), class_='a"b<') == '<p class="a&quot;b&lt;">&lt;b&gt;<b>&amp;</b></p>'
    assert joined("<", Markup("<br>")) == "&lt;<br>"
    # A sum of Markup is plain text again: it cannot carry something unescaped past `tag`.
    assert tag("p", tag("b", "x") + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


def test_a_page_holds_what_it_is_given_and_nothing_else():
    document = page(NASTY, tag("p", NASTY, title=NASTY), script="let a = 1;", data={"name": NASTY})
    read = Reader(document)
    assert read.open == []
    assert [name for name, _ in read.elements].count("script") == 2
    assert "img" not in [name for name, _ in read.elements]
    assert ("p", {"title": NASTY}) in read.elements
    assert "".join(read.text["title"]) == "".join(read.text["p"]) == NASTY
    data, script = ("".join(part) for part in (read.text["script"][:-1], read.text["script"][-1:]))
    assert json.loads(data) == {"name": NASTY}
    assert script == "let a = 1;"


@pytest.mark.parametrize("script", ["", "let a = 1;"])
def test_the_policy_allows_no_loading(script):
    document = page("t", tag("p", "x"), script=script)
    policies = [
        a["content"] for name, a in Reader(document).elements if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules if not script else rules["script-src"].startswith("'sha256-")
