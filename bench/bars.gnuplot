# Draws a bar for each program, and the spread on it.
#
#     gnuplot -c bars.gnuplot OUTPUT TITLE DATA
#
# A line of DATA: name, median, lowest, highest, with tabs between. What is far longer than
# most is cut off, and its number says how long it is.

set terminal svg size 760,420 dynamic font "sans-serif,13" background "white"
set output ARG1
set datafile separator tab
set label ARG2 at character 2, graph 1.05 font ",14"
stats ARG3 using 2 nooutput
bar_count = STATS_records
longest = 1.15 * (STATS_max > 6 * STATS_median ? 4 * STATS_median : STATS_max)

set lmargin 26
set rmargin 4
set tmargin 2.5
set xrange [0:1.25 * longest]
set yrange [bar_count - 0.4:-0.6]
set border 1 linecolor rgb "#888888"
set tics nomirror textcolor rgb "#444444"
set ytics scale 0
set xtics out
set grid xtics linetype 1 linecolor rgb "#e4e4e4"
unset key
set style fill solid noborder

is_ours(name) = name eq "executor" || name[1:1] eq "0" || name[1:1] eq "1"
is_floor(name) = name[1:5] eq "ideal" || name[1:4] eq "bare" || name[1:5] eq "futex" || \
    name[1:5] eq "write"
color(name) = is_floor(name) ? 0x9aa5b1 : is_ours(name) ? 0x1f6feb : 0xd9822b
cut(x) = x > longest ? longest : x
label(x) = sprintf(x > longest ? "%.3g (cut off)" : x >= 100 ? "%.0f" : "%.3g", x)

plot ARG3 using (0):0:(0):(cut($2)):($0 - 0.34):($0 + 0.34):(color(strcol(1))):ytic(1) \
         with boxxyerror linecolor rgb variable, \
     '' using (cut($2)):0:(cut($3)):(cut($4)) with xerrorbars \
         pointtype 0 linewidth 1.2 linecolor rgb "#333333", \
     '' using (cut($4)):0:(label($2)) with labels left offset 0.8,0 \
         textcolor rgb "#222222"
