"""``recon-detect audit``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recon_detect._version import __version__
from recon_detect.cli import FOUND, SOME_FAILED, advising, hush
from recon_detect.cli.arguments import AsJson, Generated, MaxPixels, OptionalReal, Quiet, Workers, flag
from recon_detect.errors import UsageError
from recon_detect.names import shown, written
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from recon_detect.audit import Audit, Measured
    from recon_detect.audit.matching import Matched
    from recon_detect.images import Source


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files and a folder that an audit writes, or None, and how much it prints."""

    table: Path | None
    measurements: Path | None
    matched: Path | None
    images: bool
    as_json: bool
    quiet: bool

    def __post_init__(self) -> None:
        for path, suffixes in ((self.table, (".csv", ".json")), (self.measurements, (".jsonl",))):
            if path and path.suffix.lower() not in suffixes:
                raise UsageError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")


def audit(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="A manifest (.csv or .jsonl, with 'path' and 'label'), a folder with a manifest.csv, or a folder with "
            "subfolders real and generated (0_real and 1_fake, nature and ai)."
        ),
    ] = None,
    real: OptionalReal = None,
    generated: Generated = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the table to this .csv or .json file; beside NAME.csv, its verdict in NAME.csv-metadata.json.",
        ),
    ] = None,
    measurements: Annotated[
        Path | None,
        typer.Option(
            help="Write the measurements of each image to this .jsonl file. A run that was interrupted is resumed."
        ),
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            "--match",
            help="Folder for a matched version of the set: manifest.csv, transform.json and its audit.csv. The "
            "transform gives both classes the same crop, format and quality.",
        ),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the matched crop. Default: the largest that 95 % of each class can give."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Format of the matched images: png, jpeg-75, webp-80, ... Default: png, or jpeg where traces of "
            "compression separate the classes."
        ),
    ] = None,
    balance: Annotated[
        bool, flag("--balance", help="Leave out images until both classes have equally many of each size.")
    ] = False,
    write_images: Annotated[bool, flag("--write-images", help="Write the matched images too.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(help="'shortcut': exit with code 1 if one is found, after matching where --match is given."),
    ] = None,
    workers: Workers = DEFAULTS.workers,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find what separates photographs from generated images in a data set, without looking at their content.

    It reports an AUROC for each of file format, JPEG quality, size, metadata,
    bytes per pixel, traces of compression and others, and one for all together.
    A detector that is measured on a set with such a shortcut may have learned
    the shortcut.

    Examples:
      recon-detect audit dataset/

      recon-detect audit --real photos/ --generated fakes/ --output audit.csv

      recon-detect audit dataset/ --match matched/ --write-images
    """
    settings = Settings(workers=workers, max_pixels=max_pixels)
    outputs = Outputs(output, measurements, match, write_images, as_json, quiet)
    matching = {"crop": crop, "encoding": encoding, "balance": balance}
    raise typer.Exit(_audit(dataset, real or [], generated or [], settings, outputs, matching, fail_on))


def _audit(
    dataset: str | None,
    real: list[str],
    generated: list[str],
    settings: Settings,
    outputs: Outputs,
    matching: dict[str, Any],
    fail_on: str | None,
) -> int:
    """Measures, judges, matches, writes; returns the exit code."""
    from recon_detect.audit import Audit
    from recon_detect.audit.matching import match
    from recon_detect.output.checks import check_file, check_folder
    from recon_detect.output.csvw import METADATA_SUFFIX
    from recon_detect.output.writers import json_line

    if fail_on not in (None, "shortcut"):
        raise UsageError(f"--fail-on {fail_on}: expected 'shortcut'")
    if outputs.matched is None and (outputs.images or any(matching.values())):
        raise UsageError("--crop, --encoding, --balance and --write-images belong to --match FOLDER")
    hush(outputs.quiet)
    check_file(outputs.table, METADATA_SUFFIX)
    check_file(outputs.measurements)
    check_folder(outputs.matched)
    sources = _sources(dataset, real, generated)
    name = ", ".join(map(_name, [dataset] if dataset else [*real, *generated]))
    with advising("with --measurements the same command resumes"):
        rows = _measure(sources, settings, outputs)
        before, after = Audit.of(rows), None
        if outputs.matched:
            after = _write_matched(match(rows, before, **matching), outputs.matched, settings, outputs)
            _write(outputs.matched / "audit.csv", after, f"{name}, matched")
    if outputs.table:
        _write(outputs.table, before, name)
    if outputs.as_json or not sys.stdout.isatty():
        print(json_line(before.to_dict() | {"matched": after.to_dict() if after else None}), end="")
    else:
        _show(before)
    if not outputs.quiet:
        _summarise(before, after, outputs)
    if fail_on and (after or before).shortcuts:
        return FOUND
    return SOME_FAILED if before.errors else 0


def _sources(dataset: str | None, real: list[str], generated: list[str]) -> list[Source]:
    from recon_detect.cli.sources import Sources, labelled

    if bool(real) != bool(generated) or (dataset is None) != bool(real):
        raise UsageError("expected either a data set, or --real and --generated")
    if dataset is None:
        photographs, others = labelled(real, generated)
        return [*photographs, *(source for sources in others.values() for source in sources)]
    manifest = Path(dataset, "manifest.csv")
    return list(Sources([str(manifest) if manifest.is_file() else dataset]))


def _measure(sources: Sequence[Source], settings: Settings, outputs: Outputs) -> list[Measured]:
    """Measurements of each image; with a file for them, an interrupted run is resumed."""
    from tqdm.auto import tqdm

    from recon_detect.audit import FEATURES, Measured, measured
    from recon_detect.output import PartialFile

    decisive = repr((__version__, FEATURES, settings.alpha))
    head = {
        "run": hashlib.sha256(decisive.encode()).hexdigest()[:12],
        "recon_detect": __version__,
        "inputs": settings.limits,
    }
    with PartialFile(outputs.measurements, head) if outputs.measurements else nullcontext() as journal:
        there = [source for source in sources if not journal.lacks(source)] if journal else []
        rows = {source.id: Measured.from_dict(journal.entry(source.id), source) for source in there if journal}
        bar = tqdm(total=len(sources), initial=len(rows), unit="image", disable=True if outputs.quiet else None)
        with bar, closing(measured([s for s in sources if s.id not in rows], settings)) as stream:
            for row in stream:
                rows[row.path] = row
                if journal:
                    journal.write(row.to_dict())
                bar.update()
        if journal:
            journal.finish()
    return [rows[source.id] for source in sources]


def _write_matched(matched: Matched, folder: Path, settings: Settings, outputs: Outputs) -> Audit:
    """Writes the matched version, and audits it."""
    from tqdm.auto import tqdm

    from recon_detect.audit import Audit, measured
    from recon_detect.audit.matching import write_images, write_manifest

    images, transform = matched.sources, matched.transform
    quiet = True if outputs.quiet else None
    if outputs.images:
        stream = write_images(matched, folder, settings)
        with closing(stream):
            images = [image for image in tqdm(stream, total=len(matched.rows), unit="image", disable=quiet) if image]
    with closing(measured(images, settings, None if outputs.images else transform)) as measuring:
        after = Audit.of(tqdm(measuring, total=len(images), unit="image", disable=quiet), transform)
    write_manifest(matched, images, folder, written=outputs.images)
    return after


def _name(given: str) -> str:
    path = Path(given).resolve()
    return written(path.parent.name if path.is_file() else path.name)


def _write(path: Path, result: Audit, name: str) -> None:
    from recon_detect.atomic import replacing
    from recon_detect.output.csvw import write_table

    if path.suffix.lower() == ".csv":
        rows = [finding.to_dict() for finding in (*result.findings, *result.together)]
        write_table(path, rows, f"{name}: {result.verdict} {result.conditions}")
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _show(result: Audit) -> None:
    from rich.table import Table

    from recon_detect.audit.features import PIXELS
    from recon_detect.cli.tables import stdout_console

    table = Table(box=None, pad_edge=False)
    for heading in ("measurement", "AUROC [95 %]", "shortcut", "photographs", "generated images"):
        table.add_column(heading, no_wrap=heading in ("measurement", "AUROC [95 %]"), overflow="fold")
    for finding in (*result.findings, *result.together):
        table.add_row(
            finding.feature.title,
            f"{finding.auroc:.3f} [{finding.low:.2f}, {finding.high:.2f}]",
            finding.grade if finding.feature.group != PIXELS or not finding.grade else f"({finding.grade})",
            finding.of_real,
            finding.of_generated,
        )
    console = stdout_console()
    console.print(table)
    for heading, titles in (("the same in all images", result.constant), ("in too few of a class", result.skipped)):
        if titles:
            console.print(f"{heading}: {', '.join(titles)}")


def _summarise(before: Audit, after: Audit | None, outputs: Outputs) -> None:
    """Prints on stderr what was measured, and the verdict."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(f"{before.real} photographs, {before.generated} generated images, {len(before.errors)} failed")
    for path, message in list(before.errors.items())[:5]:
        console.print(shown(f"  {path}: {message}"))
    if len(before.errors) > 5:
        console.print(f"  ... and {len(before.errors) - 5} more; --output FILE.json lists them")
    if before.unlabelled:
        console.print(f"{before.unlabelled} images without a label were left out")
    if before.repeated[0]:
        console.print(
            f"{before.repeated[0]} images have the pixels of another, {before.repeated[1]} of the other class"
        )
    console.print(before.verdict)
    if after and after.transform and outputs.matched:
        crop, encoding = after.transform.crop, after.transform.encoding
        console.print(f"matched, in {outputs.matched}: crop of {crop} px, {encoding}; "
                      f"{after.real} photographs, {after.generated} generated images")  # fmt: skip
        console.print(after.verdict)
        options = "--crop 0" if outputs.images else f"--crop {crop} --encoding {encoding}"
        console.print(f"benchmarks read it with --data {outputs.matched} {options}")
    elif before.shortcuts:
        console.print("--match FOLDER writes a version of the set that equalises crop, format and quality")
