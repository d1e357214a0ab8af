"""The number of threads that every example may be given."""

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from parity_tests.example_runs import console
from scratch.fast import threads


@pytest.fixture
def parser(monkeypatch):
    """Return an example's parser while every library has three threads; afterwards restore their numbers."""
    monkeypatch.setattr(threads, "_chosen", 3)
    before = torch.get_num_threads()
    with threadpool_limits(3):
        torch.set_num_threads(3)
        yield console.Parser(prog="example.py")
    torch.set_num_threads(before)


def numbers():
    """Return the numbers of threads of scratch, of PyTorch, and of every loaded BLAS and OpenMP."""
    return {threads.get_num_threads(), torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}


@pytest.mark.parametrize(("words", "expected"), [([], 3), (["--threads", "2"], 2), (["--threads", "1"], 1)])
def test_both_backends_use_the_threads(parser, words, expected):
    parser.parse_args(words)
    assert numbers() == {expected}


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5"])
def test_a_wrong_number_is_refused_in_one_line(parser, capsys, value):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--threads", value])
    expected = f"example.py: argument --threads: expected a whole number of at least 1, got '{value}' (--help lists the options)\n"
    assert (stop.value.code, capsys.readouterr().err) == (2, expected)
    assert numbers() == {3}


def test_a_wrong_number_in_the_environment_is_refused_in_one_line(parser, capsys, monkeypatch):
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setenv(threads.VARIABLE, "two")
    threads._default.cache_clear()
    with pytest.raises(SystemExit) as stop:
        parser.parse_args([])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("example.py: SCRATCH_NUM_THREADS: expected a whole number of at least 1, got 'two'; unset it")
    assert error.count("\n") == 1
