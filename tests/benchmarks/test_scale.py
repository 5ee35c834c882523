"""Cost of runs of any size: the closed form is that of a simulation."""

import random
from statistics import mean

import pytest

from benchmarks.scale.cost import Plan, estimate, simulate
from benchmarks.scale.throughput import Usage

PLANS = {
    "computation": Plan(2e6, 1.4, 100, per_shard=1000),
    "few workers": Plan(2e6, 0.01, 8, per_shard=1000),
    "slow workers at the end": Plan(2e6, 1.4, 400, per_shard=1000),
    "failures": Plan(4e6, 0.1, 64, mean_life=3, per_shard=2000),
    "bandwidth": Plan(8e6, 0.001, 400, bandwidth=1e9, per_shard=2000),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_estimate_is_that_of_a_simulation(plan):
    simulated = mean(simulate(plan, random.Random(seed)) for seed in range(3))
    assert estimate(plan).hours == pytest.approx(simulated, rel=0.05)


def test_what_limits_a_run():
    computing, reading = PLANS["computation"], PLANS["bandwidth"]
    assert computing.seconds_an_image == 1.4 and reading.seconds_an_image == pytest.approx(200e3 * 400 / 1e9)
    assert estimate(reading).read == pytest.approx(1e9)
    assert estimate(computing).shards == 2000 and estimate(Plan(10_001, 1, 1)).shards == 2


def test_growth_of_memory_leaves_the_start_out():
    flat, growing = Usage([1, 50, *[100] * 8]), Usage([1, 50, *range(100, 180, 10)])
    assert flat.growth() == 1 and growing.growth() == 170 / 110
