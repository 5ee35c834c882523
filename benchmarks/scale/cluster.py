"""Runs on a cluster of Ray: two nodes on one machine, one of which is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from benchmarks.scale.faults import Rows, compare, progress, wait_for
from benchmarks.scale.shards import METHOD
from benchmarks.scale.throughput import MB, Usage, plain_loop
from recon_detect import load_detector
from recon_detect.scale import plan
from recon_detect.scale.cluster import score_shards_on_ray
from recon_detect.scale.destination import Destination


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes on this machine."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def actors() -> list[psutil.Process]:
    """Processes of the actors that score."""
    return [
        process for process in psutil.process_iter(["name"]) if (process.info["name"] or "").startswith("ray::MapW")
    ]


def score(source: Path, destination: Path, workers: int = 2) -> float:
    """Scores all shards on the cluster that runs; gives the seconds from the first result on."""
    detector = load_detector(METHOD, device="cpu")
    shards = list(plan([source]))
    folder = Destination(destination)
    folder.begin([str(source)], shards, detector)
    begun = time.monotonic()
    for shard, result in score_shards_on_ray(shards, destination, detector, workers, address="auto"):
        folder.log(0, "shard", file=shard.output, images=result.images, seconds=result.seconds)
    seconds = time.monotonic() - begun
    status = folder.finish(shards)
    assert status.complete == status.shards, status
    return seconds


def disturbed(source: Path, destination: Path, expected: Rows, fault: str, cluster: Any) -> dict[str, Any]:
    """Scores while an actor is killed, or a node is stopped and another one joins."""

    def disturb() -> None:
        wait_for(lambda: progress(destination, 1) > 30)
        if fault == "Ray worker killed":
            actors()[0].kill()
        else:
            (node,) = cluster.worker_nodes
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=2)

    thread = Thread(target=disturb)
    thread.start()
    score(source, destination)
    thread.join()
    return {"fault": fault, "images": len(expected), "runs": 1, "difference": compare(expected, destination)}


def throughput(source: Path, scratch: Path, count: int, loop_shards: int) -> dict[str, Any]:
    """Scores on the cluster that runs, beside a plain loop: a line of the table of `throughput`."""
    loops = [plain_loop(source, loop_shards)]
    usage, destination = Usage(), scratch / "out"
    thread = Thread(target=lambda: seconds.append(score(source, destination)))
    seconds: list[float] = []
    thread.start()
    while thread.is_alive():
        usage.sample_all(actors())
        time.sleep(2)
    loops.append(plain_loop(source, loop_shards))
    images, loop_seconds, processor = (sum(values) for values in zip(*loops, strict=True))
    return {
        "images": count,
        "workers": 2,
        "seconds": round(seconds[0], 1),
        "images_per_second": round(count / seconds[0], 1),
        "loop_images_per_second": round(images / loop_seconds, 1),
        "per_core": round(count / usage.seconds, 1),
        "loop_per_core": round(images / processor, 1),
        "of_loop": round(count / usage.seconds * processor / images, 3),
        "megabytes": round(max(usage.resident) / MB),
        "growth": round(usage.growth(), 3),
    }
