"""The search: which hypothesis about a picture to observe next, until it is decided or the effort is spent."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recon_detect.evidence.texture import textured_share
from recon_detect.methods.grid.statistic import PERIOD
from recon_detect.methods.trace.effort import Effort
from recon_detect.methods.trace.factors import least_effect, log_factor, mean_factor
from recon_detect.methods.trace.frames import frames_of, places_of
from recon_detect.methods.trace.looks import (
    GRID_EFFECTS,
    LEAST_TILE,
    MOVED,
    contrasts,
    look_for_grid,
    tile_side,
    tiles_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.methods.trace.frames import Frame
    from recon_detect.methods.trace.nulls import Nulls

# Effects in deviates that the contrast of a tile may have where a hypothesis holds.
TILE_EFFECTS = (0.4, 0.8, 1.6, 3.2)
# Bayes factors at which a search ends: of all hypotheses, and of those that can still be observed.
DECIDED, HOPELESS = 1e4, 0.02
# Side of the part that is looked at of frames without a native size.
BLIND_SIDE = 320
# Of a family that only the grid can show.
NO_MODEL = (None,)
# A pass, the unit of effort, in pixels.
PASS = 256**2


@dataclass(slots=True)
class Hypothesis:
    """Hypothesis that a picture was written by a family of decoders in a frame, with the grid at a place.

    Attributes:
        family: Of decoders.
        model: Number of the autoencoder that knows it; None if there is none.
        frame: Number of the frame.
        place: (left, top), where the grid begins.
        prior: Its share.
        certain: Whether the place is expected or stands out; else only the period of the grid is shown.
        grid: Logarithm of the Bayes factor of the grid.
        deviates: Of the tiles that were looked at.
        corners: Their (left, top) in the frame.
        tiles: Corners of those that were not, the most textured last; None before the first look.
    """

    family: str
    model: int | None
    frame: int
    place: tuple[int, int]
    prior: float
    certain: bool = True
    grid: float = 0.0
    deviates: list[float] = field(default_factory=list)
    corners: list[tuple[int, int]] = field(default_factory=list)
    tiles: list[tuple[int, int]] | None = None

    def log_factor(self, common: float) -> float:
        """Logarithm of its Bayes factor; `common` is the variance that the tiles of one photograph share."""
        if not self.deviates:
            return self.grid
        count = len(self.deviates)
        looks = count / (1 + count * common)
        return self.grid + float(log_factor(np.mean(self.deviates) * looks**0.5, TILE_EFFECTS, looks))


class Search:
    """The search of one picture.

    Attributes:
        frames: That were looked at.
        hypotheses: About the picture.
        passes: Reconstructions of 256 px squared that were spent.
    """

    def __init__(self, x: Tensor, nulls: Nulls, models: Sequence[str], effort: Effort) -> None:
        self.passes = 0.0
        self.hypotheses: list[Hypothesis] = []
        self._x, self._nulls, self._effort = x, nulls, effort
        self._textured = float(textured_share(x[None])[0])
        self._end = time.monotonic() + effort.seconds
        self._models: dict[str, Sequence[int | None]] = {
            name: [number for number, family in enumerate(models) if family == name] for name in nulls.names
        }
        self.frames, self._jpeg = frames_of(x, nulls.names, effort)
        self._shown: dict[int, tuple[Tensor, tuple[int, int]]] = {}
        for number in range(len(self.frames)):
            self._look(number, effort.side if self.frames[number].native else BLIND_SIDE)
            self._shown.clear()  # most frames are not looked at again

    def shown(self, number: int) -> Tensor:
        """The picture (3, H, W) in a frame."""
        if number not in self._shown:
            self._shown[number] = self.frames[number].show(self._x)
        return self._shown[number][0]

    def tiles(self) -> list[tuple[int, int, int, int, float]]:
        """Box in the picture (left, top, right, bottom) and deviate of each tile of the likeliest hypothesis with any.

        None of one that is turned.
        """
        observed = [each for each in self.hypotheses if each.deviates]
        if not observed:
            return []
        best = max(observed, key=self._weight)
        frame = self.frames[best.frame]
        if frame.symmetry != "identity":
            return []
        side, (x0, y0) = self._tile_side(best) / frame.scale, self._shown[best.frame][1]
        places = [(x0 + left / frame.scale, y0 + top / frame.scale) for left, top in best.corners]
        return [
            (round(x), round(y), round(x + side), round(y + side), round(value, 2))
            for (x, y), value in zip(places, best.deviates, strict=True)
        ]

    @property
    def places(self) -> int:
        """Number of places of the grid that were compared in each frame."""
        return PERIOD**2 if any(each.grid for each in self.hypotheses) else 1

    @property
    def area(self) -> float:
        """Share of the picture that is in the tiles of the hypothesis with the most."""
        most = max(self.hypotheses, key=lambda each: len(each.corners))
        if not most.corners:
            return 0.0
        frame = self.frames[most.frame]
        return len(most.corners) * self._tile_side(most) ** 2 / (frame.height * frame.width)

    @property
    def log_factor(self) -> float:
        """Logarithm of the Bayes factor of all hypotheses together, against a photograph."""
        return mean_factor(*self._weighed(self.hypotheses))

    def log_factor_of(self, family: str) -> float:
        """The same, had only the hypotheses of one family been observed."""
        factors, priors = self._weighed(self.hypotheses)
        of_family = [each.family == family for each in self.hypotheses]
        return mean_factor(np.where(of_family, factors, 0.0), priors)

    def best(self) -> Hypothesis:
        """The likeliest hypothesis."""
        return max(self.hypotheses, key=self._weight)

    def detectable(self, log_needed: float) -> dict[str, dict[str, float]]:
        """The smallest effects that would have given a Bayes factor in four pictures of five, in deviates, by family.

        Those of the grain are of one tile, had all passes been spent on the likeliest hypothesis of the family and the
        grid shown nothing; those of the grid are of one look, of families without an autoencoder.

        Args:
            log_needed: Logarithm of the Bayes factor of all hypotheses together, above 0.
        """
        total = sum(each.prior for each in self.hypotheses)
        effects: dict[str, dict[str, float]] = {"grain": {}, "grid": {}}
        for each in sorted(self.hypotheses, key=lambda each: each.prior):  # the likeliest last
            of_this = log_needed + float(np.log(total / each.prior))
            if each.model is None:
                effects["grid"][each.family] = round(least_effect(of_this, GRID_EFFECTS), 2)
            elif looks := self._looks(self.frames[each.frame]):
                effects["grain"][each.family] = round(least_effect(of_this, TILE_EFFECTS, looks), 2)
        return {kind: by_family for kind, by_family in effects.items() if by_family}

    def _looks(self, frame: Frame) -> float:
        """Number of independent looks that the tiles of a frame are worth and the effort allows."""
        if not has_tiles(frame):
            return 0.0
        side = tile_side(frame.height, frame.width)
        textured = round((frame.height // side) * (frame.width // side) * self._textured)
        count = min(max(textured, 1), max(int(self._effort.passes * PASS / (2 * side**2)), 1))
        return float(count / (1 + count * self._nulls.common))

    def next_look(self) -> Hypothesis | None:
        """The hypothesis to be observed next; None: it is decided, or the effort is spent."""
        if self.passes >= self._effort.passes or time.monotonic() > self._end:
            return None
        total = np.logaddexp.reduce([self._weight(each) for each in self.hypotheses])
        if total > np.log(DECIDED):
            return None
        # A hypothesis whose tiles show nothing gives way: each tile has to be worth more than the first of another.
        open_ones = sorted(
            (each for each in self.hypotheses if each.model is not None),
            key=lambda each: self._weight(each) - np.log1p(len(each.deviates)),
            reverse=True,
        )
        if not open_ones or mean_factor(*self._weighed(open_ones)) < np.log(HOPELESS):
            return None
        return next((each for each in open_ones if self._tiles(each)), None)

    def take_tile(self, hypothesis: Hypothesis) -> Tensor:
        """The next tile of a hypothesis, with the margin that it is moved by: (3, side + 3, side + 3)."""
        left, top = self._tiles(hypothesis).pop()
        hypothesis.corners.append((left, top))
        side = self._tile_side(hypothesis)
        self.passes += 2 * side**2 / PASS
        return self.shown(hypothesis.frame)[:, top : top + side + MOVED, left : left + side + MOVED]

    def _tile_side(self, hypothesis: Hypothesis) -> int:
        """The side of the tiles of a hypothesis."""
        (left, top), (height, width) = hypothesis.place, self.shown(hypothesis.frame).shape[-2:]
        return tile_side(height - top, width - left)

    def _look(self, number: int, side: int) -> None:
        """Looks for the grid in a frame: each family has a hypothesis for each place where it may begin."""
        frame, nulls = self.frames[number], self._nulls
        x, compressed = self.shown(number), nulls.compressed if frame.scale != 1 else None
        look = look_for_grid(x, nulls.families, nulls.whitening, frame.scale, side, compressed)
        shares = places_of(frame, self._jpeg)
        elsewhere = 1 - sum(shares.values())
        for k, name in enumerate(nulls.names):
            prior, models = frame.families.get(name, 0.0), self._models[name] or NO_MODEL
            visible = look if k < len(nulls.families) else None
            expected = [
                (place, share, True, visible.log_factor(k, place) if visible else 0.0)
                for place, share in shares.items()
            ]
            if visible:
                factor = float(log_factor(visible.anywhere[k], GRID_EFFECTS))
                expected.append((visible.places[k], elsewhere, visible.shows_crop(k), factor))
            for model in models if prior else ():
                self.hypotheses += [
                    Hypothesis(name, model, number, place, prior * share / len(models), certain, factor)
                    for place, share, certain, factor in expected
                ]

    def _weighed(self, hypotheses: Sequence[Hypothesis]) -> tuple[list[float], list[float]]:
        """Logarithms of the Bayes factors of hypotheses, and their priors."""
        return [self._factor(each) for each in hypotheses], [each.prior for each in hypotheses]

    def _factor(self, hypothesis: Hypothesis) -> float:
        return hypothesis.log_factor(self._nulls.common)

    def _weight(self, hypothesis: Hypothesis) -> float:
        return float(np.log(hypothesis.prior)) + self._factor(hypothesis)

    def _tiles(self, hypothesis: Hypothesis) -> list[tuple[int, int]]:
        if hypothesis.tiles is None:
            frame, place = self.frames[hypothesis.frame], hypothesis.place
            # The blocks of a JPEG have an error by phase too: off their grid, a tile that moves shows that.
            blocks = self._jpeg and frame.scale == 1 and place not in places_of(frame, self._jpeg)
            seen = has_tiles(frame) and not blocks
            hypothesis.tiles = tiles_of(self.shown(hypothesis.frame), place)[::-1] if seen else []
        return hypothesis.tiles


def has_tiles(frame: Frame) -> bool:
    """True where a tile has `LEAST_TILE` pixels of the picture itself: enlarging it adds none."""
    return tile_side(frame.height, frame.width) >= LEAST_TILE * max(frame.scale, 1)


def search(e: Evidence, nulls: Nulls, effort: Effort, images: Sequence[int]) -> dict[int, Search]:
    """Searches some pictures of a batch; looks by one model are made together."""
    searches = {image: Search(e.image()[image], nulls, nulls.of_models, effort) for image in images}
    while chosen := list(_chosen(searches)):
        groups: defaultdict[tuple[int, int], list[tuple[int, Hypothesis, Tensor]]] = defaultdict(list)
        for image, hypothesis in chosen:
            assert hypothesis.model is not None
            tile = searches[image].take_tile(hypothesis)
            groups[hypothesis.model, tile.shape[-1]].append((image, hypothesis, tile))
        for (model, _), group in groups.items():
            positions, hypotheses, tiles = zip(*group, strict=True)
            values = contrasts(e.only(model), tiles, positions, nulls.distances[model][0])
            for hypothesis, t in zip(hypotheses, values, strict=True):
                hypothesis.deviates.append(nulls.deviate(model, float(t)))
    return searches


def _chosen(searches: Mapping[int, Search]) -> Iterator[tuple[int, Hypothesis]]:
    """The next look of each picture that has one."""
    for image, each in searches.items():
        hypothesis = each.next_look()
        if hypothesis is not None:
            yield image, hypothesis
