"""Tests of an installation: `python -m pytest --pyargs pynq_cnn`, on a board or anywhere else.

They come with the package and need pytest and nothing that the package does not: neither PyTorch nor a network nor the
sources. What cannot run on a machine is skipped with the reason. The project's own tests are in its folder `tests`.
"""
