# The pages in the traces of lessons (--trace), for the pictures of scripts/run and
# scripts/figures. A line is a page: its lesson, its worker, its row in a picture (a worker has
# one, and a page of lesson 1, which has one worker only), its number, when it began, when the
# first byte of the answer came (or was given up), when it ended, all in seconds, "x" if it
# failed, and the last part of its address; with tabs between.

(input_filename | split("/") | last | rtrimstr(".json")) as $lesson
| .[] | select(.cat == "page")
| [ $lesson, .args.worker, (if .args.worker == "main" then .args.number else .tid end),
    .args.number, .ts / 1e6, (.ts + (.args.waited // .dur)) / 1e6, (.ts + .dur) / 1e6,
    (if .args.error then "x" else "-" end), (.name | split("/") | last) ]
| @tsv
