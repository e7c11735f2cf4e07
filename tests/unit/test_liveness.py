"""A graph's live bytes against sums that can be done by hand."""

from __future__ import annotations

from grasplearn.edge.graph import Graph
from grasplearn.edge.liveness import live_bytes

KIB = 1024


def graph() -> tuple[Graph, object]:
    g = Graph("test")
    return g, g.input("x", (1, KIB // 4))


def test_inputs_and_outputs_are_lent() -> None:
    g, x = graph()
    g.output("y", g.add(x, 1.0))
    assert live_bytes(g.model({})).peak == 0


def test_an_elementwise_operator_writes_over_what_nobody_reads_again() -> None:
    g, x = graph()
    h = g.add(x, 1.0)
    for _ in range(3):
        h = g.relu(h)
    g.output("y", g.sum(h))
    assert live_bytes(g.model({})).peak == KIB


def test_what_is_read_again_stays() -> None:
    g, x = graph()
    a = g.add(x, 1.0)
    b = g.relu(a)
    # The view of b is b's memory, which lives until the view has been read.
    seen = g.reshape(b, (2, KIB // 8))
    c = g.concat([seen, seen, seen], 0)
    g.output("y", g.sum(g.sub(a, 1.0)))
    g.output("z", g.sum(c))
    found = live_bytes(g.model({}))
    # a, b and three copies of b.
    assert found.peak == 5 * KIB
    assert [size for _, size in found.values] == [3 * KIB, KIB, KIB]
    assert found.node == "concat_4"


def test_what_is_freed_no_longer_counts() -> None:
    g, x = graph()
    first = g.concat([x, x, x], 0)
    small = g.sum(first, [0])
    second = g.concat([x, x], 0)
    g.output("y", g.add(g.sum(second, [0]), small))
    # Three; then two beside the sum of the first.
    assert live_bytes(g.model({})).peak == 4 * KIB
