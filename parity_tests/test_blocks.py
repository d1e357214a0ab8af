"""Work in blocks that fit the caches, tested with small blocks, since the arrays of the cases fit into one."""

import importlib
from contextvars import ContextVar

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import DTYPES, check
from parity.report import explain
from scratch.fast.threads import in_blocks
from scratch.fast.workers import BUFFER

SMALL = {
    "parity.running.device": {"SHARED": 3},
    "scratch.fast.blockwise_attention": {"BLOCK": 4},
    "scratch.fast.im2col": {"BLOCK": 600},
    "scratch.fast.row_shares": {"WORTH": 1},
    "scratch.fast.threads": {"BLOCK": 16, "_chosen": 3},
    "scratch.fast.reduce": {"ROWS": 4},
    "scratch.fast.winograd": {"BLOCK": 3000, "KEPT": 3000},
}
NAMES = {case.name for case in CASES}
IN_ONE_MODE = [case for case in CASES if case.training or case.name.removesuffix("-eval") not in NAMES]


@pytest.fixture
def _small_blocks(monkeypatch):
    for name, sizes in SMALL.items():
        for constant, size in sizes.items():
            monkeypatch.setattr(importlib.import_module(name), constant, size)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", IN_ONE_MODE, ids=lambda case: case.name)
def test_every_case_is_verified_with_small_blocks(case, dtype):
    verdict = check(case, dtype)
    assert verdict.ok, explain(verdict)


@pytest.mark.usefixtures("_small_blocks")
def test_every_row_is_processed_once():
    rows = np.zeros((37, 5))

    def count(part):
        rows[part] += 1

    in_blocks(count, rows)
    assert (rows == 1).all()


@pytest.mark.usefixtures("_small_blocks")
def test_results_keep_their_order_and_the_buffer_size_is_restored():
    buffer = np.getbufsize()
    starts = in_blocks(lambda part: (part.start, np.getbufsize()), np.zeros((37, 5)))
    assert starts == [(start, BUFFER) for start in range(0, 37, 3)]
    assert np.getbufsize() == buffer


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("row", range(0, 37, 3))
def test_an_error_in_any_block_is_raised(row):
    def fail(part):
        if part.start <= row < part.stop:
            raise KeyError(row)

    with pytest.raises(KeyError):
        in_blocks(fail, np.zeros((37, 5)))


@pytest.mark.usefixtures("_small_blocks")
def test_every_block_sees_the_callers_context():
    setting = ContextVar("setting", default=0)
    seen = []
    token = setting.set(1)
    in_blocks(lambda part: seen.append(setting.get()), np.zeros((37, 5)))
    setting.reset(token)
    assert len(seen) > 3
    assert set(seen) == {1}
