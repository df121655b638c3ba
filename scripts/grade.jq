# What scripts/grade prints: $format is table, csv or junit. The input is all results,
# those of one person after those of another:
# {who, person, lesson, result, detail, hints, solutions, log}

def sum(f): map(f) | add;

# ---- The table -------------------------------------------------------------------------

# What stands in the table for one result.
def cell:
    if .result == "failed" then .detail | split(" checks ")[0]   # "9 of 12"
    else .result end;

def row:
    [.[0].who] + map(cell) + [(sum(.hints) | tostring), (sum(.solutions) | tostring)];

def heading:
    ["who"] + map(.lesson | split("-")[0]) + ["hints", "solutions"];

def pad($width):
    . + " " * ($width - length);

def table:
    group_by(.person)
    | [(.[0] | heading)] + map(row)
    | (transpose | map(map(length) | max)) as $widths
    | .[]
    | [., $widths] | transpose | map(.[1] as $width | .[0] | pad($width))
    | join("  ") | sub(" +$"; "");

# ---- CSV -------------------------------------------------------------------------------

def csv:
    ["who", "lesson", "result", "detail", "hints", "solutions"],
    (.[] | [.who, .lesson, .result, .detail, .hints, .solutions])
    | @csv;

# ---- JUnit -----------------------------------------------------------------------------

# The text for an element or an attribute: without what XML cannot hold, even escaped.
def xml:
    explode
    | map(if . >= 32 and . < 65534 or . > 65535 or . == 9 or . == 10 then . else 63 end)
    | implode | @html;

# What JUnit calls the result: an element in the test case, or nothing if it passed.
def kind:
    {passed: "", "-": "skipped", "not graded": "error"}[.result] // "failure";

def outcome:
    kind as $kind
    | if $kind == "" then empty
      elif $kind == "skipped" then "      <skipped/>"
      else "      <\($kind) message=\"\("\(.result): \(.detail)" | xml)\">" +
          "\(.log | xml)</\($kind)>"
      end;

def testcase:
    "    <testcase classname=\"\(.who | xml)\" name=\"\(.lesson | xml)\">",
    outcome,
    "    </testcase>";

def count($wanted): map(select(kind == $wanted)) | length;

def testsuite:
    "  <testsuite name=\"\(.[0].who | xml)\" tests=\"\(length)\"" +
        " failures=\"\(count("failure"))\" errors=\"\(count("error"))\"" +
        " skipped=\"\(count("skipped"))\">",
    "    <properties>",
    "      <property name=\"hints\" value=\"\(sum(.hints))\"/>",
    "      <property name=\"solutions\" value=\"\(sum(.solutions))\"/>",
    "    </properties>",
    (.[] | testcase),
    "  </testsuite>";

def junit:
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<testsuites name=\"scripts/grade\">",
    (group_by(.person)[] | testsuite),
    "</testsuites>";

if $format == "csv" then csv elif $format == "junit" then junit else table end
