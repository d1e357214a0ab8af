"""The text examples: both backends agree, runs resume exactly, and bad input is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from examples import char_language_model, masked_language_model, name_generation, sentiment, seq2seq, simple_translation
from examples.data import generated, texts
from examples.data.batches import drawn
from examples.plots import recurrent
from examples.tasks.characters import Sampling, Strands
from examples.tasks.names import Names
from examples.training import run as training_run
from examples.training.checkpoint import FILE, Checkpoint
from examples.training.models import new_model
from examples.training.numpy_backend import NumPyBackend
from examples.training.schedule import learning_rate
from parity.__main__ import main as parity
from parity.checkpoints.arrays import load_arrays, save_arrays
from parity.checkpoints.disk import held
from parity_tests.example_runs import BACKENDS, killed_at, main, result
from parity_tests.shared import assert_equal_up_to_rounding

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "char_language_model": (char_language_model, ["--hidden", 16, "--embedding", 12, "--batch", 8, "--window", 20]),
    "name_generation": (name_generation, ["--hidden", 16, "--embedding", 12, "--batch", 16]),
    "sentiment": (sentiment, ["--hidden", 8, "--embedding", 12, "--batch", 16]),
    "seq2seq": (seq2seq, ["--hidden", 16, "--embedding", 12, "--batch", 16]),
    "gpt": (char_language_model, ["--model", "gpt", "--hidden", 16, "--layers", 2, "--heads", 2, "--batch", 8, "--window", 20]),
    "simple_translation": (simple_translation, ["--hidden", 16, "--layers", 1, "--feed-forward", 32, "--batch", 16]),
    "masked_language_model": (masked_language_model, ["--hidden", 16, "--layers", 1, "--heads", 2, "--batch", 8, "--window", 12]),
}
every_script = pytest.mark.parametrize("script", SCRIPTS)
TEXT = "the quick brown fox jumps over the lazy dog and runs away from it;\n" * 150


@pytest.fixture(autouse=True)
def one_thread():
    """Compute small batches in one thread, also on busy machines."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def run(capsys):
    """Return a function that runs an example; see example_runs.main."""

    def run(script, *argv, small=True):
        module, sizes = SCRIPTS[script]
        return main(capsys, module, *(sizes if small and "--resume" not in argv else ()), *argv)

    return run


@pytest.fixture
def text(tmp_path):
    """Write a file with a text that is easy to learn."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def losses(directory):
    return load_arrays(Path(directory) / FILE)["history.losses"][:, 0]


@every_script
def test_both_backends_have_the_same_losses(script, run, tmp_path):
    lines = {}
    for backend in BACKENDS:
        options = ["--steps", 6, "--every", 3, "--dtype", "float64", "--dropout", 0.2, "--backend", backend]
        status, out, err = run(script, *options, "--save", tmp_path / backend)
        assert (status, err) == (0, [])
        assert [line.split()[1] for line in out if line.startswith("step")] == ["3/6", "6/6"]
        lines[backend] = result(out)
    np.testing.assert_allclose(losses(tmp_path / "numpy"), losses(tmp_path / "torch"), rtol=1e-9)
    assert float(lines["numpy"]["held_out_loss"]) == pytest.approx(float(lines["torch"]["held_out_loss"]), rel=1e-5)
    assert (lines["torch"]["backend"], lines["torch"]["steps"]) == ("torch", "6")


@every_script
def test_compare_in_float64_agrees_to_1e_9(script, run):
    status, out, err = run(script, "--compare", "--dtype", "float64", "--steps", 30)
    assert (status, err) == (0, [])
    assert 0 <= float(result(out)["largest_relative_difference"]) <= 1e-9
    assert [line.split()[0] for line in out[-4:-1]] == ["numpy", "torch", "difference"]


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_a_character_model_learns(model, run, text):
    status, out, _ = run("char_language_model", "--data", text, "--model", model, "--steps", 120, "--every", 60, "--lr", 0.02)
    assert status == 0
    assert float(result(out)["held_out_loss"]) < 1.6


@pytest.mark.slow
def test_200_steps_of_the_lstm_agree_to_1e_9(run):
    status, out, _ = run("char_language_model", "--compare", "--dtype", "float64", "--steps", 200, "--hidden", 64, "--window", 50)
    assert status == 0
    assert int(result(out)["steps"]) == 200
    assert float(result(out)["largest_relative_difference"]) <= 1e-9


@every_script
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [4, 9, 10])
def test_a_killed_run_resumes_exactly(script, backend, step, run, tmp_path, monkeypatch):
    options = ["--steps", 12, "--every", 4, "--dropout", 0.2, "--backend", backend]
    run(script, *options, "--save", tmp_path / "whole")
    with monkeypatch.context() as patched:
        killed_at(patched, step)
        status, _, err = run(script, *options, "--save", tmp_path / "cut")
        assert (status, err[-1].split(": ")[-1]) == (1, "killed")
    status, out, err = run(script, "--backend", backend, "--resume", tmp_path / "cut")
    assert (status, err) == (0, [])
    assert f"{tmp_path}/cut: {step // 4 * 4} of 12 steps are done" in out
    np.testing.assert_array_equal(losses(tmp_path / "cut"), losses(tmp_path / "whole"))
    whole, cut = (load_arrays(tmp_path / name / FILE) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, cut[name], name)


@every_script
@pytest.mark.parametrize("first", BACKENDS)
def test_the_other_backend_resumes_with_the_same_losses(script, first, run, tmp_path, monkeypatch):
    options = ["--steps", 8, "--every", 4, "--dropout", 0.2, "--dtype", "float64", "--backend", first]
    run(script, *options, "--save", tmp_path / "whole")
    with monkeypatch.context() as patched:
        killed_at(patched, 5)
        run(script, *options, "--save", tmp_path / "cut")
    second = BACKENDS[BACKENDS.index(first) - 1]
    status, out, _ = run(script, "--resume", tmp_path / "cut", "--backend", second)
    assert (status, result(out)["backend"]) == (0, second)
    np.testing.assert_allclose(losses(tmp_path / "cut"), losses(tmp_path / "whole"), rtol=1e-9)


@pytest.mark.parametrize("script", ["name_generation", "char_language_model"])
def test_a_longer_run_has_the_same_losses_every_time(script, run, tmp_path, monkeypatch):
    run(script, "--steps", 4, "--every", 2, "--dropout", 0.2, "--dtype", "float64", "--save", tmp_path / "begun")
    begun, found = losses(tmp_path / "begun"), {}
    for name, backend in (("numpy", "numpy"), ("again", "numpy"), ("torch", "torch"), ("cut", "numpy")):
        shutil.copytree(tmp_path / "begun", tmp_path / name)
        if name == "cut":
            with monkeypatch.context() as patched:
                killed_at(patched, 1)  # before anything but the length is saved
                run(script, "--resume", tmp_path / name, "--steps", 9)
        longer = [] if name == "cut" else ["--steps", 9]
        status, out, err = run(script, "--resume", tmp_path / name, "--backend", backend, *longer)
        assert (status, err, result(out)["steps"]) == (0, [], "9")
        assert ("9 steps instead of 4: from here on the learning rate is that of the longer run" in out) == bool(longer)
        found[name] = losses(tmp_path / name)
        np.testing.assert_array_equal(found[name][:4], begun)
    np.testing.assert_array_equal(found["numpy"], found["again"])
    np.testing.assert_array_equal(found["numpy"], found["cut"])
    np.testing.assert_allclose(found["numpy"], found["torch"], rtol=1e-9)


def test_a_longer_run_has_the_learning_rate_of_its_length(run, tmp_path, monkeypatch):
    run("name_generation", "--steps", 4, "--save", tmp_path)
    rates, original = [], NumPyBackend.step
    monkeypatch.setattr(
        NumPyBackend,
        "step",
        lambda self, *batch, lr, **options: rates.append(lr) or original(self, *batch, lr=lr, **options),
    )
    run("name_generation", "--resume", tmp_path, "--steps", 8)
    whole = learning_rate("cosine", 8, name_generation.Options.lr)
    assert rates == [whole(step) for step in range(4, 8)]


def test_a_directory_in_use_is_refused(run, tmp_path):
    run("name_generation", "--steps", 1, "--save", tmp_path / "run")
    for words in (["--resume", tmp_path / "run"], ["--save", tmp_path / "new"]):
        (tmp_path / "new").mkdir(exist_ok=True)
        with held(words[1]):
            status, out, err = run("name_generation", *words, "--steps", 2)
        assert (status, out) == (2, [])
        assert err[0].endswith(
            f"{words[1]}: process {os.getpid()} is saving there; wait until it has ended, or name another directory"
        )
        assert run("name_generation", *words, "--steps", 2)[0] == 0


def test_a_changed_environment_is_printed(run, tmp_path, monkeypatch):
    a_run(tmp_path, "name_generation")
    kept = Checkpoint.load(tmp_path).environment
    assert {
        "numpy",
        "torch",
        "processor",
        "BLAS",
        "BLAS threads",
        "PyTorch threads",
        "scratch threads",
        "backend",
        "device",
    } == kept.keys()
    assert kept["BLAS threads"] == "1"
    _, out, _ = run("name_generation", "--resume", tmp_path, "--steps", 2)
    assert not [line for line in out if "last bits" in line]
    here = training_run.rounding_environment() | {"BLAS threads": "64", "numpy": "9.9"}
    monkeypatch.setattr(training_run, "rounding_environment", lambda: here)
    _, out, _ = run("name_generation", "--resume", tmp_path, "--steps", 3)
    changed = f"numpy {np.__version__}, here 9.9; BLAS threads 1, here 64"
    assert f"{tmp_path} was saved with {changed}: losses may differ in the last bits" in out
    assert not [line for line in run("name_generation", "--resume", tmp_path)[1] if "last bits" in line]  # nothing is trained


@pytest.mark.slow
def test_nothing_is_lost_by_kills():
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "parity_tests.kills", "12"]  # its own process, since it forks
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.endswith("nothing was lost")] == [*BACKENDS]


def test_a_run_resumes_in_the_middle_of_its_third_pass(run, tmp_path, text, monkeypatch):
    """The state is carried to the end of a pass and reset there, also in a resumed run."""
    options = ["--data", text, "--window", 10, "--batch", 50, "--steps", 50, "--every", 7, "--dtype", "float64"]
    _, out, _ = run("char_language_model", *options, "--save", tmp_path / "whole")
    assert any("a pass takes 17 steps" in line for line in out)
    with monkeypatch.context() as patched:
        killed_at(patched, 36)
        run("char_language_model", *options, "--save", tmp_path / "cut")
    run("char_language_model", "--resume", tmp_path / "cut", "--data", text)
    np.testing.assert_array_equal(losses(tmp_path / "cut"), losses(tmp_path / "whole"))


def test_an_interrupt_ends_after_a_whole_step_and_keeps_it(run, tmp_path, monkeypatch):
    original = NumPyBackend.step

    def interrupted(self, *batch, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, *batch, **options)

    with monkeypatch.context() as patched:
        patched.setattr(NumPyBackend, "step", interrupted)
        status, out, err = run("name_generation", "--steps", 5, "--save", tmp_path)
    assert status == 130
    assert err[0].startswith("stopped after step 1; resume with: python ")
    assert err[0].endswith(f"--resume {tmp_path}")
    assert Checkpoint.load(tmp_path).step == 1
    assert f"verify the twins:  parity check --weights {tmp_path}" in out
    assert parity(["check", "--weights", str(tmp_path)]) == 0
    assert run("name_generation", "--resume", tmp_path)[0] == 0
    assert len(losses(tmp_path)) == 5


def test_a_kill_while_saving_leaves_the_last_checkpoint(tmp_path):
    script = (
        "import os; from pathlib import Path; from examples import name_generation; replace = Path.replace\n"
        "def dying(self, target):\n"
        "    if dying.left == 0: os._exit(9)\n"
        "    dying.left -= 1; return replace(self, target)\n"
        "dying.left = 1; Path.replace = dying\n"
        f"name_generation.main(['--steps', '6', '--every', '2', '--hidden', '8', '--save', {str(tmp_path)!r}])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 9
    assert Checkpoint.load(tmp_path).step == 2
    name_generation.main(["--resume", str(tmp_path)])
    assert Checkpoint.load(tmp_path).step == 6
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(run, tmp_path, monkeypatch):
    saves = iter(range(10))

    def full(descriptor):
        if next(saves) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run("name_generation", "--steps", 6, "--every", 2, "--save", tmp_path)
    assert status == 1
    assert err == [
        f"{Path(sys.argv[0]).name}: {tmp_path}: step 4 could not be saved (No space left on device); "
        f"the last checkpoint is complete: resume with --resume {tmp_path}"
    ]
    assert Checkpoint.load(tmp_path).step == 2
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@every_script
def test_parity_check_verifies_a_trained_model(script, run, tmp_path, capsys):
    _, out, _ = run(script, "--steps", 3, "--save", tmp_path)
    assert f"verify the twins:  parity check --weights {tmp_path}" in out
    assert parity(["check", "--weights", str(tmp_path)]) == 0
    assert "1 case verified" in capsys.readouterr().out


@every_script
def test_plots_are_drawn(script, run, tmp_path):
    status, out, err = run(script, "--steps", 3, "--plots", tmp_path)
    assert (status, err) == (0, [])
    names = next(line for line in out if line.startswith("drawn in")).split(": ")[1].split(", ")
    assert "losses.png" in names
    assert len(names) == {"char_language_model": 4, "name_generation": 1, "sentiment": 1}.get(script, 2)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_drawn_gates_are_those_of_the_layer(cell):
    config = dict(vocab_size=9, embedding_size=5, hidden_size=7, cell=cell)
    model = new_model("CharLanguageModel", config, 0, "float64")
    gates, states = recurrent.activations(model, cell, np.arange(9))
    before = np.concatenate([np.zeros((1, 7)), states[:-1]])
    if cell == "rnn":
        expected = gates["state"]
    elif cell == "gru":
        expected = (1 - gates["update"]) * gates["candidate"] + gates["update"] * before
    else:
        c, expected = np.zeros(7), []
        for i, f, g, o in zip(*gates.values(), strict=True):
            c = f * c + i * g
            expected.append(o * np.tanh(c))
    assert_equal_up_to_rounding(states, expected, 1e-12)
    norms = recurrent.gradient_norms(model, np.arange(9))
    assert norms[0] == 1
    assert 0 < norms[-1] < 1


ASKED = {
    "seq2seq": ("--spell", 12, "12: "),
    "simple_translation": ("--translate", "12", "12: "),
    "masked_language_model": ("--fill", "a [mask] is an object", "a ["),
    "sentiment": ("--judge", "the plot is dull", "praise "),
}


@pytest.mark.parametrize("script", ASKED)
def test_a_finished_run_answers_in_either_backend(script, run, tmp_path):
    option, question, answer = ASKED[script]
    assert run(script, "--steps", 2, "--save", tmp_path)[0] == 0
    for backend in BACKENDS:
        status, out, err = run(script, "--resume", tmp_path, option, question, "--backend", backend)
        assert (status, err) == (0, [])
        assert sum(line.startswith(answer) for line in out) == 1


def test_samples_are_written_on_request(run, text, tmp_path):
    options = ["--data", text, "--steps", 60, "--lr", 0.02, "--save", tmp_path / "run"]
    assert run("char_language_model", *options)[0] == 0
    texts = []
    for backend in BACKENDS:
        more = ["--sample", 40, "--prompt", "the quick", "--temperature", 0.5, "--top-k", 3, "--backend", backend]
        _, out, _ = run("char_language_model", "--resume", tmp_path / "run", "--data", text, *more)
        texts.append(next(line for line in out if line.startswith("the quick")))
    assert texts[0] == texts[1]
    assert len(texts[0]) <= len("the quick") + 40
    assert run("name_generation", "--steps", 1, "--sample", 7)[0] == 0
    _, out, _ = run("seq2seq", "--steps", 1, "--spell", 12)
    assert any(line.startswith("12: ") for line in out)
    _, out, _ = run("simple_translation", "--steps", 1, "--translate", "12")
    assert any(line.startswith("12: ") for line in out)
    _, out, _ = run("masked_language_model", "--steps", 1, "--fill", "a [mask] is an object")
    assert any(line.startswith("a [") and line.endswith("] is an object") for line in out)
    _, out, _ = run("gpt", "--steps", 1, "--sample", 70, "--prompt", "def ")
    assert any(line.startswith("def ") for line in out)
    _, out, _ = run("sentiment", "--steps", 40, "--judge", "the plot is not dullish")
    assert any(line.startswith("praise ") and line.endswith("(not known: dullish)") for line in out)


def a_file(path, content=""):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def a_run(path, script="name_generation", *options):
    module, sizes = SCRIPTS[script]
    module.main([str(word) for word in (*sizes, "--steps", 1, *options, "--save", path)])
    return path


def truncated(path):
    file = a_run(path) / FILE
    file.write_bytes(file.read_bytes()[:-7])
    return path


def other_arrays(path):
    path.mkdir()
    save_arrays(path / FILE, {"x": np.zeros(3)})
    return path


def moved_vocabulary(path):
    text = a_file(path.with_name("text"), TEXT)
    a_run(path, "char_language_model", "--data", text)
    text.write_text(TEXT.replace("z", "é"))
    return path


LM, NAMES = "char_language_model", "name_generation"
BAD_INPUT = {
    "an empty text": (LM, lambda p: ["--data", a_file(p)], "the file is empty; expected a text to learn"),
    "no text": (LM, lambda p: ["--data", p], "there is no such file"),
    "a text that is not UTF-8": (LM, lambda p: ["--data", a_file(p, b"\xff\xfe\x00")], "expected a text file in UTF-8"),
    "a short text": (LM, lambda p: ["--data", a_file(p, "abc" * 50)], "135 characters to train on are too few for 8 strands"),
    "an unknown letter": (LM, lambda p: ["--data", a_file(p, TEXT), "--prompt", "Zoë", "--sample", 5], "lacks 'Z', 'ë'"),
    "no prompt": (LM, lambda p: ["--data", a_file(p, TEXT), "--prompt", ""], "--prompt is empty"),
    "a large k": (LM, lambda p: ["--data", a_file(p, TEXT), "--top-k", 99, "--steps", 1], "top_k is 99, expected 1 to 29"),
    "few names": (
        NAMES,
        lambda p: ["--data", a_file(p, "ann\nbob\n")],
        "expected at least 20 different names, one a line, found 2",
    ),
    "a large batch": (NAMES, lambda p: ["--batch", 100_000], "--batch 100000: there are only"),
    "no run": (NAMES, lambda p: ["--resume", p], "expected the directory of a run that was started with --save"),
    "a truncated run": (NAMES, lambda p: ["--resume", truncated(p)], "expected a safetensors file, but it is truncated"),
    "another file": (NAMES, lambda p: ["--resume", other_arrays(p)], "expected a checkpoint, found a safetensors file of another"),
    "a run of another example": (
        NAMES,
        lambda p: ["--resume", a_run(p, "seq2seq")],
        "found the run of a Seq2Seq with options that it does not have: attention",
    ),
    "a file of the user": (
        LM,
        lambda p: ["--resume", a_run(p, LM, "--data", a_file(p.with_name("text"), TEXT))],
        "was trained on a file of the user, whose name is not saved; name it with --data FILE",
    ),
    "another size": (
        NAMES,
        lambda p: ["--resume", a_run(p), "--hidden", 32],
        "--hidden 32: the run in {} was started with 16",
    ),
    "another cell": (
        LM,
        lambda p: ["--resume", a_run(p, LM), "--model", "gru"],
        "the run in {} was started with lstm",
    ),
    "too few steps": (
        NAMES,
        lambda p: ["--resume", a_run(p), "--steps", 0],
        "--steps 0: the run in {} is already at step 1",
    ),
    "another vocabulary": (
        LM,
        lambda p: ["--resume", moved_vocabulary(p), "--data", p.with_name("text")],
        "{}: the data has another vocabulary than the run was trained on, {{'characters': 29}} instead of {{'characters': 29}}",
    ),
    "a directory that has a run": (NAMES, lambda p: ["--save", a_run(p)], "{} has a run already: resume it with --resume {}"),
    "nowhere to save": (NAMES, lambda p: ["--save", a_file(p)], "cannot write there (File exists)"),
    "a high learning rate": (NAMES, lambda p: ["--lr", 1e30, "--steps", 9], "--lr 1e+30 is too high"),
    "no word": ("sentiment", lambda p: ["--steps", 0, "--judge", " "], "--judge ' ' has no word in it"),
    "a short text for a window": (
        "gpt",
        lambda p: ["--data", a_file(p, "abc" * 50)],
        "expected more than 20 characters, a window, to train on",
    ),
    "heads that do not divide": ("gpt", lambda p: ["--heads", 3], "heads 3 does not divide width 16"),
    "nothing to translate": ("simple_translation", lambda p: ["--steps", 0, "--translate", " "], "expected 1 to 6 symbols"),
    "too long a number": (
        "simple_translation",
        lambda p: ["--steps", 0, "--translate", "1" * 40],
        "expected 1 to 6 symbols",
    ),
    "nothing to fill in": (
        "masked_language_model",
        lambda p: ["--steps", 0, "--fill", "a word"],
        "expected [mask] in place",
    ),
    "too much to fill in": (
        "masked_language_model",
        lambda p: ["--steps", 0, "--fill", "[mask] " * 40],
        "expected at most 11 words",
    ),
    "few words": (
        "masked_language_model",
        lambda p: ["--data", a_file(p, "a b c")],
        "expected more than 100 words, so that a tenth",
    ),
    "an odd width": ("seq2seq", lambda p: ["--hidden", 7], "hidden_size is 7, expected an even number"),
}


@pytest.mark.parametrize(("script", "argv", "complaint"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_in_one_line(script, argv, complaint, run, tmp_path):
    given = argv(tmp_path / "x")
    status, _, err = run(script, *given)
    assert (status, len(err)) == (2, 1)
    assert complaint.format(*[tmp_path / "x"] * 2) in err[0]


WRONG_OPTIONS = {
    "no window": (["--window", 0], "--window: expected a whole number of at least 1, got '0'"),
    "all dropped": (["--dropout", 1], "--dropout: expected a number of at least 0 and below 1, got '1'"),
    "a negative temperature": (["--temperature", -1], "--temperature: expected a number of at least 0, got '-1'"),
    "an unknown model": (["--model", "transformer"], "--model: invalid choice: 'transformer'"),
    "two directories": (["--save", "a", "--resume", "b"], "--resume DIR continues to save in DIR: leave --save out"),
    "two models to save": (["--compare", "--save", "a"], "--compare trains two models and a run that is saved has one"),
    "NumPy on a GPU": (["--device", "cuda"], "--device cuda: NumPy computes on the cpu; add --backend torch"),
}


@pytest.mark.parametrize(("argv", "complaint"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_options_are_refused_in_one_line_with_status_2(argv, complaint, run):
    status, out, err = run("char_language_model", *argv)
    assert (status, out, len(err)) == (2, [], 1)
    assert complaint in err[0]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (81, "eighty one"),
        (100, "one hundred"),
        (4027, "four thousand twenty seven"),
        (999_999, "nine hundred ninety nine thousand nine hundred ninety nine"),
        (300_012, "three hundred thousand twelve"),
    ],
)
def test_numbers_in_words(number, words):
    assert generated.number_words(number) == words


def test_numbers_beyond_a_million_have_no_words():
    with pytest.raises(ValueError, match="number is 1000000, expected 0 to 999,999"):
        generated.number_words(1_000_000)


def test_verdicts_depend_on_not_and_but():
    texts, labels = generated.verdicts(2000)
    assert 0.45 < labels.mean() < 0.55
    good = set("bright warm clever moving sharp funny".split())
    for text, label in zip(texts, labels, strict=True):
        last = text.split(" but ")[-1].split()
        assert label == ((last[-1] in good) != ("not" in last))
    assert generated.verdicts(2000)[0] == texts


def test_held_out_numbers_and_names_are_not_trained_on(tmp_path):
    for pairs in (generated.number_pairs, generated.sorting_pairs):
        train, held_out = ({tuple(pair.source) for pair in some} for some in pairs())
        assert len(held_out) == 1000
        assert not train & held_out
    names = a_file(tmp_path / "names", "\n".join(f"{a}{b}" for a in "abcdef" for b in "uvwxyz"))
    task = Names(texts.lines(str(names)), name_generation.Options.parse(["--data", str(names), "--batch", "8"]))
    assert not {tuple(name) for name in task.held_out} & {tuple(name) for name in task.train}
    assert len(task.held_out) == 3


def test_every_example_is_in_one_batch_of_a_pass():
    passes = [np.concatenate([drawn(step, 4, 12, 7) for step in steps]) for steps in (range(3), range(3, 6))]
    assert [sorted(order) for order in passes] == [list(range(12))] * 2
    assert list(passes[0]) != list(passes[1])
    assert len(drawn(2, 5, 12, 7)) == 5


def test_labels_of_strands_are_the_next_characters():
    task = Strands(TEXT, char_language_model.Options.parse(["--batch", "3"]), 5, Sampling())
    last = np.empty(0)
    for step in range(task.windows + 2):
        tokens, labels = task.batch(step)
        assert tokens.shape == labels.shape == (3, 5)
        np.testing.assert_array_equal(tokens[:, 1:], labels[:, :-1])
        if not task.resets_state(step):
            np.testing.assert_array_equal(tokens[:, 0], last)
        last = labels[:, -1]


def test_validation_keeps_the_carried_state(text):
    task = Strands(TEXT, char_language_model.Options.parse(["--data", str(text), "--batch", "3"]), 5, Sampling())
    model = new_model("CharLanguageModel", dict(vocab_size=len(task.symbols), embedding_size=4, hidden_size=5), 0, "float64")
    backend = NumPyBackend(model)
    backend.step(*task.batch(0), lr=0.1, carry=True)
    before = [array.copy() for array in backend.carried()]
    task.validate(backend)
    assert len(before) == 2
    np.testing.assert_array_equal(backend.carried(), before)


def test_options_do_not_change_after_they_are_read():
    options = name_generation.Options.parse([])
    with pytest.raises(FrozenInstanceError):
        options.steps = 7


def test_a_checkpoint_keeps_the_options_that_losses_depend_on(tmp_path):
    saved = Checkpoint.load(a_run(tmp_path / "run", "char_language_model", "--temperature", 0.5)).options
    assert "temperature" not in saved
    assert {"data", "model", "steps", "batch", "window", "lr", "dropout", "seed", "dtype", "hidden"} <= saved.keys()
    free = {"backend", "compare", "device", "threads", "save", "resume", "plots", "epochs", "sample", "prompt", "top_k", "top_p"}
    assert not saved.keys() & free


# A checkpoint as it is written since version 0.1. Runs are resumed months later: do not change this, add another.
FIRST_FORMAT = {
    "step": 2,
    "options": {
        "dtype": "float32",
        "data": "a file",
        "steps": 2,
        "batch": 5,
        "lr": 0.008,
        "schedule": "cosine",
        "label_smoothing": 0.0,
        "dropout": 0.1,
        "seed": 0,
        "every": 1,
        "hidden": 4,
        "embedding": 3,
        "layers": 1,
    },
    "model": "NameGenerator",
    "config": {"vocab_size": 13, "embedding_size": 3, "hidden_size": 4, "num_layers": 1, "dropout": 0.1},
    "vocabulary": {"letters": "\nabcdefuvwxyz"},
    "environment": {"numpy": "2.4.6", "torch": "2.13.0+cpu", "backend": "numpy", "device": "cpu"},
}
FIRST_SHAPES = {
    "start": (1, 1, 4),
    "embedding.weight": (13, 3),
    "rnn.weight_ih_l0": (12, 3),
    "rnn.weight_hh_l0": (12, 4),
    "rnn.bias_ih_l0": (12,),
    "rnn.bias_hh_l0": (12,),
    "head.weight": (13, 4),
    "head.bias": (13,),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_checkpoint_of_the_first_format_resumes(backend, run, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"model.{name}": rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in FIRST_SHAPES.items()}
    for number, shape in enumerate(FIRST_SHAPES.values()):
        arrays[f"optimizer.{number}.step"] = np.float32(2)
        arrays[f"optimizer.{number}.exp_avg"] = rng.normal(0, 0.01, shape).astype(np.float32)
        arrays[f"optimizer.{number}.exp_avg_sq"] = rng.uniform(0.001, 0.002, shape).astype(np.float32)
    arrays |= {"history.losses": np.array([[3.3], [3.2]]), "history.scores": np.array([[1, 3.3, 0.1], [2, 3.2, 0.2]])}
    save_arrays(tmp_path / FILE, arrays, {"checkpoint": json.dumps(FIRST_FORMAT)})
    names = a_file(tmp_path / "names", "\n".join(f"{a}{b}" for a in "abcdef" for b in "uvwxyz"))
    status, out, err = run("name_generation", "--resume", tmp_path, "--data", names, "--steps", 4, "--backend", backend)
    assert (status, err, result(out)["steps"]) == (0, [], "4")
    assert losses(tmp_path)[:2].tolist() == [3.3, 3.2]
    expected = 2.5794756, 2.5645526  # of the version that first wrote such files
    np.testing.assert_allclose(losses(tmp_path)[2:], expected, rtol=1e-4)
    assert Checkpoint.load(tmp_path).options == FIRST_FORMAT["options"] | {"steps": 4}
