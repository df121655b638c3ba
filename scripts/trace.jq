# Adds the lines that a program has printed to its trace (--trace), as instant events, one event
# a line. $lines has each behind the moment when it came, in microseconds of another clock, and a
# tab. What ties the clocks together: no line comes before what it tells, neither "Getting title
# from ..." before its page begins, nor a title before its page ends. $site is the local site's
# HOST:PORT; it becomes 127.0.0.1:8080, as in the READMEs.

($lines | rtrimstr("\n") | split("\n")
    | map(split("\t") | {at: (.[0] | tonumber), text: (.[1:] | join("\t"))})) as $lines
| ([ .[] | select(.cat == "page") as $page
     | $lines[]
     | if .text | startswith("Getting title from \($page.name),") then .at - $page.ts
       elif .text | startswith("http://\($page.name)\t") then .at - $page.ts - $page.dur
       else empty end ] | min) as $start
| . + [ $lines[]
        | {name: .text, ph: "i", s: "g", pid: 0, tid: 0, ts: (.at - $start), cat: "output"} ]
| map(.name |= (split($site) | join("127.0.0.1:8080")) | tojson)
| "[\n" + join(",\n") + "\n]"
