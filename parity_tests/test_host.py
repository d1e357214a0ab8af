"""scratch in the process of a host program: an import changes nothing, and work leaves settings as they were."""

import os
import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from parity_tests.interrupts import endings
from scratch.fast import memory, process, threads
from scratch.ops import conv2d

LIMIT = 120  # seconds that a process may take
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run_code(code, **environment):
    """Run code in its own process and return the printed lines."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@linux
@pytest.mark.parametrize("package", ["scratch.ops", "scratch.models", "reference.models", "parity", "parity.__main__"])
def test_an_import_changes_no_setting_of_the_process(package):
    """Compare the process before and after an import; packages of other people are imported first."""
    listing = f"import sys, {package}\nfor name in list(sys.modules): print(name)"
    ours = ("scratch", "parity", "reference", "__main__")
    others = [name for name in run_code(listing) if name.split(".")[0] not in ours]
    code = f"""
import importlib, os, sys
from threadpoolctl import threadpool_info
for name in {others!r}:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
def state():
    pages = int(open("/proc/self/statm").read().split()[1])
    blas = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    return pages * os.sysconf("SC_PAGE_SIZE"), [dict(os.environ), blas, len(os.listdir("/proc/self/task"))]
memory, rest = state()
import {package}
memory_after, rest_after = state()
assert rest == rest_after, (rest, rest_after)
print((memory_after - memory) >> 20)
"""
    (grown,) = run_code(code)
    assert int(grown) <= 8


def test_one_variable_keeps_the_process_as_it_is(monkeypatch):
    calls = []
    monkeypatch.setattr(memory.np, "empty", lambda *shape: calls.append(shape))
    for value, count in (("0", 0), ("1", 1), ("", 2)):
        monkeypatch.setenv(process.VARIABLE, value)
        memory.keep_freed_memory.__wrapped__()
        assert len(calls) == count


def test_imports_and_first_uses_are_safe_beside_a_multiplying_thread():
    """Each of the 20 runs the code of the modules anew."""
    code = """
import sys, threading
import numpy as np
from threadpoolctl import threadpool_limits

threadpool_limits(2)
a, stop = np.ones((300, 300), np.float32), False
def multiply():
    while not stop:
        assert (a @ a == 300).all()
thread = threading.Thread(target=multiply)
thread.start()
x, weight = np.ones((4, 32, 8, 8), np.float32), np.ones((32, 32, 3, 3), np.float32)
for _ in range(20):
    for name in [name for name in sys.modules if name.split(".")[0] == "scratch"]:
        del sys.modules[name]
    from scratch.fast import threads
    from scratch.ops import conv2d
    threads.set_num_threads(2)
    y, backward = conv2d(x, weight, padding=1)
    backward(y)
stop = True
thread.join()
print("done")
"""
    assert run_code(code) == ["done"]


def blas_threads():
    """Return the thread counts of NumPy's BLAS."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]


def seeded_results():
    """Return the value and gradients of a seeded convolution, and a product large enough for several BLAS threads."""
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((8, 32, 16, 16), (32, 32, 3, 3)))
    y, backward = conv2d(x, weight, padding=1)
    rows = x.reshape(64, -1)
    return [y, *backward(y)[:2], rows @ rows.T]


def test_concurrent_hosts_leave_thread_count_and_results_unchanged(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", 2)
    with threadpool_limits(2):
        before, bits = blas_threads(), seeded_results()
        hosts = [Thread(target=lambda: [seeded_results() for _ in range(10)]) for _ in range(2)]
        for host in hosts:
            host.start()
        for host in hosts:
            host.join(LIMIT)
        assert blas_threads() == before
        for now, then in zip(seeded_results(), bits, strict=True):
            np.testing.assert_array_equal(now, then)


FORKED = """
import os, signal, threading
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from scratch.ops import conv2d
from scratch.fast.blas import one_blas_thread
from scratch.fast.threads import in_parallel, set_num_threads

def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]

def child_of(fork):
    signal.alarm(60)  # a child that hangs is killed
    pid = fork()
    if pid == 0:
        assert blas_threads() == before, blas_threads()
        y, backward = conv2d(x, x[:, :, :3, :3], padding=1)
        backward(y)
        assert blas_threads() == before, blas_threads()
        together = threading.Barrier(2, timeout=30)
        in_parallel(lambda item: together.wait(), range(2))  # it has threads of its own
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

set_num_threads(2)
threadpool_limits(2)
x = np.ones((32, 32, 8, 8), np.float32)
before = blas_threads()
"""
IN_THE_BLOCK = """
with one_blas_thread():
    print(child_of(os.fork))
assert blas_threads() == before
"""
IN_A_SHARE = """
print(in_parallel(lambda item: child_of(os.fork) if item == 0 else conv2d(x, x[:, :, :3, :3]) and 1, range(2))[0])
assert blas_threads() == before
"""
FALLS_OUT_OF_A_SHARE = """
pids = []
def work(item):
    together.wait()
    if threading.current_thread() is threading.main_thread():
        pids.append(os.fork())
        if not pids[0]:
            signal.alarm(60)
    return item
together = threading.Barrier(2)
try:
    results = in_parallel(work, range(2))
except RuntimeError as error:
    assert "forked while threads shared work" in str(error)
    os._exit(7)
assert results == [0, 1] and pids[0], (results, pids)
print(os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("where", [IN_THE_BLOCK, IN_A_SHARE, FALLS_OUT_OF_A_SHARE], ids=["block", "share", "out of a share"])
def test_a_forked_child_gets_its_blas_threads_back(where):
    assert run_code(FORKED + where) == ["7"]


def test_threads_can_share_work_while_the_interpreter_ends():
    code = """
import atexit, threading
from scratch.fast.threads import in_parallel, set_num_threads
set_num_threads(3)
atexit.register(lambda: print(in_parallel(lambda item: item, range(5))))
"""
    assert run_code(code) == ["[0, 1, 2, 3, 4]"]
    assert run_code(code + "print(in_parallel(lambda item: item, range(2)))") == ["[0, 1]", "[0, 1, 2, 3, 4]"]


@pytest.mark.parametrize("count", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_a_process_ends_after_an_early_interrupt(count):
    assert endings(count) == {"interrupted": count}


def test_a_signal_handler_may_use_threads():
    """Interrupt the main thread at any place, even while it holds a lock."""
    code = """
import signal
import numpy as np
from scratch.ops import conv2d
from scratch.fast.threads import set_num_threads

set_num_threads(2)
long, weight, count = np.ones((64, 8, 16, 16), np.float32), np.ones((8, 8, 3, 3), np.float32), 0

def handle(*_):
    global count
    count += 1
    conv2d(long, weight)
    signal.setitimer(signal.ITIMER_REAL, 0.0007)  # again, but not inside itself

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0007)
while count < 50:
    conv2d(long, weight)
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    assert run_code(code) == ["done"]
