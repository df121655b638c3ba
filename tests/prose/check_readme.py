"""A README, read as a script and executed: README.md beside this file has the rules.

    check_readme.py FILE    says nothing if all is true, else names the first line that is not

The commands run in a copy of the repository. Exit status: 0 all is true, 1 something is not.
LIMIT in the environment is how many seconds a command may take (120); COURSE is another folder
to take for the repository, in the checks of this program.
"""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

ROOT = Path(os.environ.get("COURSE") or Path(__file__).resolve().parents[2])
LIMIT = float(os.environ.get("LIMIT", "120"))
MOST_OUTPUT = 1_000_000

# What is different each time, and what stands for it.
MASKS = [(re.compile(pattern), mask) for pattern, mask in [
    (r"\b(PID: |pid=)\d+", r"\1N"),
    (r"\b(thread|process)-\d+", r"\1-N"),
    (r"\b(build \(?)[0-9a-f]{16}\b", r"\1N"),
    (r"fetched in \d+\.\d\d s$", "fetched in N s"),
    (r"^(real|user|sys)\t\d+m\d+\.\d+s$", r"\1\tN"),
    (r"^(?:reader: line \d+: +\d+ )?(Aborted|Killed|Segmentation fault)( +\(core dumped\))?( .*)?$", r"\1"),
]]
COUNTED = {"PID": re.compile(r"PID: (\d+)"), "worker": re.compile(r"worker:? ((?:[a-z0-9-]+/)?[a-z]+-\d+)")}
FLOATING = re.compile(r"Getting title from .*, worker: ([a-z0-9-]+/)?(thread|process)-N$")

# In prose: a question to a lesson's trace, and what can be compared with its answer.
ASKED = re.compile(r"<!-- trace (\d\d): (.*?) -->|`([^`]+)`|(\d+(?:\.\d+)?)")

# The shell: reads commands that end in NUL; prints NUL behind the output of each.
READER = r"""
ulimit -c 0 # no core files
status=0
while IFS= read -r -d '' command; do
    (exit "$status") # for who asks with $?
    eval "$command" </dev/null
    status=$?
    printf '\0'
done"""


class Wrong(Exception):
    """What is wrong, and at which line of the README."""

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


class Block:
    """A fenced block. Its first line has the number `line`."""

    def __init__(self, line, words):
        self.line = line
        self.kind = words[0] if words else ""
        self.file = words[1] if len(words) > 1 else None
        self.lines = []


# ---- Reading ---------------------------------------------------------------------------

def read_blocks(readme):
    blocks = []
    block = None
    answers = Answers()
    for number, line in enumerate(readme.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(number + 1, line[3:].split())
                check_kind(block)
                blocks.append(block)
            else:
                block = None
        elif block is not None:
            block.lines.append(line)
        else:
            check_prose(readme, number, line)
            answers.check(number, line)
    if block is not None:
        raise Wrong(block.line - 1, "this block has no end")
    return blocks


def check_prose(readme, number, line):
    if re.match(r" {4,}(\$ |#(define|include)|.*[;{}]$)", line):
        raise Wrong(number, f"nobody checks this, put it into a fenced block: {line.strip()}")
    for target in re.findall(r"\]\(([^()#\s]+)", line):
        if "://" not in target and not (readme.parent / target).exists():
            raise Wrong(number, f"this leads nowhere: {target}")


def check_kind(block):
    if block.kind not in ("c", "console", "diff"):
        raise Wrong(block.line - 1, f"nobody checks a block of kind '{block.kind}': "
                                    "it can be c FILE, diff FILE or console")
    if block.kind != "console":
        if block.file is None:
            raise Wrong(block.line - 1, "which file is this? "
                                        f"Write ```{block.kind} lessons/NN-name/main.c")
        if not (ROOT / block.file).is_file():
            raise Wrong(block.line - 1, f"there is no file {block.file}")


def split_at(is_separator, block):
    """The pieces between the separators: the number of the first line, and the lines."""
    pieces = [(block.line, [])]
    for number, line in enumerate(block.lines, block.line):
        if is_separator(line):
            pieces.append((number + 1, []))
        else:
            pieces[-1][1].append(line)
    return [piece for piece in pieces if piece[1]]


# ---- What traces say -------------------------------------------------------------------

class Answers:
    """Compares what stands before each question to a trace with its answer."""

    def __init__(self):
        self.shown = None  # the last number or `word`
        self.is_asked = True  # whether a trace was asked since the last <details>

    def check(self, number, line):
        if line.count("<!-- trace") != len(re.findall(r"<!-- trace \d\d: .*? -->", line)):
            raise Wrong(number, "this is not <!-- trace NN: EXPRESSION -->, on one line")
        if "<details>" in line:
            self.is_asked = False
        for lesson, expression, word, numeral in ASKED.findall(line):
            if expression:
                self.is_asked = True
                self.compare(number, lesson, ask_trace(number, lesson, expression))
            else:
                self.shown = word or numeral
        if "</details>" in line and not self.is_asked:
            raise Wrong(number, "nothing in this answer is compared with a trace")

    def compare(self, number, lesson, value):
        """A number counts with as many decimals as are shown."""
        shown = self.shown or "nothing"
        if isinstance(value, (int, float)) and re.fullmatch(r"\d+(\.\d+)?", shown):
            value = f"{value:.{len(shown.partition('.')[2])}f}"
        if value != shown:
            raise Wrong(number, f"the trace of lesson {lesson} says {value} here, not {shown}")


def ask_trace(number, lesson, expression):
    trace = next(ROOT.glob(f"lessons/{lesson}-*/trace.json"), None)
    if trace is None:
        raise Wrong(number, f"there is no trace of lesson {lesson}")
    asked = subprocess.run(
        ["jq", "-L", Path(__file__).parent, f'include "trace"; {expression}', trace],
        capture_output=True, encoding="utf-8", check=False)
    if asked.returncode != 0:
        raise Wrong(number, f"jq cannot tell {expression}: {asked.stderr.strip()}")
    try:
        return json.loads(asked.stdout)
    except json.JSONDecodeError:
        raise Wrong(number, f"this is not one value, but {len(asked.stdout.splitlines())}: "
                            f"{expression}") from None


# ---- Code ------------------------------------------------------------------------------

def unindented(lines):
    return textwrap.dedent("\n".join(lines))


def check_code(block):
    source = (ROOT / block.file).read_text(encoding="utf-8").splitlines()
    begin = 0
    for number, lines in split_at(lambda line: line.strip() == "...", block):
        places = [place for place in range(begin, len(source) - len(lines) + 1)
                  if unindented(source[place:place + len(lines)]) == unindented(lines)]
        if not places:
            raise difference(block.file, source, begin, number, lines)
        begin = places[0] + len(lines)


def difference(file, source, begin, number, lines):
    """Names the first line that is not in the code, at the place that is most like it."""
    def common(place):
        count = 0
        for ours, theirs in zip(lines, source[place:]):
            if ours.strip() != theirs.strip():
                break
            count += 1
        return count
    place = max(range(begin, len(source) + 1), key=common)
    count = common(place)
    if count == 0:
        return Wrong(number, f"no line of {file} is this, or none below what stands above it: "
                             f"{lines[0].strip()}")
    if count == len(lines):
        return Wrong(number, f"these lines are indented otherwise in {file}:{place + 1}")
    there = source[place + count].strip() if place + count < len(source) else "its end"
    return Wrong(number + count, f"the code has another line there:\n"
                                 f"  here: {lines[count].strip()}\n"
                                 f"  {file}:{place + count + 1}: {there}")


# ---- Experiments -----------------------------------------------------------------------

def change(block, folder):
    """Does to the file in the folder what the reader shall do to it."""
    path = folder / block.file
    source = path.read_text(encoding="utf-8").splitlines()
    for number, lines in split_at(lambda line: line.startswith("@@"), block):
        for offset, line in enumerate(lines):
            if line and line[0] not in " +-":
                raise Wrong(number + offset, f"begins with neither space, - nor +: {line}")
        old = [line[1:] for line in lines if not line.startswith("+")]
        new = [line[1:] for line in lines if not line.startswith("-")]
        places = [place for place in range(len(source) - len(old) + 1)
                  if source[place:place + len(old)] == old]
        if old == new or len(places) != 1:
            raise Wrong(number, "this changes nothing" if old == new else
                        f"what shall be changed stands {len(places)} times in {block.file}, "
                        f"not once: {next(iter(old), '')}")
        source[places[0]:places[0] + len(old)] = new
    path.write_text("\n".join(source) + "\n", encoding="utf-8")


# ---- Sessions --------------------------------------------------------------------------

def processes_of(session):
    """The processes of the session that have not ended."""
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has ended meanwhile
            continue
        if int(its_session) == session and state != "Z":
            processes.append(int(stat.parent.name))
    return processes


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


class Shell:
    """One shell, and the local site and the NATS server that it may have started."""

    def __init__(self, folder):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            ["bash", "--norc", "-c", READER, "reader"], cwd=folder, start_new_session=True,
            env={**kept, "LC_ALL": "C.UTF-8", "MAKEFLAGS": "--silent"}, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = b""
        self.port = None
        self.nats_port = free_port()

    def close(self):
        self.process.stdin.close()
        while processes := processes_of(self.process.pid):
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.poll()
        self.process.wait()
        self.process.stdout.close()

    def run(self, line, command, expected):
        """Runs the command; returns what it printed, as lines, with the README's port."""
        deadline = time.monotonic() + LIMIT
        if self.port is None:
            command = command.replace("--port 8080", "--port 0")
        else:
            command = command.replace("8080", self.port)
        command = command.replace("4333", self.nats_port)
        self.process.stdin.write(command.encode() + b"\0")
        while b"\0" not in self.output:
            self.read_more(line, command, deadline)
        self.output = self.output.replace(b"\0", b"")
        if command.rstrip().endswith("&"):
            while differs(expected, self.lines()) and time.monotonic() < deadline:
                self.read_more(line, command, deadline, must=False)
        lines = self.lines()
        self.output = b""
        return lines

    def read_more(self, line, command, deadline, must=True):
        left = max(0, deadline - time.monotonic())
        ready, _, _ = select.select([self.process.stdout], [], [], left)
        if not ready and must:
            raise Wrong(line, f"has not ended after {LIMIT:g} seconds: {command}\n{self.so_far()}")
        if ready:
            piece = os.read(self.process.stdout.fileno(), 65536)
            self.output += piece
            if not piece:
                raise Wrong(line, f"the shell has ended: {command}\n{self.so_far()}")
            if len(self.output) > MOST_OUTPUT:
                raise Wrong(line, f"prints more than {MOST_OUTPUT} bytes: {command}")

    def lines(self):
        text = self.output.decode(errors="replace")
        if self.port is None and (address := re.search(r"http://127\.0\.0\.1:(\d+)\n", text)):
            self.port = address[1]
        if self.port is not None:
            text = text.replace(f":{self.port}", ":8080")
        text = text.replace(f":{self.nats_port}", ":4333")
        return text.removesuffix("\n").split("\n") if text else []

    def so_far(self):
        return shown("came", self.lines())


def shown(what, lines):
    return "\n".join([f"  {what}:"] + [f"    {line}" for line in lines[:40]])


def masked(lines):
    for pattern, mask in MASKS:
        lines = [pattern.sub(mask, line) for line in lines]
    return lines


def matches(expected, actual):
    """Whether the lines are those expected, with ... for any lines."""
    pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(line) + "\n"
                      for line in expected)
    return re.fullmatch(pattern, "".join(line + "\n" for line in actual)) is not None


def differs(expected, actual):
    """None, or the index of the expected line that is wrong, and why."""
    is_cut = "..." in expected
    ours = masked(expected)
    theirs = masked(actual)
    floating = Counter(line for line in theirs if FLOATING.match(line))
    theirs = [line for line in theirs if not FLOATING.match(line)]
    fixed = []
    for index, line in enumerate(ours):
        if not FLOATING.match(line):
            fixed.append(line)
            if not matches(fixed + ["..."], theirs):
                return index, "this line does not come"
        elif floating[line] == 0:
            return index, "this line does not come"
        else:
            floating[line] -= 1
    if not matches(fixed, theirs) or (not is_cut and floating.total() > 0):
        return len(expected), "more lines come"
    for what, pattern in COUNTED.items():
        counts = [len(set(pattern.findall("\n".join(lines)))) for lines in (expected, actual)]
        if not is_cut and counts[0] != counts[1]:
            return 0, f"each {what} counted once, {counts[0]} are shown, {counts[1]} come"
    return None


def read_commands(block):
    """The commands of a session: line number, command, and the lines that it shall print."""
    commands = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            commands.append([number, line[2:], []])
        elif not commands:
            raise Wrong(number, f"no command stands above this: {line}")
        elif line.startswith("> ") and not commands[-1][2]:
            commands[-1][1] += "\n" + line[2:]
        else:
            commands[-1][2].append(line)
    return commands


def run_session(block, shell):
    for number, command, expected in read_commands(block):
        actual = shell.run(number, command, expected)
        if wrong := differs(expected, actual):
            index, why = wrong
            first = number + command.count("\n") + 1
            line = min(first + index, first + max(len(expected) - 1, 0)) if expected else number
            raise Wrong(line, f"{why}: {command}\n{shown('expected', expected)}\n"
                              f"{shown('came', actual)}")


# ---- From the top ----------------------------------------------------------------------

def git(folder, *words):
    identity = ["-c", "user.name=reader", "-c", "user.email=reader@localhost"]
    return subprocess.run(["git", "-C", folder, *identity, *words], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def copy_repository(folder):
    """As it is now, with what is built, and with a commit to come back to."""
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if (ROOT / "build").is_dir():
        shutil.copytree(ROOT / "build", folder / "build", symlinks=True,
                        ignore=shutil.ignore_patterns("address", "bench", "fuzz", "lint-*",
                                                      "tests"))
        # The object files of the site are in tests; make wants to know that they are old.
        if (ROOT / "build/tests/site").is_dir():
            shutil.copytree(ROOT / "build/tests/site", folder / "build/tests/site")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "As it is")


def check(readme):
    blocks = read_blocks(readme)
    for block in blocks:
        if block.kind == "c":
            check_code(block)
    if all(block.kind == "c" for block in blocks):
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "course"
        folder.mkdir()
        copy_repository(folder)
        shell = Shell(folder)
        try:
            experiment = None
            for block in blocks:
                if block.kind == "diff":
                    change(block, folder)
                    experiment = block.line
                elif block.kind == "console":
                    run_session(block, shell)
            if changed := git(folder, "status", "--porcelain"):
                raise Wrong(experiment or 1, f"this is not undone at the end:\n{changed}")
        finally:
            shell.close()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        check(Path(sys.argv[1]))
    except Wrong as wrong:
        print(f"{sys.argv[1]}:{wrong.line}: {wrong}")
        sys.exit(1)


main()
