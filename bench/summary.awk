# Makes one line of all runs of a figure: their number, the median, lowest and highest.
# It needs median.awk.

BEGIN {
    FS = OFS = ","
    print "bench,figure,program,size,workers,runs,median,lowest,highest"
}

FNR == 1 {
    next
}

{
    key = $1 OFS $2 OFS $3 OFS $4 OFS $5
    if (!(key in runs))
        keys[++key_count] = key
    value[key, ++runs[key]] = $7 + 0
}

END {
    for (i = 1; i <= key_count; i++) {
        count = runs[keys[i]]
        for (run = 1; run <= count; run++)
            values[run] = value[keys[i], run]
        middle = median(values, count)
        print keys[i], count, middle, values[1], values[count]
    }
}
