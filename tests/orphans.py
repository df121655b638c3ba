"""Runs a program, and counts the processes that it left to others.

    orphans.py FILE PROGRAM [ARGUMENT...]

A child that its parent did not wait for goes to the nearest subreaper when the parent ends,
which is us (prctl(2)). FILE gets their number, once all of them have ended. Exits as the
program does.
"""

import ctypes
import os
import sys

PR_SET_CHILD_SUBREAPER = 36

if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    sys.exit("orphans.py: no subreaper")
program = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
orphans = 0
try:
    while True:
        os.waitpid(-1, 0)
        orphans += 1
except ChildProcessError:
    pass
with open(sys.argv[1], "w", encoding="ascii") as file:
    print(orphans, file=file)
sys.exit(status if status >= 0 else 128 - status)
