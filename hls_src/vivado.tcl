# Put the engine into the PYNQ-Z2 design and make the bitstream. Run by the Makefile, in build/.
#
# The design is the one that overlays/make_hwh.py describes; tests/test_overlay_build.py compares the two.

# Of the S_AXI_HP, the one that the engine's memory port is on.
set port 0
set port_bits 64
set megahertz 100
set base 0x70000000
set range 64K

create_project -force pynq_cnn vivado -part $::env(PCNN_PART)
set_property ip_repo_paths [file normalize engine/solution/impl/ip] [current_project]
update_ip_catalog

# With the board's files installed, Vivado knows its memory and crystal. Without them they are given below; the processor is set up from the SD card either way.
set board [lindex [get_board_parts -quiet *:pynq-z2:*] end]
if {$board ne ""} { set_property board_part $board [current_project] }

create_bd_design pynq_cnn

# A cell of the newest version that this Vivado has.
proc cell {kind name} {
    set definition [lindex [get_ipdefs $kind:*] end]
    if {$definition eq ""} { error "this Vivado has no IP $kind; for the engine, run make ip" }
    create_bd_cell -type ip -vlnv $definition $name
}
proc bus {from to} { connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to] }
proc wire {from args} { foreach to $args { connect_bd_net [get_bd_pins $from] [get_bd_pins $to] } }

cell xilinx.com:ip:processing_system7 processing_system7_0
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
    -config [list make_external "FIXED_IO, DDR" apply_board_preset [expr {$board ne ""}] Master Disable Slave Disable] \
    [get_bd_cells processing_system7_0]
set parameters [list CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ 50 CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_M_AXI_GP1 0 \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $megahertz CONFIG.PCW_EN_CLK0_PORT 1 CONFIG.PCW_EN_RST0_PORT 1]
# The memory of the PYNQ-Z2, 512 MB of DDR3 at 525 MHz on 16 bits, as in PYNQ's own designs for it. Vivado's default is 1 GB on 32 bits,
# and the address map of the ports would go beyond what is there.
if {$board eq ""} {
    lappend parameters CONFIG.PCW_UIPARAM_DDR_PARTNO "MT41J256M16 RE-125" CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH "16 Bit" \
        CONFIG.PCW_UIPARAM_DDR_FREQ_MHZ 525
}
for {set i 0} {$i < 4} {incr i} {
    lappend parameters CONFIG.PCW_USE_S_AXI_HP$i [expr {$i == $port}]
    if {$i == $port} { lappend parameters CONFIG.PCW_S_AXI_HP${i}_DATA_WIDTH $port_bits }
}
set_property -dict $parameters [get_bd_cells processing_system7_0]

cell pynq-cnn:hls:pynq_cnn_engine pynq_cnn_engine_0
cell xilinx.com:ip:proc_sys_reset rst_ps7_0_100M
set bridges [list axi_smc_gp0 axi_smc_hp$port]
foreach bridge $bridges {
    cell xilinx.com:ip:smartconnect $bridge
    set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} [get_bd_cells $bridge]
}

bus processing_system7_0/M_AXI_GP0 axi_smc_gp0/S00_AXI
bus axi_smc_gp0/M00_AXI pynq_cnn_engine_0/s_axi_control
bus pynq_cnn_engine_0/m_axi_gmem axi_smc_hp$port/S00_AXI
bus axi_smc_hp$port/M00_AXI processing_system7_0/S_AXI_HP$port

wire processing_system7_0/FCLK_CLK0 processing_system7_0/M_AXI_GP0_ACLK pynq_cnn_engine_0/ap_clk rst_ps7_0_100M/slowest_sync_clk
wire processing_system7_0/FCLK_RESET0_N rst_ps7_0_100M/ext_reset_in
wire rst_ps7_0_100M/peripheral_aresetn pynq_cnn_engine_0/ap_rst_n
wire processing_system7_0/FCLK_CLK0 processing_system7_0/S_AXI_HP${port}_ACLK
foreach bridge $bridges {
    wire processing_system7_0/FCLK_CLK0 $bridge/aclk
    wire rst_ps7_0_100M/peripheral_aresetn $bridge/aresetn
}

assign_bd_address -offset $base -range $range -target_address_space [get_bd_addr_spaces processing_system7_0/Data] \
    [get_bd_addr_segs pynq_cnn_engine_0/s_axi_control/Reg] -force
assign_bd_address
validate_bd_design
save_bd_design

set design [get_files pynq_cnn.bd]
generate_target all $design
add_files -norecurse [make_wrapper -files $design -top]
set_property top pynq_cnn_wrapper [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream -jobs $::env(PCNN_JOBS)
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} { error "implementation failed: [get_property STATUS [get_runs impl_1]]; see build/vivado.log" }
# Setup, hold and pulse width: a design that misses one of them is wrong now and then; a missed hold no slower clock mends.
foreach {name what} {WNS "setup" WHS "hold" TPWS "pulse width"} {
    set slack($name) [get_property STATS.$name [get_runs impl_1]]
    if {![string is double -strict $slack($name)]} { error "Vivado does not tell the $what slack ($name); nothing was copied to the overlays" }
    if {$slack($name) < 0} { error "the design misses $megahertz MHz by [expr {-$slack($name)}] ns of $what ($name); nothing was copied to the overlays" }
}

open_run impl_1
report_utilization -file utilisation.rpt
report_timing_summary -file timing.rpt

# Vivado's own folders differ from version to version.
proc only {what patterns} {
    set found [glob -nocomplain {*}$patterns]
    if {[llength $found] != 1} { error "there should be one $what, but there are [llength $found]: $found" }
    return $found
}
set bit [only bitstream vivado/pynq_cnn.runs/impl_1/pynq_cnn_wrapper.bit]
set hwh [only "hardware hand-off" {vivado/pynq_cnn.gen/sources_1/bd/pynq_cnn/hw_handoff/pynq_cnn.hwh vivado/pynq_cnn.srcs/sources_1/bd/pynq_cnn/hw_handoff/pynq_cnn.hwh}]
file copy -force $bit $::env(PCNN_OVERLAYS)/pynq_cnn.bit
file copy -force $hwh $::env(PCNN_OVERLAYS)/pynq_cnn.hwh

set note [open $::env(PCNN_OVERLAYS)/pynq_cnn.md w]
puts $note "# What built pynq_cnn.bit and pynq_cnn.hwh\n"
puts $note "* Sources: $::env(PCNN_BUILD) (`hls_src/build_hash.py`, the `build` register)"
puts $note "* Vivado: [version -short]; part: $::env(PCNN_PART); clock: $megahertz MHz, worst slack $slack(WNS) ns, of hold $slack(WHS) ns"
close $note
