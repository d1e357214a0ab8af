"""Mutation testing of scratch: plant small faults one by one, and count those that no parity case and no test detects."""
