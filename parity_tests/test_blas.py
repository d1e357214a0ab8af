"""What is asked of the OpenBLAS that comes in NumPy's wheels."""

import os
import subprocess
import sys

import pytest

from scratch.ops import blas

LIBRARY = blas._BLAS
bundled = pytest.mark.skipif(not hasattr(LIBRARY, "openblas_thread_timeout"), reason="NumPy has another BLAS")


@bundled
@pytest.mark.parametrize(("given", "expected"), [(None, blas.PATIENCE), ("20", 20)])
def test_idle_threads_sleep_soon_unless_the_user_says_when(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != blas.TIMEOUT}
    environment |= {} if given is None else {blas.TIMEOUT: given}
    code = (
        "import os, numpy as np; from scratch.ops import blas\n"
        "a = np.ones((300, 300)); assert (a @ a == 300).all()\n"
        "print(blas._BLAS.openblas_thread_timeout(), os.environ.get(blas.TIMEOUT))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(expected), str(given)]


@bundled
@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_inside_and_as_many_as_before_outside(threads):
    before = LIBRARY.scipy_openblas_get_num_threads64_()
    LIBRARY.scipy_openblas_set_num_threads64_(threads)
    inside = []

    def fail():
        with blas.one_blas_thread():
            inside.append(LIBRARY.scipy_openblas_get_num_threads64_())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    after = LIBRARY.scipy_openblas_get_num_threads64_()
    LIBRARY.scipy_openblas_set_num_threads64_(before)
    assert (inside, after) == ([1], threads)


class Asked:
    """A library that notes what is asked of it, and what it finds in the environment."""

    def __init__(self):
        self.asked = []

    def openblas_read_env(self):
        self.asked.append(os.environ[blas.TIMEOUT])

    def blas_thread_shutdown_(self):
        self.asked.append("shutdown")


@pytest.mark.parametrize(("given", "asked"), [(None, [str(blas.PATIENCE), "shutdown"]), ("20", [])])
def test_what_a_library_is_asked(monkeypatch, given, asked):
    monkeypatch.delenv(blas.TIMEOUT, raising=False)
    if given is not None:
        monkeypatch.setenv(blas.TIMEOUT, given)
    library = Asked()
    blas._let_idle_threads_sleep(library)
    assert library.asked == asked
    assert os.environ.get(blas.TIMEOUT) == given


@pytest.mark.parametrize("missing", ["openblas_read_env", "blas_thread_shutdown_"])
def test_a_library_without_either_function_is_asked_nothing(monkeypatch, missing):
    monkeypatch.delattr(Asked, missing)
    monkeypatch.delenv(blas.TIMEOUT, raising=False)
    library = Asked()
    blas._let_idle_threads_sleep(library)
    assert not library.asked


def test_the_library_is_found_again():
    assert (blas._bundled() is None) == (LIBRARY is None)


@pytest.mark.parametrize("library", [None, object()])
def test_another_library_is_left_alone(monkeypatch, library):
    monkeypatch.delenv(blas.TIMEOUT, raising=False)
    blas._let_idle_threads_sleep(library)
    assert blas.TIMEOUT not in os.environ
    monkeypatch.setattr(blas, "_BLAS", None)
    with blas.one_blas_thread():
        pass
