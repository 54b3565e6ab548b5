"""What a distributed selection costs: a model of its rounds, with constants that are measured.

python benchmarks/distributed_model.py [--rows N] [--columns D] [--nodes N] [--threads N]

Measures the constants on this machine with one actor (as the section `distributed` does, which also checks
the model against 2 and 4 actors), then simulates 1,000,000,000 rows of 384 float16 on 100 nodes, for several
k and networks. docs/distributed.md says what is measured and what is extrapolated.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import data
import farpoint

# A shard is slower than the average of all by so much (standard deviation of the logarithm): each round waits
# for the slowest. Assumed, not measured: shards of one machine do not tell.
STRAGGLING = 0.15
# Of the network's speed, what a transfer of megabytes reaches. Assumed.
NETWORK_SHARE = 0.7


@dataclass(frozen=True)
class Constants:
    """What is measured."""

    shard_seconds: float  # an element of a bounded pair and one thread; whatever else a level costs with it
    fraction: float  # of the pairs that are bounded
    pick_seconds: float  # an element of a (candidate, pick) pair
    round_seconds: float  # of a round without work: messages of Ray
    picks: float  # of a round
    candidates: float  # of a round


@dataclass(frozen=True)
class Cluster:
    """What is assumed."""

    actors: int
    threads: float  # of each that have a processor of their own
    network: float  # bytes a second between nodes; infinity: one machine


@dataclass(frozen=True)
class Cost:
    """What is predicted."""

    rounds: int
    bytes_sent: float
    bytes_received: float
    seconds_shards: float
    seconds_pick: float
    seconds_network: float

    @property
    def seconds(self) -> float:
        """All together, without the start of the actors."""
        return self.seconds_shards + self.seconds_pick + self.seconds_network


def constants_of(selection: farpoint.Selection, row_bytes: int, round_seconds: float) -> Constants:
    """Return the constants that a selection with one actor of one thread shows."""
    info = selection.info
    k, d, rounds = len(selection), info["d"], info["rounds"]
    phases = info["seconds_by_phase"]
    picks = k / rounds
    candidates = info["bytes_received"] / rounds / row_bytes
    return Constants(
        shard_seconds=max(0.0, phases["shards"] - rounds * round_seconds) / (info["pairs_screened"] * d),
        fraction=info["fraction_evaluated"],
        pick_seconds=phases["pick"] / (rounds * picks * candidates * d),
        round_seconds=round_seconds,
        picks=picks,
        candidates=candidates,
    )


def predict(constants: Constants, n: int, d: int, row_bytes: int, k: int, cluster: Cluster) -> Cost:
    """Simulate the rounds of a selection of k of n rows."""
    generator = np.random.default_rng(0)
    rounds = max(1, math.ceil(k / constants.picks))
    # A round's share of all pairs, spread over the shards, each a little faster or slower.
    elements = constants.fraction * n * k * d / rounds / cluster.actors
    work = elements * constants.shard_seconds / cluster.threads
    slowest = 1.0
    if cluster.actors > 1 and math.isfinite(cluster.network):
        draws = generator.lognormal(-(STRAGGLING**2) / 2, STRAGGLING, (min(rounds, 1000), cluster.actors))
        slowest = float(draws.max(axis=1).mean())
    sent = float(k) * row_bytes * cluster.actors
    received = rounds * constants.candidates * row_bytes
    # The driver's connection carries all of it.
    network = (sent + received) / (cluster.network * NETWORK_SHARE)
    return Cost(
        rounds=rounds,
        bytes_sent=sent,
        bytes_received=received,
        seconds_shards=rounds * (work * slowest + constants.round_seconds),
        seconds_pick=k * constants.candidates * d * constants.pick_seconds,
        seconds_network=network,
    )


def empty_round_seconds(actors: int) -> float:
    """Measure a message to every actor and its answer, of no work and the usual size."""
    import time

    import ray

    class Echo:
        def answer(self, _entries: Any) -> Any:
            return np.zeros(1 << 20, dtype=np.uint8)

    made = [ray.remote(Echo).options(num_cpus=1).remote() for _ in range(actors)]
    entries = np.zeros(1 << 18, dtype=np.uint8)
    taken = []
    for _ in range(60):
        began = time.perf_counter()
        shared = ray.put(entries)
        ray.get([actor.answer.remote(shared) for actor in made])
        taken.append(time.perf_counter() - began)
    for actor in made:
        ray.kill(actor)
    return float(np.median(taken[10:]))


def main() -> int:
    """Measure, then simulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    parser.add_argument("--columns", type=int, default=384)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=32, help="of a node (default: 32)")
    options = parser.parse_args()

    import ray

    import farpoint.distributed

    X, description = data.real(None, None)
    X = X.astype(np.float16)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    round_seconds = empty_round_seconds(1)
    k = min(20_000, len(X) // 2)
    selection = farpoint.distributed.select(X, k, actors=1, threads=1)
    ray.shutdown()
    constants = constants_of(selection, X.shape[1] * 2, round_seconds)
    print(f"Measured on {description}, k = {k:,}, one actor of one thread:")
    print(f"{constants}\n")
    row_bytes = 2 * options.columns
    print(
        f"{options.rows:,} x {options.columns} float16, {options.nodes} nodes of {options.threads} threads:"
    )
    print("| k | network | rounds | GB sent | GB received | s shards | s pick | s network | s |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for k in (100_000, 1_000_000):
        for gigabits in (10, 100):
            cluster = Cluster(options.nodes, options.threads, gigabits * 1e9 / 8)
            cost = predict(constants, options.rows, options.columns, row_bytes, k, cluster)
            print(
                f"| {k:,} | {gigabits} Gbit/s | {cost.rounds:,} | {cost.bytes_sent / 1e9:.1f} | "
                f"{cost.bytes_received / 1e9:.1f} | {cost.seconds_shards:,.0f} | {cost.seconds_pick:,.0f} | "
                f"{cost.seconds_network:,.0f} | {cost.seconds:,.0f} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
