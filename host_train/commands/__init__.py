"""The commands of `python -m host_train`, one module each: `add_parser` describes it, `run` does it.

What needs PyTorch is imported in `run`, so that `--help`, `data` and `sample` work without it.
"""
