"""Audit of a data set: what separates its classes without looking at what the images show, and a version without it."""

from recon_detect.audit.features import FEATURES, Feature, measure
from recon_detect.audit.verdict import Audit, Finding, Measured, audit, measured

__all__ = ["FEATURES", "Audit", "Feature", "Finding", "Measured", "audit", "measure", "measured"]
