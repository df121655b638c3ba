# Draws a patch, as git writes it, for scripts/diff.
#
#     -v view=VIEW    unified: the words that changed are marked; side: the same in two
#                     columns, each line beside what became of it; stat: how many lines
#     -v width=N      of each of the two columns, where longer lines go on below; of the
#                     names of files in stat
#     -v colour=HOW   terminal: with escape sequences; page: in HTML; none
#
# git marks words by putting old and new on one line, where a big change drowns; diff's own
# two columns cut what is too long.

BEGIN {
    split("file place removed added mark", kinds, " ")
    split("1 36 31 32 7", codes, " ")
    for (i in kinds) {
        if (colour == "terminal") {
            before[kinds[i]] = "\033[" codes[i] "m"
            after[kinds[i]] = kinds[i] == "mark" ? "\033[27m" : "\033[m"
        } else if (colour == "page") {
            before[kinds[i]] = "<span class=\"" kinds[i] "\">"
            after[kinds[i]] = "</span>"
        }
    }
}

/^diff --git / { end_file(); in_header = 1; next }
/^@@ / { show_changes(); in_header = 0; show_place(); next }
in_header && /^--- / { old_file = substr($0, 5) }
in_header && /^[+][+][+] / { new_file = substr($0, 5); show_files() }
in_header { next }
/^-/ { removed[++removed_count] = substr($0, 2); removed_lines++; next }
/^[+]/ { added[++added_count] = substr($0, 2); added_lines++; next }
/^ / { show_changes(); show_same(substr($0, 2)) }
END { end_file() }

# ---- How many lines --------------------------------------------------------------------

function end_file(   name) {
    show_changes()
    if (view == "stat" && added_lines + removed_lines > 0) {
        name = without_prefix(new_file == "/dev/null" ? old_file : new_file)
        printf "%s%s  %s  %s\n", name, blanks(width - length(name)),
            paint(sprintf("%5s", "+" added_lines + 0), "added"),
            paint(sprintf("%5s", "-" removed_lines + 0), "removed")
    }
    added_lines = removed_lines = 0
}

# ---- One column or two -----------------------------------------------------------------

function show_files() {
    if (view == "side") {
        row(without_prefix(old_file), "file", "", without_prefix(new_file), "file")
    } else if (view == "unified") {
        print paint("--- " old_file, "file")
        print paint("+++ " new_file, "file")
    }
}

# git writes a/ before the one, b/ before the other.
function without_prefix(file) {
    sub(/^[ab]\//, "", file)
    return file
}

# Where in the files the next lines are: "@@ -LINE,COUNT +LINE,COUNT @@ FUNCTION".
function show_place(   lines) {
    if (view == "side") {
        split($0, lines, /[-+, ]+/)
        row("line " lines[2], "place", "", "line " lines[$2 ~ /,/ ? 4 : 3], "place")
    } else if (view == "unified") {
        print paint($0, "place")
    }
}

function show_same(text) {
    if (view == "side")
        row(text, "", " ", text, "")
    else if (view == "unified")
        print " " paint(text, "")
}

# Shows the removed and the added lines that have been read.
function show_changes(   i) {
    if (view != "stat")
        find_partners()
    if (view == "side") {
        show_beside()
    } else if (view == "unified") {
        for (i = 1; i <= removed_count; i++) {
            compare(removed[i], i in became ? added[became[i]] : removed[i])
            print paint("-" removed[i], "removed", 1 + head, 1 + length(removed[i]) - tail)
        }
        for (i = 1; i <= added_count; i++) {
            compare(added[i], i in was ? removed[was[i]] : added[i])
            print paint("+" added[i], "added", 1 + head, 1 + length(added[i]) - tail)
        }
    }
    removed_count = added_count = 0
}

# Partners stand side by side; what is between them shares its lines as it comes.
function show_beside(   i, k) {
    i = k = 1
    while (i <= removed_count || k <= added_count) {
        if (k > added_count || (k in was && !(i in became)))
            row(removed[i++], "removed", "<", "", "")
        else if (i > removed_count || (i in became && !(k in was)))
            row("", "", ">", added[k++], "added")
        else
            row(removed[i++], "removed", "|", added[k++], "added")
    }
}

# row(OLD, KIND, SIGN, NEW, KIND): one line of the two columns, or more if it is long.
function row(old, old_kind, sign, new, new_kind,   start, old_end, new_end, left) {
    head = length(old) + length(new) # nothing is marked, but for what changed a little
    tail = 0
    if (sign == "|" && alike(old, new)) {
        old_end = length(old) - tail
        new_end = length(new) - tail
    }
    for (start = 0; start == 0 || start < length(old) || start < length(new); start += width) {
        left = substr(old, start + 1, width)
        printf "%s%s %s %s\n", paint(left, old_kind, head - start, old_end - start),
            blanks(width - length(left)), start == 0 ? escape(sign == "" ? " " : sign) : " ",
            paint(substr(new, start + 1, width), new_kind, head - start, new_end - start)
    }
}

# ---- What became of a line -------------------------------------------------------------

# became[REMOVED] = ADDED and was[ADDED] = REMOVED: the numbers of two lines that are alike.
function find_partners(   i, k, next_added) {
    split("", became)
    split("", was)
    next_added = 1
    for (i = 1; i <= removed_count; i++) {
        for (k = next_added; k <= added_count && !alike(removed[i], added[k]); k++)
            ;
        if (k <= added_count) {
            became[i] = k
            was[k] = i
            next_added = k + 1
        }
    }
}

# Whether at least half of the longer line is in the other too; indentation does not count.
function alike(a, b,   indent, longer) {
    compare(a, b)
    match(a, /^ */)
    indent = RLENGTH < head ? RLENGTH : head
    longer = length(a) > length(b) ? length(a) : length(b)
    return 2 * (head + tail - indent) >= longer - indent
}

# Sets `head` and `tail` to how many characters the two have in common, in whole words, at
# their beginning and at their end.
function compare(a, b,   shorter) {
    shorter = length(a) < length(b) ? length(a) : length(b)
    head = tail = 0
    while (head < shorter && character(a, head + 1) == character(b, head + 1))
        head++
    while (tail < shorter - head && last(a, tail + 1) == last(b, tail + 1))
        tail++
    while (is_letter(character(a, head)) &&
           is_letter(character(a, head + 1) character(b, head + 1)))
        head--
    while (is_letter(last(a, tail)) && is_letter(last(a, tail + 1) last(b, tail + 1)))
        tail--
}

function character(text, number) {
    return number < 1 ? "" : substr(text, number, 1)
}

function last(text, number) {
    return number < 1 ? "" : character(text, length(text) + 1 - number)
}

function is_letter(text) {
    return text ~ /[A-Za-z0-9]/
}

# ---- Paint -----------------------------------------------------------------------------

# paint(TEXT, KIND [, HEAD, END]): the text, marked from behind HEAD up to END.
function paint(text, kind, head, end) {
    if (head < 0)
        head = 0
    if (end > head && head < length(text))
        text = escape(substr(text, 1, head)) before["mark"] \
            escape(substr(text, head + 1, end - head)) after["mark"] \
            escape(substr(text, end + 1))
    else
        text = escape(text)
    return text == "" ? "" : before[kind] text after[kind]
}

# That many blanks. (Not every awk knows %*s.)
function blanks(count) {
    return count > 0 ? sprintf("%" count "s", "") : ""
}

# What stands for itself in a page.
function escape(text) {
    if (colour == "page") {
        gsub(/&/, "\\&amp;", text)
        gsub(/</, "\\&lt;", text)
        gsub(/>/, "\\&gt;", text)
    }
    return text
}
