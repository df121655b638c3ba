"""Peers: Python's pools of 2 processes, and tasks that return their argument of 20 bytes.

    python.py submit COUNT    seconds for COUNT tasks: ProcessPoolExecutor, submit()
    python.py map COUNT       the same, map() with a chunksize of 1
    python.py pool COUNT      multiprocessing.Pool, map() with a chunksize of 1
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

WORKERS = 2
ARGUMENT = "12345678901234567890"


def return_argument(argument):
    return argument


def submit(executor, count):
    futures = [executor.submit(return_argument, ARGUMENT) for _ in range(count)]
    return [future.result() for future in futures]


def map_one_by_one(executor, count):
    return list(executor.map(return_argument, [ARGUMENT] * count, chunksize=1))


def pool_map(pool, count):
    return pool.map(return_argument, [ARGUMENT] * count, chunksize=1)


def main():
    what, count = sys.argv[1], int(sys.argv[2])
    run = {"submit": submit, "map": map_one_by_one, "pool": pool_map}[what]
    make_pool = multiprocessing.Pool if what == "pool" else ProcessPoolExecutor
    with make_pool(WORKERS) as pool:
        run(pool, WORKERS)  # the processes have started
        begin = time.monotonic()
        results = run(pool, count)
        seconds = time.monotonic() - begin
    if results != [ARGUMENT] * count:
        sys.exit("a task returned something else")
    print(f"{seconds:.9f}")


if __name__ == "__main__":
    main()
