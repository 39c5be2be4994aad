# Synthesise the engine with Vitis HLS, look at the report, and pack it as an IP. Run by the Makefile, in build/.

source [file join $::env(PCNN_SOURCES) check_synthesis.tcl]

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

set sources [glob [file join $::env(PCNN_SOURCES) *.hpp] [file join $::env(PCNN_SOURCES) engine.cpp]]
if {[catch {check_synthesis engine/solution/syn/report/csynth.xml $sources $::env(PCNN_LIMITS)} fault]} {
    puts stderr "ERROR: $fault"
    exit 1
}

# Vitis HLS 2020.2 to 2021.2 cannot pack an IP on dates after 2021 (its revision number overflows) without the patch of AR76960.
set description "sources $::env(PCNN_BUILD)"
if {[catch {export_design -format ip_catalog -vendor pynq-cnn -library hls -version 1.0 -display_name "pynq_cnn engine" -description $description} fault]} {
    puts stderr "ERROR: export_design: $fault\nVitis HLS before 2022.1 needs the patch of answer record 76960 to export on dates after 2021."
    exit 1
}
exit
