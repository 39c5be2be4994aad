"""Notebooks; `pynq get-notebooks pynq_cnn` delivers them on the board (entry point `pynq.notebooks`)."""
