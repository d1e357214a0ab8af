"""Fuzzing: run every op, layer and model beside its torch twin, on changed inputs and options."""
