"""Generated faults that went unseen and change nothing that a comparison may see, each with the reason.

The key is the file, the function and the changed line. Only faults of published seeds are reviewed.
"""

REVIEWED: dict[tuple[str, str, str], str] = {}
