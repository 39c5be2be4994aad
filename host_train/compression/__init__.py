"""Deep Compression: prune, share weights, Huffman-code.

prune      masks that keep the largest weights, and rounds of fine-tuning towards them
share      the weights that are left, in clusters that share a value; gradients of a value are summed over its cluster
compact    the channels that pruning has left without weights, taken out exactly
encoding   the shared values on an int8 grid of the layer, and the smallest encoding of each layer
table      what each step saves
target     how much to keep for a package of a given size
pipeline   all of it, in a folder of its run, to be resumed
stages     what is in that folder of each stage
sweep      accuracy against threshold and sparsity
sensitivity  accuracy with one layer alone pruned, or alone in few values
subject    what is compressed: of a run, or a network of one's own with its data

[Han, Mao and Dally 2016, "Deep Compression", arXiv 1510.00149]
"""
