"""The generator of weights and masks: one for the process; a block can replace it in its own thread."""

from threading import Thread

import numpy as np
import pytest

from scratch import random
from scratch.random import generator, manual_seed, use_generator


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(random, "_default", random._default)


def in_thread(call):
    """Call a function in its own thread and return its result."""
    results = []
    thread = Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join(30)
    return results[0]


def draw():
    return generator().random(4).tolist()


def test_a_seed_also_holds_in_new_threads():
    manual_seed(3)
    expected = draw()
    manual_seed(3)
    assert in_thread(draw) == expected
    manual_seed(3)
    assert in_thread(lambda: in_thread(draw)) == expected


def test_a_seed_set_in_a_thread_holds_everywhere():
    manual_seed(3)
    expected = draw()
    in_thread(lambda: manual_seed(3))
    assert draw() == expected


def test_threads_share_one_generator():
    manual_seed(3)
    expected = draw() + draw()
    manual_seed(3)
    assert in_thread(draw) + draw() == expected


def test_a_block_replaces_the_generator_only_in_its_thread():
    rng = np.random.default_rng(1)
    with use_generator(rng):
        assert generator() is rng
        assert in_thread(generator) is not rng
        manual_seed(3)
        assert generator() is rng
    assert generator() is not rng
    assert draw() == np.random.default_rng(3).random(4).tolist()


def test_nested_blocks_end_in_order_even_after_an_error():
    outer, inner = np.random.default_rng(1), np.random.default_rng(2)
    with use_generator(outer):
        with use_generator(inner):
            assert generator() is inner
        with pytest.raises(ZeroDivisionError), use_generator(inner):
            raise ZeroDivisionError
        assert generator() is outer
