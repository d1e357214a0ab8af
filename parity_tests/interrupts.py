"""Press Ctrl-C in the first milliseconds of shared work: `python -m parity_tests.interrupts 200` counts how processes end."""

import random
import signal
import subprocess
import sys
from collections import Counter

LIMIT = 30  # seconds within which an interrupted process must end
EARLY = 0.05  # seconds after the work begins within which the interrupt comes

WORK = """
import signal
import numpy as np
from scratch.ops import conv2d, gelu
from scratch.fast.threads import set_num_threads

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background with SIGINT ignored
set_num_threads(3)
x, weight = np.ones((4, 32, 16, 16), np.float32), np.ones((32, 32, 3, 3), np.float32)
long = np.ones((64, 1 << 13), np.float32)
print("begins", flush=True)
while True:
    gelu(long)
    y, backward = conv2d(x, weight, padding=1)
    backward(y)
"""


def interrupted(rng: random.Random) -> str:
    """Start a process, interrupt it early in its work, and return how it ended."""
    command = [sys.executable, "-c", WORK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(rng.random() * EARLY)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            return "never ended"
    return "interrupted" if err.rstrip().endswith("KeyboardInterrupt") else f"status {process.returncode}: {err[-2000:]}"


def endings(count: int, seed: int = 0) -> Counter[str]:
    """Interrupt `count` processes and count how they ended."""
    rng = random.Random(seed)
    return Counter(interrupted(rng) for _ in range(count))


if __name__ == "__main__":
    print(dict(endings(int(sys.argv[1]))))
