"""One JSON file per vocabulary that the core ships."""
