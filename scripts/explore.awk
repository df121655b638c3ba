# Draws the schedule that failed, for scripts/explore: a lane a thread, a row a step, and a
# sentence. It reads four files: what addr2line says of each address, the lines of the
# sources, and what the explorer has written (print_report in tests/explore/runs.c, and
# write_step in schedule.c).
#
#     -v folder=FOLDER   the sources whose lines are meant
#     -v columns=N       how wide the drawing may be
#     -v svg=yes         as a picture

BEGIN {
    FS = "\t"
    most_rows = 24
    lanes = 0
}

# ---- Where a step was ------------------------------------------------------------------

# addr2line --addresses --functions --inlines: an address, then pairs of lines, a function and
# FILE:LINE, from the innermost on. The first in the folder is meant.
FILENAME ~ /places$/ {
    if (/^0x/) {
        address = $0
        sub(/^0x0*/, "", address)
    } else if (/^\// && index($0, folder "/") == 1 && !(address in place)) {
        place[address] = substr($0, length(folder) + 2)
        sub(/ .*/, "", place[address])
    }
    next
}

# FILE:LINE, a tab, and the line.
FILENAME ~ /sources$/ {
    text = substr($0, length($1) + 2)
    gsub(/^[ \t]+|[ \t]*\/\*.*\*\/[ \t]*|[ \t]+$/, "", text)
    gsub(/\t/, " ", text)
    source[$1] = text
    next
}

function place_of(frames,    i, count, list) {
    count = split(frames, list, " ")
    for (i = 1; i <= count; i++) {
        sub(/^0x/, "", list[i])
        if (list[i] in place)
            return place[list[i]]
    }
    return ""
}

# ---- What the explorer found -----------------------------------------------------------

$1 == "fault" { fault = $2; fault_text = $3 }
$1 == "race" { first_racer = $2; first_use = $3; second_racer = $4; second_use = $5; split($6, races, " ") }
$1 == "step" {
    n++
    thread[n] = $2; what[n] = $4; object[n] = $5; other[n] = $6; woken[n] = $7
    is_pending[n] = $8 == 1 && $4 != "wakes by itself" && $4 != "times out"; where[n] = place_of($9)
    name[$2] = $3
    if ($2 > last_thread)
        last_thread = $2
    if (is_use(n) && where[n] != "") {
        if ($4 == "writes" && (object[n] in user) && user[object[n]] != $2)
            is_contested[object[n]] = 1
        user[object[n]] = object[n] in user && user[object[n]] != $2 ? "several" : $2
    }
}

function is_use(i) {
    return what[i] == "reads" || what[i] == "writes"
}

# Whether a thread writes into the memory after another one has used it.
function is_shared_use(i) {
    return is_use(i) && is_contested[object[i]]
}

function is_lock(i) {
    return what[i] ~ /^(mutex|rwlock)_/
}

function at(i) {
    return where[i] == "" ? "" : " (" where[i] ")"
}

# ---- Which steps matter ----------------------------------------------------------------

function find_rows(    i) {
    for (i = 1; i <= n; i++) {
        if (is_pending[i] && is_lock(i))
            shows_locks = 1
    }
    if (fault == "unlock" || fault == "wait" || fault == "race")
        shows_locks = 1
    for (i = 1; i <= n && fault == "race"; i++) {
        if (is_use(i) && (where[i] == place_of(races[1]) || where[i] == place_of(races[2])))
            is_contested[object[i]] = 1
    }
    for (i = 1; i <= n; i++) {
        if (where[i] == "" && !is_pending[i] && what[i] != "ends" && what[i] != "begins")
            continue
        if (is_use(i) && !is_shared_use(i))
            continue
        if (is_lock(i) && !shows_locks && !is_pending[i])
            continue
        if (is_about_some && !is_pending[i] && !(thread[i] in is_involved))
            continue
        if (what[i] == "barrier_wait" || (what[i] == "passes" && !is_pending[i]))
            continue
        if (rows > 0 && is_use(i) && is_use(row[rows]) && thread[row[rows]] == thread[i] &&
            where[row[rows]] == where[i]) {
            if (what[i] == "writes") # a line that reads and writes
                row[rows] = i
            continue
        }
        row[++rows] = i
    }
    if (fault == "race")
        cut_after_race()
}

# The last rows, and those of which the sentence speaks.
function is_drawn(r) {
    return r > rows - most_rows || (row[r] in is_told)
}

# What comes after the race does not matter.
function cut_after_race(    r) {
    for (r = 1; r <= rows; r++) {
        if (name[thread[row[r]]] == second_racer && where[row[r]] == place_of(races[2]) &&
            is_use(row[r])) {
            is_pending[row[r]] = 1
            rows = r
        }
    }
}

function label(i,    done) {
    done = what[i]
    if (is_pending[i] && !is_use(i))
        done = done == "wakes" ? "sleeps" : done == "passes" ? "waits" : done " waits"
    else if (done ~ /^cond_(signal|broadcast)/)
        done = done (woken[i] == 0 ? " wakes 0" : "")
    return (where[i] == "" ? "" : where[i] " ") done
}

# ---- Drawing ---------------------------------------------------------------------------

function find_lanes(    r, i) {
    for (r = 1; r <= rows; r++) {
        if (is_drawn(r))
            has_lane[thread[row[r]]] = 1
    }
    for (i = 0; i <= last_thread; i++) {
        if (!(i in has_lane))
            continue
        lane[i] = lanes
        lane_name[lanes++] = name[i]
    }
    for (r = 1; r <= rows; r++) {
        i = lane[thread[row[r]]]
        if (is_drawn(r) && length(label(row[r])) + 2 > width[i])
            width[i] = length(label(row[r])) + 2
    }
    for (i = 0; i < lanes; i++) {
        if (length(lane_name[i]) + 2 > width[i])
            width[i] = length(lane_name[i]) + 2
        left[i + 1] = left[i] + width[i]
    }
}

function draw_text(    i, r, line, is_gap) {
    for (i = 0; i < lanes; i++)
        line = line sprintf("%-*s", width[i], lane_name[i])
    print_line("  " line)
    for (r = 1; r <= rows; r++) {
        if (!is_drawn(r)) {
            if (!is_gap++)
                print "  ..."
            continue
        }
        is_gap = 0
        i = row[r]
        line = sprintf("%*s%s", left[lane[thread[i]]], "", label(i))
        line = sprintf("%-*s%s", left[lanes], line, source[where[i]])
        print_line((is_pending[i] ? "! " : "  ") line)
    }
}

function print_line(line) {
    line = substr(line, 1, columns)
    sub(/ +$/, "", line)
    print line
}

function escape(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    return text
}

function draw_svg(    i, r, x, y, height, letter) {
    letter = 7.5
    for (r = 1; r <= rows; r++)
        height += is_drawn(r) * 20
    height += 50
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" ",
        left[lanes] * letter + 20, height + 20
    print "font-family=\"monospace\" font-size=\"12\">"
    printf "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        escape(sentence)
    for (i = 0; i < lanes; i++) {
        x = left[i] * letter + 10
        printf "<text x=\"%d\" y=\"20\" font-weight=\"bold\">%s</text>\n", x, escape(lane_name[i])
        printf "<path d=\"M%d 28V%d\" stroke=\"#dddddd\"/>\n", x + 2, height
    }
    y = 25
    for (r = 1; r <= rows; r++) {
        if (!is_drawn(r))
            continue
        i = row[r]
        x = left[lane[thread[i]]] * letter + 10
        y += 20
        printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"17\" rx=\"3\" fill=\"%s\"/>\n", x,
            y - 13, width[lane[thread[i]]] * letter - 8, is_pending[i] ? "#ffaa88" : "#88ccee"
        printf "<text x=\"%d\" y=\"%d\">%s<title>%s</title></text>\n", x + 4, y,
            escape(label(i)), escape(source[where[i]])
    }
    print "</svg>"
}

# ---- The sentence ----------------------------------------------------------------------

function last_of(t, before, pattern, on,    i) {
    for (i = before - 1; i > 0; i--) {
        if ((t < 0 || thread[i] == t) && what[i] ~ pattern && (on == "" || object[i] == on))
            return i
    }
    return 0
}

# The last look of a thread, before a step, at what it shares with others.
function look_of(t, before,    i) {
    for (i = before - 1; i > 0; i--) {
        if (thread[i] == t && what[i] == "reads" && is_shared_use(i) && where[i] != "")
            return i
    }
    return 0
}

# The first change by another thread, in between, of something that the thread had read.
function change_of(t, from, to,    i, j) {
    for (i = from + 1; i < to; i++) {
        if (what[i] != "writes" || thread[i] == t || !is_shared_use(i))
            continue
        for (j = from; j > 0 && j > from - 30; j--) {
            if (thread[j] == t && what[j] == "reads" && object[j] == object[i])
                return i
        }
    }
    return 0
}

# The drawing is about these steps, and their threads.
function tell_of(i) {
    if (i == 0)
        return
    is_told[i] = 1
    is_involved[thread[i]] = 1
    is_about_some = 1
}

# Why a thread sleeps on a condition for ever; i is where it sleeps.
function why_asleep(i,    t, sleep, look, change, after, other_wakes) {
    t = thread[i]
    sleep = last_of(t, i, "^cond_wait", object[i])
    look = look_of(t, sleep)
    after = last_of(-1, n + 1, "^cond_(signal|broadcast)", object[i])
    change = look ? change_of(t, look, n + 1) : 0
    tell_of(look)
    tell_of(sleep)
    tell_of(after)
    tell_of(change)
    if (look && after > look && after < sleep)
        return sprintf("%s looked%s, then %s %s%s%s, then %s went to sleep%s: nobody will wake it",
            name[t], at(look), name[thread[after]],
            change && change < after ? "made a change" at(change) " and " : "",
            what[after] == "cond_signal" ? "signalled" : "broadcast", at(after), name[t], at(sleep))
    if (after > sleep) {
        for (other_wakes = after; other_wakes <= n; other_wakes++) {
            if (what[other_wakes] == "wakes" && object[other_wakes] == object[i] && !is_pending[other_wakes])
                break
        }
        tell_of(other_wakes <= n ? other_wakes : 0)
        return sprintf("%s went to sleep%s; then %s signalled%s, which woke another thread: nothing will wake %s",
            name[t], at(sleep), name[thread[after]], at(after), name[t])
    }
    if (change > sleep || (change && change > look))
        return sprintf("%s looked%s and went to sleep%s; %s made a change%s, but signalled only before that%s: nobody will wake %s",
            name[t], at(look), at(sleep), name[thread[change]], at(change), after ? at(after) : "",
            name[t])
    return sprintf("%s went to sleep%s%s: nobody will wake it", name[t], at(sleep),
        after ? " after the last signal" at(after) : ", and no thread signalled after that")
}

# Who holds the mutex, as the step at which it was taken.
function holder_of(mutex,    i, taken) {
    for (i = 1; i <= n; i++) {
        if (is_pending[i])
            continue
        if (object[i] == mutex && (what[i] == "mutex_lock" ||
            (what[i] ~ /^mutex_(try|timed)lock$/ && !taken))) # it may fail
            taken = i
        else if ((object[i] == mutex && what[i] == "mutex_unlock") ||
            (other[i] == mutex && what[i] == "cond_wait"))
            taken = 0
    }
    return taken
}

function list(names,    count, words, i, text) {
    count = split(names, words, " ")
    for (i = 1; i <= count; i++)
        text = text (i == 1 ? "" : i == count ? " and " : ", ") words[i]
    return text
}

# Whether the barrier is that of a page, in tests/explore/pages.c.
function is_fetching(i) {
    return where[i] != "" && where[i] == where[last_of(thread[i], i, "^get_title", "")]
}

function why_all_wait(    i, taken, cycle, gathered, at_barrier, ended, asleep) {
    for (i = 1; i <= n; i++) {
        if (is_pending[i] && what[i] == "mutex_lock" && (taken = holder_of(object[i])) > 0) {
            tell_of(taken)
            tell_of(i)
            cycle = cycle (cycle == "" ? "" : ", and ") name[thread[i]] " waits" at(i) \
                " for the lock that " (thread[taken] == thread[i] ? "it" : name[thread[taken]]) \
                " took" at(taken)
        }
        if (is_pending[i] && what[i] == "wakes")
            asleep = i
        if (is_pending[i] && what[i] == "passes" && is_fetching(i))
            gathered = gathered " " name[thread[i]]
        else if (is_pending[i] && what[i] == "passes")
            at_barrier = at_barrier " " name[thread[i]]
        if (what[i] == "ends" && thread[i] != 0)
            ended = ended " " name[thread[i]]
    }
    if (cycle != "")
        return cycle ": none of them can go on"
    if (asleep && !(gathered != "" && ended != ""))
        return why_asleep(asleep)
    if (gathered != "")
        return list(gathered) (gathered ~ / .* / ? " are" : " is") \
            " fetching a page that comes when others are fetched too, but" \
            (ended == "" ? " nobody else fetches one" : " " why_ended(ended))
    if (at_barrier != "")
        return list(at_barrier) (at_barrier ~ / .* / ? " wait" : " waits") \
            " at a barrier, and nobody else comes there"
    return "all threads wait, and nobody is left to wake them"
}

function why_ended(ended,    t, i, words, woke) {
    split(ended, words, " ")
    for (i = n; i > 0; i--) {
        if (what[i] == "ends" && name[thread[i]] == words[1])
            break
    }
    woke = last_of(thread[i], i, "^wakes")
    return words[1] " has ended" (woke ? " after it woke up" at(woke) : "") ", too early"
}

function tell(    i) {
    if (fault == "deadlock")
        return why_all_wait()
    if (fault == "race") {
        return first_racer " " first_use " what " second_racer " " second_use \
            ", and nothing orders the two, such as a lock that both hold: " \
            code_at(races[1]) " and " code_at(races[2])
    }
    if (fault == "stuck" || (fault == "endless" && fault_text == ""))
        return "after these steps no other comes, such as a lock or a wait"
    for (i = n; i > 0 && (name[thread[i]] != first_word(fault_text) || where[i] == ""); i--)
        continue
    if (fault == "wait" || fault == "unlock" || fault == "crash" || fault == "exit")
        return fault_text at(i)
    return fault_text
}

function first_word(text) {
    sub(/ .*/, "", text)
    return text
}

# A place, and its line.
function code_at(address,    here) {
    here = place_of(address)
    return here == "" ? "somewhere" : here " \"" source[here] "\""
}

END {
    sentence = tell()
    find_rows()
    find_lanes()
    if (svg != "") {
        draw_svg()
        exit
    }
    if (rows > 0) {
        draw_text()
        print ""
    }
    if (sentence != "")
        print toupper(substr(sentence, 1, 1)) substr(sentence, 2) "."
}
