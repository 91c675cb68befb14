"""Which blocks need a counter of their own, and how the other counts follow.

What leaves blocks at a junction enters blocks there, so at every junction the counts of the blocks ending
there and of those starting there have equal sums. Drawing each block as an edge between its junctions, plus
one edge from exit to entry for the caller, counts behave as a flow: if the blocks without a counter form a
forest, each of their counts follows from the others. The heaviest forest leaves the fewest and coldest
counters (Knuth and Stevenson, Optimal measurement points for program frequency counts, 1973).

Blocks that end in `unreachable` have a counter in any case, which costs nothing as they run once at most:
without one the engine turns the branch to such a block into a conditional trap and reports the trap at the
branch.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.opcodes.blocks import ENTRY, EXIT, Blocks, Flow


def choose_probes(blocks: Blocks) -> list[int]:
    """The blocks, in code order, that get a counter: those outside the forest of the blocks that run most."""
    find, heads, tails, weights = blocks.find, blocks.heads, blocks.tails, blocks.weights
    parents = list(range(len(blocks.parents)))

    def root(junction: int) -> int:
        while parents[junction] != junction:
            parents[junction] = junction = parents[parents[junction]]
        return junction

    parents[find(EXIT)] = find(ENTRY)  # the caller's edge can carry no counter, so it is in the forest first
    probes = []
    for block in sorted(range(len(heads)), key=weights.__getitem__, reverse=True):
        one, other = root(find(heads[block])), root(find(tails[block]))
        if one == other or block in blocks.doomed:
            probes.append(block)
        else:
            parents[one] = other
    return sorted(probes)


def solve_counts(
    flow: Flow, probes: Sequence[int], counters: Sequence[int], stopped: int | None = None
) -> list[int]:
    """How often each block was entered, from the counters of the probed ones.

    `stopped` is the block in which execution trapped, if it did so inside this function: it was entered and
    not left.
    """
    size, heads, tails = flow.junctions, list(flow.heads), list(flow.tails)
    surplus = [0] * size  # known arrivals minus known departures of each junction
    counts: list[int] = [0] * len(heads)
    if stopped is not None:
        surplus[tails[stopped]] -= 1
        surplus[flow.exit] += 1
    known = [False] * len(heads)
    for block, count in zip(probes, counters, strict=True):
        known[block] = True
        counts[block] = count
        surplus[tails[block]] += count
        surplus[heads[block]] -= count
    # Every block leaves its head and arrives at its tail; the caller's edge, numbered last, leaves exit for
    # entry.
    heads.append(flow.exit)
    tails.append(flow.entry)
    counts.append(0)
    known.append(heads[-1] == tails[-1])
    edges: list[set[int]] = [set() for _ in range(size)]
    for edge, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        if not known[edge]:
            edges[head].add(edge)
            edges[tail].add(edge)
    leaves = [junction for junction in range(size) if len(edges[junction]) == 1]
    while leaves:
        junction = leaves.pop()
        if not edges[junction]:
            continue
        edge = edges[junction].pop()
        head, tail = heads[edge], tails[edge]
        # An edge leaving the junction carries its surplus; one arriving, its deficit.
        count = surplus[junction] if head == junction else -surplus[junction]
        counts[edge] = count
        surplus[tail] += count
        surplus[head] -= count
        other = tail if head == junction else head
        edges[other].discard(edge)
        if len(edges[other]) == 1:
            leaves.append(other)
    return counts[:-1]
