"""Items of work shared between the calling thread and threads that wait for more.

The waiting threads are daemons, so they never keep a process from ending. A call joins all its threads before it returns or raises.
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

BUFFER = 512  # elements: NumPy broadcasts over rows that are longer at twice the speed, the others it copies into a buffer


def with_short_buffer(work: Callable[[], Any]) -> Any:
    """Return work(), while NumPy's buffer, which belongs to a thread or to a context, is a short one."""
    before = np.getbufsize()
    try:
        np.setbufsize(BUFFER)
        return work()
    finally:
        np.setbufsize(before)


class Team:
    """One call's items: each thread takes the next until none is left or one fails."""

    def __init__(self, work: Callable[[Any], Any], items: Sequence[Any]):
        self.work, self.todo = work, deque(enumerate(items))
        self.results: list[Any] = [None] * len(items)
        self.errors: list[BaseException] = []
        self.tickets: list[Any] = []  # a lock for each invited thread; who holds it may work
        self.process = os.getpid()

    def run(self, helpers: int) -> None:
        """Work on the items, with so many other threads where they come; they see the context of this one."""
        for _ in range(_workers.at_least(helpers)):
            ticket = RLock()
            self.tickets.append(ticket)
            _workers.queue.put(partial(self._help, ticket, copy_context()))
        self._work()

    def disband(self) -> None:
        """Wait for the threads that work, and keep the others from beginning; a second call changes nothing.

        Tickets are reentrant locks, so an interrupted call can simply be repeated.
        """
        if self.process != os.getpid():
            self.errors.append(RuntimeError("forked while threads shared work: the child has no part of what they did"))
            return
        for ticket in self.tickets:
            ticket.acquire()

    def first_error(self) -> BaseException | None:
        """Return the error that occurred first; an interrupt goes before."""
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
    """Daemon threads that wait for invitations."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.lock, self.threads = RLock(), list[Thread]()  # reentrant: a signal handler may share work, too

    def at_least(self, count: int) -> int:
        """Start threads until there are so many; return how many of them there are, fewer where no more can start."""
        with self.lock:
            try:
                while len(self.threads) < count:
                    thread = Thread(target=_serve, args=(self.queue,), name="scratch", daemon=True)
                    thread.start()
                    self.threads.append(thread)
            except RuntimeError:  # a limit of the system, or the interpreter is ending
                pass
            return min(len(self.threads), count)


def _serve(queue: "SimpleQueue[Callable[[], None]]") -> None:
    while True:
        queue.get()()


def _after_fork() -> None:
    """Begin anew in a forked child, where the threads do not exist and their lock may be held for ever."""
    global _workers
    _workers = _Workers()


_workers = _Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
