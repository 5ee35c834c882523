"""Need: what a method has to be given besides the images."""

from __future__ import annotations

from enum import StrEnum


class Need(StrEnum):
    """One thing that a method needs. A method that computes on pixels alone needs none.

    Attributes:
        AUTOENCODERS: Reconstructors: autoencoders, or diffusion models of pixels.
        BACKBONES: Networks that embed images.
        DENOISERS: The diffusion models that the autoencoders belong to.
        CLASSIFIER: A trained classifier (`Settings.classifier`).
        NULLS: The distribution of the method's contrasts over photographs, measured for each model.
        TRAINED_SIZE: Images at the size that a diffusion model of pixels was trained on.
    """

    AUTOENCODERS = "autoencoders"
    BACKBONES = "backbones"
    DENOISERS = "diffusion models"
    CLASSIFIER = "classifier"
    NULLS = "null distributions"
    TRAINED_SIZE = "images at the trained size"
