"""A peer: the program that the course began with, in Python. It prints the titles of the
pages in a file of URLs, with a pool of threads or of processes.

    titles.py threads|processes WORKERS FILE
"""

import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import bs4
import requests


def get_title(url):
    response = requests.get(url, timeout=30)
    response.raise_for_status()
    document = bs4.BeautifulSoup(response.text, features="html.parser")
    return document.title.get_text().strip()


def main():
    kind, workers, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(name, encoding="utf-8") as file:
        urls = file.read().split()
    make_pool = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[kind]
    with make_pool(workers) as executor:
        futures = [executor.submit(get_title, url) for url in urls]
    for url, future in zip(urls, futures):
        print(url, future.result(), sep="\t")


if __name__ == "__main__":
    main()
