"""Filled by the test with what it trains."""
