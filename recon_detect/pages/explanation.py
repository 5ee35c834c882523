"""Explanation of one picture: its answer, and the evidence behind it as pictures."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from PIL import Image

from recon_detect._version import __version__
from recon_detect.answers import RAREST, TERMS, Answer, answer_in, two_digits
from recon_detect.atomic import replacing
from recon_detect.calibration import find_calibration
from recon_detect.claims.reading import claims_of
from recon_detect.detector import Detector, load_detector
from recon_detect.errors import CalibrationError, UsageError
from recon_detect.images import Source, as_sources, open_picture
from recon_detect.images.urls import data_url
from recon_detect.models.registry import family_of
from recon_detect.output.heatmap import colour
from recon_detect.pages import charts
from recon_detect.pages.document import document
from recon_detect.pages.evidence import EvidenceMap, GridEvidence, grid_of, tiles_of
from recon_detect.pages.sheet import sheet
from recon_detect.settings import DetectorOptions
from recon_detect.tried import family_name, has_threshold, sizes_tried

if TYPE_CHECKING:
    from recon_detect.images.picture import ImageLike, Picture
    from recon_detect.results import Row, RunInfo

# Longer side of the picture in a page, in pixels.
SHOWN_SIDE = 1024


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation:
    """One picture, what was found in it, and why.

    Attributes:
        row: Its result.
        run: Everything that decided the score.
        answer: The result in words.
        picture: Its pixels, at most `SHOWN_SIDE` on a side.
        maps: Evidence over the picture, in deviations of photographs; the brightest first.
        grid: The grid of the likeliest family; None of a picture that is too small.
        photographs: Scores of photographs that were measured with these settings; empty without any.
        claims: Sentences on what the file says of itself; None where that was not read.
        command: Command line that explains the picture again, without the name of the output.
    """

    row: Row
    run: RunInfo
    answer: Answer
    picture: Image.Image
    maps: tuple[EvidenceMap, ...]
    grid: GridEvidence | None
    photographs: tuple[float, ...]
    claims: tuple[str, ...] | None
    command: str

    def __repr__(self) -> str:
        return f"Explanation({self.row!r})"

    def html(self, output: str | Path = "explanation.html") -> str:
        """The page: HTML in one file that loads nothing from elsewhere.

        Args:
            output: Name of that file in the command line that writes it again.
        """
        file = self.row.provenance
        assert file is not None
        return document(
            "explain",
            name=self.row.path,
            answer=self.answer,
            terms=TERMS if self._is_deviate else "",
            size=(file.width, file.height),
            shown_size=self.picture.size,
            picture=data_url(self.picture, "JPEG", quality=85),
            maps=[_map_values(each, self.picture.size) for each in self.maps],
            ramp=data_url(Image.fromarray(colour(np.linspace(0, 1, 128)[None], 1.0))),
            bars=self._bars(),
            bars_note=self._bars_note(),
            marks=[(name, charts.percent(value)) for name, value in charts.LEVELS.items()],
            least=charts.LEAST,
            largest=charts.LARGEST,
            zero=charts.percent(0),
            tail=self._tail(),
            tail_text=self._tail_text(),
            width=charts.WIDTH, height=charts.HEIGHT, left=charts.LEFT, bottom=charts.BOTTOM,
            grid=_grid_values(self.grid) if self.grid else None,
            sizes=sizes_tried(self.row.details) if self._is_deviate else (),
            limits=self.answer.limits or ("none that is specific to this picture",),
            claims=self.claims,
            command=f"{self.command} --output {shlex.quote(str(output))}",
            facts=self._facts(),
            version=__version__,
        )  # fmt: skip

    def png(self) -> Image.Image:
        """Picture, map and answer as one image."""
        return sheet(self.answer, self.row.path, self.picture, self.maps[0] if self.maps else None)

    def save(self, path: str | Path) -> Path:
        """Writes the page, or the image of `png`, as the suffix ``.html`` or ``.png`` says.

        Raises:
            UsageError: Another suffix.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".png"):
            raise UsageError(f"{path}: expected a name that ends in .html or .png")
        with replacing(path) as temporary:
            if path.suffix.lower() == ".png":
                self.png().save(temporary, format="PNG")
            else:
                temporary.write_text(self.html(path), encoding="utf-8")
        return path

    @property
    def _is_deviate(self) -> bool:
        return has_threshold(self.run.methods[0])

    def _bars(self) -> list[charts.Bar]:
        together = {"all together": self.row.score} if len(self.row.per_model) > 1 else {}
        families = {family_name(family_of(name)): value for name, value in self.row.per_model.items()}
        return charts.bars(together | families)

    def _bars_note(self) -> str:
        if not self._is_deviate:
            return f"Scores of {self.run.methods[0].name} have no threshold of their own; the marks do not apply."
        return (
            "In standard deviations of photographs. By the method's estimate, at most 5 % of photographs exceed the "
            "first dashed line and at most 1 % the second. The answer is that of all together; the bar of a family is "
            "what the traces of that family alone would give. Families have similar grids, so several bars may be long."
        )

    def _tail(self) -> charts.Tail | None:
        usable = math.isfinite(self.row.score) and (self._is_deviate or self.photographs)
        return charts.tail(self.row.score, self.photographs) if usable else None

    def _tail_text(self) -> str:
        share = charts.share_above(self.row.score, np.sort(np.asarray(self.photographs, dtype=np.float64)))
        frequency = f"{share:.0%} of" if share > 0.05 else f"1 in {two_digits(min(1 / max(share, 1e-9), RAREST))}"
        if self.photographs:
            source = f"Measured on {len(self.photographs)} photographs."
        else:
            source = (
                "The curve is the method's estimate for photographs of any kind, not a measurement on photographs like "
                "this one."
            )
        return (
            f"Share of photographs with a score as high or higher. This picture has {self.row.score:.2f}, which "
            f"{'' if self.photographs else 'at most '}{frequency} photographs reach. {source}"
        )

    def _facts(self) -> list[tuple[str, Any]]:
        run, file = self.run, self.row.provenance
        assert file is not None
        networks = ", ".join(f"{model.name} ({model.dtype}, sha256 {model.sha256[:12]})" for model in run.models)
        return [
            ("image", f"{file.width} x {file.height} pixels, {file.format}, sha256 of its pixels {file.sha256}"),
            ("score", f"{self.row.score:.6g}"),
            ("method", ", ".join(method.name for method in run.methods)),
            ("networks", networks or "none"),
            ("run", f"{run.fingerprint}, on {run.device}"),
            ("mode", run.mode),
            ("calibration", run.calibration or "none"),
            ("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
        ]


def explain(
    image: ImageLike | Source,
    *,
    detector: Detector | None = None,
    claims: bool = True,
    **options: Unpack[DetectorOptions],
) -> Explanation:
    """Scores one picture, and explains the answer.

    Args:
        image: As of `Detector.score`, but one.
        detector: One that is loaded; None loads one.
        claims: Read what the file says of itself too.
        **options: Options of `load_detector`, where there is no `detector`.

    Raises:
        UsageError: Several pictures, or options beside a detector.
        InputError: The picture cannot be read.
    """
    if detector is not None and options:
        raise UsageError(f"options are those of the detector: leave out {', '.join(options)}")
    source = _one(image)
    detector = detector or load_detector(**options)
    (row,) = detector.score([source], progress=False).raise_for_errors()
    picture = open_picture(source.image, detector.settings)
    grid = None if row.undecidable else grid_of(picture.tensor(), row)
    small = Image.fromarray(picture.bytes())
    tiles = tiles_of(row, (small.height, small.width))
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return Explanation(
        row=row,
        run=detector.run_info,
        answer=answer_in(row, detector.run_info),
        picture=small,
        maps=tuple(sorted(filter(None, (grid.map if grid else None, tiles)), key=lambda each: -each.brightness)),
        grid=grid,
        photographs=photographs_of(detector, row),
        claims=_sentences(source.image, picture, detector) if claims else None,
        command=command_of(row.path, detector),
    )


def _one(image: Any) -> Source:
    """The only source of what is given; an open file is read, because its bytes are needed several times."""
    sources = list(as_sources(image.read() if callable(getattr(image, "read", None)) else image))
    if len(sources) != 1:
        raise UsageError(f"expected one image to explain; got {len(sources)}")
    return sources[0]


def _sentences(image: ImageLike, picture: Picture, detector: Detector) -> tuple[str, ...] | None:
    """Sentences on what a file says of itself; None of pixels, which say nothing."""
    claims = claims_of(image, pixels=picture.bytes(), settings=detector.settings)
    return claims.sentences if claims else None


def photographs_of(detector: Detector, row: Row) -> tuple[float, ...]:
    """Scores of photographs like the picture of a row: of the detector's calibration, or of the package's for it.

    Empty where there is none, or one that judges other numbers.
    """
    calibration = detector.calibration
    if calibration is None:
        try:
            calibration = find_calibration("shipped", detector.run_info.methods[0].name)
            calibration.check(detector.run_info)
        except CalibrationError:
            return ()
    return () if calibration.combiner else calibration.held_against(calibration.stratum_of(row)).scores


def command_of(path: str, detector: Detector) -> str:
    """Command line that explains a picture with the settings of a detector; the output has to be added."""
    run, settings = detector.run_info, detector.settings
    options = [f"--method {','.join(method.name for method in run.methods)}"]
    if run.models:
        options.append(f"--models {','.join(model.name for model in run.models)}")
    options += [f"--effort {settings.effort}", f"--mode {settings.mode}"]
    options += [f"--device {run.device}", f"--dtype {settings.dtype}"]
    return f"recon-detect explain {shlex.quote(path)} {' '.join(options)}"


def _map_values(each: EvidenceMap, size: tuple[int, int]) -> dict[str, Any]:
    seen = each.values[np.isfinite(each.values)]
    share = seen.size / max(each.values.size, 1)
    bright = float((seen > each.scale / 2).mean()) if seen.size else 0.0
    summary = (
        f"{bright:.0%} of what was looked at is above {each.scale / 2:g} deviations; {share:.0%} of the picture was "
        "looked at."
    )
    return {"name": each.name, "url": data_url(each.picture(size)), "scale": each.scale, "meaning": each.meaning,
            "summary": summary}  # fmt: skip


def _grid_values(grid: GridEvidence) -> dict[str, Any]:
    down, across = grid.phase
    value, others = float(grid.cosines[grid.phase]), np.delete(grid.cosines.ravel(), down * 8 + across)
    turned = "" if grid.turned == "identity" else f", {'mirrored' if grid.turned == 'hflip' else 'turned'}"
    text = (
        f"How much the picture, at {grid.size[0]} x {grid.size[1]}{turned}, is like pictures of this family if their "
        f"8-pixel grid begins so many pixels across and down: {value:.2f} at the marked place, {across} across and "
        f"{down} down, and {float(others.max()):.2f} at most elsewhere. Full colour is 0.3; photographs stay below "
        "about 0.1 everywhere."
    )
    return {
        "name": family_name(grid.family),
        "cells": charts.phase_cells(grid.cosines),
        "phase": grid.phase,
        "text": text,
    }
