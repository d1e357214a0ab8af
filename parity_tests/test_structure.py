"""What holds the house together: import walls, twins of one shape, a case for everything, initial weights as torch's."""

import ast
import inspect
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import torch

import reference.layers
import reference.models
import reference.ops
import scratch.layers
import scratch.models
import scratch.ops
import scratch.optim
from parity.cases import CASES, FAMILIES
from parity.running.builders import builders
from scratch.random import manual_seed

ROOT = Path(__file__).parents[1]
# what each room and file of parity/ may import of the others: data flows from a case to its report
ARROWS = {
    "siblings": set(),
    "inputs": {"siblings"},
    "case": {"inputs"},
    "discovery": {"case"},
    "cases": {"discovery", "case", "inputs"},
    "checkpoints": {"siblings"},
    "running": {"siblings", "case", "inputs"},
    "judging": {"siblings", "running", "inputs"},
    "mistakes": {"siblings", "judging", "running"},
    "explaining": {"siblings", "mistakes", "judging", "running"},
    "check": {"explaining", "judging", "running", "case", "inputs"},
    "report": {"judging"},
    "own_package": {"siblings", "report", "check", "judging", "running", "cases", "case"},
    "adapters": {"siblings"},
    "command": set(),
    "weights": {"siblings", "checkpoints", "running"},
    "saved": {"siblings", "weights", "checkpoints", "judging", "running", "cases", "case"},
    "calibrate": {"check", "judging", "running", "cases", "case"},
    "assertion": {"siblings", "adapters", "weights", "report", "check", "judging", "running", "inputs"},
    "plugin": {"assertion", "own_package", "report", "check", "judging", "running", "case"},
    "__init__": {"assertion"},
    "__main__": {"own_package", "calibrate", "saved", "command", "report", "check", "judging", "running", "cases", "case"},
}
OURS = {"scratch", "reference", "parity", "parity_tests", "benchmarks", "examples"}
MAY_IMPORT = {
    "scratch": {"scratch", "numpy", "scipy"},
    "reference": {"reference", "torch", "scipy"},
}
MODULE_CASES = [case for case in CASES if case.folder in ("layers", "models") and case.training]


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_import_walls(package):
    import sys

    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    foreign = {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports(file)
        if name not in MAY_IMPORT[package] and name not in sys.stdlib_module_names
    }
    assert foreign == set()


def test_machinery_knows_no_op():
    """An op imports scratch.fast, never the other way round."""
    known = {"scratch.fast", "scratch.checks", "scratch.module"}
    for file in (ROOT / "scratch" / "fast").glob("*.py"):
        ours = {module for module in modules_imported(file) if module.startswith("scratch.")}
        assert not {module for module in ours if not module.startswith(tuple(known))}, file


def test_harness_does_not_import_its_users():
    for file in (ROOT / "parity").rglob("*.py"):
        assert not set(imports(file)) & {"parity_tests", "benchmarks", "examples"}, file


def rooms_imported(file):
    """Return the rooms of parity/ that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [f"parity.{alias.name}" for alias in node.names] if node.module == "parity" else [node.module]
        yield from (module.split(".")[1] for module in modules if module.startswith("parity."))


def test_rooms_import_only_what_lies_before_them():
    for file in (ROOT / "parity").rglob("*.py"):
        room = file.relative_to(ROOT / "parity").parts[0].removesuffix(".py")
        assert set(rooms_imported(file)) <= ARROWS[room] | {room}, file.relative_to(ROOT)


def test_the_arrows_of_the_rooms_form_no_circle():
    assert tuple(TopologicalSorter(ARROWS).static_order())


def sibling_imported_first(module, seen):
    """Return the first of parity.siblings, scratch and reference that importing a module of parity comes to; None where none."""
    parts = module.split(".")
    for name in (".".join(parts[: n + 1]) for n in range(len(parts))):  # its packages, then itself
        if name not in seen:
            seen.add(name)
            path = ROOT.joinpath(*name.split("."))
            for imported in modules_imported(path / "__init__.py" if path.is_dir() else path.with_suffix(".py")):
                if imported == "parity.siblings" or imported.split(".")[0] in MAY_IMPORT:
                    return imported
                if imported.startswith("parity.") and (first := sibling_imported_first(imported, seen)):
                    return first
    return None


def modules_imported(file):
    """Return the modules that a file imports when it is imported itself, in order."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            files = [name for name in inside if ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file()]
            yield from files or [node.module]


def test_parity_makes_sure_of_its_siblings_before_it_imports_them():
    for file in (ROOT / "parity").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert sibling_imported_first(module, set()) in ("parity.siblings", None), module


def test_case_names_are_unique():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert {case.family for case in CASES} == set(FAMILIES)


@pytest.mark.parametrize("package", [scratch.ops, scratch.layers, scratch.models, scratch.optim, scratch.optim.lr_scheduler])
def test_everything_public_has_a_case(package):
    covered = {case.scratch for case in CASES}
    without = {"Sequential", "activation_named"}  # compared as part of every model; a lookup
    without |= {"lr_scheduler", "LRScheduler"}  # a package; what all schedules share
    folder = package.__name__.removeprefix("scratch.")
    assert {f"{folder}.{name}" for name in package.__all__ if name not in without} <= covered


def test_models_are_twins_by_name():
    assert scratch.models.__all__ == reference.models.__all__


@pytest.mark.parametrize("folder", ["ops", "layers", "models"])
def test_twins_have_one_file_name(folder):
    ours, theirs = ({file.name for file in (ROOT / package / folder).glob("*.py")} for package in ("scratch", "reference"))
    assert theirs <= ours
    assert folder != "models" or ours == theirs


@pytest.mark.parametrize("name", [*reference.ops.__all__, *reference.layers.__all__, *reference.models.__all__])
def test_twins_are_defined_in_files_of_one_name(name):
    package = next(package for package in ("ops", "layers", "models") if name in getattr(reference, package).__all__)
    ours, theirs = (inspect.unwrap(getattr(getattr(root, package), name)).__module__ for root in (scratch, reference))
    assert ours.removeprefix("scratch.") == theirs.removeprefix("reference.")


@pytest.mark.parametrize("name", scratch.models.__all__)
def test_models_have_one_signature(name):
    assert inspect.signature(getattr(scratch.models, name)) == inspect.signature(getattr(reference.models, name))


@pytest.mark.parametrize("name", [name for name in scratch.layers.__all__ if hasattr(torch.nn, name) and name != "Sequential"])
def test_layers_take_torchs_arguments(name):
    theirs = inspect.signature(getattr(reference.layers, name, None) or getattr(torch.nn, name)).parameters
    for argument, ours in inspect.signature(getattr(scratch.layers, name)).parameters.items():
        assert argument in theirs
        if ours.default is not ours.empty:  # torch lets softmax guess its axis; we ask for it
            assert theirs[argument].default == ours.default, f"{name}({argument})"


@pytest.mark.parametrize("name", [name for name in reference.layers.__all__ if not hasattr(torch.nn, name)])
def test_layers_that_torch_lacks_have_one_signature(name):
    ours, theirs = (inspect.signature(getattr(package, name)).parameters for package in (scratch.layers, reference.layers))
    assert ours == ({} if list(theirs) == ["args", "kwargs"] else theirs)  # of a torch module that makes nothing


@pytest.mark.parametrize("name", scratch.ops.__all__)
def test_ops_take_torchs_arguments(name):
    libraries = reference.ops, torch.nn.functional, torch
    theirs = next(getattr(library, name) for library in libraries if hasattr(library, name))
    try:
        signature = inspect.signature(theirs).parameters
    except ValueError:  # a builtin, whose arguments only its cases can show
        return
    if "args" in signature:  # a dispatcher, likewise
        return
    ours = inspect.signature(getattr(scratch.ops, name)).parameters
    renamed = {"x", "keep", "training"}  # x for input; a mask in place of a draw; batch_norm and dropout pass the mode
    assert set(ours) - renamed <= set(signature)


@pytest.mark.parametrize("case", MODULE_CASES, ids=lambda case: case.name)
def test_state_dicts_are_the_same(case):
    ours, theirs = (build().state_dict() for build in builders(case))
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].shape == tuple(tensor.shape), name
        assert ours[name].dtype == tensor.numpy().dtype, name


@pytest.mark.parametrize("case", MODULE_CASES, ids=lambda case: case.name)
def test_submodules_have_the_same_paths(case):
    ours, theirs = (build() for build in builders(case))
    lists = torch.nn.ModuleList  # lists of ours are no modules themselves
    assert [path for path, _ in ours.named_modules()] == [path for path, m in theirs.named_modules() if not isinstance(m, lists)]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Linear", {"in_features": 37, "out_features": 501}),
        ("Conv2d", {"in_channels": 6, "out_channels": 120, "kernel_size": (3, 5), "groups": 2}),
        ("BatchNorm2d", {"num_features": 7}),
        ("LSTM", {"input_size": 5, "hidden_size": 60, "num_layers": 2, "proj_size": 7, "bidirectional": True}),
        ("GRUCell", {"input_size": 5, "hidden_size": 60}),
    ],
)
def test_initial_weights_have_torchs_distribution(name, config):
    manual_seed(0)
    torch.manual_seed(0)
    ours = [getattr(scratch.layers, name)(**config).state_dict() for _ in range(20)]
    theirs = [getattr(torch.nn, name)(**config).state_dict() for _ in range(20)]
    for key in theirs[0]:
        a = np.concatenate([state[key].ravel() for state in ours])
        b = np.concatenate([state[key].numpy().ravel() for state in theirs])
        quantiles = np.linspace(0, 1, 11)
        spread = b.std() or 1.0
        assert np.abs(np.quantile(a, quantiles) - np.quantile(b, quantiles)).max() < 0.1 * spread, key


def test_an_embedding_begins_normal_with_its_padding_at_zero():
    manual_seed(0)
    table = scratch.layers.Embedding(500, 40, padding_idx=3).weight.data
    assert not table[3].any()
    assert abs(np.delete(table, 3, axis=0).mean()) < 0.02
    assert abs(np.delete(table, 3, axis=0).std() - 1) < 0.02


def test_models_are_built_from_the_seed():
    config = {"in_features": 3, "hidden": [5], "out_features": 2}
    manual_seed(7)
    first = scratch.models.MLP(**config).state_dict()
    other = scratch.models.MLP(**config).state_dict()
    manual_seed(7)
    again = scratch.models.MLP(**config).state_dict()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["layers.0.weight"], other["layers.0.weight"])
