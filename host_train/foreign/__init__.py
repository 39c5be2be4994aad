"""Networks in the files of other tools.

bnn_pynq         networks of BNN-PYNQ
bnn_pynq_files   their files, as arrays
onnx_file        ONNX files, as models of PyTorch
onnx_libraries   onnx and onnx2torch
onnx_graph       graphs as onnx2torch takes them: known operations, channels first
onnx_quantised   graphs that are quantised already, in floating point again
onnx_bits        their bits, as binary layers
onnx_plain       what onnx2torch gives, in plain operations of PyTorch
"""
