"""A second maker of faults, which knows nothing of the catalogue: transformations of any expression in scratch, drawn by a seed.

`python -m parity_tests.generated --seed S` draws faults, plants each in a process of its own, runs the cases that reach it, and
prints what the harness said.
"""
