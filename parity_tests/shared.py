"""What the tests of several families assert."""

import numpy as np
import pytest

from parity.weights import get_state, load_model, save_model


def assert_said_in_one_line(call, message):
    """A call is refused, with a line that contains the message."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_equal_but_for_rounding(found, expected, share):
    """Assert that numbers differ by at most a share of the largest: the last digits of small ones depend on the processor."""
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest)


def assert_weights_go(directory, model, package, config):
    """A model's weights go into its twin of a package by way of a directory; both models."""
    saved = model(**config)
    save_model(directory, saved, config)
    loaded = load_model(directory, package)
    before, after = get_state(saved), get_state(loaded)
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], name)
    return saved, loaded


def assert_found(judgement):
    """Assert that a planted fault is caught, and its culprit and cause named."""
    fault = judgement.fault
    assert judgement.caught, f"{fault.name} is not caught by {judgement.case} on seed {judgement.seed}"
    assert judgement.exact, f"culprit of {fault.name}:\n{judgement.explanation}"
    assert judgement.strange == (), f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"
    assert judgement.named or fault.cause is None, f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"
