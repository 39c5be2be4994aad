# Reads the report of csynth_design (csynth.xml) and tells what is wrong with it. Plain Tcl, so that it runs without Vitis.
#
# For Vitis HLS a missed initiation interval and a design twice as large as the chip are warnings; the design would be slow, or would
# fail hours later in Vivado.

# All texts of an XML file with the path of tags that leads to each: {profile AreaEstimates Resources DSP} 128 ...
proc xml_texts {xml} {
    set path {}
    set texts {}
    foreach {all closing tag alone text} [regexp -all -inline {<(/?)([^\s/>?!]+)[^>]*?(/?)>([^<]*)} $xml] {
        if {$closing ne ""} {
            if {[lindex $path end] ne $tag} { error "the report is damaged: </$tag> closes <[lindex $path end]>" }
            set path [lrange $path 0 end-1]
        } elseif {$alone eq ""} {
            lappend path $tag
            set text [string trim $text]
            if {$text ne ""} { lappend texts $path $text }
        }
    }
    if {[llength $path]} { error "the report is damaged: <[lindex $path end]> is not closed" }
    return $texts
}

# Loops of a report: name, module, II ("" where the loop is no pipeline).
proc loops_of {texts} {
    set module ""
    set loops [dict create]
    foreach {path text} $texts {
        if {[lrange $path end-1 end] eq {Module Name}} { set module $text }
        set summary [lsearch -exact $path SummaryOfLoopLatency]
        if {$summary < 0 || [llength $path] < $summary + 3} { continue }
        set where [expr {[lsearch -exact $path Module] < 0 ? "the top function" : $module}]
        set key [list $where [lrange $path $summary+1 end-1]]
        if {![dict exists $loops $key]} { dict set loops $key [list [lindex $path end-1] $where ""] }
        if {[lindex $path end] eq "PipelineII"} {
            dict set loops $key [lreplace [dict get $loops $key] 2 2 $text]
        }
    }
    return [dict values $loops]
}

# Labels of the pipelined loops in the sources and the II that their pragma asks for (1 where it gives none).
proc pipelines_of {files} {
    set wanted [dict create]
    foreach file $files {
        set channel [open $file]
        set text [read $channel]
        close $channel
        set label ""
        set inside 0
        foreach line [split $text \n] {
            if {[regexp {^\s*([A-Za-z_]\w*):\s*(//.*)?$} $line -> found]} {
                set label $found
                set inside 0
            } elseif {$label eq "" || [regexp {^\s*(//.*)?$} $line]} {
                continue
            } elseif {!$inside} {
                if {[regexp {\{\s*(//.*)?$} $line]} { set inside 1 }
            } elseif {[regexp -nocase {^\s*#\s*pragma\s+HLS\s+PIPELINE\y(.*)$} $line -> options]} {
                if {![regexp -nocase {\moff\M} $options]} {
                    dict set wanted $label [expr {[regexp -nocase {\mII\s*=\s*(\d+)} $options -> interval] ? $interval : 1}]
                }
            } elseif {![regexp {^\s*#} $line]} {
                set label ""
            }
        }
    }
    return $wanted
}

# The label that a loop of the report is called by: Vitis HLS joins the names of flattened loops, the innermost last.
proc label_of {name wanted} {
    set best ""
    foreach label [dict keys $wanted] {
        if {($name eq $label || [string match "*_$label" $name]) && [string length $label] > [string length $best]} { set best $label }
    }
    return $best
}

# What is wrong with a report, a list of sentences. `limits` are a resource and the most of it in turn: DSP 212 BRAM_18K 272 ...
proc synthesis_faults {xml wanted limits} {
    set texts [xml_texts $xml]
    set faults {}
    set seen {}
    foreach loop [loops_of $texts] {
        lassign $loop name module interval
        set label [label_of $name $wanted]
        if {$label eq ""} { continue }
        lappend seen $label
        set target [dict get $wanted $label]
        if {![string is integer -strict $interval]} {
            lappend faults "loop $name in $module is not pipelined; its II was to be $target"
        } elseif {$interval > $target} {
            lappend faults "loop $name in $module has an II of $interval; it was to be $target"
        }
    }
    if {![llength $seen]} { lappend faults "the report has none of the loops [dict keys $wanted]" }
    foreach label [dict keys $wanted] {
        if {$label ni $seen} { puts "WARNING: the report has no loop $label: was it unrolled, or left out?" }
    }
    foreach {resource limit} $limits {
        set used ""
        foreach {path text} $texts {
            if {$path eq [list profile AreaEstimates Resources $resource]} { set used $text }
        }
        if {![string is integer -strict $used]} {
            lappend faults "the report does not say how much $resource the design takes"
        } elseif {$used > $limit} {
            lappend faults "$used $resource, and the limit is $limit"
        }
    }
    return [lsort -unique $faults]
}

# Raise an error if the report says that the design is slower or larger than it was meant to be.
proc check_synthesis {report sources limits} {
    if {![file exists $report]} { error "csynth_design wrote no $report" }
    set channel [open $report]
    set xml [read $channel]
    close $channel
    set wanted [pipelines_of $sources]
    if {![dict size $wanted]} { error "no pipelined loop was found in $sources" }
    set faults [synthesis_faults $xml $wanted $limits]
    if {[llength $faults]} { error "the synthesised engine is not as it was meant:\n  [join $faults "\n  "]" }
}
