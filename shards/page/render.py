"""HTML pages from Jinja2 templates: all text is escaped, and nothing is loaded from anywhere."""

import base64
import hashlib

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


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
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("shards.page")])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}

    def source(file: str) -> Markup:
        return Markup(loader.get_source(environment, file)[0])  # noqa: S704  our own files

    script = None if data is None else source(f"{name}.js")
    return environment.get_template(f"{name}.html").render(
        values,
        style=source("page.css") + source(f"{name}.css"),
        script=script,
        script_hash=script and base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=data,
        percent=percent,
    )


def data_uri(content: bytes, kind: str) -> str:
    """A picture as an attribute's value; `kind` such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def percent(share: float, digits: int = 1) -> str:
    """0.9292 → "92.9 %"."""
    return f"{100 * share:.{digits}f} %"
