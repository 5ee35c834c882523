"""Decoding and provenance. Pixel ranges are converted here and nowhere else."""

from recon_detect.images.picture import Picture, Provenance, open_picture, to_model_range
from recon_detect.images.sources import Source, as_sources, find_sources

__all__ = ["Picture", "Provenance", "Source", "as_sources", "find_sources", "open_picture", "to_model_range"]
