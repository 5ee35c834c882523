"""Evidence: views, reconstructions and error maps of one batch, each computed once, on demand."""

from recon_detect.evidence.evidence import TRAINED, Evidence, Noise

__all__ = ["TRAINED", "Evidence", "Noise"]
