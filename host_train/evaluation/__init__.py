"""Evaluation: accuracy, confusion and loss of a PyTorch model or of a Network in integers, by the same code."""
