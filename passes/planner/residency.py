"""What stays in SRAM between groups, when everything could wait in DRAM.

Where SRAM is small, groups are cut first as if every tensor between them went to DRAM and came back: then each group is
free to be what is cheapest for it. After that tensors are kept in SRAM one by one, those first whose traffic is large
for the room they take and for how long, as long as the groups they live through still fit and cost less in all.
"""

from __future__ import annotations

from passes.planner.network import Buffer
from passes.planner.partition import Partition, Partitioner
from passes.planner.stripes import Group


def settled(partitioner: Partitioner, budget: int, given: frozenset[Buffer]) -> Partition:
    """The partition within a budget of bytes whose groups were cut with everything in DRAM that can be; the buffers
    ``given`` stay there. ReconError when not even that fits."""
    found = partitioner.cut(budget, partitioner.spillable() | given)
    spans = [(group.layers[0].index, group.layers[-1].index) for group in found.groups]
    groups = dict(zip(spans, found.groups, strict=True))
    costs = {span: partitioner.group(*span, budget, _resident(partitioner, *span))[0] for span in spans}
    crossing = [b for b in found.spilled - given if _crosses(partitioner, b, spans)]
    for buffer in sorted(crossing, key=lambda b: (-_worth(partitioner, b), b.name)):
        partitioner.spilled -= {buffer}
        birth, death = partitioner.life[buffer]
        changed: dict[tuple[int, int], tuple[float, Group | None]] = {}
        for span in spans:
            if birth <= span[1] and death >= span[0]:
                changed[span] = partitioner.group(*span, budget, _resident(partitioner, *span))
        new = sum(cost for cost, _ in changed.values())
        if any(group is None for _, group in changed.values()) or new >= sum(costs[span] for span in changed):
            partitioner.spilled |= {buffer}
            continue
        for span, (cost, group) in changed.items():
            assert group is not None
            costs[span], groups[span] = cost, group
    return Partition(tuple(groups.values()), partitioner.spilled)


def _resident(partitioner: Partitioner, first: int, last: int) -> int:
    """Bytes of whole buffers that lie in SRAM while a group runs, but for those inside it."""
    alive = sum(
        buffer.bytes
        for buffer, (birth, death) in partitioner.life.items()
        if birth <= last and death >= first and buffer not in partitioner.spilled
    )
    return alive - partitioner.inner_of_group(first, last)


def _crosses(partitioner: Partitioner, buffer: Buffer, spans: list[tuple[int, int]]) -> bool:
    birth, death = partitioner.life[buffer]
    return not any(first <= birth and death <= last for first, last in spans)


def _worth(partitioner: Partitioner, buffer: Buffer) -> float:
    """Times a buffer moves, for each layer through which it takes its room."""
    birth, death = partitioner.life[buffer]
    readers = {layer for tensor in buffer.tensors for layer in tensor.consumers}
    return (1 + len(readers)) / (death - birth + 1)
