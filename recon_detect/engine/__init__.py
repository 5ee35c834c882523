"""The batched loop: decoding ahead, batches of one size, back-off when memory is short, results in input order."""

from recon_detect.engine.loader import Item
from recon_detect.engine.memory import BatchSizer
from recon_detect.engine.run import Outcome, run

__all__ = ["BatchSizer", "Item", "Outcome", "run"]
