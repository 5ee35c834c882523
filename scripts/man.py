"""Writes the manual page of recon-detect, made of the help texts: python scripts/man.py recon-detect.1."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from recon_detect._version import __version__
from recon_detect.atomic import replacing
from recon_detect.cli.app import app


def escaped(text: str) -> str:
    """Text that roff takes for nothing else: backslashes, hyphens, and a dot or quote at the beginning of a line."""
    return re.sub(r"^([.'])", r"\\&\1", text.replace("\\", r"\e").replace("-", r"\-"), flags=re.M)


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; lines that are indented stay lines."""
    for block in re.split(r"\n\s*\n", text.replace("\b", "").strip()):
        yield ".PP"
        yield escaped("\n".join(line.strip() for line in block.splitlines()))


def options(command: typer.core.TyperCommand | typer.core.TyperGroup) -> Iterator[str]:
    """The arguments and options of a command, each with its help."""
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        names = parameter.opts if parameter.param_type_name == "option" else [(parameter.name or "").upper()]
        yield ".TP"
        yield r"\fB" + escaped(", ".join(names)) + r"\fR"
        yield escaped(" ".join((getattr(parameter, "help", None) or "").split()))


def commands(group: typer.core.TyperGroup, before: str) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Each command with its words, those of groups included."""
    for name, command in group.commands.items():
        words = f"{before} {name}"
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, words)
        elif not command.hidden:
            yield words, command


def page() -> str:
    """The manual page as roff."""
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    lines = [
        f'.TH RECON\\-DETECT 1 "" "recon\\-detect {escaped(__version__)}" "User Commands"',
        ".SH NAME",
        r"recon\-detect \- " + escaped((root.help or "").rstrip(".").lower()),
        ".SH SYNOPSIS",
        r".B recon\-detect",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR ...",
        ".SH OPTIONS",
        *options(root),
        ".SH COMMANDS",
    ]
    for words, command in commands(root, "recon-detect"):
        lines += [f'.SS "{escaped(words)}"', *paragraphs(command.help or ""), *options(command)]
    lines += [".SH EXIT STATUS", escaped((root.epilog or "").removeprefix("Exit codes: "))]
    return "\n".join(line for line in lines if line) + "\n"


def main() -> None:
    """Writes the page to the file that is named."""
    with replacing(Path(sys.argv[1])) as temporary:
        temporary.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
