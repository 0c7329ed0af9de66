"""Which rules made a run: what a manifest says under `rules`, so that replays of older runs give the same files. No torch in here."""

RULES = 2
"""1 (a manifest says nothing): a class that a label space lacks is dropped whatever it lies on, and an edit with nothing to act on still
decodes the map anew. 2: the class becomes what it lies on, and such an edit changes nothing."""
