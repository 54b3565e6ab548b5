"""Selection on Ray, on this machine: rounds, bytes, the time beside that of one process, and the model's."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

import data
import farpoint
from distributed_model import Cluster, Constants, constants_of, empty_round_seconds, predict
from measure import Bench, evaluated, settled
from report import Row

ABOUT = "selection on a Ray cluster of this machine"
_COUNTS = (20_000, 58_829)
_MOST_OF_ONE_PROCESS = 1.5  # with two actors of one thread, of the time of two threads
_LEAST_PICKS = 50  # of a round


def run(bench: Bench) -> None:
    """Measure."""
    import ray

    import farpoint.distributed

    X, description = data.real(bench.data, 20_000 if bench.quick else None)
    X = X.astype(np.float16)
    bench.section.data = f"{description}, as float16 in Ray's object store"
    bench.section.notes.append(
        "Seconds are without the start of the actors, which has a column of its own. Of more actors than the "
        "machine has processors, each gets a share of one. The model predicts from the constants that one "
        "actor shows at the same k (benchmarks/distributed_model.py)."
    )
    processors = len(os.sched_getaffinity(0))
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        round_seconds = empty_round_seconds(1)
        for wanted in _COUNTS if not bench.quick else (500, 2_000):
            k = min(wanted, len(X) // 2)
            bench.say(f"one process, k = {k:,}")
            expected, alone = settled(partial(farpoint.select, X, k, threads=2), 5.0)
            figures = {"of one process": "1", "pairs evaluated": evaluated(expected)}
            rows = [Row("one process, 2 threads", alone, figures, "bits")]
            constants: Constants | None = None
            for actors in (1, 2, 4):
                bench.say(f"{actors} actors, k = {k:,}")
                select = partial(farpoint.distributed.select, X, k, actors=actors, threads=1)
                s = min((select() for _ in range(1 if bench.quick else 3)), key=working_seconds)
                bench.check_same(s, expected, f"{actors} actors, k = {k:,}")
                seconds = working_seconds(s)
                constants = constants or constants_of(s, X.shape[1] * 2, round_seconds)
                cluster = Cluster(actors, min(1.0, processors / actors), float("inf"))
                cost = predict(constants, len(X), X.shape[1], X.shape[1] * 2, k, cluster)
                phases = s.info["seconds_by_phase"]
                rows.append(
                    Row(
                        f"{actors} actor{'s' * (actors > 1)} of 1 thread",
                        seconds,
                        {
                            "of one process": f"{seconds / alone:.2f}",
                            "model s": f"{cost.seconds:.2f}",
                            "s start": f"{phases['start']:.2f}",
                            "s shards": f"{phases['shards']:.2f}",
                            "s pick": f"{phases['pick']:.2f}",
                            "rounds": f"{s.info['rounds']:,}",
                            "picks a round": f"{k / s.info['rounds']:,.0f}",
                            "MB sent": f"{s.info['bytes_sent'] / 1e6:,.0f}",
                            "MB received": f"{s.info['bytes_received'] / 1e6:,.0f}",
                            "pairs evaluated": evaluated(s),
                        },
                        "bits",
                    )
                )
                if actors == 2:
                    bench.section.target(
                        f"k = {k:,}: 2 actors within {_MOST_OF_ONE_PROCESS:g} x the time of 2 threads",
                        f"{seconds / alone:.2f} x",
                        seconds / alone <= _MOST_OF_ONE_PROCESS,
                    )
                    bench.section.at_least(f"k = {k:,}: picks a round", k / s.info["rounds"], _LEAST_PICKS)
            bench.section.tables[f"k = {k:,}"] = rows
    finally:
        ray.shutdown()


def working_seconds(s: farpoint.Selection) -> float:
    """Return the seconds of a selection without the start of its actors."""
    return float(s.info["seconds"] - s.info["seconds_by_phase"]["start"])
