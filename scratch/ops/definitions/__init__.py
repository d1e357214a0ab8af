"""Definitions: ops as their papers write them, in about ten lines, under the name, file and signature of the tuned op.

They are written to be read, not to be fast, and check nothing. A test compares each of them with its op over all of the op's
cases, forward and backward.
"""
