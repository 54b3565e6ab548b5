"""Farthest-point selection on a Ray cluster: an actor a shard of the rows, the bits of one machine.

_api.py      the public function: checks, frame, start, result
_pieces.py   what is read, and which rows of it each actor gets
_crew.py     the actors, on Ray
_worker.py   what an actor does
_shard.py    a backend's shard, with the rows' global numbers
_levels.py   the driver: rounds of levels, without Ray
_messages.py what driver and shards tell each other

How it works and what it costs: docs/distributed.md.
"""

from farpoint.distributed._api import select

__all__ = ["select"]
