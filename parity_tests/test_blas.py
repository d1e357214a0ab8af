"""NumPy's OpenBLAS has one thread while scratch's threads share work, and its own number afterwards."""

import os
from threading import Barrier, Thread

import pytest

from scratch.fast import blas
from scratch.fast.process import VARIABLE


class Library:
    """A fake OpenBLAS with a number of threads; it records the calls and the environment that it reads."""

    def __init__(self, threads=4):
        self.threads, self.calls_seen = threads, []

    def scipy_openblas_get_num_threads64_(self):
        return self.threads

    def scipy_openblas_set_num_threads64_(self, threads):
        self.threads = threads

    def openblas_read_env(self):
        self.calls_seen.append(os.environ[blas.TIMEOUT])

    def blas_thread_shutdown_(self):
        self.calls_seen.append("shutdown")

    def blas_thread_init(self):
        self.calls_seen.append("init")


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(blas, "bundled", lambda: library)
    monkeypatch.setattr(blas, "_limit", blas._Limit())
    monkeypatch.setattr(blas, "_alone", lambda: True)
    for variable in (blas.TIMEOUT, VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return library


def test_numpys_openblas_has_one_thread_inside_the_block():
    library = blas.bundled()
    assert library is blas.bundled()
    if library is None:
        pytest.skip("NumPy has another BLAS")
    before = library.scipy_openblas_get_num_threads64_()
    with blas.one_blas_thread():
        assert library.scipy_openblas_get_num_threads64_() == 1
    assert library.scipy_openblas_get_num_threads64_() == before


@pytest.mark.parametrize("before", [1, 4])
def test_an_error_in_the_block_restores_the_thread_count(library, before):
    library.threads = before

    def fail():
        assert library.threads == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), blas.one_blas_thread():
        fail()
    assert library.threads == before


def test_the_outer_of_nested_blocks_restores_the_thread_count(library):
    with blas.one_blas_thread():
        with blas.one_blas_thread():
            assert library.threads == 1
        assert library.threads == 1
    assert library.threads == 4


def test_the_last_of_overlapping_blocks_restores_the_thread_count(library):
    """Let two blocks overlap: the second begins inside the first and ends after it."""
    steps, seen = Barrier(2, timeout=30), []

    def first():
        with blas.one_blas_thread():
            steps.wait()
            steps.wait()
        seen.append(library.threads)
        steps.wait()

    def second():
        steps.wait()
        with blas.one_blas_thread():
            steps.wait()
            steps.wait()
            seen.append(library.threads)

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [1, 1]
    assert library.threads == 4


def test_a_thread_count_that_the_host_sets_inside_stays(library):
    with blas.one_blas_thread():
        library.threads = 3
    assert library.threads == 3


@pytest.mark.parametrize("interrupted_function", ["scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"])
def test_an_interrupt_while_entering_restores_the_thread_count(library, monkeypatch, interrupted_function):
    call, calls = getattr(library, interrupted_function), []

    def interrupted(*arguments):
        result = call(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(library, interrupted_function, interrupted)
    with pytest.raises(KeyboardInterrupt), blas.one_blas_thread():
        pytest.fail("the block ran")
    assert library.threads == 4
    with blas.one_blas_thread():
        assert library.threads == 1
    assert library.threads == 4


@pytest.mark.parametrize("interrupted_function", ["scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"])
def test_a_signal_handler_may_enter_a_block_meanwhile(library, monkeypatch, interrupted_function):
    """Enter a block from the thread that holds the lock, as a signal handler or a finalizer does."""
    call, calls = getattr(library, interrupted_function), []

    def meanwhile(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            with blas.one_blas_thread():
                pass
        return call(*arguments)

    def block():
        with blas.one_blas_thread():
            assert library.threads == 1

    monkeypatch.setattr(library, interrupted_function, meanwhile)
    thread = Thread(target=block, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert library.threads == 4


@pytest.mark.parametrize(
    ("given", "calls_seen"),
    [({}, [str(blas.IDLE_CYCLES), "shutdown", "init"]), ({blas.TIMEOUT: "20"}, []), ({VARIABLE: "0"}, [])],
    ids=["by default", "with a time of the user's", "switched off"],
)
def test_idle_threads_sleep_early_unless_the_user_set_a_time(library, monkeypatch, given, calls_seen):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    blas.let_idle_threads_sleep.__wrapped__()
    assert library.calls_seen == calls_seen
    assert os.environ.get(blas.TIMEOUT) == given.get(blas.TIMEOUT)


def test_blas_threads_are_not_restarted_beside_other_threads(library, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv(blas.TIMEOUT, raising=False)
    monkeypatch.setattr(blas, "bundled", lambda: library)
    gate = Barrier(2, timeout=30)
    other = Thread(target=gate.wait)
    other.start()
    blas.let_idle_threads_sleep.__wrapped__()
    gate.wait()
    other.join(30)
    assert library.calls_seen == []


@pytest.mark.parametrize("missing", ["openblas_read_env", "blas_thread_shutdown_", "blas_thread_init"])
def test_a_library_without_the_functions_gets_no_calls(library, monkeypatch, missing):
    monkeypatch.delattr(Library, missing)
    blas.let_idle_threads_sleep.__wrapped__()
    assert library.calls_seen == []


def test_a_block_does_nothing_without_openblas(monkeypatch):
    monkeypatch.setattr(blas, "bundled", lambda: None)
    with blas.one_blas_thread():
        blas.let_idle_threads_sleep.__wrapped__()
    assert blas._limit.blocks == set()
