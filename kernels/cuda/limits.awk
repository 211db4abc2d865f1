# limits.awk - turns ptxas' report into a table: architecture, kernel, registers, spilled bytes, static shared memory. Fails on a spill, on more
# than 255 registers a thread, and on more than 48 KB of static shared memory.
/Compiling entry function/ { split($0, part, "'"); kernel = part[2]; arch = part[4] }
/bytes spill stores/ { match($0, /[0-9]+ bytes spill stores/); spilled = substr($0, RSTART) + 0 }
/Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5) + 0
    shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART) + 0 : 0
    printf "%-8s %-72s %4d registers %5d bytes spilled %6d bytes shared\n", arch, kernel, registers, spilled, shared
    kernels++
    if (spilled != 0 || registers > 255 || shared > 49152) { print "over the limits: " arch " " kernel; bad = 1 }
}
/error|warning/ { print; bad = 1 }
END { if (!kernels) print "no kernel has changed"; exit bad }
