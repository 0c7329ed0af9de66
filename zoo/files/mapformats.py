"""How a label map is written. No torch in here."""

MAP_FORMATS = ("palette", "grey")
"""Class numbers with the colours of their space (PNG mode P), or class numbers alone (mode L). The first is the default."""
