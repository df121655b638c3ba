# What the READMEs ask a lesson's trace (see README.md): its events are the input. Times are in
# seconds from the start of the program.

# The pages, in the order in which they began.
def pages:
    map(select(.cat == "page")
        | {name: (.name | split("/") | last), worker: .args.worker, pid,
           begin: (.ts / 1e6), end: ((.ts + .dur) / 1e6)})
    | sort_by(.begin);
def page($name): pages[] | select(.name == $name);

# When the last page ended; how many processes had a page.
def seconds: pages | map(.end) | max;
def processes: pages | map(.pid) | unique | length;

# The page that the same worker had before this one.
def before($name):
    page($name) as $page | pages | map(select(.worker == $page.worker and .begin < $page.begin))
    | last.name;

# The lines that were printed, and when; those with a title: the pages' names.
def lines: map(select(.cat == "output") | {text: .name, time: (.ts / 1e6)});
def titles: lines | map(select(.text | contains("\t"))
    | {name: (.text | split("\t")[0] | split("/") | last), time});
def title($name): titles[] | select(.name == $name);
