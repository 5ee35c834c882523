"""Documents: HTML in one file, with nothing from outside and nothing that a name or metadata could run."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from recon_detect.names import shown

_FOLDER = resources.files(__package__)
# What would end a script element, or begin a comment in it.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def document(template: str, /, **values: Any) -> str:
    """HTML of ``TEMPLATE.html``, with the shared style and those of ``TEMPLATE.css`` and ``TEMPLATE.js`` in it.

    The policy in it lets nothing run but that script, and lets nothing be fetched. Values are escaped; a name of a file
    is put through the filter `shown` too.
    """
    style, script = asset("style.css") + asset(f"{template}.css"), asset(f"{template}.js")
    return _environment().get_template(f"{template}.html").render(
        **values, style=Markup(style), script=Markup(script), policy=policy(style, script)
    )  # fmt: skip


def policy(style: str, script: str) -> str:
    """Content security policy of a document whose only style and script these are."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def asset(name: str) -> str:
    """Text of a file beside this one; empty where there is none."""
    file = _FOLDER / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def embedded(values: Any) -> Markup:
    """JSON for a script element of type application/json: what HTML would take for markup is escaped."""
    return Markup(json.dumps(values, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("recon_detect", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "embedded": embedded}
    return environment
