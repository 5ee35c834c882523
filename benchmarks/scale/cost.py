"""A model of what a run of any size takes: hours, price, bandwidth, failures; and a simulation that checks it."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

from recon_detect.settings import DEFAULTS

# Bytes of a row in the Parquet files of results of one method, measured on files of 1000 rows.
ROW_BYTES = 118
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of a run and the properties of what it runs on.

    Attributes:
        images: Number of images.
        seconds: Computation of one image by one worker.
        workers: Number of workers: cores or GPUs.
        image_bytes: Mean size of an image in the store.
        bandwidth: Bytes a second that the store gives to all workers together.
        per_shard: Images of a shard.
        start: Seconds until a worker scores its first image.
        mean_life: Hours between failures of a worker, such as the recall of a spot machine.
        restart: Seconds until a failed worker is replaced.
        slowest: Time of the slowest worker by that of the usual one.
        slow_share: Share of workers that are so slow.
        price: Of a worker and hour, in dollars.
    """

    images: float
    seconds: float
    workers: int
    image_bytes: float = 200e3
    bandwidth: float = 10e9
    per_shard: int = 10_000
    start: float = 15.0
    mean_life: float = 100.0
    restart: float = 120.0
    slowest: float = 2.0
    slow_share: float = 0.01
    price: float = 0.02

    @property
    def seconds_an_image(self) -> float:
        """Seconds of one image by one of the workers: of computation, or of waiting for the store."""
        return max(self.seconds, self.image_bytes * self.workers / self.bandwidth)

    @property
    def lost(self) -> float:
        """Seconds that a failure costs a worker: its replacement, its start, and images that had no row yet."""
        return self.restart + self.start + DEFAULTS.window * self.seconds_an_image


@dataclass(frozen=True, slots=True)
class Estimate:
    """Outcome of a plan.

    Attributes:
        hours: From the first image to the last.
        tail: Hours of these in which some workers wait for the last shards of others.
        price: In dollars, of all workers for all of the time.
        failures: Expected number.
        repeated: Images that failures have scored again.
        shards: Number of shards.
        gigabytes: Size of the results.
        read: Bytes a second that the workers read together.
    """

    hours: float
    tail: float
    price: float
    failures: float
    repeated: float
    shards: int
    gigabytes: float
    read: float


def estimate(plan: Plan) -> Estimate:
    """Hours and price of a plan.

    Workers take shards from a queue, so that a slow one takes fewer; the run ends with the last shard of a slow one.
    """
    speed = 1 - plan.slow_share + plan.slow_share / plan.slowest
    available = 1 / (1 + plan.lost / (plan.mean_life * _HOUR))
    work = plan.images * plan.seconds_an_image / (plan.workers * speed * available)
    usual = plan.slowest if plan.slow_share * plan.workers >= 1 else 1.0
    tail = plan.per_shard * plan.seconds_an_image * (usual - 0.5)
    hours = (plan.start + work + tail) / _HOUR
    failures = plan.workers * hours / plan.mean_life
    return Estimate(
        hours=hours,
        tail=tail / _HOUR,
        price=hours * plan.workers * plan.price,
        failures=failures,
        repeated=failures * DEFAULTS.window,
        shards=-int(-plan.images // plan.per_shard),
        gigabytes=plan.images * ROW_BYTES / 1e9,
        read=plan.image_bytes * plan.workers / plan.seconds_an_image,
    )


def simulate(plan: Plan, chance: random.Random, spread: float = 0.1) -> float:
    """Hours of one run of a plan, shard by shard, whose times scatter by `spread`; for some thousand shards."""
    slow = round(plan.slow_share * plan.workers)
    workers = [(plan.start, number) for number in range(plan.workers)]
    heapq.heapify(workers)
    end = 0.0
    for _ in range(estimate(plan).shards):
        now, number = heapq.heappop(workers)
        seconds = plan.per_shard * plan.seconds_an_image * chance.lognormvariate(0, spread)
        seconds *= plan.slowest if number < slow else 1.0
        left = seconds
        while (until := chance.expovariate(1 / (plan.mean_life * _HOUR))) < left:
            seconds += plan.lost
            left -= until
        end = max(end, now + seconds)
        heapq.heappush(workers, (now + seconds, number))
    return end / _HOUR
