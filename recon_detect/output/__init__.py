"""Results as files: JSON lines, CSV, Parquet, heat maps, reconstructions."""

from recon_detect.output.heatmap import save_heatmap
from recon_detect.output.journal import Journal
from recon_detect.output.partial import PartialFile
from recon_detect.output.reconstructions import ReconstructionFolder

__all__ = ["Journal", "PartialFile", "ReconstructionFolder", "save_heatmap"]
