# Draws two plots side by side, both axes logarithmic, with a line for each program.
#
#     gnuplot -c lines.gnuplot OUTPUT XLABEL LEFT YLABEL RIGHT YLABEL
#
# LEFT and RIGHT have a block for each program: its name, then x and y on each line. Two
# empty lines are between blocks.

set terminal svg size 980,500 dynamic font "sans-serif,13" background "white"
set output ARG1
set datafile separator tab
set logscale xy
set format xy "10^{%T}"
set border 3 linecolor rgb "#888888"
set tics nomirror out textcolor rgb "#444444"
unset mxtics
unset mytics
set grid linetype 1 linecolor rgb "#e4e4e4"
set key above left Left reverse samplen 1.5 spacing 0.95 font ",12"
set xlabel ARG2
array colors[8] = [0x1f6feb, 0xd9822b, 0x2da44e, 0x8250df, 0xcf222e, 0x6e7781, 0x0aa2c0, 0xbf8700]

set multiplot layout 1,2 margins 0.08,0.98,0.14,0.78 spacing 0.1
do for [side = 0:1] {
    data = side == 0 ? ARG3 : ARG5
    set ylabel (side == 0 ? ARG4 : ARG6)
    set autoscale xy
    stats data using 1:2 nooutput
    set xrange [STATS_min_x / 1.25:STATS_max_x * 1.25]
    set yrange [STATS_min_y / 1.5:STATS_max_y * 1.5]
    plot for [i = 0:STATS_blocks - 1] data index i using 1:2 title columnheader(1) \
        with linespoints pointtype 7 pointsize 0.55 linewidth 2 \
        linecolor rgb colors[i % 8 + 1]
}
unset multiplot
