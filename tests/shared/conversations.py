"""Servers with which it takes more than one reply to go wrong.

    conversations.py PROGRAM NAME

NAME is one of the functions below that are marked as a conversation. Each starts servers of its
own, has the program fetch pages from them, and prints what it tells of each page if that is not
what it should. Exit status: 0 all is right, 1 something is not.
"""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

CONVERSATIONS = {}


def conversation(function):
    CONVERSATIONS[function.__name__] = function
    return function


def page(title, more=""):
    body = f"<title>{title}</title>".encode()
    return (f"HTTP/1.1 200 OK\r\n{more}Content-Type: text/html\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def redirect(url, more=""):
    return (f"HTTP/1.1 302 Found\r\n{more}Location: {url}\r\n"
            "Content-Length: 0\r\n\r\n").encode()


class Server:
    """talk(self, connection, path, request) is called for each request, and sends what it likes.
    `connections` are those that it has accepted, in order."""

    def __init__(self, talk, certificate=None, greet=b""):
        self.talk = talk
        self.greeting = greet
        self.connections = []
        self.context = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.connections.append(connection)
            connection.sendall(self.greeting)
            request = b""
            while True:
                while b"\r\n\r\n" not in request:
                    more = connection.recv(65536)
                    if not more:
                        return
                    request += more
                head, _, request = request.partition(b"\r\n\r\n")
                self.talk(self, connection, head.split()[1].decode(), head.decode())
        except OSError:
            pass
        finally:
            connection.close()


def fetch(program, *urls, options=(), environment=None):
    """What it tells of each URL, in order: a title, or the reason in a tuple."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(urls) + "\n")
        file.flush()
        ran = subprocess.run([program, "--quiet", *options, "--file", file.name],
                             capture_output=True, check=False,
                             env={**os.environ, "LC_ALL": "C", **(environment or {})})
    titles = [line.split("\t") for line in ran.stdout.decode().splitlines()]
    reasons = [line.rpartition(": ")[2] for line in ran.stderr.decode().splitlines()]
    return [titles.pop(0)[1] if titles and titles[0][0] == url else (reasons.pop(0),)
            for url in urls]


# What nobody has asked for, and what was asked.
UNASKED = page("Unasked")


def long_page(title):
    """A page that is read piece by piece, so that no more of it is than it says."""
    body = b" " * 100000 + f"<title>{title}</title>".encode()
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(_, connection, path, __):
    """A page whose title is its path; with some, one more that nobody has asked for."""
    replies = {
        "/long": long_page(path) + UNASKED,
        "/first": page(path) + UNASKED,
        "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"17\r\n<title>/chunked</title>\r\n0\r\n\r\n" + UNASKED,
        "/redirect": redirect("/page") + UNASKED,
        "/empty": b"HTTP/1.1 204 No Content\r\n\r\n" + UNASKED,
    }
    connection.sendall(replies.get(path, page(path)))


PATHS = ["/long", "/one", "/long", "/redirect", "/first", "/two", "/chunked", "/three", "/empty",
         "/four", "/redirect", "/five"]
TITLES = ["/long", "/one", "/long", "/page", "/first", "/two", "/chunked", "/three", "NONE",
          "/four", "/page", "/five"]


@conversation
def a_reply_too_many(program):
    server = Server(answer)
    return fetch(program, *[server.url + path for path in PATHS]), TITLES


def make_certificate(folder):
    """The name of a file with a certificate that vouches for itself, and one with its key too."""
    certificate, key, both = [f"{folder}/{name}" for name in ["certificate", "key", "both"]]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=site", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with open(both, "wb") as file:
        for part in [certificate, key]:
            with open(part, "rb") as read:
                file.write(read.read())
    return certificate, both


@conversation
def a_reply_too_many_over_tls(program):
    with tempfile.TemporaryDirectory() as folder:
        certificate, both = make_certificate(folder)
        server = Server(answer, certificate=both)
        urls = [server.url + path for path in PATHS]
        return fetch(program, *urls, options=["--cacert", certificate]), TITLES


@conversation
def a_reply_while_the_connection_is_idle(program):
    first = Server(answer)

    def interrupt(_, connection, path, __):
        with contextlib.suppress(OSError):  # the program may have closed it
            first.connections[0].sendall(UNASKED)
        connection.sendall(page(path))

    second = Server(interrupt)
    return (fetch(program, first.url + "/one", second.url + "/two", first.url + "/three"),
            ["/one", "/two", "/three"])


@conversation
def a_connection_that_is_closed_while_idle(program):
    first = Server(answer)

    def interrupt(_, connection, path, __):
        with contextlib.suppress(OSError):
            first.connections[0].shutdown(socket.SHUT_RDWR)
        connection.sendall(page(path))

    second = Server(interrupt)
    return (fetch(program, first.url + "/one", second.url + "/two", first.url + "/three"),
            ["/one", "/two", "/three"])


@conversation
def a_cookie_and_a_redirect_to_itself(program):
    def talk(_, connection, path, request):
        if "Cookie: visited=yes" in request:
            connection.sendall(page(path + " with a cookie"))
        elif path == "/set":
            connection.sendall(redirect("/set", "Set-Cookie: visited=yes; Path=/\r\n"))
        else:
            connection.sendall(page(path, "Set-Cookie: visited=yes; Path=/\r\n"))

    server = Server(talk)
    return (fetch(program, *[server.url + path for path in ["/set", "/one", "/two", "/set"]]),
            ["/set with a cookie", "/one", "/two", "/set with a cookie"])


@conversation
def a_host_name_beyond_ascii(program):
    def talk(_, connection, path, request):
        host = request.partition("Host: ")[2].splitlines()[0].partition(":")[0]
        if path == "/redirect":
            connection.sendall(redirect(f"http://B\u00dccher.localhost:{server.port}/"))
        else:
            connection.sendall(page(host))

    server = Server(talk)
    urls = [f"http://{host}.localhost:{server.port}/"
            for host in ["b\u00fccher", "B\u00dccher", "xn--bcher-kva", "stra\u00dfe", "\u65e5\u672c"]]
    return (fetch(program, *urls, server.url + "/redirect"),
            ["xn--bcher-kva.localhost", "xn--bcher-kva.localhost", "xn--bcher-kva.localhost",
             "xn--strae-oqa.localhost", "xn--wgv71a.localhost", "xn--bcher-kva.localhost"])


@conversation
def a_redirect_to_what_is_not_http(program):
    ssh = Server(answer, greet=b"SSH-2.0-OpenSSH_9.2p1\r\n")
    nothing = Server(lambda _, connection, *__: connection.shutdown(socket.SHUT_RDWR))
    targets = {"/ssh": ssh.url, "/nothing": nothing.url, "/ftp": "ftp://127.0.0.1/",
               "/file": "file:///etc/passwd", "/none": "http://:/",
               "/refused": "http://127.0.0.1:1/", "/foreign": "ssh://127.0.0.1/"}
    server = Server(lambda _, connection, path, __: connection.sendall(redirect(targets[path])))
    foreign = ("redirected to what is neither http nor https",)
    return (fetch(program, *[server.url + path for path in targets]),
            [("the server does not speak HTTP",),
             ("the server closed the connection without an answer",), foreign, foreign,
             ("redirected to a malformed URL",), ("Connection refused",), foreign])


@conversation
def a_proxy_that_refuses(program):
    def talk(_, connection, path, __):
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    proxy = Server(talk)
    address = f"http://user:secret@127.0.0.1:{proxy.port}"
    return (fetch(program, "https://site.invalid/", "http://site.invalid/",
                  environment={"https_proxy": address, "http_proxy": address}),
            [("HTTP status 403",), ("HTTP status 403",)])


@conversation
def a_url_that_is_too_long(program):
    server = Server(answer)
    return (fetch(program, "ftp://127.0.0.1/", server.url + "/" + 9000000 * "x",
                  server.url + "/" + 2000000 * "x", server.url + "/page"),
            [("neither http nor https",), ("the URL is too long",), ("the URL is too long",),
             "/page"])


def main():
    program, name = sys.argv[1:]
    told, right = CONVERSATIONS[name](program)
    if told == right:
        return 0
    print(f"{name}: {told} instead of {right}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
