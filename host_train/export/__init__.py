"""Networks in the formats of other tools, each with its reader.

containers   a Network as one .mat file, or as a folder of plain text
torchscript  the model in floating point
"""
