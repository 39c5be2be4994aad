# Synthesise the engine with Vitis HLS and pack it as an IP. Run by the Makefile, in build/.

set flags "-std=c++14 -DPCNN_BUILD=$::env(PCNN_BUILD)u"

open_project -reset engine
set_top pynq_cnn_engine
add_files -cflags $flags $::env(PCNN_SOURCES)/engine.cpp
add_files -tb -cflags $flags $::env(PCNN_SOURCES)/engine_test.cpp
open_solution -reset -flow_target vivado solution
set_part $::env(PCNN_PART)
create_clock -period $::env(PCNN_PERIOD) -name default
config_interface -m_axi_addr64=1
csim_design
csynth_design
export_design -format ip_catalog -vendor pynq-cnn -library hls -version 1.0 -display_name "pynq_cnn engine" -description "sources $::env(PCNN_BUILD)"
exit
