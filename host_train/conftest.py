"""Keeps pytest's doctests from importing what needs PyTorch where it is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["evaluation", "networks", "quantisation", "run.py", "training"]
