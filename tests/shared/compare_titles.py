"""The titles of many pages, compared with those that html5lib finds.

html5lib is the HTML standard's rules in Python. This script serves pages, each in pieces of
random size, has the program fetch them, and prints each page whose title is not the one that
html5lib would give. Exit status: 0 no such page, 1 some.

    compare_titles.py PROGRAM            pages made at random, always the same
    compare_titles.py PROGRAM FILE...    these files, for instance saved real pages
"""

import http.server
import random
import subprocess
import sys
import threading
import unicodedata

import html5lib

PAGES = 3000
HTML = "{http://www.w3.org/1999/xhtml}"
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# What pages are made of at random. Some elements are left out: <template>, <isindex> and
# <menuitem>, because html5lib follows the standard of a time when they meant something else;
# <frameset>, because it takes away a title that was already there, and then we have stopped
# to read; wrong markup within <svg> and <math>, where Gumbo and html5lib go different ways.
ELEMENTS = """html head body title title title title title title h1 h1 h1 h2 script
    style textarea noscript noembed noframes xmp plaintext iframe table table tr td th tbody
    caption colgroup col select option frame form p div span a b i li ul br img
    input button nobr applet object pre link base""".split()
ATTRIBUTES = ["", "", "", " a=b", ' x="</title>"', " x='<title>no</title>'", " b", " =x"]
TEXTS = ["text ", "A&amp;B", "&lt;title&gt;", "\u00e9", "\t", "\r\n", "&nbsp;", "&copy", "&#27;",
         "&#x9b;", "\0", "\x1b[2J", "\u65e5\u672c", "&notit;", "&#0;", "\u200f", "&ndash;", "<",
         ">", "--", "\u2028", '"']
OTHERS = ["<!--", "-->", "<!-->", "--!>", "<!---->", "<!doctype html>", "<!x", "<?php", "?>",
          "</", "<!--<title>c</title>-->", "<script><!--<script>", "</script>", "<title",
          "</title", "</titl", "</titlex>", "</ title>", "</title\0>", "<\0/title>",
          "<svg><title>s</title></svg>", "<title>Real</title>", "<h1>Head</h1>"]


def random_page(generator):
    def piece():
        kind = generator.random()
        element = generator.choice(ELEMENTS)
        if kind < 0.42:
            end = generator.choice([">", ">", ">", "/>", " >", "\n>"])
            return "<" + element + generator.choice(ATTRIBUTES) + end
        if kind < 0.72:
            return "</" + element + generator.choice([">", ">", ">", " >", "/>", " x>", ""])
        return generator.choice(TEXTS if kind < 0.9 else OTHERS)

    return "".join(piece() for _ in range(generator.randrange(1, 30))).encode()


def tidy(text):
    kept = (c for c in text if c.isspace() or unicodedata.category(c) != "Cc")
    return " ".join("".join(c for c in kept if c not in BIDIRECTIONAL).split())


def text_content(element):
    text = element.text or "" if isinstance(element.tag, str) else ""
    return text + "".join(text_content(child) + (child.tail or "") for child in element)


def expected_title(page):
    try:
        page.decode("utf-8")
        charset = "utf-8"
    except UnicodeDecodeError:
        charset = "windows-1252"
    document = html5lib.parse(page, default_encoding=charset, useChardet=False)
    for name in ("title", "h1"):
        element = next(document.iter(HTML + name), None)
        if element is not None and tidy(text_content(element)):
            return tidy(text_content(element))
    return "NONE"


def serve(pages):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            page = pages[int(self.path[1:])]
            generator = random.Random(self.path)
            longest = generator.choice([1, 20, 2000, len(page) + 1])
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            position = 0
            while position < len(page):
                size = generator.randrange(longest) + 1
                piece = page[position:position + size]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                position += size
            self.wfile.write(b"0\r\n\r\n")

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 512
        def handle_error(self, request, client_address):
            """The program goes away as soon as it has the title: that is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d/" % server.server_address[1]


def fetched_titles(program, pages):
    address = serve(pages)
    urls = "".join("%s%d\n" % (address, number) for number in range(len(pages)))
    run = subprocess.run([program, "--quiet", "--file", "-"], input=urls.encode(),
                         stdout=subprocess.PIPE, check=False)
    lines = (line.split("\t") for line in run.stdout.decode().split("\n")[:-1])
    return {int(url[len(address):]): title for url, title in lines}


def main(program, *files):
    generator = random.Random(1)
    if files:
        pages = [open(name, "rb").read() for name in files]
    else:
        pages = [random_page(generator) for _ in range(PAGES)]
    titles = fetched_titles(program, pages)
    different = 0
    for number, page in enumerate(pages):
        expected = expected_title(page)
        if titles.get(number) != expected:
            different += 1
            print("expected %r, got %r, for %s" % (
                expected, titles.get(number), files[number] if files else page))
    print("%d pages, %d different titles" % (len(pages), different))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
