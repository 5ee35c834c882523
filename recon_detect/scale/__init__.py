"""Runs over many images: shards that are scored one by one, on one machine, by ranks, or on a cluster."""

from recon_detect.scale.shards import Shard, ShardResult, plan, score_shard

__all__ = ["Shard", "ShardResult", "plan", "score_shard"]
