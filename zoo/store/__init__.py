"""Model folders in and out: config, weights, assets, strictly; digests; a budget for what a config may allocate."""
