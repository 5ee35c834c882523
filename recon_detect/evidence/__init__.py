"""Evidence: views, reconstructions and error maps of one batch, each computed once, on demand."""

from recon_detect.evidence.evidence import TRAINED, Evidence
from recon_detect.evidence.published import Noise, PublishedEvidence

__all__ = ["TRAINED", "Evidence", "Noise", "PublishedEvidence"]
