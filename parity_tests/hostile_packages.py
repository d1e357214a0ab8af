"""Packages that harm the process that runs them: the contents of ops/linear.py, and the verdict that must come out.

A correct ops/activation.py lies beside it, and its relu must be verified whatever linear does. "ok" means that linear is correct
all the same. An entry is a text or bytes, or a function that puts something else at the path.
"""

import os

RIGHT = """
import numpy as np

def linear(x, weight, bias=None):
    y = x @ weight.T if bias is None else x @ weight.T + bias

    def backward(dy):
        rows, dy_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dy @ weight, dy_rows.T @ rows, None if bias is None else dy_rows.sum(0)

    return y, backward
"""
RELU = """
import numpy as np

def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)
"""
IMPORTS = (
    "import atexit, builtins, ctypes, faulthandler, gc, locale, os, random, signal, subprocess, sys, threading, time, warnings\n"
)


def at_import(code):
    """Return a correct file that first runs code when it is imported."""
    return f"{IMPORTS}{code}\n{RIGHT}"


def at_call(code):
    """Return a correct file whose function runs code before it computes."""
    lines = "\n".join(f"    {line}" for line in code.splitlines())
    return f"{IMPORTS}{RIGHT}\nright = linear\n\ndef linear(x, weight, bias=None):\n{lines}\n    return right(x, weight, bias)\n"


def returning(y="right(x, weight, bias)[0]", backward="right(x, weight, bias)[1]", before=""):
    """Return a file whose function returns these expressions as value and backward."""
    return f"{IMPORTS}{RIGHT}\nright = linear\n{before}\ndef linear(x, weight, bias=None):\n    return {y}, {backward}\n"


def raising(error, before=""):
    """Return a file whose function raises the exception of an expression."""
    return f"{IMPORTS}{before}\ndef linear(x, weight, bias=None):\n    raise {error}\n"


MISSING = "missing: mine.ops has no linear"
BROKEN = "error: it does not import: "
ENDED = "it ended the whole process, with "
CPU = "it did not end within 0.5 s of CPU time"

FILES = {
    "an empty file": ("", MISSING),
    "a comment": ("# later", MISSING),
    "a docstring": ('"""Later."""', MISSING),
    "an ellipsis": ("...", MISSING),
    "a byte of zero": (b"x = 1\0", "null bytes (linear.py)"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), BROKEN),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(64), BROKEN),
    "UTF-16": (RIGHT.encode("utf-16"), BROKEN + "SyntaxError"),
    "Latin-1 that does not say so": (f"é = 1\n{RIGHT}".encode("latin-1"), BROKEN + "SyntaxError"),
    "Latin-1 that says so": (f"# coding: latin-1\n# é\n{RIGHT}".encode("latin-1"), "ok"),
    "an encoding that there is not": (f"# coding: klingon\n{RIGHT}", BROKEN + "SyntaxError: "),
    "a byte order mark": (RIGHT.encode("utf-8-sig"), "ok"),
    "Windows line ends": (RIGHT.replace("\n", "\r\n"), "ok"),
    "no colon": ("def linear(x)\n    pass", BROKEN + "SyntaxError: expected ':' (linear.py:1)"),
    "an open bracket": ("def linear(x:\n", BROKEN + "SyntaxError: '(' was never closed (linear.py:1)"),
    "bad indentation": ("def linear(x):\npass", BROKEN + "IndentationError: "),
    "tabs and spaces": ("def linear(x):\n        a = 1\n\tb = 2", BROKEN + "TabError: "),
    "return at the top": ("return 1", BROKEN + "SyntaxError: 'return' outside function (linear.py:1)"),
    "a sum of 3,000 terms": (f"x = {'+'.join(['1'] * 3000)}\n{RIGHT}", ("ok", BROKEN + "RecursionError")),
    "a sum of 100,000 terms": (f"x = {'+'.join(['1'] * 100_000)}\n{RIGHT}", (BROKEN + "RecursionError", BROKEN + "MemoryError")),
    "10,000 brackets": (f"x = {'(' * 10_000}{')' * 10_000}", (BROKEN + "SyntaxError", BROKEN + "MemoryError")),
    "10,000 minuses": (f"x = {'-' * 10_000}1", (BROKEN + "RecursionError", BROKEN + "MemoryError")),
    "10,000 attributes": (f"def linear(x):\n    return x{'.T' * 10_000}", (BROKEN, "error: ", "mismatch: ")),
    "10,000 lambdas": (f"x = {'lambda: ' * 10_000}1", (BROKEN + "RecursionError", BROKEN + "MemoryError")),
    "a million lines": ("\n" * 1_000_000 + RIGHT, "ok"),
    "a line of two megabytes": (f"x = '{'a' * 2_000_000}'\n{RIGHT}", "ok"),
    "a number of 10,000 digits": (f"x = {'9' * 10_000}\n{RIGHT}", BROKEN + "SyntaxError: "),
    "a number": ("linear = 3", "error: mine.ops.linear is one int, expected a function or a class"),
    "None": ("linear = None", MISSING),
    "a text": ("linear = 'x @ weight.T'", "error: mine.ops.linear is one str, expected a function or a class"),
    "an array": (
        "import numpy as np\nlinear = np.ones(3)",
        "error: mine.ops.linear is one ndarray, expected a function or a class",
    ),
    "a class": ("class linear:\n    pass", "error: TypeError: linear() takes no arguments"),
    "a class of Python's": ("linear = dict", "error: TypeError: dict expected at most 1 argument"),
    "a builtin": ("linear = print", "error: it returned None, expected the pair (y, backward)"),
    "itself": ("from . import linear", MISSING),
    "the import of itself": ("from .linear import linear", BROKEN + "ImportError: cannot import name 'linear' from partially"),
    "scratch itself": ("from scratch.ops.linear import linear", "error: ops/linear.py imports from scratch, so scratch itself"),
    "all of scratch": ("from scratch.ops import *", "error: ops/linear.py imports from scratch, so scratch itself"),
    "a module that there is not": ("import klingon", BROKEN + "ModuleNotFoundError: No module named 'klingon' (linear.py:1)"),
    "a name of 300 letters": (f"from .{'a' * 300} import linear", BROKEN),
    "attributes that loop": ("def __getattr__(name):\n    return __getattr__(name)", BROKEN + "RecursionError"),
    "a signature that raises": (RIGHT + "\nlinear.__signature__ = 3", "ok"),
    "a module name that is no text": (RIGHT + "\nlinear.__module__ = 3", "ok"),
    "a name with an escape sequence": (RIGHT.replace("x @", "-x @") + "\nlinear.__name__ = '\\x1b[31m'", "mismatch: "),
    "a folder": (lambda path: path.mkdir(), MISSING),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), MISSING),
    "a link to itself": (lambda path: path.symlink_to(path), MISSING),
    "a pipe": (lambda path: os.mkfifo(path), MISSING),
    "an endless file": (lambda path: path.symlink_to("/dev/zero"), MISSING),
}

AT_IMPORT = {
    "an exception": ("1 / 0", BROKEN + "ZeroDivisionError: division by zero (linear.py:2)"),
    "NotImplementedError": ("raise NotImplementedError", BROKEN + "NotImplementedError"),
    "an interrupt": ("raise KeyboardInterrupt", BROKEN + "KeyboardInterrupt"),
    "an exception of one's own": ("class Stop(BaseException): pass\nraise Stop('here')", BROKEN + "Stop: here"),
    "GeneratorExit": ("raise GeneratorExit", BROKEN + "GeneratorExit"),
    "sys.exit": ("sys.exit('bye')", BROKEN + "SystemExit: bye"),
    "the end of the process": ("os._exit(0)", BROKEN + ENDED + "exit status 0"),
    "SIGKILL": ("os.kill(os.getpid(), 9)", BROKEN + ENDED + "SIGKILL"),
    "a crash": ("ctypes.string_at(0)", BROKEN + ENDED + "SIGSEGV (linear.py:2)"),
    "a loop": ("while True: pass", f"{BROKEN}{CPU} (linear.py:2); --time-limit allows more"),
    "a recursion": ("def f(): f()\nf()", BROKEN + "RecursionError"),
    "all memory": ("x = bytearray(10**12)", BROKEN + "MemoryError"),
    "input": ("input()", BROKEN + "EOFError"),
    "errors for NumPy's warnings": ("import numpy\nnumpy.seterr(all='raise')", "ok"),
    "NumPy's buffer": ("import numpy\nnumpy.setbufsize(16)", "ok"),
    "errors for warnings": ("warnings.simplefilter('error')", "ok"),
    "NumPy's seed": ("import numpy\nnumpy.random.seed(0)", "ok"),
    "Python's seed": ("random.seed(0)", "ok"),
    "PyTorch's seed": ("import torch\ntorch.manual_seed(0)", "ok"),
    "PyTorch's dtype": ("import torch\ntorch.set_default_dtype(torch.float16)", "ok"),
    "PyTorch's device": ("import torch\ntorch.set_default_device('meta')", "ok"),
    "PyTorch's threads": ("import torch\ntorch.set_num_threads(3)", "ok"),
    "PyTorch without gradients": ("import torch\ntorch.set_grad_enabled(False)", "ok"),
    "PyTorch without small numbers": ("import torch\ntorch.set_flush_denormal(True)", "ok"),
    "another locale": ("locale.setlocale(locale.LC_ALL, 'C')", "ok"),
    "another directory": ("os.chdir('/')", "ok"),
    "no environment": ("os.environ.clear()", "ok"),
    "no path": ("sys.path.clear()", "ok"),
    "another path": ("sys.path = None", "ok"),
    "no recursion": ("sys.setrecursionlimit(150)", "ok"),
    "a tracer that raises": ("def trace(*_): raise ValueError\nsys.settrace(trace)", ("ok", BROKEN + "ValueError")),
    "a profiler": ("sys.setprofile(lambda *_: time.sleep(0))", "ok"),
    "no garbage collection": ("gc.disable()", "ok"),
    "no output": ("sys.stdout = sys.stderr = None", "ok"),
    "a closed output": ("sys.stdout.close()", "ok"),
    "signals ignored": ("for n in (2, 13, 14, 15, 27): signal.signal(n, signal.SIG_IGN)", "ok"),
    "hooks that raise": ("sys.excepthook = threading.excepthook = None", "ok"),
    "a hook at the end": ("atexit.register(time.sleep, 1e6)", "ok"),
    "no finders": ("sys.meta_path.clear()", ("ok", BROKEN)),
}

AT_CALL = {
    "a descriptor": ("os.write(1, b'{\"environment\": \\xff')", "ok"),
    "errors on a descriptor": ("os.write(2, b'\\x1b[2J')", "ok"),
    "printf": ("ctypes.CDLL(None).puts(b'from C')", "ok"),
    "a child's output": ("subprocess.run(['echo', 'from a child'])", "ok"),
    "ten megabytes": ("sys.stdout.write('a' * 10_000_000)", "ok"),
    "half characters": ("print('\\ud800')", "ok"),
    "escape sequences": ("print('\\x1b]0;title\\x07\\x1b[31mred\\u202e')", "ok"),
    "a warning": ("warnings.warn('careful')", "ok"),
    "a fork": ("os.fork()", "ok"),
    "a fork that stays": ("if os.fork() == 0: time.sleep(1000)", "ok"),
    "a fork in which the parent ends": ("if os.fork(): os._exit(7)", "error: " + ENDED + "exit status 7"),
    "a fork that holds on to everything": ("if os.fork() == 0: time.sleep(1000)\nos.kill(os.getpid(), 9)", ENDED + "SIGKILL"),
    "garbage in every descriptor": (
        "for n in range(3, 64):\n    try: os.write(n, b'garbage' * 99)\n    except OSError: pass",
        "ok",
    ),
    "JSON in every descriptor": (
        'for n in range(3, 64):\n    try: os.write(n, b\'\\0\\0\\0\\x10{"verdict": "ok"}\')\n    except OSError: pass',
        "ok",
    ),
    "all descriptors closed": ("os.closerange(0, 4096)", "it closed the connection to the harness"),
    "all descriptors swapped": ("for n in range(64): os.dup2(os.open('/dev/null', 2), n)", "it "),
    "no more descriptors": ("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))", ("ok", "error: ")),
    "the watchdog cancelled": ("faulthandler.cancel_dump_traceback_later()\nfaulthandler.disable()\nwhile True: pass", CPU),
    "a loop": ("while True: pass", f"error: {CPU} (linear.py:"),
    "a loop that catches everything": ("while True:\n    try: 1 / 0\n    except BaseException: pass", CPU),
    "a loop in C": ("import re\nre.match('(a*)*b', 'a' * 64)", CPU),
    "a signal that stops": ("signal.raise_signal(signal.SIGUSR1)", ENDED + "SIGUSR1"),
    "an alarm of one's own": ("signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.alarm(1)", "ok"),
    "SIGTERM to the group": ("os.killpg(0, 15)", ENDED + "SIGTERM"),
    "an abort": ("os.abort()", ENDED + "SIGABRT"),
    "a crash": ("ctypes.string_at(0)", ENDED + "SIGSEGV"),
    "another program": ("os.execv('/bin/true', ['true'])", ENDED + "exit status 0"),
    "sys.exit": ("sys.exit()", "error: it called sys.exit()"),
    "an exit with an object": ("class O:\n    def __str__(self): raise ValueError\nsys.exit(O())", "error: it called sys.exit("),
    "an interrupt": ("raise KeyboardInterrupt('now')", "error: it raises KeyboardInterrupt: now"),
    "a thread that works on": (
        "def work():\n    while True: pass\nthreading.Thread(target=work, daemon=True).start()",
        ("ok", CPU),
    ),
    "a thread that waits": ("threading.Thread(target=time.sleep, args=[1000]).start()", "ok"),
    "a thread that exits": ("threading.Thread(target=sys.exit).start()", "ok"),
    "a thread that raises": ("threading.Thread(target=lambda: 1 / 0).start()", "ok"),
    "a child that stays": ("subprocess.Popen(['sleep', '1000'])", "ok"),
    "a recursion": ("def f(): f()\nf()", "error: RecursionError"),
    "a recursion without limit": ("sys.setrecursionlimit(10**9)\ndef f(a): return f([*a])\nf([])", ("error: ", ENDED)),
    "all memory": ("x = bytearray(10**11)", "error: MemoryError"),
    "memory bit by bit": ("x = []\nwhile True: x.append(bytes(10**9))", ("error: MemoryError", CPU)),
    "NumPy's errors": ("np.seterr(all='raise')", "ok"),
    "PyTorch's dtype": ("import torch\ntorch.set_default_dtype(torch.float32)", "ok"),
    "another directory that goes": ("import tempfile\nwith tempfile.TemporaryDirectory() as d: os.chdir(d)", "ok"),
    "no environment": ("os.environ.clear()", "ok"),
    "no output": ("sys.stdout = sys.stderr = None", "ok"),
    "a session of its own": ("try: os.setsid()\nexcept OSError: pass", "ok"),
}

STRANGE = """
class Raises(Exception):
    def __str__(self): raise self
class NoText(Exception):
    def __str__(self): return 3
class Exits(Exception):
    def __str__(self): raise SystemExit
class Loops(Exception):
    def __str__(self):
        while True: pass
class Text(str):
    def __str__(self): return self
    def __len__(self): raise ValueError
    def split(self, *_): return [self]
    def isprintable(self): return True
class Subclass(Exception):
    def __str__(self): return Text('\\x1b[31m')
class Meta(type):
    __name__ = property(lambda cls: 1 / 0)
class Nameless(Exception, metaclass=Meta): pass
class Later(NotImplementedError):
    def __str__(self): raise ValueError
"""
RAISING = {
    "a message that raises": ("Raises()", "its message cannot be read: __str__ raises Raises"),
    "a message that is no text": ("NoText()", "its message cannot be read: __str__ raises TypeError"),
    "a message that exits": ("Exits()", "error: it called sys.exit()"),
    "a message that loops": ("Loops()", CPU),
    "a message of another kind of text": ("Subclass()", "error: Subclass: \\x1b[31m"),
    "a message of ten megabytes": ("ValueError('a' * 10_000_000)", "(10,000,000 characters)"),
    "a message of half characters": ("ValueError('\\ud800')", "error: ValueError: \\ud800"),
    "a message with escape sequences": ("ValueError('\\x1b[2J\\x07\\x9b')", "error: ValueError: \\x1b[2J\\x07\\x9b"),
    "a message written backwards": ("ValueError('\\u202egnorw')", "error: ValueError: \\u202egnorw"),
    "a message of many lines": ("ValueError('a\\nb\\r\\nc')", "error: ValueError: a b c"),
    "a name with an escape sequence": ("type('\\x1b[31m', (Exception,), {})", "error: \\x1b[31m"),
    "a name that raises": ("Nameless()", "error: it raises ZeroDivisionError: division by zero (linear.py:"),
    "a group": ("ExceptionGroup('many', [ValueError(i) for i in range(999)])", "error: ExceptionGroup: many (999 sub-exceptions)"),
    "NotImplementedError with a broken message": ("Later()", "missing: (its message cannot be read"),
    "StopIteration": ("StopIteration", "error: StopIteration"),
    "nothing that can be raised": ("None", "error: TypeError: exceptions must derive from BaseException"),
}

OBJECTS = """
class Array:
    def __array__(self, *_, **__): raise ValueError('no array')
class Endless:
    def __len__(self): return 2**62
    def __getitem__(self, i): return 1.0
class Anything:
    def __getattr__(self, name): raise RuntimeError(name)
    def __eq__(self, other): raise RuntimeError('==')
    __hash__ = None
class Class:
    @property
    def __class__(self): raise RuntimeError('class')
class Pair(tuple):
    def __len__(self): raise RuntimeError('len')
    def __iter__(self): raise RuntimeError('iter')
loop = []; loop.append(loop)
ring = {}; ring['y'] = ring
deep = 1.0
for _ in range(5000): deep = [deep]
def endless():
    while True: yield 1.0
"""
RETURNING = {
    "a list of itself": ({"y": "loop"}, "error: RecursionError"),
    "a dictionary of itself": ({"y": "ring"}, "error: RecursionError"),
    "5,000 lists in each other": ({"y": "deep"}, "error: RecursionError"),
    "a generator": ({"y": "endless()"}, "mismatch: y "),
    "ten gigabytes": ({"y": "np.zeros(1_250_000_000)"}, "error: MemoryError"),
    "a terabyte of one number": ({"y": "np.broadcast_to(1.0, (10**12,))"}, "error: MemoryError"),
    "a million arrays": ({"y": "[1.0] * 1_000_000"}, ("mismatch: y is missing", CPU)),
    "objects": ({"y": "right(x, weight, bias)[0].astype(object)"}, "mismatch: y is object, expected float64"),
    "texts": ({"y": "right(x, weight, bias)[0].astype(str)"}, "mismatch: y is <U32, expected float64"),
    "records": (
        {"y": "np.zeros(right(x, weight, bias)[0].shape, 'f8,i4')"},
        "y is [('f0', '<f8'), ('f1', '<i4')], expected",
    ),
    "times": ({"y": "np.zeros(right(x, weight, bias)[0].shape, 'M8[s]')"}, "mismatch: y is datetime64[s], expected float64"),
    "NaN": ({"y": "right(x, weight, bias)[0] * np.nan"}, "values that are NaN or infinite, expected 0"),
    "complex numbers": ({"y": "right(x, weight, bias)[0] + 0j"}, "mismatch: y is complex128, expected float64"),
    "a matrix": ({"y": "np.matrix(right(x, weight, bias)[0].reshape(-1))"}, "mismatch: y has shape"),
    "a masked array": ({"y": "np.ma.array(right(x, weight, bias)[0])"}, "ok"),
    "an object whose __array__ raises": ({"y": "Array()"}, "error: ValueError: no array"),
    "an endless list": ({"y": "Endless()"}, ("error: ", "mismatch: y is ")),
    "an object whose attributes raise": ({"y": "Anything()"}, ("error: RuntimeError: __array", "mismatch: y ")),
    "an object whose class raises": ({"y": "Class()"}, "error: RuntimeError: class"),
    "a tuple that cannot be iterated": ({"y": "Pair((x, x))"}, ("error: RuntimeError: ", "mismatch: y")),
    "a module": ({"y": "np"}, "mismatch: y has shape (), expected"),
    "a backward that is a number": ({"backward": "3"}, "error: it returned a tuple of 2"),
    "a backward of no arguments": ({"backward": "lambda: None"}, "error: TypeError: "),
    "a backward that is a generator": ({"backward": "lambda dy: endless()"}, "error: its backward returned one generator"),
    "a backward of itself": ({"backward": "lambda dy: (loop, loop, loop)"}, "error: RecursionError"),
    "a backward of a million": ({"backward": "lambda dy: (1.0,) * 1_000_000"}, "error: its backward returned a tuple of 1000000"),
    "a backward of objects": ({"backward": "lambda dy: (Array(), Array(), Array())"}, "error: ValueError: no array"),
    "a backward of texts": ({"backward": "lambda dy: ('a', 'b', 'c')"}, "mismatch: grad bias has shape (), expected"),
    "a backward that ends the process": ({"backward": "lambda dy: os._exit(3)"}, "error: " + ENDED + "exit status 3"),
    "a backward that loops": ({"backward": "lambda dy: list(endless())"}, (CPU, "error: MemoryError")),
}

HOSTILE = (
    {f"{name}": entry for name, entry in FILES.items()}
    | {f"{name}, at import": (at_import(code), word) for name, (code, word) in AT_IMPORT.items()}
    | {f"{name}, when called": (at_call(code), word) for name, (code, word) in AT_CALL.items()}
    | {f"raising {name}": (raising(error, STRANGE), word) for name, (error, word) in RAISING.items()}
    | {f"returning {name}": (returning(**parts, before=OBJECTS), word) for name, (parts, word) in RETURNING.items()}
)

WAITING = {
    "sleep, at import": (at_import("time.sleep(1000)"), BROKEN + "it did not end within 1 s on the clock (linear.py:2)"),
    "sleep, when called": (at_call("time.sleep(1000)"), "error: it did not end within 1 s on the clock (linear.py:"),
    "a child, when called": (at_call("subprocess.run(['sleep', '1000'])"), "it did not end within 1 s on the clock (linear.py:"),
    "a deadlock, when called": (
        at_call("lock = threading.Lock()\nlock.acquire()\nlock.acquire()"),
        "on the clock",
    ),
    "all signals ignored, when called": (
        at_call("for n in (14, 27): signal.signal(n, signal.SIG_IGN)\nwhile True: pass"),
        "it did not end within 1 s on the clock",
    ),
    "timers set back, when called": (
        at_call("for n in (0, 1, 2): signal.setitimer(n, 0)\nwhile True: pass"),
        "it did not end within 1 s on the clock",
    ),
    "SIGSTOP, when called": (at_call("os.kill(os.getpid(), signal.SIGSTOP)"), "it did not end within 1 s on the clock"),
    "a fork that goes on, when called": (
        at_call("os.waitpid(os.fork() or os.execv('/bin/sleep', ['sleep', '1000']), 0)"),
        "on the clock",
    ),
}
