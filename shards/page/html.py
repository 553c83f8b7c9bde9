"""Self-contained HTML pages: text is escaped unless it is marked as HTML, and nothing is loaded from anywhere."""

import base64
import hashlib
import html
import json
from typing import Any

STYLE = """
:root { --ink: #1d2733; --soft: #5d6b7a; --line: #e1e6ec; --panel: #fff; --ground: #f5f7f9; --blue: #2867b2;
  --red: #c8452f; --grey: #9aa6b2; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 12px; }
.note { color: var(--soft); font-size: 13.5px; max-width: 110ch; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px;
  margin-top: 18px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 12.5px; font-weight: 600; color: var(--soft); background: var(--panel); }
th, td { padding: 4px 18px 4px 0; border-bottom: 1px solid var(--line); }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
svg text { font-size: 12px; fill: var(--soft); }
img { display: block; }
"""


class Markup(str):
    """HTML as it is to stand in a page; every other string is escaped."""

    __slots__ = ()


def joined(*children: str) -> Markup:
    """Children one after another; those that are not `Markup` are text."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """An element. In the names of attributes, `_` stands for `-` and a last one is dropped (`class_`)."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>" if name in ("img", "meta") else f"<{name}{written}>{joined(*children)}</{name}>")


def data_uri(content: bytes, kind: str) -> str:
    """A picture as an attribute's value; `kind` such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def page(title: str, body: Markup, style: str = "", script: str = "", data: Any = None) -> str:
    """A whole page.

    Its content security policy lets the browser load nothing, and run no script but this one.

    Args:
        title: of the window.
        body: goes into <main>.
        style: CSS besides `STYLE`.
        script: runs at the end; "" for none.
        data: for the script, as JSON in the element `data`.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; " if script else ""
    policy = f"default-src 'none'; {allowed}style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(STYLE + style)),
    )
    end = []
    if data is not None:
        # "</script>" within a string would end the element; JSON may spell "<" in another way.
        values = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        end.append(tag("script", Markup(values), type="application/json", id="data"))
    if script:
        end.append(tag("script", Markup(script)))
    document = tag("html", tag("head", *head), tag("body", tag("main", body), *end), lang="en")
    return f"<!doctype html>\n{document}\n"
