"""Places for drawing the network: every layer and host segment in a row of its own, its tensor in a lane beside it.

As version histories are drawn: rows follow the order of data, a tensor keeps its lane from the row that makes it to the
last row that reads it, and a reader takes over the lane of a tensor that ends with it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class GraphPlaces:
    """``row`` and ``lane`` of every node by its number, both from 0."""

    row: tuple[int, ...]
    lane: tuple[int, ...]


def places(nodes: int, edges: Iterable[tuple[int, int]]) -> GraphPlaces:
    """Where to draw the nodes 0 … nodes − 1; edges that close a circle are ignored for the order of rows."""
    readers: dict[int, set[int]] = defaultdict(set)
    makers: dict[int, set[int]] = defaultdict(set)
    for maker, reader in edges:
        readers[maker].add(reader)
        makers[reader].add(maker)
    order = _order(nodes, readers, makers)
    row = {node: number for number, node in enumerate(order)}
    last = {node: max((row[reader] for reader in readers[node]), default=row[node]) for node in order}
    lane: dict[int, int] = {}
    busy: dict[int, int] = {}  # lane: the last row of the tensor in it
    for number, node in enumerate(order):
        ending = [lane[maker] for maker in makers[node] if maker in lane and last[maker] == number]
        free = next(place for place in range(nodes + 1) if busy.get(place, -1) < number)
        lane[node] = min([*ending, free])
        busy[lane[node]] = max(last[node], number)
    return GraphPlaces(tuple(row[node] for node in range(nodes)), tuple(lane[node] for node in range(nodes)))


def _order(nodes: int, readers: dict[int, set[int]], makers: dict[int, set[int]]) -> list[int]:
    """Makers before readers, otherwise by number."""
    missing = {node: len(makers[node]) for node in range(nodes)}
    ready = [node for node, count in missing.items() if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for reader in readers[node]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    return order + sorted(set(range(nodes)) - set(order))
