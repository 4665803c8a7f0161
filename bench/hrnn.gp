# hrnn.gp - one figure of bench/hrnn.sh: left, right (files of points), figure (history or position) and the
# output are set by the caller. No background is drawn and every colour is of middle lightness, so that it can
# stand on a white page and on a black one.
set terminal svg size 1000,420 dynamic noenhanced font "Helvetica,13"
set multiplot layout 1,2
grey = "#808080"
set border 3 lc rgb grey
set tics nomirror out textcolor rgb grey
set grid ytics lc rgb "#80808060" lw 0.5
set key off
set lmargin 9
set rmargin 13
set bmargin 4
set tmargin 3
set format y "%.2f"
set xlabel textcolor rgb grey
set ylabel textcolor rgb grey offset 1
set title textcolor rgb grey
array colour[6] = ["#9a70e0", "#c78a00", "#2f8fdd", "#d9508a", "#808080", "#808080"]

if (figure eq "history") {
    set xlabel "earlier visits of the visitor"
    set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7-8" 7, "9-12" 8, "13+" 9)
    set xrange [0.7:9.1]
} else {
    set xlabel "recommendation after this click of the visit"
    set xtics ("1st" 1, "2nd" 2, "3rd" 3, "4th" 4, "5th" 5, "6th" 6, "later" 7)
    set xrange [0.8:7.2]
}

# Index 0 is RNN, then RNN Concat, HRNN Init, HRNN All, and what is drawn for comparison only.
do for [panel = 1:2] {
    points = panel == 1 ? left : right
    set title panel == 1 ? "Made-up shop, lasting tastes" : "Globo (news)"
    set ylabel panel == 1 ? "Recall@5" : ""
    lines = panel == 1 ? 6 : 5
    plot for [i = 0:3] points index i using 1:3:4 with filledcurves fc rgb colour[i + 1] \
             fs transparent solid 0.25 noborder, \
         for [i = 4:lines - 1] points index i using 1:2 with lines lw 1.2 dt (4,4) lc rgb grey, \
         for [i = 0:3] points index i using 1:2 with linespoints lw 2.2 pt 7 ps 0.5 lc rgb colour[i + 1], \
         for [i = 0:lines - 1] points index lines using 1:($0 == i ? $2 : NaN):3 with labels left \
             offset 0.8, 0 textcolor rgb colour[i + 1]
}
unset multiplot
