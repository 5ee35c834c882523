"""Draws grid.png: what the templates of `grid` are made of, and where it finds the grid of a decoded photograph.

python docs/figures/grid.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_image

from recon_detect import load_detector
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.grid.statistic import tables
from recon_detect.methods.grid.whitening import similarities

SHIFT = 3, 5  # rows and columns that are cropped off the decoded picture


def main() -> None:
    """Writes the figure beside this file."""
    families, whitening = read_families(), read_whitening()
    figure, axes = plt.subplots(2, len(families), figsize=(1.7 * len(families), 4), layout="constrained")
    for axis, family in zip(axes[0], families, strict=True):
        axis.imshow(torch.fft.fft2(family.template).abs().square().sum(0).sqrt(), cmap="viridis")
        axis.set_title(family.name, fontsize=8)
    axes[0][0].set_ylabel("energy by harmonic", fontsize=8)
    photograph = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        decoded = load_detector("aeroblade", models="mini-flux1", device="cpu").evidence(photograph).reconstruction(0)
    moved = decoded[0][:, SHIFT[0] :, SHIFT[1] :].clamp(-1, 1)
    places = similarities(whitening(tables(moved))[None], torch.stack([family.template for family in families]))[0]
    limit = float(np.abs(places.numpy()).max())
    for axis, of_family in zip(axes[1], places, strict=True):
        axis.imshow(of_family, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes[1][0].set_ylabel("cosine by place", fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
