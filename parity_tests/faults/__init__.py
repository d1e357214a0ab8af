"""The catalogue of faults: realistic mistakes, each planted in scratch to see whether the harness finds and names it.

Each file with a table FAULTS is a family. The families come in the order of the families of cases; others follow them.
`python -m parity_tests.faults` plants every fault; with `--page` it writes docs/fault-catalogue.md.
"""

from parity import cases
from parity.discovery import families
from parity_tests.faults.fault import Fault, Judgement, judge

WITHOUT_TABLE = ("__main__", "fault", "page")


def _by_family() -> dict[str, list[Fault]]:
    """Return the faults of each family, in the order of the families of cases."""
    found = families(__name__, "FAULTS", WITHOUT_TABLE)
    order = dict.fromkeys([*(family for family in cases.FAMILIES if family in found), *found])
    return {family: found[family].FAULTS for family in order}


FAMILIES = _by_family()
FAULTS = [fault for faults in FAMILIES.values() for fault in faults]

__all__ = ["FAMILIES", "FAULTS", "Fault", "Judgement", "judge"]
