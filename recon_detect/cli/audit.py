"""``recon-detect audit``."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from recon_detect._version import __version__
from recon_detect.atomic import replacing
from recon_detect.audit import FEATURES, Audit, Measured, measured
from recon_detect.audit.features import PIXELS
from recon_detect.audit.matching import Matched, match, write_images, write_manifest
from recon_detect.cli import FOUND, INTERRUPTED, SOME_FAILED
from recon_detect.cli.sources import labelled, sources_of
from recon_detect.cli.tables import stdout_console
from recon_detect.errors import UsageError
from recon_detect.images import Source
from recon_detect.output import Journal
from recon_detect.settings import Settings


@dataclass(frozen=True, slots=True)
class Outputs:
    """What an audit writes and shows: files and a folder, or None, and how much is said."""

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


def run_audit(
    dataset: str | None,
    real: list[str],
    generated: list[str],
    settings: Settings,
    outputs: Outputs,
    matching: dict[str, Any],
    fail_on: str | None,
) -> int:
    """Measures, judges, matches, writes; returns the exit code."""
    if fail_on not in (None, "shortcut"):
        raise UsageError(f"--fail-on {fail_on}: expected 'shortcut'")
    if outputs.matched is None and (outputs.images or any(matching.values())):
        raise UsageError("--crop, --encoding, --balance and --write-images belong to --match FOLDER")
    sources = _sources(dataset, real, generated)
    name = ", ".join(map(_name, [dataset] if dataset else [*real, *generated]))
    try:
        rows = _measure(sources, settings, outputs)
        found = Audit.of(rows)
        after = None
        if outputs.matched:
            after = _write_matched(match(rows, found, **matching), outputs.matched, settings, outputs)
            _write(outputs.matched / "audit.csv", after, f"{name}, matched")
    except KeyboardInterrupt:
        print("recon-detect: interrupted; with --measurements the same command goes on", file=sys.stderr)
        return INTERRUPTED
    if outputs.table:
        _write(outputs.table, found, name)
    if outputs.as_json or not sys.stdout.isatty():
        print(json.dumps(found.to_dict() | {"matched": after.to_dict() if after else None}, ensure_ascii=False))
    else:
        _show(found)
    if not outputs.quiet:
        _tell(found, after, outputs)
    if fail_on and (after or found).shortcuts:
        return FOUND
    return SOME_FAILED if found.errors else 0


def _sources(dataset: str | None, real: list[str], generated: list[str]) -> list[Source]:
    if bool(real) != bool(generated) or (dataset is None) != bool(real):
        raise UsageError("expected either a data set, or --real and --generated")
    if dataset is None:
        return labelled(real, generated)[0]
    manifest = Path(dataset, "manifest.csv")
    return sources_of([str(manifest) if manifest.is_file() else dataset])


def _measure(sources: Sequence[Source], settings: Settings, outputs: Outputs) -> list[Measured]:
    """What was measured of each image; with a file for it, an interrupted run goes on."""
    decisive = repr((__version__, FEATURES, settings.alpha))
    run = {"run": hashlib.sha256(decisive.encode()).hexdigest()[:12], "recon_detect": __version__}
    by_id = {source.id: source for source in sources}
    with Journal(outputs.measurements, run) if outputs.measurements else nullcontext() as journal:
        earlier = journal.rows() if journal else ()
        rows = {row["path"]: Measured.from_dict(row, by_id[row["path"]]) for row in earlier if row["path"] in by_id}
        bar = tqdm(total=len(sources), initial=len(rows), unit="image", disable=True if outputs.quiet else None)
        with bar, closing(measured([s for s in sources if s.id not in rows], settings)) as stream:
            for row in stream:
                rows[row.path] = row
                if journal:
                    journal.add(row.to_dict())
                bar.update()
        if journal:
            journal.finish()
    return [rows[source.id] for source in sources]


def _write_matched(matched: Matched, folder: Path, settings: Settings, outputs: Outputs) -> Audit:
    """Writes the matched version, and audits it."""
    images, transform = matched.sources, matched.transform
    quiet = True if outputs.quiet else None
    if outputs.images:
        stream = write_images(matched, folder, settings)
        with closing(stream):
            images = [image for image in tqdm(stream, total=len(matched.rows), unit="image", disable=quiet) if image]
    with closing(measured(images, settings, None if outputs.images else transform)) as measuring:
        found = Audit.of(tqdm(measuring, total=len(images), unit="image", disable=quiet), transform)
    write_manifest(matched, images, folder, written=outputs.images)
    return found


def _name(given: str) -> str:
    path = Path(given).resolve()
    return path.parent.name if path.is_file() else path.name


def _write(path: Path, found: Audit, name: str) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if path.suffix.lower() == ".json":
            file.write(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
            return
        rows = [finding.to_dict() for finding in (*found.findings, *found.together)]
        file.write(f"# {name}: {found.verdict} {found.conditions}\n")
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def _show(found: Audit) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("measurement", "AUROC [95 %]", "shortcut", "photographs", "generated images"):
        table.add_column(heading, no_wrap=heading in ("measurement", "AUROC [95 %]"), overflow="fold")
    for finding in (*found.findings, *found.together):
        table.add_row(
            finding.feature.title,
            f"{finding.auroc:.3f} [{finding.low:.2f}, {finding.high:.2f}]",
            finding.grade if finding.feature.group != PIXELS or not finding.grade else f"({finding.grade})",
            finding.of_real,
            finding.of_generated,
        )
    console = stdout_console()
    console.print(table)
    for said, titles in (("the same in all images", found.constant), ("in too few of a class", found.skipped)):
        if titles:
            console.print(f"{said}: {', '.join(titles)}")


def _tell(found: Audit, after: Audit | None, outputs: Outputs) -> None:
    """On stderr: what was looked at, and the verdict."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(f"{found.real} photographs, {found.generated} generated images, {len(found.errors)} failed")
    for path, message in list(found.errors.items())[:5]:
        console.print(f"  {path}: {message}")
    if len(found.errors) > 5:
        console.print(f"  ... and {len(found.errors) - 5} more; --output FILE.json lists them")
    if found.unlabelled:
        console.print(f"{found.unlabelled} images without a label were left out")
    if found.repeated[0]:
        console.print(f"{found.repeated[0]} images have the pixels of another, {found.repeated[1]} of the other class")
    console.print(found.verdict)
    if after and after.transform and outputs.matched:
        crop, encoding = after.transform.crop, after.transform.encoding
        console.print(f"matched, in {outputs.matched}: crop of {crop} px, {encoding}; "
                      f"{after.real} photographs, {after.generated} generated images")  # fmt: skip
        console.print(after.verdict)
        options = "--crop 0" if outputs.images else f"--crop {crop} --encoding {encoding}"
        console.print(f"benchmarks read it with --data {outputs.matched} {options}")
    elif found.shortcuts:
        console.print("--match FOLDER writes a version of the set that equalises crop, format and quality")
