"""Pages: one picture explained, and the rows of a run, each as one HTML file that needs nothing else."""

from recon_detect.pages.explanation import Explanation, explain
from recon_detect.pages.report import write_report

__all__ = ["Explanation", "explain", "write_report"]
