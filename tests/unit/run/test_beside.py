"""The threads beside a network: their order, and what is begun before its turn."""

from __future__ import annotations

import threading

import pytest

from bench.run.beside import Beside, ahead


def test_a_few_are_begun_before_one_is_given() -> None:
    begun: list[int] = []

    def begin(item: int) -> int:
        begun.append(item)
        return 10 * item

    coming = ahead(range(5), begin, 2)
    assert begun == []
    assert (next(coming), begun) == (0, [0, 1, 2])
    assert (next(coming), begun) == (10, [0, 1, 2, 3])
    assert list(coming) == [20, 30, 40]
    assert list(ahead([], begin, 2)) == []


def test_looks_and_scores_keep_their_order_and_wait_for_helpers() -> None:
    order: list[str] = []
    ready = threading.Event()
    with Beside() as beside:
        read = beside.start(lambda: ready.wait(10))
        look = beside.in_turn(lambda: (read.result(), order.append("look")))
        beside.score(lambda: order.append("score"))
        assert not look.done()
        ready.set()
        beside.finish()
        assert look.done()
    assert order == ["look", "score"]
    assert beside.waited > 0


def test_what_a_score_raises_is_raised_where_the_network_runs() -> None:
    def fail() -> None:
        raise ValueError("not this one")

    with Beside() as beside:
        beside.score(fail)
        with pytest.raises(ValueError, match="not this one"):
            beside.finish()
