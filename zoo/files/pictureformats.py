"""How a picture of a run is written. No torch in here."""

PICTURE_FORMATS = {"png": ".png", "jpeg": ".jpg"}
"""The ending of each; the first is the default, and the only one of label maps, whose numbers a lossy format would change."""
QUALITY = 95
"""Of JPEG, where nothing is said."""
