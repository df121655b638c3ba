"""Replies that a web server of the ordinary kind would not send, byte for byte.

This script serves each of them once the request is in, closes the connection, has the program
fetch them all, and prints each one of which it tells something else than it should. Exit status:
0 none, 1 some.

    replies.py PROGRAM GROUP
"""

import gzip
import http.server
import socketserver
import subprocess
import sys
import threading
import zlib

OK = b"HTTP/1.1 200 OK\r\n"
HTML = b"Content-Type: text/html\r\n"


def reply(header, body):
    """A header's lines, without the status, and a body that ends with the connection."""
    return OK + header + b"\r\n" + body


def page(title):
    return b"<!DOCTYPE html><title>" + title + b"</title><p>text</p>"


def coded(coding, body):
    return reply(HTML + b"Content-Encoding: " + coding + b"\r\n", body)


def typed(lines, title="caf\u00e9", charset="utf-8"):
    """A page in the charset, with these lines in its header."""
    return reply(lines, page(title.encode(charset)))


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


NO_OPS = zlib.compressobj(9, zlib.DEFLATED, -15).flush(zlib.Z_FULL_FLUSH) * 100000
PACKED = gzip.compress(page(b"Packed"))
# What brotli(1) and zstd(1) make of <title>br</title> and <title>zstd</title>.
BROTLI = bytes.fromhex("1b1000f8a55f78c4e45421a494021bb805")
ZSTD = bytes.fromhex("28b52ffd04589900003c7469746c653e7a7374643c2f7469746c653e115972cb")

CUT = "the connection closed in the middle of the header"
CUT_PAGE = "the connection closed in the middle of the page"
UNPACKABLE = "the page cannot be unpacked"
NOT_HTTP = "the server does not speak HTTP as it should"
TRANSFER = "packed by a Transfer-Encoding that nobody asked for"
CHUNKED = b"7\r\n<title>\r\n3\r\nOne\r\n0\r\n"

# What is right: a title, or the reason in a tuple.
GROUPS = {
    "coding": [
        ("gzip", coded(b"gzip", PACKED), "Packed"),
        ("its other name, in capitals", coded(b"X-GZIP", PACKED), "Packed"),
        ("deflate with zlib's header", coded(b"deflate", zlib.compress(page(b"D"))), "D"),
        ("deflate without it", coded(b"deflate", raw_deflate(page(b"D"))), "D"),
        ("brotli", coded(b"br", BROTLI), "br"),
        ("zstd", coded(b"zstd", ZSTD), "zstd"),
        ("a name that is no coding", coded(b"UTF-8", page(b"Plain")), "Plain"),
        ("one beside gzip", coded(b"none, gzip", PACKED), "Packed"),
        ("nothing", coded(b"", page(b"Plain")), "Plain"),
        ("empty elements", coded(b", gzip, ,", PACKED), "Packed"),
        ("identity", coded(b"identity", page(b"Plain")), "Plain"),
        ("identity beside gzip", coded(b"identity, gzip", PACKED), "Packed"),
        ("the same in two lines",
         coded(b"identity\r\nContent-Encoding: gzip", PACKED), "Packed"),
        ("members", coded(b"gzip", gzip.compress(b"<p>") + gzip.compress(b"") + PACKED), "Packed"),
        ("a title in two members",
         coded(b"gzip", gzip.compress(b"<title>One, ") + gzip.compress(b"two</title>")),
         "One, two"),
        ("rubbish behind it", coded(b"gzip", gzip.compress(b"<h1>H</h1>") + b"rubbish"), "H"),
        ("zeros behind it", coded(b"gzip", gzip.compress(b"<h1>H</h1>") + bytes(512)), "H"),
        ("half a member behind it",
         coded(b"gzip", gzip.compress(b"<h1>H</h1>") + b"\x1f\x8b\x08"), "H"),
        ("rubbish behind deflate", coded(b"deflate", zlib.compress(b"<h1>H</h1>") + b"x"), "H"),
        ("rubbish behind brotli", coded(b"br", BROTLI + b"rubbish"), "br"),
        ("frames of zstd", coded(b"zstd", ZSTD + ZSTD), "zstd"),
        ("an empty body", coded(b"gzip", b""), "NONE"),
        ("what is not packed", coded(b"gzip", page(b"Plain")), (UNPACKABLE,)),
        ("what is not deflated", coded(b"deflate", page(b"Plain")), (UNPACKABLE,)),
        ("what is damaged", coded(b"gzip", gzip.compress(b"<p>")[:12] + bytes(99)), (UNPACKABLE,)),
        ("what is cut", coded(b"gzip", gzip.compress(b"<h1>H</h1>")[:-9]), (CUT_PAGE,)),
        ("one over the other", coded(b"gzip, br", PACKED), ("packed more than once",)),
        ("a long page", coded(b"gzip", gzip.compress(b" " * 4000000 + page(b"Late"))), "Late"),
        ("what unpacks to nothing for long",
         coded(b"gzip", gzip.compress(b"")[:10] + NO_OPS + raw_deflate(page(b"No-ops"))), "No-ops"),
    ],
    "count": [  # of codings, wherever they stand
        ("in lines of their own", coded(b"gzip\r\nContent-Encoding: gzip", PACKED),
         ("packed more than once",)),
        ("beside a header that begins like a status",
         coded(b"gzip\r\nHTTP/x: y\r\nContent-Encoding: gzip", PACKED), ("packed more than once",)),
        ("before the response", b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n"
         + coded(b"gzip", PACKED), "Packed"),
        ("for the transfer", reply(HTML + b"Transfer-Encoding: gzip, gzip\r\n", PACKED),
         (TRANSFER,)),
        ("for the transfer, once", reply(HTML + b"TRANSFER-ENCODING:\tgzip\r\n", PACKED),
         (TRANSFER,)),
        ("before chunks", reply(HTML + b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
         (TRANSFER,)),
        ("before chunks, in another line",
         reply(HTML + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
         (TRANSFER,)),
        ("chunks", reply(HTML + b"Transfer-Encoding: Chunked\r\n", CHUNKED + b"\r\n"), "One"),
        ("a trailer", reply(HTML + b"Transfer-Encoding: chunked\r\n", CHUNKED
                            + b"HTTP/x: y\r\nContent-Encoding: gzip, br\r\n\r\n"), "One"),
        ("a redirect that is packed too",
         b"HTTP/1.1 302 Found\r\nContent-Encoding: gzip\r\nLocation: /count/0-packed\r\n\r\n",
         ("packed more than once",)),
    ],
    "header": [
        ("cut in the status", b"HTTP/1.1 20", (CUT,)),
        ("cut behind the status", OK, (CUT,)),
        ("cut in a line", OK + b"Content-Type: te", (CUT,)),
        ("cut before the empty line", OK + HTML, (CUT,)),
        ("cut in the empty line", OK + HTML + b"\r", (CUT,)),
        ("cut behind a length", OK + HTML + b"Content-Length: 0\r\n", (CUT,)),
        ("cut behind hints", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, (CUT,)),
        ("cut in a redirect", b"HTTP/1.1 302 Found\r\nLocation: /coding/0\r\n", (CUT,)),
        ("cut in an error", b"HTTP/1.1 404 Not Found\r\n", (CUT,)),
        ("not cut, with an empty body", OK + HTML + b"\r\n", "NONE"),
        ("not cut, with bare line feeds", b"HTTP/1.1 200 OK\n\n" + page(b"Bare"), "Bare"),
        ("a line of 200 KB", reply(b"X: " + b"x" * 200000 + b"\r\n", page(b"x")),
         ("a header line is too long",)),
        ("400 KB of lines", reply((b"X: " + b"x" * 1000 + b"\r\n") * 400, page(b"x")),
         ("too many headers",)),
        ("6,000 lines", reply(b"X: x\r\n" * 6000, page(b"x")), ("too many headers",)),
        ("a redirect of 200 KB",
         b"HTTP/1.1 302 Found\r\nLocation: /" + b"x" * 200000 + b"\r\n\r\n",
         ("a header line is too long",)),
        ("what greets like SSH", b"SSH-2.0-OpenSSH_9.2\r\n", ("the server does not speak HTTP",)),
        ("a bit of the status", b"H", (CUT,)),
        ("nothing", b"", ("the server closed the connection without an answer",)),
        ("a page that is cut", reply(HTML + b"Content-Length: 99\r\n", b"<h1>H</h1>"), (CUT_PAGE,)),
        ("chunks that are none", reply(b"Transfer-Encoding: chunked\r\n", b"x\r\n"), (NOT_HTTP,)),
        ("chunks that are cut", reply(b"Transfer-Encoding: chunked\r\n", b"5\r\nabc"), (CUT_PAGE,)),
        ("a status that is none", b"HTTP/1.1 abc\r\n\r\n", ("the server does not speak HTTP",)),
    ],
    "type": [
        ("twice", typed(HTML * 2), "caf\u00e9"),
        ("twice in one line", typed(b"Content-Type: text/html, text/html\r\n"), "caf\u00e9"),
        ("the charset in the first of two",
         typed(b"Content-Type: text/html; charset=koi8-r\r\n" + HTML,
               "\u043f\u0440", "koi8-r"), "\u043f\u0440"),
        ("the charset in the second",
         typed(HTML + b"Content-Type: text/html; charset=koi8-r\r\n", "\u043f\u0440", "koi8-r"),
         "\u043f\u0440"),
        ("another charset in the second",
         typed(b"Content-Type: text/html;charset=big5\r\nContent-Type: text/html;charset=koi8-r\r\n",
               "\u043f\u0440", "koi8-r"), "\u043f\u0440"),
        ("another type in the second", typed(HTML + b"Content-Type: image/png\r\n"),
         ("not HTML: image/png",)),
        ("another type in the first",
         typed(b"Content-Type: text/plain;charset=koi8-r\r\n" + HTML), "caf\u00e9"),
        ("rubbish in the second", typed(HTML + b"Content-Type: rubbish\r\n"), "caf\u00e9"),
        ("a charset that is not closed",
         typed(b'Content-Type: text/html; charset="koi8-r\r\n', "\u043f\u0440", "koi8-r"),
         "\u043f\u0440"),
        ("a charset in quotation marks, with a backslash",
         typed(b'Content-Type: text/html; x="a;,\\"b"; charset="koi\\8-r"\r\n',
               "\u043f\u0440", "koi8-r"), "\u043f\u0440"),
        ("a charset in single quotation marks", typed(b"Content-Type: text/html; charset='koi8-r'\r\n"),
         "caf\u00e9"),
        ("x-charset", typed(b"Content-Type: text/html; x-charset=koi8-r\r\n"), "caf\u00e9"),
        ("the first charset of two",
         typed(b"Content-Type: text/html; charset=koi8-r; charset=big5\r\n", "\u043f\u0440", "koi8-r"),
         "\u043f\u0440"),
        ("an empty charset and another",
         typed(b"Content-Type: text/html; charset=; charset=koi8-r\r\n", "\u043f\u0440", "koi8-r"),
         "\u043f\u0440"),
        ("blanks around =", typed(b"Content-Type: text/html; charset = koi8-r\r\n"), "caf\u00e9"),
        ("a folded line",
         typed(b"Content-Type: text/html;\r\n\tcharset=koi8-r\r\n", "\u043f\u0440", "koi8-r"),
         "\u043f\u0440"),
        ("folded before the type", typed(b"Content-Type:\r\n text/html\r\n"), "caf\u00e9"),
        ("*/*", typed(b"Content-Type: */*\r\n"), "caf\u00e9"),
        ("*/* behind another", typed(b"Content-Type: text/html\r\nContent-Type: */*\r\n"),
         "caf\u00e9"),
        ("html", typed(b"Content-Type: html\r\n"), "caf\u00e9"),
        ("no type at all", typed(b""), "caf\u00e9"),
        ("an empty one", typed(b"Content-Type:\r\n"), "caf\u00e9"),
        ("a type without subtype", typed(b"Content-Type: text/; charset=koi8-r\r\n"), "caf\u00e9"),
        ("unknown/unknown", typed(b"Content-Type: unknown/unknown\r\n"), "caf\u00e9"),
        ("capitals and blanks", typed(b"Content-Type:  Text/HTML \t;Charset=UTF-8\r\n"), "caf\u00e9"),
        ("text/plain", typed(b"Content-Type: text/plain; charset=utf-8\r\n"),
         ("not HTML: text/plain",)),
        ("one in a trailer",
         reply(HTML + b"Transfer-Encoding: chunked\r\n", CHUNKED
               + b"Content-Type: text/plain\r\n\r\n"), "One"),
    ],
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, group, name = self.path.split("/")
        index, _, redirected = name.partition("-")
        if redirected:
            self.wfile.write(coded(b"gzip, gzip", PACKED))
        else:
            self.wfile.write(GROUPS[group][int(index)][1])
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def fetch(program, urls):
    """A dictionary of what it tells: the title, or the reason in a tuple."""
    ran = subprocess.run([program, "--quiet", *urls], capture_output=True, check=False)
    told = {}
    for line in ran.stdout.decode().splitlines():
        url, title = line.split("\t")
        told[url] = title
    for line in ran.stderr.decode().splitlines():
        _, url, reason = line.split(": ", 2)
        told[url] = (reason,)
    return told


def main():
    program, group = sys.argv[1:]
    cases = GROUPS[group]
    wrong = 0
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/{group}/"
        told = fetch(program, [address + str(number) for number in range(len(cases))])
        server.shutdown()
    for number, (name, _, right) in enumerate(cases):
        actual = told.get(address + str(number))
        if actual != right:
            wrong += 1
            print(f"{group}: {name}: {actual!r} instead of {right!r}")
    print(f"{len(cases)} replies, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
