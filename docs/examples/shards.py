"""Shards from Python: shards.py PICTURES RESULTS scores folders, archives or Parquet files, and can be resumed."""

import sys
from pathlib import Path

from recon_detect import load_detector
from recon_detect.scale import plan, score_shard

source, destination = sys.argv[1:]
detector = load_detector("grid")
for shard in plan([source]):
    print(shard.title, score_shard(shard.images, Path(destination, shard.output), detector))
