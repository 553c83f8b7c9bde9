"""HTML pages and SVG files from Jinja2 templates: all text is escaped, and nothing is loaded from anywhere."""

import base64
import hashlib
import re
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shards.command_line import counted
from shards.page.drawing import Drawing

# What XML has no way to write.
_NOT_IN_XML = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")


def render(package: str, name: str, data: object = None, /, **values: object) -> str:
    """The page NAME.html of a package's folder `templates`, with its NAME.css and, for `data`, its NAME.js in it.

    The template extends `page.html`, whose content security policy lets a browser load nothing, and run no script but
    this one.

    Args:
        package: such as `train.evaluate.report`.
        name: of the template, without suffix.
        data: what the script works on, as JSON in the element `data`; None: a page without script.
        values: what the template names.
    """
    environment = _environment(package)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    script = None if data is None else _source(package, f"{name}.js")
    styles = [_source("shards.page", "page.css"), _source("shards.page", "charts.css"), _source(package, f"{name}.css")]
    return environment.get_template(f"{name}.html").render(
        values,
        style=Markup().join(styles),
        script=script,
        script_hash=script and base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=data,
        percent=percent,
        counted=counted,
    )


def svg_file(drawing: Drawing) -> bytes:
    """A drawing as an SVG file in the light theme; colors stand as they are, since most programs but browsers know no
    CSS variables."""
    theme = dict(re.findall(r"(--[\w-]+): ([^;]+);", _source("shards.page", "page.css").partition("}")[0]))
    style = re.sub(r"var\((--[\w-]+)\)", lambda found: theme[found[1]], _source("shards.page", "charts.css"))
    text = _environment("shards.page").get_template("figure.svg").render(drawing=drawing, style=Markup(style))  # noqa: S704  our own
    return _NOT_IN_XML.sub("\ufffd", text).lstrip().encode()


def _environment(package: str) -> Environment:
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("shards.page")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _source(package: str, file: str) -> Markup:
    return Markup((files(package) / "templates" / file).read_text("utf-8"))  # noqa: S704  our own files


def data_uri(content: bytes, kind: str) -> str:
    """A picture as an attribute's value; `kind` such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def percent(share: float, digits: int = 1) -> str:
    """0.9292 → "92.9 %", with a space that no line ends at."""
    return f"{100 * share:.{digits}f}\u00a0%"
