"""Layers that several plugins use. Import what you need from its module; importing this package costs nothing."""
