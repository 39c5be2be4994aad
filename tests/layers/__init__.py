"""A file for each kind of layer: how a random one is drawn, its loops, what it refuses.

The loops transcribe docs/contract/numerics.md one number at a time, in Python's unbounded integers.
"""
