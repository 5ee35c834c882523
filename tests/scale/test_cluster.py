"""Shards on a cluster of Ray, where that is installed; `benchmarks.scale ray` takes its nodes away."""

import sys

import pyarrow.parquet as pq
import pytest

from recon_detect import load_detector
from recon_detect.errors import UsageError
from recon_detect.scale import plan, score_shard
from recon_detect.scale.cluster import _cause, score_shards_on_ray


@pytest.fixture
def shards(folder_of):
    return list(plan([folder_of(6)], 2))


def test_without_ray_the_message_names_the_extra(shards, method_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    detector = load_detector(f"{method_file}:METHOD", device="cpu")
    with pytest.raises(UsageError, match=r"pip install 'recon-detect\[ray\]'"):
        list(score_shards_on_ray(shards, tmp_path / "out", detector, 1, address="local"))


def test_the_cause_of_an_error_of_ray_is_reported():
    class Wrapped(Exception):
        def __init__(self, cause):
            super().__init__("wrapped")
            self.cause = cause

    full = OSError(28, "No space left on device")
    chained = Wrapped(None)
    chained.__cause__ = full
    assert _cause(Wrapped(chained)) is full and _cause(full) is full
    other = Wrapped(ValueError("x"))
    assert _cause(other) is other
    other.cause = other
    assert _cause(other) is other


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_rows_of_one_process(shards, method_file, tmp_path):
    ray = pytest.importorskip("ray")
    detector = load_detector(f"{method_file}:METHOD", device="cpu")
    for shard in shards:
        score_shard(shard.images, tmp_path / "here" / shard.output, detector)
    try:
        done = dict(score_shards_on_ray(shards, tmp_path / "there", detector, 2, address="local"))
    finally:
        ray.shutdown()
    assert {shard.number for shard in done} == {0, 1, 2} and {result.images for result in done.values()} == {2}
    for shard in shards:
        tables = [pq.read_table(tmp_path / folder / shard.output) for folder in ("here", "there")]
        assert tables[0].to_pylist() == tables[1].to_pylist()
