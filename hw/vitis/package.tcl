# package.tcl: makes a kernel for v++ (.xo) of hw/rtl, as kernel.xml describes it.
#
#   vivado -mode batch -nojournal -nolog -source hw/vitis/package.tcl -tclargs PART WORK OUT.xo
#
#   kernel.xml ──► WORK/rtl/cst_kernel_state.v        Verilog, by its name the kernel: all signals of
#                    │                                AXI4, those that the circuit leaves out tied
#   hw/rtl/*.sv ──►  └─ WORK/rtl/cst_kernel_state.sv  renamed to cst_kernel_state_sv
#                         └─ WORK/rtl/...
#
# The IP packager takes no top in SystemVerilog (UG1118, Top-Level HDL Requirements).

set here [file dirname [file normalize [info script]]]

# ---- What kernel.xml says ------------------------------------------------------------------------

proc text_of {path} {
    set file [open $path]
    fconfigure $file -encoding utf-8
    set text [read $file]
    close $file
    return $text
}

proc text_write {path text} {
    set file [open $path w]
    fconfigure $file -encoding utf-8 -translation lf
    puts -nonewline $file $text
    close $file
}

# Fills the variable `kernel`: name, vlnv (a list), protocol; ports: name, mode, bits; arguments:
# name, is_address, port, bytes, offset.
proc kernel_read {path} {
    global kernel
    set xml [text_of $path]
    if {![regexp {<kernel name="(\w+)" [^>]*vlnv="([^"]+)"[^>]*hwControlProtocol="(\w+)"} $xml \
              -> kernel(name) vlnv kernel(protocol)]} {
        error "$path: no kernel"
    }
    set kernel(vlnv) [split $vlnv :]
    set kernel(ports) {}
    foreach {-> name mode bits} [regexp -all -inline \
            {<port name="(\w+)" mode="(\w+)"[^>]*dataWidth="(\d+)"} $xml] {
        lappend kernel(ports) [list $name $mode $bits]
    }
    set kernel(arguments) {}
    foreach {-> name address port bytes offset} [regexp -all -inline \
            {<arg name="(\w+)" addressQualifier="(\d)" [^>]*port="(\w+)" size="0x(\w+)" offset="0x(\w+)"} \
            $xml] {
        lappend kernel(arguments) [list $name $address $port [scan $bytes %x] [scan $offset %x]]
    }
    if {[llength $kernel(ports)] == 0 || [llength $kernel(arguments)] == 0} {
        error "$path: no ports or no arguments"
    }
}

# ---- The module around the circuit ---------------------------------------------------------------

# Of a port: direction as the kernel sees it, bits, name; those of the third list are tied.
proc signals_of {mode bits} {
    set strobes [expr {$bits / 8}]
    if {$mode eq "slave"} {
        return [list [list \
            input 1 AWVALID output 1 AWREADY input 12 AWADDR \
            input 1 WVALID output 1 WREADY input $bits WDATA input $strobes WSTRB \
            output 1 BVALID input 1 BREADY output 2 BRESP \
            input 1 ARVALID output 1 ARREADY input 12 ARADDR \
            output 1 RVALID input 1 RREADY output $bits RDATA output 2 RRESP] {}]
    }
    return [list [list \
        output 1 ARVALID input 1 ARREADY output 64 ARADDR output 8 ARLEN output 3 ARSIZE \
        output 2 ARBURST input 1 RVALID output 1 RREADY input $bits RDATA input 2 RRESP \
        input 1 RLAST output 1 AWVALID input 1 AWREADY output 64 AWADDR output 8 AWLEN \
        output 3 AWSIZE output 2 AWBURST output 1 WVALID input 1 WREADY output $bits WDATA \
        output $strobes WSTRB output 1 WLAST input 1 BVALID output 1 BREADY input 2 BRESP] [list \
        1 ARLOCK 0 4 ARCACHE 3 3 ARPROT 0 4 ARQOS 0 4 ARREGION 0 \
        1 AWLOCK 0 4 AWCACHE 3 3 AWPROT 0 4 AWQOS 0 4 AWREGION 0]]
}

proc range_of {bits} {
    return [expr {$bits == 1 ? "" : " \[[expr {$bits - 1}]:0\]"}]
}

proc module_of {} {
    global kernel
    set ports [list "  input ap_clk" "  input ap_rst_n" \
        "  (* X_INTERFACE_INFO = \"xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT\" *)\n  (* X_INTERFACE_PARAMETER = \"SENSITIVITY LEVEL_HIGH\" *)\n  output interrupt"]
    set wires [list "    .ap_clk(ap_clk)" "    .ap_rst_n(ap_rst_n)" "    .interrupt(interrupt)"]
    set ties ""
    foreach port $kernel(ports) {
        lassign $port name mode bits
        lassign [signals_of $mode $bits] through tied
        foreach {direction width signal} $through {
            lappend ports "  $direction[range_of $width] ${name}_$signal"
            lappend wires "    .${name}_${signal}(${name}_$signal)"
        }
        foreach {width signal value} $tied {
            lappend ports "  output[range_of $width] ${name}_$signal"
            append ties "  assign ${name}_$signal = $width'd$value;\n"
        }
    }
    return "// Made by hw/vitis/package.tcl of hw/vitis/kernel.xml.\n`default_nettype none\nmodule\
        $kernel(name) (\n[string map {"input " "input wire " "output " "output wire "} \
        [join $ports ",\n"]]\n);\n$ties\n  $kernel(name)_sv u_kernel (\n[join $wires ",\n"]\n\
        \  );\nendmodule\n`default_nettype wire\n"
}

# Returns the files, packages first.
proc sources_make {rtl to} {
    global kernel
    file mkdir $to
    set packages {}
    set modules {}
    foreach path [lsort [glob $rtl/*/*.sv]] {
        set copy [file join $to [file tail $path]]
        set text [text_of $path]
        if {[file rootname [file tail $path]] eq $kernel(name)} {
            if {[regsub -all "module $kernel(name) " $text "module $kernel(name)_sv " text] != 1} {
                error "$path: module $kernel(name) is not there once"
            }
            set copy [file join $to $kernel(name)_sv.sv]
        }
        text_write $copy $text
        if {[string match *_pkg.sv $path]} {lappend packages $copy} else {lappend modules $copy}
    }
    # cst_pkg is what the other packages name.
    set first [file join $to cst_pkg.sv]
    set packages [concat $first [lsearch -all -inline -not -exact $packages $first]]
    set top [file join $to $kernel(name).v]
    text_write $top [module_of]
    return [concat $packages $modules $top]
}

# ---- The IP --------------------------------------------------------------------------------------

proc register_add {block name offset bits bus} {
    set register [ipx::add_register $name $block]
    set_property address_offset [format 0x%03x $offset] $register
    set_property size $bits $register
    if {$bus eq ""} return
    # XRT and the linker know a port's memory by the argument that is an address of it.
    set parameter [ipx::add_register_parameter ASSOCIATED_BUSIF $register]
    set_property value $bus $parameter
}

proc registers_add {core} {
    global kernel
    set bus [lindex [lsearch -inline -index 1 $kernel(ports) slave] 0]
    set map [ipx::get_memory_maps $bus -of_objects $core]
    set block [ipx::get_address_blocks reg0 -of_objects $map]
    foreach {name offset} {CTRL 0x0 GIER 0x4 IP_IER 0x8 IP_ISR 0xc} {
        register_add $block $name $offset 32 ""
    }
    foreach argument $kernel(arguments) {
        lassign $argument name address port bytes offset
        register_add $block $name $offset [expr {8 * $bytes}] [expr {$address ? $port : ""}]
    }
    set_property slave_memory_map_ref $bus [ipx::get_bus_interfaces $bus -of_objects $core]
}

proc ports_describe {core} {
    global kernel
    foreach port $kernel(ports) {
        lassign $port name mode bits
        ipx::associate_bus_interfaces -busif $name -clock ap_clk $core
        if {$mode eq "slave"} continue
        set bus [ipx::get_bus_interfaces $name -of_objects $core]
        # Whole beats only, 16 at most (docs/hardware.md, How to put it on a card).
        foreach {parameter value} {SUPPORTS_NARROW_BURST 0 MAX_BURST_LENGTH 16} {
            set_property value $value [ipx::add_bus_parameter $parameter $bus]
        }
    }
    ipx::associate_bus_interfaces -clock ap_clk -reset ap_rst_n $core
}

proc core_make {part work files} {
    global kernel
    lassign $kernel(vlnv) vendor library name version
    create_project -force kernel $work/project -part $part
    add_files -norecurse $files
    set_property top $kernel(name) [current_fileset]
    update_compile_order -fileset sources_1
    ipx::package_project -root_dir $work/ip -vendor $vendor -library $library \
        -taxonomy /KernelIP -import_files
    set core [ipx::current_core]
    set_property name $name $core
    set_property version $version $core
    set_property sdx_kernel true $core
    set_property sdx_kernel_type rtl $core
    set_property vitis_drc [list ctrl_protocol $kernel(protocol)] $core
    set_property ipi_drc {ignore_freq_hz true} $core
    ports_describe $core
    registers_add $core
    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity -kernel -xrt $core
    ipx::save_core $core
}

if {[llength $argv] != 3} {
    error "usage: -tclargs PART WORK OUT.xo"
}
lassign $argv part work out
kernel_read $here/kernel.xml
core_make $part $work [sources_make [file normalize $here/../rtl] $work/rtl]
package_xo -force -xo_path $out -kernel_name $kernel(name) -ip_directory $work/ip \
    -kernel_xml $here/kernel.xml
puts "package.tcl: $out"
