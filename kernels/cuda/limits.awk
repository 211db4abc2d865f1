# limits.awk - turns ptxas' report into a table: kernel, registers, spilled bytes, shared memory. Fails on a spill, on more than
# 128 registers a thread, and on more than 48 KB of static shared memory.
/Compiling entry function/ { split($0, part, "'"); kernel = part[2] }
/bytes spill stores/ { match($0, /[0-9]+ bytes spill stores/); spilled = $(0) ~ /, [0-9]+ bytes spill stores/ ? substr($0, RSTART) + 0 : -1 }
/Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5) + 0
    shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART) + 0 : 0
    printf "%-56s %4d registers %5d bytes spilled %6d bytes shared\n", kernel, registers, spilled, shared
    kernels++
    if (spilled != 0 || registers > 128 || shared > 49152) { print "over the limits: " kernel; bad = 1 }
}
/error|warning/ { print; bad = 1 }
END { if (!kernels) { print "no kernel was compiled"; bad = 1 } exit bad }
