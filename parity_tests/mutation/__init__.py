"""Mutation testing of scratch: plants small faults one by one and counts those that no parity case and no test notices."""
