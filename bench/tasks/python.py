"""A peer: Python's ThreadPoolExecutor with 2 threads.

    python.py time COUNT       seconds for COUNT empty tasks
    python.py pending COUNT    bytes for each of COUNT pending tasks
"""

import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

WORKERS = 2


def return_argument(argument):
    return argument


def read_results(futures):
    for future in futures:
        if future.result() != "":
            sys.exit("a task returned something else")


def seconds(executor, count):
    begin = time.monotonic()
    read_results([executor.submit(return_argument, "") for _ in range(count)])
    return time.monotonic() - begin


def bytes_a_pending_task(executor, count):
    gate = threading.Event()
    for _ in range(WORKERS):
        executor.submit(gate.wait)
    futures = [None] * count  # the caller's: not counted
    before = resident_bytes()
    for index in range(count):
        futures[index] = executor.submit(return_argument, "")
    after = resident_bytes()
    gate.set()
    read_results(futures)
    return (after - before) / count


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def main():
    what, count = sys.argv[1], int(sys.argv[2])
    measure = {"time": seconds, "pending": bytes_a_pending_task}[what]
    with ThreadPoolExecutor(WORKERS) as executor:
        print(f"{measure(executor, count):.9f}")


if __name__ == "__main__":
    main()
