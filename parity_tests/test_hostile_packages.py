"""`--scratch` with hostile packages: each op gets a verdict whatever its package does, and the output stays JSON."""

import json
import multiprocessing
import os
import random
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import parity.own_package.process
from parity.__main__ import main
from parity.cases import CASES, FULL_SIZE
from parity.judging.status import Status
from parity.judging.verdict import Culprit, Finding, Verdict
from parity.own_package.channel import LARGEST_MESSAGE, Channel
from parity.own_package.check import check_own
from parity.own_package.confinement import MEMORY
from parity.own_package.process import MOST_ON_DISK, MOST_PRINTED
from parity.own_package.saves import files_behind, saves
from parity.own_package.surroundings import Surroundings
from parity.own_package.worker import Worker
from parity.running.definitions import Definitions
from parity.running.safe_text import in_one_line, printable
from parity.running.tensor_name import Phase
from parity_tests.hostile_packages import AT_CALL, CPU, FILES, HOSTILE, RELU, RIGHT, WAITING, at_call

JUDGED = [case for case in CASES if case.name in ("linear", "relu")]


def package(root, content):
    """Write a package with a hostile linear and a correct relu."""
    (root / "ops").mkdir(parents=True)
    (root / "ops" / "__init__.py").write_text("from .linear import linear\nfrom .activation import relu\n")
    (root / "ops" / "activation.py").write_text(RELU)
    file = root / "ops" / "linear.py"
    if callable(content):
        content(file)
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def judged(root, time_limit):
    """Judge the package, assert that relu is verified, and return the verdict on linear in words."""
    progress = check_own(root, JUDGED, ("float64",), (0,), time_limit=time_limit)
    printed = json.loads(progress.as_json({}))
    told = {}
    for case in printed["cases"]:
        texts = [case["message"], *(finding["message"] for finding in case["findings"])]
        told[case["name"]] = "ok" if case["status"] == "ok" else f"{case['status']}: {'; '.join(filter(None, texts))}"
        assert len(json.dumps(case)) < 500_000
        assert all(character.isprintable() or character in "\n\t" for character in case["printed"] + told[case["name"]])
    assert told["relu"] == "ok"
    return told["linear"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_op_gets_its_verdict_and_others_are_verified(tmp_path, name):
    content, words = HOSTILE[name]
    told = judged(package(tmp_path / "mine", content), time_limit=0.5)
    assert any(word in told for word in ([words] if isinstance(words, str) else words)), told[:500]


@pytest.mark.parametrize("name", WAITING)
def test_an_op_that_waits_forever_is_ended_by_the_clock(tmp_path, name):
    content, word = WAITING[name]
    told = judged(package(tmp_path / "mine", content), time_limit=0.2)
    assert word in told, told[:500]


# --- the cost for this op and for others ---

LAYER = """
from scratch.module import Module
from ..ops.linear import linear

class Linear(Module):
    def forward(self, x):
        return linear(x, x)
"""


def judge_all(root, *targets, time_limit=0.3):
    """Return the messages of each target, behind the status where it was not tried, and the worker."""
    with Worker(root, time_limit) as worker:
        outcomes = list(worker.outcomes([case for case in CASES if case.scratch in targets], ("float64", "float32"), (0,)))
    told = {outcome.target: set() for outcome in outcomes}
    for outcome in outcomes:
        tried = outcome.verdict.status is not Status.NOT_TRIED
        told[outcome.target].add(f"{'' if tried else 'not tried: '}{outcome.verdict.message}")
    return told, worker


def write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)


def test_a_loop_at_import_costs_its_time_limit_once(tmp_path):
    root = package(tmp_path / "mine", "while True: pass")
    write(root, {"layers/__init__.py": "from .linear import Linear", "layers/linear.py": LAYER})
    told, worker = judge_all(root, "ops.relu", "ops.linear", "layers.Linear")
    message = "it did not end within 0.3 s of CPU time (linear.py:1); --time-limit allows more"
    assert worker.refused == {"ops/linear.py": message}
    assert worker.given_up == {}  # no target took the time once more
    assert told == {path: {f"it does not import: {message}"} for path in ("ops.linear", "layers.Linear")} | {"ops.relu": {""}}


def test_users_of_a_function_that_did_not_end_are_skipped(tmp_path):
    root = package(tmp_path / "mine", at_call("while True: pass"))
    write(root, {"layers/__init__.py": "from .linear import Linear", "layers/linear.py": LAYER})
    told, _ = judge_all(root, "ops.relu", "ops.linear", "layers.Linear")
    (crash,) = told["ops.linear"]
    assert crash.startswith("it did not end within 0.3 s of CPU time (linear.py:")
    assert told["layers.Linear"] == {f"not tried: it uses linear, which {crash.removeprefix('it ')}"}
    assert told["ops.relu"] == {""}


def test_users_of_a_helper_that_did_not_end_are_skipped(tmp_path):
    root = package(tmp_path / "mine", "from .helper import f\ndef linear(x, weight, bias=None):\n    return f(x)\n")
    tanh = "from .helper import f\ndef tanh(x):\n    return f(x)\n"
    init = (root / "ops" / "__init__.py").read_text() + "from .tanh import tanh\n"
    write(root, {"ops/helper.py": "def f(x):\n    while True: pass\n", "ops/tanh.py": tanh, "ops/__init__.py": init})
    told, _ = judge_all(root, "ops.relu", "ops.tanh", "ops.linear")
    assert [told[path].pop().partition(" (")[0] for path in ("ops.tanh", "ops.linear")] == [
        "it did not end within 0.3 s of CPU time",
        "not tried: it uses f, in which tanh did not end within 0.3 s of CPU time",
    ]
    assert told["ops.relu"] == {""}


def test_a_correct_function_is_judged_although_its_caller_loops(tmp_path):
    root = package(tmp_path / "mine", at_call("while weight is None: pass"))
    write(root, {"ops/activation.py": "from .linear import linear\ndef relu(x):\n    return linear(x, None)\n"})
    told, _ = judge_all(root, "ops.relu", "ops.linear")
    assert told["ops.relu"].pop().startswith("it did not end within 0.3 s of CPU time (linear.py:")
    assert told["ops.linear"] == {""}


def test_a_running_thread_is_ended_before_the_next_target(tmp_path):
    root = package(tmp_path / "mine", HOSTILE["a thread that works on, when called"][0])
    relu, linear = JUDGED
    with Worker(root) as worker:
        worker.outcome(linear, "float64", 0)
        process = worker._process
        worker.outcome(linear, "float64", 0)
        assert worker._process is process
        assert worker.outcome(relu, "float64", 0).verdict.ok
        assert worker._process is not process


def test_a_fork_of_an_op_sends_no_answer(tmp_path):
    relu, linear = JUDGED
    with Worker(package(tmp_path / "mine", at_call("os.fork()"))) as worker:
        verdicts = [worker.outcome(case, "float64", 0).verdict for case in (linear, relu, linear, relu)]
    assert [(verdict.name, verdict.status) for verdict in verdicts] == 2 * [("linear", "ok"), ("relu", "ok")]


def test_an_op_cannot_write_to_the_parents_descriptors(tmp_path):
    read, write = os.pipe()
    os.set_blocking(read, False)
    with Worker(package(tmp_path / "mine", at_call(AT_CALL["garbage in every descriptor"][0]))) as worker:
        assert worker.outcome(JUDGED[1], "float64", 0).verdict.ok
    with pytest.raises(BlockingIOError):
        os.read(read, 1)
    os.close(read)
    os.close(write)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for a process in /proc")
def test_processes_that_an_op_started_end_with_it(tmp_path):
    note = tmp_path / "pid"
    root = package(tmp_path / "mine", at_call(f"open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '1000']).pid))"))
    with Worker(root) as worker:
        assert worker.outcome(JUDGED[1], "float64", 0).verdict.ok
        stat = Path(f"/proc/{note.read_text()}/stat")
        assert "(sleep)" in stat.read_text()
    assert not stat.exists() or stat.read_text().split()[2] in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_full_size_models_get_all_the_memory(tmp_path):
    import resource

    layers = "import resource\ndef GPT(**config): raise NotImplementedError(resource.getrlimit(resource.RLIMIT_DATA)[0])\n"
    root = package(tmp_path / "mine", RIGHT)
    write(root, {"models.py": layers})
    cases = [next(case for case in table if case.scratch == "models.GPT") for table in (CASES, FULL_SIZE)]
    with Worker(root) as worker:
        limits = [int(worker.outcome(case, "float64", 0).verdict.findings[0].message) for case in cases]
    assert limits[1] == resource.getrlimit(resource.RLIMIT_DATA)[0]
    assert MEMORY < limits[0] < 3 * MEMORY


# --- printed output ---


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a descriptor", '{"environment": \\xff'),
        ("errors on a descriptor", "\\x1b[2J"),
        ("printf", "from C\n"),
        ("a child's output", "from a child\n"),
        ("half characters", "\\ud800\n"),
        ("escape sequences", "\\x1b]0;title\\x07\\x1b[31mred\\u202e\n"),
        ("ten megabytes", "a" * MOST_PRINTED),
    ],
)
def test_printed_text_is_kept_apart_and_made_printable(tmp_path, name, text):
    root = package(tmp_path / "mine", at_call(AT_CALL[name][0]))
    with Worker(root) as worker:
        printed = [worker.outcome(case, "float64", 0).printed for case in reversed(JUDGED)]
    assert printed[0].startswith(text)
    assert len(printed[0]) <= 6 * MOST_PRINTED
    assert printed[1] == ""


def test_endless_printing_does_not_fill_the_disk(tmp_path):
    root = package(tmp_path / "mine", at_call("while True: os.write(1, b'a' * 4096)"))
    with Worker(root, time_limit=0.3) as worker:
        assert worker.outcome(JUDGED[1], "float64", 0).printed == "a" * MOST_PRINTED
    with open(tmp_path / "printed", "w+b", buffering=0) as file:
        for size, kept in ((MOST_ON_DISK, MOST_ON_DISK), (MOST_ON_DISK + 1, MOST_PRINTED)):
            file.truncate(size)
            parity.own_package.process._shorten(file)
            assert file.seek(0, 2) == kept


# --- options and the command line ---


def test_the_time_limit_is_an_option(tmp_path, capsys):
    root = package(tmp_path / "mine", at_call("while True: pass"))
    assert main(["check", "linear", "--scratch", str(root), "--json", "--dtype", "float64", "--time-limit", "0.3"]) == 1
    told = {case["name"]: case["message"] for case in json.loads(capsys.readouterr().out)["cases"]}
    assert told["linear"].startswith("it did not end within 0.3 s of CPU time (linear.py:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-limit", "3"], "--time-limit is for your own implementation; name it with --scratch DIR"),
        (["--scratch", "MINE", "--time-limit", "0"], "the time limit is 0 s, expected a number above 0"),
        (["--scratch", "MINE", "--time-limit", "-1"], "the time limit is -1 s, expected a number above 0"),
        (["--scratch", "MINE", "--time-limit", "inf"], "the time limit is inf s, expected a number above 0"),
        (["--scratch", "MINE", "--time-limit", "nan"], "the time limit is nan s, expected a number above 0"),
        (["--scratch", "a" * 300], "cannot be read: File name too long"),
    ],
)
def test_usage_errors_are_reported_in_one_line(tmp_path, capsys, arguments, message):
    root = package(tmp_path / "mine", RIGHT)
    assert main(["check", *(str(root) if argument == "MINE" else argument for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_a_spawned_process_judges_as_a_fork_does(tmp_path, monkeypatch):
    """Use the start method of macOS and Windows."""
    monkeypatch.setattr(parity.own_package.process, "_context", multiprocessing.get_context("spawn"))
    content, _ = HOSTILE["a loop, when called"]
    assert CPU in judged(package(tmp_path / "mine", content), time_limit=0.5)


# --- reading the files without running them ---


@pytest.mark.parametrize("name", FILES)
def test_reading_a_hostile_file_does_no_harm(tmp_path, name):
    root = package(tmp_path / "mine", FILES[name][0])
    definitions = Definitions(root)
    definitions.place_of("ops.linear")
    assert (root / "ops" / "activation.py", "relu") in definitions.used_by("ops.relu")
    files = files_behind(root, ["ops.linear", "ops.relu"])
    assert root / "ops" / "activation.py" in files["ops.relu"]
    definitions.borrows("ops.linear", "scratch")
    definitions.enclosing(root / "ops" / "linear.py", 3)
    pauses = iter([lambda: None, lambda: (root / "ops" / "activation.py").write_text(RELU + "\n")])
    assert next(saves(root, pause=lambda seconds: next(pauses)())) == {root / "ops" / "activation.py"}


# --- its components ---


def test_a_channel_skips_bytes_that_are_no_message():
    here, there = socket.socketpair()
    token = bytes(range(16))
    ours, theirs = Channel(here, token), Channel(there, token)
    too_long = token + (LARGEST_MESSAGE + 1).to_bytes(4, "big")
    for garbage in (b"", b"x" * 99, token[:7], token[:15], too_long, token[:3] + token[:5]):
        here.sendall(garbage)
        ours.send({"a": [garbage.hex(), None]})
        assert theirs.receive(5) == {"a": [garbage.hex(), None]}
    here.sendall(b"y" * 1000)
    with pytest.raises(TimeoutError):
        theirs.receive(0)
    here.sendall(token + (3).to_bytes(4, "big") + b"{]}")
    with pytest.raises(ValueError, match="Expecting"):
        theirs.receive(5)
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive(5)
    theirs.close()


def test_a_verdict_survives_as_json():
    findings = [Finding.of_tensor("y", "is off"), Finding.of_tensor("grad x", "is off", 3.5), Finding("", "z", Phase.BACKWARD)]
    culprits = [
        Culprit("layers.0", "Linear", Phase.BACKWARD, 3.5, "ops/linear.py, linear"),
        Culprit("", "f", Phase.FORWARD, np.inf, "", "why"),
    ]
    verdict = Verdict("a", "b", "float32", "cpu", 3, Status.MISMATCH, 7, np.inf, findings, culprits, 2, "note")
    assert Verdict.from_json(json.loads(json.dumps(verdict.as_json()))) == verdict
    with pytest.raises(TypeError):
        Verdict.from_json(verdict.as_json() | {"other": 1})
    with pytest.raises(ValueError, match="'fine' is not a valid Status"):
        Verdict.from_json(verdict.as_json() | {"status": "fine"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é and 木", "plain, é and 木"),
        ("\x1b[31m\0\x7f\x9b", "\\x1b[31m\\x00\\x7f\\x9b"),
        ("\ud800\u202e\ue000", "\\ud800\\u202e\\ue000"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("a" * 12_345, "a" * 2_000 + " ... (12,345 characters)"),
    ],
)
def test_text_of_a_package_becomes_printable(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()
    assert in_one_line(f"  {text}\n") == (shown if len(text) > 99 else printable(" ".join(text.split()))) or len(text) > 99


def test_settings_are_restored_and_additions_are_kept(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GONE", "here")
    surroundings, path = Surroundings(), list(sys.path)
    before = np.geterr(), np.getbufsize(), random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled(), Path.cwd()
    np.seterr(all="raise")
    np.setbufsize(16)
    np.random.seed(3)  # noqa: NPY002  as other code does
    random.seed(3)
    torch.set_default_dtype(torch.float16)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    monkeypatch.chdir("/")
    monkeypatch.delenv("GONE")
    monkeypatch.setattr(sys, "path", ["/new"])
    monkeypatch.setattr(sys, "stdout", None)
    surroundings.restore()
    after = np.geterr(), np.getbufsize(), random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled(), Path.cwd()
    assert before == after
    assert torch.empty(0).device.type == "cpu"
    assert sys.path == ["/new", *path]
    assert sys.stdout is not None
