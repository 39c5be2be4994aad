"""Networks in the formats of other tools, each with its reader.

formats      all that a Network can be written in
mat, txt     a Network as one .mat file, or as a folder of plain text
floats       weights and constants as they were trained, as .mat or text
container    its manifest and arrays, for both
torchscript  the model in floating point
"""
