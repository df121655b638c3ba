# Prints the table of one benchmark. It needs median.awk.
#
#     awk -f median.awk -f table.awk -v format=text -v heading=TEXT RUNS.csv ROWS
#
# ROWS has a line for each: benchmark|label|figure|ours|peer|limit. A ratio is that of one
# run, of ours to the peer's; the median is that of these ratios.

BEGIN {
    FS = ","
    if (format == "text") {
        print heading
        print_line("", "ours", "peer's", "peer", "ratio (spread)", "to reach", "reached")
    }
}

FNR == 1 && NR > 1 {
    is_rows = 1
}

!is_rows {
    value[$2, $3, $6] = value[$2, $3 "@" $4, $6] = $7
    if ($6 + 0 > last_run)
        last_run = $6 + 0
    next
}

{
    split($0, field, "|")
    row(field[1], field[2], field[3], field[4], field[5], field[6])
}

function row(bench, label, figure, ours, peer, limit,
             our_value, peer_value, ratio, low, high, words, reached, spread) {
    our_value = median_of(figure, ours)
    low = lowest
    high = highest
    peer_value = ratio = ""
    if (peer != "-") {
        peer_value = median_of(figure, peer)
        ratio = median_of(figure, ours, peer)
        low = lowest
        high = highest
    }
    split(limit, words, " ")
    reached = judge(words[1], words[2] + 0, our_value, ratio)
    if (format == "csv") {
        printf "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", bench, label, figure, ours,
            our_value, peer, peer_value, ratio, low, high, limit, reached
        return
    }
    spread = low == "" ? "" : sprintf("(%s-%s)", short(low), short(high))
    print_line(label, short(our_value), short(peer_value), peer,
               (ratio == "" ? "" : short(ratio) " ") spread,
               limit == "-" ? "" : (words[1] == "ratio" ? "ratio " : "") "<= " words[2],
               reached == "-" ? "" : reached)
}

# The median over the runs of a program's figure; with a peer, of the ratios to it. "" if
# there is none. Sets lowest and highest too.
function median_of(figure, program, peer, run, count, values, middle) {
    count = 0
    for (run = 1; run <= last_run; run++) {
        if (!((figure, program, run) in value))
            continue
        if (peer == "")
            values[++count] = value[figure, program, run] + 0
        else if ((figure, peer, run) in value && value[figure, peer, run] > 0)
            values[++count] = value[figure, program, run] / value[figure, peer, run]
    }
    lowest = highest = ""
    if (count == 0)
        return ""
    middle = median(values, count)
    lowest = values[1]
    highest = values[count]
    return middle
}

function judge(what, limit, our_value, ratio) {
    if (what == "-")
        return "-"
    if (what == "ratio")
        our_value = ratio
    if (our_value == "")
        return "not measured"
    return our_value <= limit ? "yes" : "no"
}

function short(number) {
    return number == "" ? "-" : sprintf(number >= 1000 ? "%.0f" : "%.4g", number)
}

function print_line(label, ours, theirs, peer, ratio, limit, reached, line) {
    line = sprintf("  %-34s %8s %8s  %-26s %-22s %-15s %s", label, ours, theirs, peer,
                   ratio, limit, reached)
    sub(/ +$/, "", line)
    print line
}
