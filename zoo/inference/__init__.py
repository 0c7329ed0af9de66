"""The inference forms: exact and fast. Never trained, saved or converted."""
