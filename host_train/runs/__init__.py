"""A run: the folder of one training, from which everything else (evaluation, export) follows.

run.json             recipe, what was changed of it, seed, command, digests of the training data and of the network
float/  qat/         checkpoint.pt, weights.pt, history.json, curves.png of each training
evaluation.json      on the test set, confusion.png with it
package/             the model package, once exported
"""
