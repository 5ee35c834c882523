"""Claims: what a file says of itself, as values and in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

# States of a signature. Verified is one by a signer on a trust list that the caller gave.
VERIFIED, INTACT, BROKEN, NOT_VERIFIED = "verified", "intact, signer not checked", "broken", "not verified"

# IPTC's vocabulary (cv.iptc.org/newscodes/digitalsourcetype) and C2PA's additions, in words.
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "made by a generative model",
    "compositeWithTrainedAlgorithmicMedia": "composed or edited with a generative model",
    "compositeSynthetic": "composed with synthetic parts",
    "trainedAlgorithmicData": "made by a trained model",
    "algorithmicMedia": "made by an algorithm that was not trained",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "dataDrivenMedia": "drawn from data",
    "digitalCapture": "photographed by a digital camera",
    "computationalCapture": "photographed, and computed from several exposures",
    "compositeCapture": "composed of photographs",
    "composite": "composed of several pictures",
    "negativeFilm": "digitised from a negative",
    "positiveFilm": "digitised from a slide",
    "print": "digitised from a print",
    "screenCapture": "captured from a screen",
    "virtualRecording": "recorded in a virtual world",
    "digitalCreation": "drawn by a person with a computer",
    "digitalArt": "drawn by a person with a computer",
    "softwareImage": "made by software",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "slightly edited by a person",
    "empty": "an empty canvas",
}
# Those that say that a model made the picture, or parts of it.
_GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicData")
ABSENT = "The file says nothing of its origin. Absence proves nothing: most sites remove such metadata, and anyone can."


@dataclass(frozen=True, slots=True)
class Manifest:
    """The active C2PA manifest of a file.

    Attributes:
        generator: Program that made the claim.
        actions: What was done, such as ``"created"``, in order.
        source_types: Digital source types of the actions, the last part of their URI.
        ingredients: Those of the manifests before it, of parts or earlier states of the picture.
        signature: `VERIFIED`, `INTACT`, `BROKEN` or `NOT_VERIFIED`.
        signer: Name in the certificate; None where it was not read.
        reason: Why the signature is in that state.
    """

    generator: str | None
    actions: tuple[str, ...]
    source_types: tuple[str, ...]
    ingredients: tuple[str, ...]
    signature: str
    signer: str | None = None
    reason: str = ""

    def sentences(self) -> Iterator[str]:
        """Two sentences: what the manifest says, and what is known of its signature."""
        origin = [f"it is {in_words(name)}" for name in self.source_types]
        actions = [f"actions: {', '.join(self.actions)}"] if self.actions else []
        parts = [f"a part or an earlier state of it is {in_words(name)}" for name in self.ingredients]
        content = "; ".join([*origin, *parts, *actions]) or "nothing of the origin of the picture"
        yield f"A C2PA manifest by {_quoted(self.generator or 'an unnamed program')} says: {content}."
        by = f" by {_quoted(self.signer)}" if self.signer else ""
        yield f"Its signature{by} is {self.signature}{f': {self.reason}' if self.reason else ''}."


@dataclass(frozen=True, slots=True)
class Generation:
    """Settings of a generator, as programs leave them in text entries and EXIF comments.

    Attributes:
        program: Program that wrote them; None where it is not recognised.
        model: Name of the model.
        prompt: Text that the picture was made from, cut to a length.
    """

    program: str | None
    model: str | None = None
    prompt: str | None = None

    def sentences(self) -> Iterator[str]:
        """One sentence."""
        parts = [f"{name} {_quoted(text)}" for name, text in (("model", self.model), ("prompt", self.prompt)) if text]
        what = f": {', '.join(parts)}" if parts else ""
        yield f"The file holds settings of {self.program or 'a generator'}{what}."


@dataclass(frozen=True, slots=True)
class Camera:
    """EXIF: maker and model of the camera, software, and date; None where it does not say."""

    make: str | None = None
    model: str | None = None
    software: str | None = None
    date: str | None = None

    def sentences(self) -> Iterator[str]:
        """One sentence."""
        camera = " ".join(filter(None, (self.make, self.model)))
        named = (("camera", camera), ("software", self.software), ("date", self.date))
        yield f"EXIF says: {', '.join(f'{name} {_quoted(text)}' for name, text in named if text)}."


@dataclass(frozen=True, slots=True)
class JpegEncoding:
    """Encoding of a JPEG file.

    Attributes:
        quality: libjpeg quality, 1 to 100, whose luminance table is the file's, or nearest to it.
        standard: Whether the table is exactly libjpeg's; cameras and Photoshop have tables of their own.
        subsampling: Of chroma, such as ``"4:2:0"``; None for grey.
        progressive: Whether the file is progressive.
    """

    quality: int | None
    standard: bool
    subsampling: str | None
    progressive: bool

    def sentences(self) -> Iterator[str]:
        """One sentence."""
        chroma = f", chroma {self.subsampling}" if self.subsampling else ""
        tables = (
            f"libjpeg's tables of quality {self.quality}"
            if self.standard
            else f"tables of another encoder, as cameras and Photoshop have, nearest to quality {self.quality}"
        )
        yield f"JPEG, {'progressive' if self.progressive else 'baseline'}{chroma}, with {tables}."


@dataclass(frozen=True, slots=True)
class JpegPast:
    """An earlier JPEG whose grid of 8 px is in the pixels.

    Attributes:
        similarity: Cosine with pictures that are JPEG, at the place of the grid where it is largest.
        cropped: Columns and rows that were cropped off its grid, modulo 8.
    """

    similarity: float
    cropped: tuple[int, int]

    def sentences(self) -> Iterator[str]:
        """One sentence."""
        columns, rows = self.cropped
        since = f", and was cropped since ({columns} columns and {rows} rows off its grid)" if any(self.cropped) else ""
        yield f"The pixels have the grid of JPEG: the picture was stored as JPEG before{since}."


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of one file about itself. Text is one line without control characters, cut to a length.

    Text is not escaped for HTML: escape it there, as all text.

    Attributes:
        c2pa: Signed manifest, where there is one.
        source_type: IPTC's digital source type in XMP, the last part of its URI.
        generation: Settings of a generator.
        camera: EXIF.
        credit: Programs and credits that XMP and IPTC name.
        jpeg: Encoding, of a JPEG file.
        past: An earlier JPEG, as the pixels show.
        remarks: Metadata that was left out, and why.
    """

    c2pa: Manifest | None = None
    source_type: str | None = None
    generation: Generation | None = None
    camera: Camera | None = None
    credit: tuple[str, ...] = ()
    jpeg: JpegEncoding | None = None
    past: JpegPast | None = None
    remarks: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """True where the file says nothing of its origin, which proves nothing."""
        return not (self.c2pa or self.source_type or self.generation or self.camera or self.credit)

    @property
    def says_generated(self) -> bool:
        """True where the file says that a model made the picture or parts of it; True by no proof, False by none."""
        types = (self.source_type, *((*self.c2pa.source_types, *self.c2pa.ingredients) if self.c2pa else ()))
        return self.generation is not None or any(name in _GENERATED for name in types)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The claims in plain sentences, each one line of printable text; at least one."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.silent:
            yield ABSENT
        if self.c2pa:
            yield from self.c2pa.sentences()
        if self.source_type:
            yield f"IPTC metadata says: it is {in_words(self.source_type)}. It is not signed."
        for claim in (self.generation, self.camera):
            if claim:
                yield from claim.sentences()
        if self.credit:
            yield f"XMP or IPTC metadata names: {', '.join(map(_quoted, self.credit))}."
        for trace in (self.jpeg, self.past):
            if trace:
                yield from trace.sentences()
        yield from self.remarks

    def to_dict(self) -> dict[str, Any]:
        """JSON values of all claims, with `sentences`, `silent` and `says_generated`."""
        values: dict[str, Any] = asdict(self)
        return values | {
            "silent": self.silent,
            "says_generated": self.says_generated,
            "sentences": list(self.sentences),
        }


def in_words(source_type: str) -> str:
    """A digital source type in words, with its name."""
    words = SOURCE_TYPES.get(source_type)
    return f"{words} ({source_type})" if words else f"of the type {_quoted(source_type)}"


def _quoted(text: str) -> str:
    return f'"{text}"'
