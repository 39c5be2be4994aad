"""A network of the user's own, written as any `nn.Module`, as a Network in integers: `from_torch`.

calibration  what the user gives to calibrate with, as bytes and as the model's inputs
recording    the operations of a model, with the sizes that they have
trace        the model, walked in order, as the graph of layers that host_train.quantisation takes
flow         a tensor of the model: the numbers of a layer, in its order or another
operations   what each module, function and method becomes
kind         what the outputs say: classes, a probability, several, plain values
fidelity     how far integers are from the model, and in which layer they part
doubts       calibration images that do not look like training images
convert      from_torch: trace, fold, calibrate, integers; then these measures
model_file, weight_file   a model and its weights from the user's files, for `python -m host_train convert`
"""
