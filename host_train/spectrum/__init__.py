"""The frequency-domain study: where the variance of weights and activations lies, and what can be saved by it.

variance   variance of each 2-D FFT coefficient, of weights padded to the feature map and of activations over a batch
basis      the 2-D FFT of real images as an orthonormal real basis: conjugate symmetry used, nothing stored twice
allocate   bits per coefficient by reverse water-filling
codec      encoder and decoder of a layer's weights at a given rate
bits       the bits that it gives each frequency of each layer
storage    networks in integers with weights kept in frequency: encoder, and which layer gets how many bytes
study      spectra, and the comparison with uniform quantisation on a trained run
spread     what the comparison says over several trainings
plots      surfaces, heat maps and curves
numbers    all of it as .csv and .npy
"""
