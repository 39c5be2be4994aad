"""Layers for PyTorch that torch itself does not have, and how an error says which layer it is about."""
