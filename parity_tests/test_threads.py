"""The number of threads, and shared work: all threads finish before a result is returned or an error raised."""

import os
from threading import Barrier, Event, Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from scratch import ops
from scratch.fast import cpus, threads, workers
from scratch.fast.threads import get_num_threads, in_parallel, num_threads, set_num_threads

LIMIT = 30  # seconds that a test waits at most


@pytest.fixture
def _three_threads(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", 3)


@pytest.fixture
def fresh(monkeypatch):
    """Return a process state on 4 CPUs in which no thread count was chosen or read yet."""
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setattr(threads, "available_cpus", lambda: 4)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads._default.cache_clear()
    yield monkeypatch
    threads._default.cache_clear()


ENVIRONMENTS = [
    ({}, 4),
    ({"SCRATCH_NUM_THREADS": "2"}, 2),
    ({"SCRATCH_NUM_THREADS": " 9 "}, 9),
    ({"SCRATCH_NUM_THREADS": ""}, 4),
    ({"OMP_NUM_THREADS": "2"}, 2),
    ({"OMP_NUM_THREADS": "3,1"}, 3),
    ({"OMP_NUM_THREADS": "9"}, 4),
    ({"OMP_NUM_THREADS": "many"}, 4),
    ({"OMP_NUM_THREADS": "0"}, 4),
    ({"SCRATCH_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
]


@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS, ids=str)
def test_environment_variables_set_the_thread_count(fresh, environment, expected):
    for name, value in environment.items():
        fresh.setenv(name, value)
    assert get_num_threads() == expected


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5", "²"])
def test_a_wrong_number_in_the_environment_is_refused(fresh, value):
    fresh.setenv(threads.VARIABLE, value)
    with pytest.raises(ValueError, match=f"^SCRATCH_NUM_THREADS: expected a whole number of at least 1, got '{value}'; unset it"):
        get_num_threads()


@pytest.mark.parametrize("count", [1, 5, np.int64(2)])
def test_the_thread_count_can_be_set(fresh, count):
    set_num_threads(count)
    assert get_num_threads() == count


def test_a_block_sets_the_thread_count_and_restores_it(fresh):
    with num_threads(2):
        assert get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), num_threads(2):
        raise ZeroDivisionError
    assert get_num_threads() == 4
    fresh.setenv(threads.VARIABLE, "3")
    threads._default.cache_clear()
    assert get_num_threads() == 3


@pytest.mark.parametrize("count", [0, -1, 1.0, "2", True, None])
def test_a_wrong_thread_count_is_refused(fresh, count):
    with pytest.raises(ValueError, match=r"^set_num_threads: expected a whole number of at least 1, got "):
        set_num_threads(count)
    assert get_num_threads() == 4


GROUPS = [
    ({}, "", 4),
    ({"cpu.max": "max 100000"}, "0::/", 4),
    ({"cpu.max": "200000 100000"}, "0::/", 2),
    ({"a/b/cpu.max": "300000 100000", "a/cpu.max": "150000 100000"}, "0::/a/b", 1),
    ({"cpu.max": "20000 100000"}, "0::/hidden/outside", 1),
    ({"cpu.max": "garbage"}, "0::/", 4),
    ({"cpu/c/cpu.cfs_quota_us": "300000", "cpu/c/cpu.cfs_period_us": "100000"}, "4:memory:/x\n3:cpu,cpuacct:/c", 3),
    ({"cpu/c/cpu.cfs_quota_us": "-1", "cpu/c/cpu.cfs_period_us": "100000"}, "3:cpu,cpuacct:/c", 4),
]


@pytest.mark.parametrize(("files", "membership", "expected"), GROUPS)
def test_available_cpus_respect_affinity_and_control_group(monkeypatch, tmp_path, files, membership, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 5}, raising=False)
    monkeypatch.setattr(cpus, "ROOT", tmp_path / "groups")
    monkeypatch.setattr(cpus, "MEMBERSHIP", tmp_path / "membership")
    if membership:
        cpus.MEMBERSHIP.write_text(membership)
    for name, text in files.items():
        (cpus.ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (cpus.ROOT / name).write_text(text)
    assert cpus.available_cpus() == expected


@pytest.mark.usefixtures("_three_threads")
def test_several_threads_work_at_once():
    together = Barrier(3, timeout=LIMIT)
    in_parallel(lambda item: together.wait(), range(3))


@pytest.mark.usefixtures("_three_threads")
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_is_raised_after_running_items_end(error):
    begun, end, returned, caught = Event(), Event(), Event(), []

    def work(item):
        if item == "fails":
            begun.wait(LIMIT)
            raise error
        begun.set()
        end.wait(LIMIT)

    def host():
        try:
            in_parallel(work, ["fails", "ends"])
        except BaseException as error:
            caught.append(error)
        returned.set()

    thread = Thread(target=host)
    thread.start()
    assert begun.wait(LIMIT)
    assert not returned.wait(0.1)
    end.set()
    thread.join(LIMIT)
    assert [type(found) for found in caught] == [error]


@pytest.mark.parametrize(
    ("errors", "first"),
    [([], None), ([KeyError, IndexError], KeyError), ([KeyError, KeyboardInterrupt], KeyboardInterrupt)],
)
def test_an_interrupt_is_raised_before_the_first_error(errors, first):
    team = workers.Team(str, [])
    team.errors += [error() for error in errors]
    assert type(team.first_error()) is (type(None) if first is None else first)


@pytest.mark.usefixtures("_three_threads")
def test_no_item_begins_after_an_error():
    begun = []

    def work(item):
        begun.append(item)
        raise KeyError(item)

    with pytest.raises(KeyError):
        in_parallel(work, range(100))
    assert len(begun) <= 3


@pytest.mark.usefixtures("_three_threads")
def test_shared_work_may_be_nested():
    def outer(row):
        return sum(in_parallel(lambda column: row * column, range(20)))

    assert in_parallel(outer, range(20)) == [190 * row for row in range(20)]


@pytest.mark.usefixtures("_three_threads")
def test_several_host_threads_may_share_work_at_once():
    start, results = Barrier(5, timeout=LIMIT), {}

    def host(number):
        start.wait()
        results[number] = [in_parallel(lambda item: item + number, range(30)) for _ in range(20)]

    hosts = [Thread(target=host, args=(number,)) for number in range(5)]
    for thread in hosts:
        thread.start()
    for thread in hosts:
        thread.join(LIMIT)
    assert results == {number: [list(range(number, number + 30))] * 20 for number in range(5)}


@pytest.mark.usefixtures("_three_threads")
def test_the_caller_does_all_work_if_no_thread_starts(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers, "_workers", workers._Workers())
    monkeypatch.setattr(Thread, "start", refuse)
    assert in_parallel(lambda item: 2 * item, range(10)) == list(range(0, 20, 2))


@pytest.mark.usefixtures("_three_threads")
@pytest.mark.parametrize("fails", [False, True])
def test_the_buffer_size_is_restored_in_every_thread(fails):
    together, sizes = Barrier(3, timeout=LIMIT), []

    def work(item):
        together.wait()
        sizes.append(np.getbufsize())
        if fails:
            raise KeyError(item)

    before = np.getbufsize()
    if fails:
        with pytest.raises(KeyError):
            in_parallel(work, range(3))
    else:
        in_parallel(work, range(3))
    assert sizes == [workers.BUFFER] * 3
    assert np.getbufsize() == before
    inside, after = Barrier(3, timeout=LIMIT), []

    def look():  # runs in the threads that wait for work
        after.append(np.getbufsize())
        inside.wait()

    for _ in range(2):
        workers._workers.queue.put(look)
    inside.wait()
    assert after == [before] * 2


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


IMAGES, ROWS, HEADS, PER_CHANNEL = normal(8, 16, 48, 48), normal(1200, 400), normal(2, 4, 300, 16), normal(16)
SAME_BITS = {
    "relu": lambda: ops.relu(ROWS),
    "gelu": lambda: ops.gelu(ROWS),
    "softmax": lambda: ops.softmax(ROWS),
    "log_softmax": lambda: ops.log_softmax(ROWS),
    "cross_entropy": lambda: ops.cross_entropy(ROWS, np.arange(1200) % 400),
    "layer_norm": lambda: ops.layer_norm(ROWS, ROWS[0], ROWS[1], normalized_shape=(400,)),
    "rms_norm": lambda: ops.rms_norm(ROWS, ROWS[0], normalized_shape=(400,)),
    "batch_norm": lambda: ops.batch_norm(IMAGES, PER_CHANNEL, PER_CHANNEL, training=True),
    "group_norm": lambda: ops.group_norm(IMAGES, PER_CHANNEL, PER_CHANNEL, num_groups=4),
    "max_pool2d": lambda: ops.max_pool2d(IMAGES, 2),
    "interpolate": lambda: ops.interpolate(IMAGES, scale_factor=2.0, mode="bilinear"),
    "attention": lambda: ops.scaled_dot_product_attention(HEADS, HEADS, HEADS, is_causal=True),
}


@pytest.mark.parametrize("name", SAME_BITS)
def test_the_number_of_threads_changes_no_bit(name):
    """Compare results for 1, 2 and 3 threads; convolutions and recurrent ops are left out, since their last bits may change."""
    results = []
    for count in (1, 2, 3):
        with threadpool_limits(1), num_threads(count):
            y, backward = SAME_BITS[name]()
            y = y[0] if isinstance(y, tuple) else y
            gradients = backward(np.ones_like(y)) if name == "cross_entropy" else backward(normal(*y.shape))
        results.append([y, *(gradient for gradient in gradients if gradient is not None)])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
