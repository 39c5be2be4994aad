"""Audit of the engine's sources, in place of a run of Vitis HLS.

`python -m audit`, started in `hls_src/`, compiles the top function as for synthesis with clang, counts from the
intermediate code what it costs on the FPGA, checks the sources against what Vitis HLS accepts, and fails above the
budget. Nothing here knows the engine: all is found from the top function's file. Not part of the installed package.

============  ====================================================================
`budget`      the device, the project's limits, and whether to exceed them is an error yet
`toolchain`   clang and libclang, from PyPI
`source`      loops, functions, arrays and `#pragma HLS`, by position in the source
`pragmas`     the spellings that Vitis HLS 2022.1 accepts
`reserved`    reserved words of Verilog, SystemVerilog and VHDL
`rules`       what must not be in synthesised code
`annotated`   the sources with what the pragmas say in clang's own words
`ir`          LLVM intermediate code, read
`widths`      bits that a value really has, and bits that are asked of it
`hardware`    the loops of the intermediate code and what runs where, how many times
`multipliers` products on 25 x 18 DSPs
`blocks`      the order of basic blocks
`arrays`      banks, block RAM and LUT RAM of arrays
`pointers`    addresses of loads and stores
`memories`    accesses of each bank a cycle
`cost`        LUTs and flip-flops by kind
`operations`  LUTs and delay of each operation
`schedule`    pipelines in stages, and circles in them
`fabric`      LUTs and flip-flops of the whole
`report`      the counts together, and the faults
`tables`      them in Markdown
`verilog`     a pipeline as Verilog, from the same intermediate code
`beside`      `python -m audit.beside`: the counts beside a synthesis tool's
============  ====================================================================
"""
