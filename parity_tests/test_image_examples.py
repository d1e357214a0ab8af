"""The image examples: both backends agree, runs resume exactly, and bad input is refused."""

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from examples import detection, image_classification, segmentation, transfer_learning
from examples.data.images import IMAGES, Dataset, digits
from examples.data.scenes import Digits, scenes
from examples.tasks import scenes as scene_tasks
from examples.tasks.images import Images
from examples.tasks.transfer import WAYS
from examples.training.checkpoint import FILE
from parity.__main__ import main as parity
from parity.checkpoints.arrays import load_arrays
from parity_tests.example_runs import BACKENDS, killed_at, main, result

EVERY_CHANGE = ["--augment", "shift,crop,flip,rotation,cutout,mixup", "--label-smoothing", 0.1]
CLASSIFIERS = ("cnn", "alexnet", "vgg", "resnet", "cifar-resnet", "vit")
SCRIPTS = {name: (image_classification, ["--model", name, "--batch", 8]) for name in CLASSIFIERS} | {
    "segmentation": (segmentation, ["--size", 24, "--depth", 2, "--width", 4, "--batch", 4, "--label-smoothing", 0.1]),
    "yolo": (detection, ["--model", "yolo", "--size", 32, "--width", 4, "--batch", 4]),
    "detr": (detection, ["--model", "detr", "--size", 32, "--width", 4, "--batch", 4]),
    "transfer": (transfer_learning, ["--transfer-steps", 6]),
}
QUICK = ("resnet", "vit", "segmentation", "yolo", "detr", "transfer")
every_script = pytest.mark.parametrize("script", SCRIPTS)
quick_scripts = pytest.mark.parametrize("script", QUICK)


@pytest.fixture(autouse=True)
def one_thread():
    """Compute small batches in one thread, also on busy machines."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def run(capsys, monkeypatch):
    """Return a function that runs an example; see example_runs.main."""
    monkeypatch.setattr(scene_tasks, "TESTED", 16)

    def run(script, *argv):
        module, sizes = SCRIPTS[script]
        return main(capsys, module, *(sizes if "--resume" not in argv else ()), *argv)

    return run


def losses(directory):
    """Return the losses of all runs that are saved in a directory, by folder."""
    return {path.parent.name: load_arrays(path)["history.losses"][:, 0] for path in sorted(Path(directory).rglob(FILE))}


def same(ours, theirs, rtol=0.0):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)


@quick_scripts
def test_both_backends_have_the_same_losses(script, run, tmp_path):
    lines = {}
    more = EVERY_CHANGE if script in ("resnet", "vit") else []
    for backend in BACKENDS:
        options = ["--steps", 6, "--every", 3, "--dtype", "float64", "--backend", backend, *more]
        status, out, err = run(script, *options, "--save", tmp_path / backend)
        assert (status, err) == (0, [])
        assert [line.split()[1] for line in out if line.startswith("step")][:2] == ["3/6", "6/6"]
        lines[backend] = result(out)
    same(losses(tmp_path / "numpy"), losses(tmp_path / "torch"), rtol=1e-9)
    scores = [name for name in lines["numpy"] if name.endswith(("accuracy", "_iou", "_map", "_steps"))]
    assert len(scores) == {"segmentation": 2, "transfer": 7}.get(script, 1)
    assert [lines["numpy"][name] for name in scores] == [lines["torch"][name] for name in scores]
    assert float(lines["numpy"]["held_out_loss"]) == pytest.approx(float(lines["torch"]["held_out_loss"]), rel=1e-5)


@every_script
def test_compare_in_float64_agrees_to_1e_9(script, run):
    status, out, err = run(script, "--compare", "--dtype", "float64", "--steps", 8)
    assert (status, err) == (0, [])
    assert 0 <= float(result(out)["largest_relative_difference"]) <= 1e-9
    assert script != "transfer" or all(float(result(out)[way]) <= 1e-9 for way in WAYS)


@quick_scripts
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [5, 13])
def test_a_killed_run_resumes_exactly(script, backend, step, run, tmp_path, monkeypatch):
    """In transfer learning, step 5 is in its first run and step 13 in the second."""
    options = ["--steps", 8 if script == "transfer" else 14, "--every", 4, "--backend", backend]
    run(script, *options, "--save", tmp_path / "whole")
    with monkeypatch.context() as patched:
        killed_at(patched, step)
        status, _, err = run(script, *options, "--save", tmp_path / "cut")
        assert (status, err[-1].split(": ")[-1]) == (1, "killed")
    status, _, err = run(script, "--backend", backend, "--resume", tmp_path / "cut")
    assert (status, err) == (0, [])
    same(losses(tmp_path / "cut"), losses(tmp_path / "whole"))
    for path in (tmp_path / "whole").rglob(FILE):
        whole, cut = load_arrays(path), load_arrays(tmp_path / "cut" / path.relative_to(tmp_path / "whole"))
        assert whole.keys() == cut.keys()
        for name, array in whole.items():
            np.testing.assert_array_equal(array, cut[name], name)


@quick_scripts
@pytest.mark.parametrize("first", BACKENDS)
def test_the_other_backend_resumes_with_the_same_losses(script, first, run, tmp_path, monkeypatch):
    options = ["--steps", 8, "--every", 4, "--dtype", "float64", "--backend", first]
    run(script, *options, "--save", tmp_path / "whole")
    with monkeypatch.context() as patched:
        killed_at(patched, 5)
        run(script, *options, "--save", tmp_path / "cut")
    status, out, _ = run(script, "--resume", tmp_path / "cut", "--backend", BACKENDS[BACKENDS.index(first) - 1])
    assert (status, result(out)["backend"]) == (0, BACKENDS[BACKENDS.index(first) - 1])
    same(losses(tmp_path / "cut"), losses(tmp_path / "whole"), rtol=1e-9)


@every_script
def test_a_trained_model_is_verified_and_drawn(script, run, tmp_path, capsys):
    from matplotlib.image import imread

    status, out, err = run(script, "--steps", 3, "--save", tmp_path, "--plots", tmp_path)
    assert (status, err) == (0, [])
    names = next(line for line in out if line.startswith("drawn in")).split(": ")[1].split(", ")
    expected = {
        "segmentation": ["losses", "masks"],
        "yolo": ["losses", "boxes"],
        "detr": ["losses", "boxes", "attention"],
        "transfer": ["transfer"],
    }
    of_model = "attention" if script == "vit" else "features"
    assert names == [f"{name}.png" for name in expected.get(script, ["losses", "filters", of_model, "mistakes"])]
    for name in names:
        assert imread(tmp_path / name)[..., :3].std() > 0.05, f"{name} is blank"
    assert parity(["check", "--weights", str(tmp_path)]) == 0
    assert "1 case verified" in capsys.readouterr().out


def test_the_length_of_a_run_can_be_passes(run):
    status, out, _ = run("cnn", "--epochs", 1)
    assert (status, result(out)["steps"]) == (0, str(1437 // 8))
    assert sum(line.startswith("step") for line in out) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn", "resnet"])
def test_the_default_settings_pass_98_percent(model, run, monkeypatch):
    monkeypatch.setitem(SCRIPTS, model, (image_classification, ["--model", model, "--backend", "torch"]))
    assert float(result(run(model)[1])["held_out_accuracy"]) > 0.98


def test_a_segmentation_learns(run):
    _, out, _ = run("segmentation", "--backend", "torch", "--steps", 60, "--width", 8, "--lr", 0.01)
    assert float(result(out)["held_out_accuracy"]) > 0.85


def test_a_detector_learns(run):
    _, out, _ = run("yolo", "--backend", "torch", "--steps", 150, "--width", 8, "--batch", 8, "--lr", 0.01)
    assert float(result(out)["held_out_map"]) > 0.1


def test_mnist_is_trained_in_the_same_way(run, monkeypatch):
    data = digits()
    large = [np.pad(x[:100], ((0, 0), (0, 0), (10, 10), (10, 10)), constant_values=x.min()) for x in (data.train_x, data.test_x)]
    small = Dataset("mnist", large[0], data.train_y[:100], large[1], data.test_y[:100], 10)
    monkeypatch.setitem(IMAGES, "mnist", lambda: small)
    for script in QUICK:
        status, out, _ = run(script, "--data", "mnist", "--steps", 2)
        assert (status, result(out)["data"]) == (0, "mnist")


def test_small_images_are_enlarged():
    options = image_classification.Options.parse(["--model", "vgg", "--batch", "5"])
    task = Images(digits(), options, smallest=32)
    x, y = task.batch(3)
    assert (x.shape, y.shape, task.held_out.shape) == ((5, 1, 32, 32), (5,), (360, 1, 32, 32))
    assert Images(digits(), options).batch(3)[0].shape == (5, 1, 8, 8)


def test_augmentation_depends_on_the_step_alone():
    task = Images(digits(), image_classification.Options.parse(["--batch", "5"]), ("rotation", "mixup"))
    (x, y), (again, same_y), (other, _) = task.batch(3), task.batch(3), task.batch(4)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, same_y)
    assert not np.allclose(x, other)
    assert y.shape == (5, 10)


class TestScenes:
    digits, others = Digits.from_dataset(digits())
    batch = scenes(np.random.default_rng(0), digits, 40, 48)

    def test_sizes(self):
        images, pixels, labels, boxes = self.batch
        assert (images.shape, pixels.shape, labels.shape, boxes.shape) == ((40, 1, 48, 48), (40, 48, 48), (40, 5), (40, 5, 4))
        assert (images.dtype, pixels.dtype, labels.dtype, boxes.dtype) == (np.float32, np.int64, np.int64, np.float32)
        there = (labels >= 0).sum(axis=1)
        assert {*there} == {1, 2, 3, 4, 5}
        assert (np.sort(labels < 0, axis=1) == (labels < 0)).all(), "padding comes last"
        assert not boxes[labels < 0].any()

    def test_a_box_lies_tightly_around_the_pixels_of_its_digit(self):
        _, pixels, labels, boxes = self.batch
        for of_pixels, of_scene, around in zip(pixels, labels, boxes, strict=True):
            left = of_pixels.copy()
            for label, (x, y, w, h) in zip(of_scene, around * 48, strict=True):
                if label >= 0:
                    low, high = np.rint([y - h / 2, x - w / 2]).astype(int), np.rint([y + h / 2, x + w / 2]).astype(int)
                    inside = left[low[0] : high[0], low[1] : high[1]]
                    assert {*np.unique(inside)} <= {0, 1 + label}
                    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
                    inside[:] = 0
            assert not left.any(), "every pixel is in a box"

    def test_pixels_of_a_digit_are_dark(self):
        images, pixels, *_ = self.batch
        assert images[:, 0][pixels > 0].mean() > 0.6
        assert images[:, 0][pixels == 0].mean() < 0.1

    def test_scenes_depend_on_their_generator_alone(self):
        again, other = (scenes(np.random.default_rng(seed), self.digits, 40, 48) for seed in (0, 1))
        for one, same_one, another in zip(self.batch, again, other, strict=True):
            np.testing.assert_array_equal(one, same_one)
            assert not np.array_equal(one, another)
        assert not {ink.tobytes() for ink in self.digits.ink} & {ink.tobytes() for ink in self.others.ink}


def test_mean_iou():
    truth, guess = np.array([[0, 0, 1, 1], [0, 0, 2, 2]]), np.array([[0, 1, 1, 1], [0, 0, 2, 0]])
    assert scene_tasks.mean_iou(guess, truth) == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3)
    assert scene_tasks.mean_iou(truth, truth) == 1
    assert scene_tasks.mean_iou(np.full_like(truth, 3), truth) == 0


def test_the_learnt_backbone_is_transferred(run, tmp_path):
    run("transfer", "--steps", 4, "--transfer-steps", 3, "--save", tmp_path)
    first, frozen, tuned, scratch = (load_arrays(tmp_path / way / "model.safetensors") for way in ("", *WAYS))
    for name, array in first.items():
        assert np.array_equal(array, frozen[name]) == name.startswith("features"), name
        assert not np.array_equal(array, tuned[name]), name
        assert not np.array_equal(array, scratch[name]) or name.endswith("num_batches_tracked"), name


def test_the_first_run_cannot_be_longer_once_others_have_started(run, tmp_path):
    run("transfer", "--steps", 2, "--transfer-steps", 1, "--save", tmp_path)
    status, _, err = run("transfer", "--resume", tmp_path, "--steps", 4)
    assert (status, len(err)) == (2, 1)
    assert "0 to 4 cannot be trained longer, 5 to 9 have started (frozen, tuned, scratch)" in err[0]


def test_epochs_make_a_run_longer(run, tmp_path):
    run("cnn", "--steps", 1, "--save", tmp_path)
    status, out, _ = run("cnn", "--resume", tmp_path, "--epochs", 1, "--backend", "torch")
    assert (status, result(out)["steps"]) == (0, str(1437 // 8))


@pytest.mark.slow
def test_a_frozen_backbone_classifies_new_digits(run):
    _, out, _ = run("transfer", "--transfer-steps", 60, "--goal", 0.9, "--backend", "torch")
    assert all(float(result(out)[f"{way}_accuracy"]) > 0.9 for way in WAYS)
    assert all(int(result(out)[f"{way}_steps"]) <= 60 for way in WAYS)


WRONG_OPTIONS = {
    "an unknown model": ("cnn", ["--model", "lenet"], "--model: invalid choice: 'lenet'"),
    "an unknown augmentation": ("cnn", ["--augment", "shift,blur"], "--augment: expected none or some of shift,crop,flip,rotation"),
    "an augmentation twice": ("cnn", ["--augment", "flip,flip"], "each once, got 'flip,flip'"),
    "passes and steps": ("cnn", ["--epochs", 1, "--steps", 1], "not allowed with argument"),
    "dropout of a ResNet": ("resnet", ["--dropout", 0.5], "--dropout 0.5: a ResNet has none; leave it out"),
    "dropout of a U-Net": ("segmentation", ["--dropout", 0.5], "--dropout 0.5: a UNet has none; leave it out"),
    "a small scene": ("segmentation", ["--size", 8], "--size: expected a whole number of at least 24, got '8'"),
    "a negative weight": ("segmentation", ["--dice", -1], "--dice: expected a number of at least 0, got '-1'"),
    "dropout of a YOLO": ("yolo", ["--dropout", 0.5], "--dropout 0.5: a YOLO has none; leave it out"),
    "smoothed labels": (
        "detr",
        ["--label-smoothing", 0.1],
        "--label-smoothing 0.1: detectors are trained without it",
    ),
    "a goal above 100%": ("transfer", ["--goal", 1.5], "--goal: expected a number of at least 0 and below 1, got '1.5'"),
    "plots of a comparison": (
        "transfer",
        ["--compare", "--plots", "x"],
        "--compare has none: leave out either",
    ),
    "NumPy on a GPU": ("cnn", ["--device", "cuda"], "--device cuda: NumPy computes on the cpu; add --backend torch"),
}


@pytest.mark.parametrize(("script", "argv", "complaint"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_options_are_refused_in_one_line_with_status_2(script, argv, complaint, run):
    status, out, err = run(script, *argv)
    assert (status, out, len(err)) == (2, [], 1)
    assert complaint in err[0]


def a_run(path, script="cnn"):
    module, sizes = SCRIPTS[script]
    module.main([str(word) for word in (*sizes, "--steps", 1, "--save", path)])
    return path


BAD_INPUT = {
    "a large batch": ("cnn", lambda p: ["--batch", 5000], "--batch 5000: there are only 1437 images to train on"),
    "no run": ("segmentation", lambda p: ["--resume", p], "expected the directory of a run that was started with --save"),
    "a directory that has a run": ("cnn", lambda p: ["--save", a_run(p)], "{} has a run already: resume it with --resume {}"),
    "another run": (
        "segmentation",
        lambda p: ["--resume", a_run(p)],
        "the run of a CNN with options that it does not have: augment, model",
    ),
    "another model": ("cnn", lambda p: ["--resume", a_run(p), "--model", "vit"], "--model vit: the run in {} was started with cnn"),
    "small scenes for the depth": (
        "segmentation",
        lambda p: ["--depth", 5, "--steps", 1],
        "--size 24: a network of --depth 5 halves it to nothing; expected at least 32",
    ),
    "a size that is no multiple of a cell": (
        "yolo",
        lambda p: ["--size", 40, "--steps", 1],
        "YOLO: cells of 16x16 do not cut images of 40x40 evenly",
    ),
    "another detector": (
        "yolo",
        lambda p: ["--resume", a_run(p, "detr"), "--model", "yolo"],
        "the run in {} was started with detr",
    ),
    "a high learning rate": ("cnn", lambda p: ["--lr", 1e30, "--steps", 9], "--lr 1e+30 is too high"),
}


@pytest.mark.parametrize(("script", "argv", "complaint"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_in_one_line(script, argv, complaint, run, tmp_path):
    status, _, err = run(script, *argv(tmp_path / "x"))
    assert (status, len(err)) == (2, 1)
    assert complaint.format(*[tmp_path / "x"] * 2) in err[0]
