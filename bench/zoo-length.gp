# zoo-length.gp - the figure of zoo-length.sh: points (clicks, Recall@20 and MRR@20 of three models) and the
# output are set by the caller. No background is drawn and every color is of middle lightness, so that it can
# stand on a white page and on a black one.
set terminal svg size 1000,420 dynamic noenhanced font "Helvetica,13"
set multiplot layout 1,2
grey = "#808080"
set border 3 lc rgb grey
set tics nomirror out textcolor rgb grey
set grid ytics lc rgb "#80808060" lw 0.5
set key off
set lmargin 9
set rmargin 12
set bmargin 4
set tmargin 3
set format y "%.2f"
set logscale x 2
set xtics (1, 2, 3, 4, 6, 8, 12, 20)
set xrange [0.95:21]
set xlabel "last clicks that the model sees" textcolor rgb grey
set title textcolor rgb grey
array color[3] = ["#808080", "#2f8fdd", "#d9508a"]
array name[3] = ["Markov", "GRU4Rec", "SASRec"]
do for [panel = 0:1] {
    set title panel ? "MRR@20" : "Recall@20"
    plot for [i = 1:3] points using 1:(column(1 + i + 3 * panel)) with linespoints lw 2.2 pt 7 ps 0.5 \
             lc rgb color[i], \
         for [i = 1:3] points using ($0 == 7 ? $1 : NaN):(column(1 + i + 3 * panel)):(name[i]) with labels \
             left offset 0.8, 0 textcolor rgb color[i]
}
unset multiplot
