"""Evaluation: what is measured on which data by which protocol (`zoo eval`). The arithmetic is in `zoo.metrics`."""
