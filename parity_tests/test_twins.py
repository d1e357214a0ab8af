"""Every twin against its reference: outputs, every gradient and every buffer, over the tables of parity.cases."""

from operator import attrgetter

import pytest

from parity.cases import CASES


@pytest.mark.parametrize("case", CASES, ids=attrgetter("name"))
def test_twins_agree(case, parity_leg, parity_judge):
    parity_judge(case, parity_leg)
