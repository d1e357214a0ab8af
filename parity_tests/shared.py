"""Assertions that tests of several families share."""

import numpy as np
import pytest

from parity.weights import get_state, load_model, save_model


def assert_refused_in_one_line(call, message):
    """Assert that a call is refused with a one-line ValueError that contains the message."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_equal_up_to_rounding(found, expected, share):
    """Assert that numbers differ by at most a share of the largest: the last digits depend on the processor."""
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest)


def assert_weights_load(directory, model, package, config):
    """Save a model, load it as its twin in a package, and assert equal weights; return both models."""
    saved = model(**config)
    save_model(directory, saved, config)
    loaded = load_model(directory, package)
    before, after = get_state(saved), get_state(loaded)
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], name)
    return saved, loaded


def assert_found(judgement):
    """Assert that a planted fault is caught, with the right culprit and cause."""
    fault = judgement.fault
    assert judgement.caught, f"{fault.name} is not caught by {judgement.case} on seed {judgement.seed}"
    assert judgement.exact, f"culprit of {fault.name}:\n{judgement.explanation}"
    assert judgement.strange == (), f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"
    assert judgement.named or fault.cause is None, f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"
