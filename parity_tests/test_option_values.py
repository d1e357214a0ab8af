"""Each option of each op, layer and model is used at its default, away from it, and away from it together with another option."""

import inspect
from collections import defaultdict

import numpy as np
import pytest

from parity.case import resolve
from parity.cases import CASES, FULL_SIZE
from parity.inputs import Draw
from parity.running import nested


def same(value, default):
    """Return whether a value is the default."""
    arrays = [leaf for _, leaf in nested.leaves("", value) if isinstance(leaf, np.ndarray)]
    return not arrays and value == default


def options_away(case, defaults):
    """Return the options of an op or constructor that a case gives a value other than the default."""
    given = {**case.inputs(Draw(0, 0)), **case.config} if case.folder == "ops" else case.config
    return {name for name, default in defaults.items() if name in given and not same(given[name], default)}


def defaults_by_path():
    """Return the default of each option of each op, layer and model that has cases."""
    found = {}
    for path in sorted({case.scratch for case in CASES if case.folder in ("ops", "layers", "models")}):
        parameters = inspect.signature(resolve(path, "scratch")).parameters
        found[path] = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    return {path: defaults for path, defaults in found.items() if defaults}


DEFAULTS = defaults_by_path()
AWAY = defaultdict(list)
for case in (*CASES, *FULL_SIZE):
    if case.scratch in DEFAULTS:
        AWAY[case.scratch].append(options_away(case, DEFAULTS[case.scratch]))


@pytest.mark.parametrize("path", DEFAULTS)
def test_each_option_is_used_at_its_default(path):
    assert not {option for option in DEFAULTS[path] if all(option in away for away in AWAY[path])}


@pytest.mark.parametrize("path", DEFAULTS)
def test_each_option_is_used_away_from_its_default(path):
    assert not {option for option in DEFAULTS[path] if not any(option in away for away in AWAY[path])}


@pytest.mark.parametrize("path", [path for path, defaults in DEFAULTS.items() if len(defaults) > 1])
def test_each_option_is_used_away_from_its_default_with_another(path):
    assert not {option for option in DEFAULTS[path] if not any(option in away and len(away) > 1 for away in AWAY[path])}
