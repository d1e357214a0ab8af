"""Items of work that the calling thread shares with waiting threads.

The waiting threads are daemons, so they never keep a process from ending. A call waits for all its threads before it returns
or raises.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import RLock, Thread
from typing import Any

import numpy as np

BUFFER = 512  # elements: NumPy copies shorter rows into a buffer; over longer rows it broadcasts at twice the speed


def with_short_buffer(work: Callable[[], Any]) -> Any:
    """Call work() while NumPy's buffer is short; the buffer's size belongs to a thread or to a context."""
    before = np.getbufsize()
    try:
        np.setbufsize(BUFFER)
        return work()
    finally:
        np.setbufsize(before)


class Team:
    """The items of one call: each thread takes the next item until none is left or one has failed."""

    def __init__(self, work: Callable[[Any], Any], items: Sequence[Any]):
        self.work, self.todo = work, deque(enumerate(items))
        self.results: list[Any] = [None] * len(items)
        self.errors: list[BaseException] = []
        self.tickets: list[Any] = []  # one lock for each invited thread; a thread that holds its lock may work
        self.process = os.getpid()

    def run(self, helpers: int) -> None:
        """Work on the items, with up to `helpers` other threads, which see the context of this thread."""
        for _ in range(_workers.at_least(helpers)):
            ticket = RLock()
            self.tickets.append(ticket)
            _workers.queue.put(partial(self._help, ticket, copy_context()))
        self._work()

    def disband(self) -> None:
        """Wait for the threads that work, and keep the others from beginning.

        A second call changes nothing. Tickets are reentrant locks, so an interrupted call can simply be repeated.
        """
        if self.process != os.getpid():
            self.errors.append(RuntimeError("forked while threads shared work: the child process does not have their results"))
            return
        for ticket in self.tickets:
            ticket.acquire()

    def first_error(self) -> BaseException | None:
        """Return the error that occurred first, or an interrupt if there was one."""
        return next((error for error in self.errors if not isinstance(error, Exception)), next(iter(self.errors), None))

    def _help(self, ticket: Any, context: Any) -> None:
        if ticket.acquire(blocking=False):
            try:
                context.run(self._work)
            finally:
                ticket.release()

    def _work(self) -> None:
        try:
            with_short_buffer(self._take_items)
        except BaseException as error:
            self.errors.append(error)

    def _take_items(self) -> None:
        while not self.errors:
            try:
                i, item = self.todo.popleft()
            except IndexError:
                return
            self.results[i] = self.work(item)


class _Workers:
    """The daemon threads that wait for work."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.lock, self.threads = RLock(), list[Thread]()  # reentrant: a signal handler may share work, too

    def at_least(self, count: int) -> int:
        """Start threads until there are `count`, and return their number; it is smaller where no more can start."""
        with self.lock:
            try:
                while len(self.threads) < count:
                    thread = Thread(target=_serve, args=(self.queue,), name="scratch", daemon=True)
                    thread.start()
                    self.threads.append(thread)
            except RuntimeError:  # the system allows no more, or the interpreter is ending
                pass
            return min(len(self.threads), count)


def _serve(queue: "SimpleQueue[Callable[[], None]]") -> None:
    while True:
        queue.get()()


def _after_fork() -> None:
    """Start again in a forked child: the threads do not exist there, and their lock may be held for ever."""
    global _workers
    _workers = _Workers()


_workers = _Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
