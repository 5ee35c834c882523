"""Claims of a file about itself: metadata that anyone can write or remove, beside the score and never mixed into it."""

from recon_detect.claims.claims import Camera, Claims, Generation, JpegEncoding, JpegPast, Manifest
from recon_detect.claims.reading import read_claims

__all__ = ["Camera", "Claims", "Generation", "JpegEncoding", "JpegPast", "Manifest", "read_claims"]
