"""Messages between two processes, one of which runs code that may write anything anywhere."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from typing import Any

LARGEST_MESSAGE = 2**24  # bytes
_SIZE = struct.Struct("!I")


class Channel:
    """A socket for messages in JSON; each has a token and its length in front.

    Only the two ends know the token. All other bytes that reach the socket are skipped.
    """

    def __init__(self, end: socket.socket, token: bytes):
        self._socket, self._token = end, token
        self._received = bytearray()
        self._sending = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message; OSError where the other end is closed."""
        payload = json.dumps(message).encode()
        with self._sending:
            self._socket.settimeout(None)
            self._socket.sendall(self._token + _SIZE.pack(len(payload)) + payload)

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next message.

        Raise TimeoutError if none comes in time, EOFError if the other end is closed, ValueError if the message is no JSON.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (payload := self._payload()) is None:
            rest = None if deadline is None else deadline - time.monotonic()
            if rest is not None and rest <= 0:
                raise TimeoutError
            self._socket.settimeout(rest)
            try:
                some = self._socket.recv(2**16)
            except ConnectionError:
                some = b""
            if not some:
                raise EOFError
            self._received += some
        try:
            return json.loads(payload)
        except RecursionError:
            raise ValueError("a message is nested too deeply") from None

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _payload(self) -> bytes | None:
        """Return the first message that has arrived in full, and remove it and all bytes before it."""
        while True:
            start = self._received.find(self._token)
            if start < 0:  # keep only bytes that may be the beginning of a token
                del self._received[: max(0, len(self._received) - len(self._token) + 1)]
                return None
            del self._received[:start]
            body = len(self._token) + _SIZE.size
            if len(self._received) < body:
                return None
            (size,) = _SIZE.unpack_from(self._received, len(self._token))
            if size > LARGEST_MESSAGE:
                del self._received[: len(self._token)]
                continue
            if len(self._received) < body + size:
                return None
            payload = bytes(self._received[body : body + size])
            del self._received[: body + size]
            return payload
