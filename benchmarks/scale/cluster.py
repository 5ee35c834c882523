"""Runs on a cluster of Ray: two nodes on one machine, one of which is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pyarrow.parquet as pq

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
    """Scores while an actor is killed, or a node is stopped: the other goes on with all shards."""

    def disturb() -> None:
        wait_for(lambda: progress(destination, 1) > 30)
        if fault == "Ray worker killed":
            actors()[0].kill()
        else:
            (node,) = cluster.worker_nodes
            cluster.remove_node(node, allow_graceful=False)

    thread = Thread(target=disturb)
    thread.start()
    score(source, destination)
    thread.join()
    return {"fault": fault, "images": len(expected), "runs": 1, "difference": compare(expected, destination)}


def throughput(source: Path, scratch: Path, count: int) -> dict[str, Any]:
    """Scores on the cluster that runs, beside a plain loop before and after: a line of the table of `throughput`."""
    detector = load_detector(METHOD, device="cpu")
    first = sorted(source.glob("*.tar"))[:1]
    loops = [plain_loop(first, detector) for _ in range(2)][1:]
    usage, destination, seconds = Usage(), scratch / "out", list[float]()
    thread = Thread(target=lambda: seconds.append(score(source, destination)))
    thread.start()
    while thread.is_alive():
        usage.sample_all(actors())
        time.sleep(2)
    loops.append(plain_loop(first, detector))
    loop = pq.read_metadata(destination / "000000.parquet").num_rows * len(loops) / sum(loops)
    return {
        "images": count,
        "workers": 2,
        "seconds": round(seconds[0], 1),
        "images per core and second": round(count / usage.seconds, 1),
        "of a plain loop": f"{count / usage.seconds / loop:.2f}",
        "MB": round(max(usage.resident) / MB),
        "growth of memory": round(usage.growth(), 3),
    }
