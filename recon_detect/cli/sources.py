"""The images that a command line names."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from PIL import Image

from recon_detect.errors import UsageError
from recon_detect.images import Source, find_sources


def sources_of(paths: list[str]) -> list[Source]:
    """The images, each once: what is on disk already is looked up by path when a run goes on.

    Raises:
        UsageError: There are none.
    """
    # The package has a limit of its own, and says so in the row.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    sources = list({source.id: source for source in find_sources(paths)}.values())
    if not sources:
        raise UsageError(f"no images in {', '.join(paths)}")
    return sources


def labelled(real: list[str], generated: list[str]) -> tuple[list[Source], dict[str, str]]:
    """The images, each once, and of those given as NAME=PATH the name of what made them, by path."""
    sources: dict[str, Source] = {}
    generator: dict[str, str] = {}
    for label, given in (("real", real), ("generated", generated)):
        for text in given:
            name, _, path = text.rpartition("=") if label == "generated" and not Path(text).exists() else ("", "", text)
            for source in sources_of([path]):
                if sources.setdefault(source.id, replace(source, label=label)).label != label:
                    raise UsageError(f"{source.id} is given as --real and as --generated; leave it out of one")
                if name:
                    generator[source.id] = name
    return list(sources.values()), generator
