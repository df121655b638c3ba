"""A peer: aiohttp, a coroutine for each page, one thread. It prints the titles of the
pages in a file of URLs, and finds them without a parser.

    titles.py WORKERS FILE
"""

import asyncio
import resource
import sys

import aiohttp


def raise_descriptor_limit():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def print_title(session, url):
    async with session.get(url, raise_for_status=True) as response:
        page = await response.text()
    start = page.index("<title>") + len("<title>")
    print(url, page[start : page.index("</title>", start)], sep="\t")


async def main():
    workers, name = int(sys.argv[1]), sys.argv[2]
    with open(name, encoding="utf-8") as file:
        urls = file.read().split()
    connector = aiohttp.TCPConnector(limit=workers)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(print_title(session, url) for url in urls))


if __name__ == "__main__":
    raise_descriptor_limit()
    asyncio.run(main())
