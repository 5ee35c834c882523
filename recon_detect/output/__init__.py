"""Results as files: JSON lines, CSV, Parquet, heat maps."""

from recon_detect.output.heatmap import save_heatmap
from recon_detect.output.journal import Journal

__all__ = ["Journal", "save_heatmap"]
