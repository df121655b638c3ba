"""A peer: mpi4py's MPIPoolExecutor, 2 workers that return their argument of 20 bytes.

    mpiexec -n 3 python3 -m mpi4py.futures mpi.py COUNT    seconds for COUNT tasks
"""

import sys
import time

from mpi4py.futures import MPIPoolExecutor

ARGUMENT = "12345678901234567890"
WARM_UP = 1000


def return_argument(argument):
    return argument


def run(executor, count):
    futures = [executor.submit(return_argument, ARGUMENT) for _ in range(count)]
    return [future.result() for future in futures]


def main():
    count = int(sys.argv[1])
    with MPIPoolExecutor() as executor:
        run(executor, min(count, WARM_UP))
        begin = time.monotonic()
        results = run(executor, count)
        seconds = time.monotonic() - begin
    if results != [ARGUMENT] * count:
        sys.exit("a task returned something else")
    print(f"{seconds:.9f}")


if __name__ == "__main__":
    main()
