"""An explanation as one image: picture, map and answer, for places that take no HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recon_detect.names import shown
from recon_detect.output.heatmap import colour

if TYPE_CHECKING:
    from recon_detect.answers import Answer
    from recon_detect.pages.evidence import EvidenceMap

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_MARGIN, _SIDE = 24, 560
_INK, _FAINT = (29, 35, 43), (89, 98, 109)
_TONES = {"found": (154, 61, 0), "nothing": (51, 97, 122), "undecided": (111, 90, 0), "error": (179, 38, 30)}


def sheet(answer: Answer, name: str, picture: Image.Image, evidence: EvidenceMap | None) -> Image.Image:
    """Draws the picture beside its map, with the answer above and the scale of the map below."""
    picture = picture.convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    pictures = [picture] + ([_under(picture, evidence)] if evidence else [])
    width = max(sum(each.width for each in pictures) + _MARGIN * (len(pictures) + 1), 720)
    head = [(text, font, ink) for text, font, ink in (
        (shown(answer.headline), ImageFont.load_default(22), _TONES[answer.kind]),
        (shown(answer.meaning), ImageFont.load_default(15), _INK),
        (shown(name), ImageFont.load_default(13), _FAINT),
    )]  # fmt: skip
    foot = f"{evidence.name}: {evidence.meaning}" if evidence else "No map: the picture is too small or too flat."
    lines = [(line, font, ink) for text, font, ink in head for line in _wrapped(text, font, width - 2 * _MARGIN)]
    small = ImageFont.load_default(13)
    notes = _wrapped(foot, small, width - 2 * _MARGIN)
    top = _MARGIN + sum(_height(font) for _, font, _ in lines) + 12
    height = top + max(each.height for each in pictures) + 44 + len(notes) * _height(small) + _MARGIN
    result = Image.new("RGB", (width, height), "white")
    draw, y = ImageDraw.Draw(result), _MARGIN
    for line, font, ink in lines:
        draw.text((_MARGIN, y), line, ink, font)
        y += _height(font)
    for number, each in enumerate(pictures):
        result.paste(each, (_MARGIN + number * (pictures[0].width + _MARGIN), top))
    y = height - _MARGIN - len(notes) * _height(small)
    if evidence:
        _draw_scale(result, draw, evidence.scale, (_MARGIN, y - 26), small)
    for line in notes:
        draw.text((_MARGIN, y), line, _FAINT, small)
        y += _height(small)
    return result


def _under(picture: Image.Image, evidence: EvidenceMap) -> Image.Image:
    """The map over the picture, in grey where nothing was looked at."""
    base = picture.convert("L").convert("RGBA")
    return Image.alpha_composite(base, evidence.picture(picture.size)).convert("RGB")


def _draw_scale(
    image: Image.Image, draw: ImageDraw.ImageDraw, scale: float, place: tuple[int, int], font: Font
) -> None:
    left, top = place
    words = "0: as photographs"
    draw.text((left, top), words, _FAINT, font)
    left += round(draw.textlength(words, font)) + 10
    image.paste(Image.fromarray(colour(np.linspace(0, 1, 160)[None].repeat(12, 0), 1.0)), (left, top + 2))
    draw.text((left + 170, top), f"{scale:g} deviations and more", _FAINT, font)


def _height(font: Font) -> int:
    return round(font.getbbox("Ag")[3] * 1.3)


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """Lines of a text that are at most so wide; longer words are cut."""
    lines, line = [], ""
    for word in text.split(" "):
        while font.getlength(word) > width:
            fitting = next(end for end in range(len(word), 0, -1) if font.getlength(word[:end]) <= width)
            lines += [line, word[:fitting]] if line else [word[:fitting]]
            line, word = "", word[fitting:]
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    return [*lines, line]
