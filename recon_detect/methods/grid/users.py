"""``recon-detect grid fit``: a family from the files of a user."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from recon_detect.errors import UsageError
from recon_detect.methods.grid.families import read_whitening, write_families
from recon_detect.methods.grid.fit import FEW, best_cosines, fit_family, left_out
from recon_detect.methods.grid.pictures import decoded_tables, generated_tables, photograph_tables, read_pictures

log = logging.getLogger("recon_detect")
# Fewer photographs have no tail to speak of.
LEAST_PHOTOGRAPHS = 10


@dataclass(frozen=True, slots=True)
class Fitted:
    """Outcome of a fit.

    Attributes:
        name: Of the family.
        pictures: How many it was made from.
        photographs: How many it was compared with.
        auroc: Of the pictures, each with a template of the others, against photographs as they are; None of decoders.
    """

    name: str
    pictures: int
    photographs: int
    auroc: float | None


def fit_files(
    real: Sequence[str | Path],
    output: Path,
    *,
    generated: Sequence[str | Path] = (),
    autoencoder: str | None = None,
    name: str | None = None,
) -> Fitted:
    """Fits a family and writes its file.

    Args:
        real: Photographs: files, folders, patterns, lists.
        output: File to write.
        generated: Pictures of one generator, as it wrote them.
        autoencoder: Instead, an autoencoder: every second photograph goes through it, and the others are the null.
        name: Of the family; that of the autoencoder if not given.

    Raises:
        UsageError: Not one of `generated` and `autoencoder`, no name, or too few pictures or photographs.
        WeightsError: The autoencoder is missing or damaged.
    """
    if bool(generated) == bool(autoencoder):
        raise UsageError("expected --generated, or --autoencoder, and not both")
    if not name and not autoencoder:
        raise UsageError("expected --name: what the pictures are by")
    if output.suffix != ".safetensors":
        raise UsageError(f"expected an output that ends in .safetensors, got {output}")
    whitening = read_whitening()
    photographs = [picture for _, picture in read_pictures(real)]
    least = LEAST_PHOTOGRAPHS * (2 if autoencoder else 1)
    if len(photographs) < least:
        raise UsageError(f"expected at least {least} photographs with texture, got {len(photographs)}")
    card: dict[str, Any]
    if autoencoder:
        tables = decoded_tables(photographs[::2], autoencoder, whitening)
        photographs = photographs[1::2]
        card = {"made from": f"photographs decoded by {autoencoder}"}
    else:
        tables = generated_tables((picture for _, picture in read_pictures(generated)), whitening)
        card = {"made from": "pictures of a generator"}
    if len(tables) < 2:
        raise UsageError(f"expected at least 2 pictures with texture, got {len(tables)}")
    if len(tables) < FEW:
        log.warning("%d pictures: with fewer than %d, a template is mostly noise of theirs", len(tables), FEW)
    null = photograph_tables(photographs, whitening)
    card |= {"pictures": len(tables), "photographs": len(photographs)}
    family = fit_family(name or Path(str(autoencoder)).name, tables, {1.0: null}, card)
    write_families(output, [family], whitening)
    if autoencoder:
        return Fitted(family.name, len(tables), len(photographs), None)
    alone = left_out(tables, [str(number) for number in range(len(tables))])
    as_they_are = np.isin(null.kinds, ("camera", "lossless"))
    against = best_cosines(null.tables, family.template[None])[as_they_are, 0]
    labels = np.repeat((0, 1), (len(against), len(alone)))
    figure = float(roc_auc_score(labels, np.r_[against, alone]))
    return Fitted(family.name, len(tables), len(photographs), figure)
