"""Charts of what was measured: the numbers first (`charts`), then their picture (`drawing`, extra `plots`)."""
