"""Verdict on a set of images, from measurements of each image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recon_detect._version import __version__
from recon_detect.audit import separation
from recon_detect.audit.features import CATEGORY, FEATURES, FLAG, PIXELS, Feature, measure
from recon_detect.engine.prefetch import ahead
from recon_detect.errors import InputError, UsageError
from recon_detect.images import as_sources
from recon_detect.names import shown, written
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from recon_detect.audit.features import Value
    from recon_detect.audit.separation import Bools, Column
    from recon_detect.images import Source
    from recon_detect.images.picture import ImageLike
    from recon_detect.images.transform import Transform

REAL, GENERATED = "real", "generated"
# Half of it is spent on single measurements, half on the two combinations.
LEVEL = 0.05
# Smallest AUROC of each grade, for separations that are not chance.
SOLVED = "solves the set"
GRADES = {SOLVED: 0.95, "strong": 0.75, "weak": 0.6}
# Larger sets are sampled for p-values and combinations; the AUROC of each measurement is that of all images.
SAMPLE = 20_000
# A class with fewer images that have a property is not compared by it.
FEWEST = 5
_COMBINED = (
    Feature("file_size_compression", "file, size, compression", "together"),
    Feature("all", "all together", "together"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of one image; `values` is empty where there is an error."""

    path: str
    label: str | None
    values: dict[str, Value] = field(default_factory=dict)
    error: str | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the row."""
        return {"path": written(self.path), "label": self.label, **self.values, "error": self.error}

    @classmethod
    def from_dict(cls, row: dict[str, Any], source: Source) -> Measured:
        """Reads what `to_dict` gave of a source."""
        values = {name: value for name, value in row.items() if name not in ("path", "label", "error")}
        return cls(source.id, source.label, {} if row["error"] else values, row["error"], dict(source.about))


def measured(
    sources: Iterable[Source], settings: Settings = DEFAULTS, transform: Transform | None = None
) -> Generator[Measured, None, None]:
    """Measures images, as they are or after a transform, in threads and in input order.

    An image that cannot be read, or is smaller than the crop, is a row with an error.
    """
    yield from ahead(partial(_measured, settings, transform), sources, settings.workers)


def _measured(settings: Settings, transform: Transform | None, source: Source) -> Measured:
    about = dict(source.about)
    try:
        image = transform.encoded(source.image, settings) if transform else source.image
        return Measured(source.id, source.label, measure(image, settings), about=about)
    except (InputError, MemoryError) as error:
        return Measured(source.id, source.label, error=shown(f"{type(error).__name__}: {error}"), about=about)


@dataclass(frozen=True, slots=True)
class Finding:
    """Separation of the classes by one measurement or a combination.

    Attributes:
        feature: Measurement.
        real: Photographs that have it.
        generated: Generated images that have it.
        auroc: 0.5 to 1 for a number, whichever class has more of it; cross-validated, and perhaps below 0.5, for a
            category or a combination.
        low: Lower end of the 95 % interval.
        high: Its upper end.
        p: Probability that chance alone makes any measurement of the set separate so well.
        in_generated: ``"higher"`` or ``"lower"``; empty where there is no direction.
        of_real: Median and quartiles, share of images that have it, or the most frequent values.
        of_generated: The same of generated images.
    """

    feature: Feature
    real: int
    generated: int
    auroc: float
    low: float
    high: float
    p: float
    in_generated: str = ""
    of_real: str = ""
    of_generated: str = ""

    @property
    def grade(self) -> str:
        """One of `GRADES`, or empty: chance, or too little to matter."""
        if self.p >= LEVEL:
            return ""
        return next((word for word, least in GRADES.items() if self.auroc >= least), "")

    def __str__(self) -> str:
        return f"{self.feature.title} {self.auroc:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def to_dict(self) -> dict[str, Any]:
        """JSON values, also for tables."""
        numbers = {name: round(getattr(self, name), 4) for name in ("auroc", "low", "high", "p")}
        return {
            "measurement": self.feature.title,
            "group": self.feature.group,
            **numbers,
            "in_generated": self.in_generated,
            "photographs": self.of_real,
            "generated_images": self.of_generated,
            "n": f"{self.real} + {self.generated}",
            "shortcut": self.grade,
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """Differences between the classes of a set that do not depend on what its images show.

    Attributes:
        findings: One for each measurement that differs among the images, the largest separation first.
        together: The same for combinations of them.
        constant: Titles of what is the same in all images.
        skipped: Titles of what too few images of a class have.
        real: Photographs that were measured.
        generated: Generated images that were measured.
        errors: Message by path of images that could not be measured.
        unlabelled: Images without a label, which are left out.
        repeated: Images whose pixels occur more than once, and those of them that are in both classes.
        transform: Transform that was applied before.
    """

    findings: tuple[Finding, ...]
    together: tuple[Finding, ...]
    constant: tuple[str, ...]
    skipped: tuple[str, ...]
    real: int
    generated: int
    errors: dict[str, str]
    unlabelled: int
    repeated: tuple[int, int]
    transform: Transform | None = None

    @classmethod
    def of(cls, rows: Iterable[Measured], transform: Transform | None = None) -> Audit:
        """Judges measured images.

        Raises:
            UsageError: Fewer than 5 images of a class.
        """
        rows = list(rows)
        usable = [row for row in rows if row.label and not row.error]
        generated = np.array([row.label == GENERATED for row in usable], dtype=bool)
        counts = {REAL: int((~generated).sum()), GENERATED: int(generated.sum())}
        if min(counts.values()) < FEWEST:
            raise UsageError(
                f"expected {FEWEST} or more readable images of each class; got {counts[REAL]} real and "
                f"{counts[GENERATED]} generated. Labels come from a manifest, from folders named real and generated "
                "(or 0_real and 1_fake, nature and ai), or from --real and --generated"
            )
        columns, constant, skipped = _columns(usable, generated, transform)
        sample = _sample(generated)
        return cls(
            findings=_single(columns, generated, sample),
            together=_combined(columns, generated, sample),
            constant=constant,
            skipped=skipped,
            real=counts[REAL],
            generated=counts[GENERATED],
            errors={written(row.path): row.error for row in rows if row.error},
            unlabelled=sum(row.label is None and not row.error for row in rows),
            repeated=_repeated(usable),
            transform=transform,
        )

    @property
    def shortcuts(self) -> tuple[Finding, ...]:
        """Findings on file, size and compression that a classifier could use as a shortcut, the strongest first."""
        single = [finding for finding in self.findings if finding.grade and finding.feature.group != PIXELS]
        return tuple(single or [finding for finding in self._combination if finding.grade])

    @property
    def _combination(self) -> list[Finding]:
        """Finding on file, size and compression together, if any of them differs."""
        return [finding for finding in self.together if finding.feature is _COMBINED[0]]

    @property
    def verdict(self) -> str:
        """The audit in a sentence or two."""
        fair = [finding for finding in self.findings if finding.feature.group != PIXELS]
        sentences = [_of_shortcuts(self.shortcuts, self._combination[0]) if self.shortcuts else _none_among(fair)]
        least = separation.detectable(self.real, self.generated, max(len(self.findings), 1), LEVEL / 2)
        if not self.shortcuts and least > GRADES["weak"]:
            sentences.append(f"With so few images, an AUROC below about {least:.2f} is not distinct from chance.")
        looks = [finding for finding in self.findings if finding.grade and finding.feature.group == PIXELS]
        if looks:
            sentences.append(
                f"The classes also differ in {', '.join(map(str, looks))}: in processing, in what the images "
                "show, or in what a generator leaves in pixels, which is what detectors look for."
            )
        return " ".join(sentences)

    @property
    def conditions(self) -> str:
        """Under which the numbers hold."""
        seen = f"after a crop of {self.transform.crop} px and {self.transform.encoding}" if self.transform else "as is"
        sampled = "" if self.real + self.generated <= SAMPLE else f"p and combinations of {SAMPLE} images at random, "
        return (
            f"{self.real} photographs and {self.generated} generated images {seen}, {len(self.errors)} failed; "
            f"intervals after Newcombe, p by {separation.PERMUTATIONS} permutations and corrected for "
            f"{len(self.findings)} measurements and {len(self.together)} combinations, {sampled}categories and "
            f"combinations cross-validated; recon_detect {__version__}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "verdict": self.verdict,
            "conditions": self.conditions,
            "findings": [finding.to_dict() for finding in (*self.findings, *self.together)],
            "same_in_all_images": list(self.constant),
            "in_too_few_images": list(self.skipped),
            "unlabelled": self.unlabelled,
            "repeated_images": self.repeated[0],
            "repeated_across_classes": self.repeated[1],
            "transform": asdict(self.transform) if self.transform else None,
            "errors": self.errors,
        }


def audit(
    images: ImageLike | Source | Iterable[ImageLike | Source],
    settings: Settings = DEFAULTS,
    transform: Transform | None = None,
) -> Audit:
    """Measures the images of a set and judges what separates its classes without looking at what they show.

    Args:
        images: Paths to images, folders, globs, manifests, or sources, whose labels are known.
        settings: Limits and threads.
        transform: Applied to each image first.

    Raises:
        UsageError: Fewer than 5 readable images of a class.
    """
    return Audit.of(measured(as_sources(images), settings, transform), transform)


def _columns(
    rows: Sequence[Measured], generated: Bools, transform: Transform | None
) -> tuple[list[Column], tuple[str, ...], tuple[str, ...]]:
    """Columns to compare; titles of those that are constant, and of those that too few images have."""
    columns: list[Column] = []
    constant, skipped = [], []
    for feature in FEATURES:
        values = [row.values.get(feature.name) for row in rows]
        given = np.array([value is not None for value in values])
        if not given.any() or (given.all() and len(set(values)) == 1):
            constant.append(feature.title)
        elif min(int(given[generated].sum()), int(given[~generated].sum())) < FEWEST:
            skipped.append(feature.title)
        else:
            # One encoder wrote all files in one way: their size measures how busy the pictures are.
            written_alike = transform is not None and feature.name == "bytes_per_pixel"
            columns.append((replace(feature, group=PIXELS) if written_alike else feature, values))
    return columns, tuple(constant), tuple(skipped)


def _single(columns: Sequence[Column], generated: Bools, sample: Sequence[int]) -> tuple[Finding, ...]:
    if not columns:
        return ()
    chosen = [(feature, [values[i] for i in sample]) for feature, values in columns]
    chance = np.minimum(2 * separation.family_wise(chosen, generated[sample]), 1)
    findings = [_finding(column, generated, sample, float(p)) for column, p in zip(columns, chance, strict=True)]
    return tuple(sorted(findings, key=lambda finding: -finding.auroc))


def _finding(column: Column, generated: Bools, sample: Sequence[int], p: float) -> Finding:
    feature, values = column
    given = np.array([value is not None for value in values])
    counts = int((given & ~generated).sum()), int((given & generated).sum())
    direction = ""
    if feature.kind == CATEGORY:
        few = [i for i in sample if given[i]]
        area, _ = separation.cross_validated([(feature, [values[i] for i in few])], generated[few])
    else:
        raw = separation.auroc([value for value in values if value is not None], generated[given])
        area, direction = max(raw, 1 - raw), "higher" if raw >= 0.5 else "lower"
    return Finding(
        feature,
        *counts,
        area,
        *separation.interval(area, *counts),
        p,
        direction,
        *(_summary(feature, [v for v, g in zip(values, generated, strict=True) if g == of]) for of in (False, True)),
    )


def _combined(columns: Sequence[Column], generated: Bools, sample: Sequence[int]) -> tuple[Finding, ...]:
    findings = []
    few = generated[sample]
    counts = int((~few).sum()), int(few.sum())
    for feature, left_out in zip(_COMBINED, (PIXELS, None), strict=True):
        chosen = [(one, [values[i] for i in sample]) for one, values in columns if one.group != left_out]
        if chosen:
            area, p = separation.cross_validated(chosen, few)
            bounds = separation.interval(area, *counts)
            findings.append(Finding(feature, *counts, area, *bounds, min(2 * len(_COMBINED) * p, 1)))
    return tuple(findings)


def _sample(generated: Bools) -> list[int]:
    """At most `SAMPLE` images, each class in its share."""
    if len(generated) <= SAMPLE:
        return list(range(len(generated)))
    draw = np.random.default_rng(0)
    share = SAMPLE / len(generated)
    classes = [np.flatnonzero(generated == of) for of in (False, True)]
    chosen = [draw.choice(of, max(round(len(of) * share), FEWEST), replace=False) for of in classes]
    return sorted(np.concatenate(chosen).tolist())


def _summary(feature: Feature, values: Sequence[Value]) -> str:
    if feature.kind == CATEGORY:
        counts = Counter(str(value) for value in values if value is not None)
        return ", ".join(f"{name} {count / counts.total():.0%}" for name, count in counts.most_common(3))
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    if feature.kind == FLAG:
        return f"{numbers.mean():.0%}"
    low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _repeated(rows: Sequence[Measured]) -> tuple[int, int]:
    labels: defaultdict[Value, list[str | None]] = defaultdict(list)
    for row in rows:
        labels[row.values["sha256"]].append(row.label)
    twice = [of for of in labels.values() if len(of) > 1]
    return sum(map(len, twice)), sum(len(of) for of in twice if len(set(of)) > 1)


def _of_shortcuts(findings: Sequence[Finding], together: Finding) -> str:
    first, *others = findings
    title, area = first.feature.title, f"AUROC {first.auroc:.2f} [{first.low:.2f}, {first.high:.2f}]"
    if first is together:
        what = "solve this set" if first.grade == SOLVED else f"are a {first.grade} shortcut"
        return f"No single measurement is a shortcut, but together {title} {what} ({area})."
    sentence = f"{title[0].upper()}{title[1:]} is a {first.grade} shortcut ({area})"
    if first.grade == SOLVED:
        sentence = f"This set can be solved by {title} alone ({area})"
    also = [f"{other.feature.title} {other.auroc:.2f}" for other in others]
    if together.auroc > first.auroc:
        also.append(f"all of file, size and compression {together.auroc:.2f}")
    return f"{sentence}; also {', '.join(also)}." if also else f"{sentence}."


def _none_among(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No shortcut found: file, size and compression are the same in all images."
    largest = max(findings, key=lambda finding: finding.auroc)
    return f"No shortcut found among {len(findings)} measurements of file, size and compression (largest: {largest})."
