"""Calls that nobody meant to make: every op, layer and model beside its torch twin, on inputs and options that were changed."""
