"""Layers for PyTorch that torch itself does not have: what training, networks, tracing and quantisation all know."""
