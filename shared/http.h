/*
 * One polite, bounded GET at a time, with libcurl.
 *
 * http and https only, also after a redirect; at most HTTP_MOST_REDIRECTS of them; packed
 * once with gzip, deflate, br or zstd (unpack.h); host names in any script; certificates
 * are verified; the time limit holds for all of it, from the name's look-up to the last
 * byte. Proxies are taken from the environment, as curl(1) does. What comes in is handed
 * on piece by piece and never kept here, so that a body without end takes time but no
 * memory.
 *
 * A cookie that a response sets is sent with the requests that its redirects lead to, and
 * forgotten at the end of the GET. What a server sends before it is asked is never taken
 * for the answer: that connection is closed, and the page is asked for on another one.
 *
 * Any number of threads may call http_get() at once. Each has a libcurl handle of its
 * own, made at its first call and freed when it ends: connections are used again by the
 * thread that opened them.
 *
 * After a fork() the child makes a handle of its own too. It leaves the one that it
 * inherited alone, since to close it would say goodbye in the parent's name; the
 * descriptors of the parent's open connections stay open in the child until it exits.
 */
#ifndef HTTP_H
#define HTTP_H

#include "result.h"

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_MOST_REDIRECTS = 10 };

/* The marks in the span of a GET (span.h): when it was so far. With redirects, each is
   the sum over all the requests, so the time between two of them is what went into that.
 */
enum http_mark {
    HTTP_RESOLVED,  /* the host's address is known; may be 0 without a new connection */
    HTTP_CONNECTED, /* there is a connection; at once if one is used again */
    HTTP_SECURED,   /* and it is encrypted; at once without TLS */
    HTTP_ANSWERED,  /* the first byte of the answer is here */
};

/* A piece of a page, valid during the call that hands it over. */
struct http_piece {
    const char *content_type; /* the header's values, joined by commas; "": none */
    const char *bytes;        /* unpacked */
    size_t length;            /* 0: the page is complete */
    double timeout;           /* how much time the GET has, in seconds */
    double deadline;          /* when it is over (monotonic.h) */
};

/* Gets each piece, and at last one of length 0. Returns whether it wants more; once it
   does not, it is not called again, and the transfer ends: at once, or, if the server has
   announced that at most 64 KB are left, when they have come, so that the connection can
   be used again. For those http_get() waits a second at most. In the loop of a fiber it
   runs on the loop's stack: it may not end its thread (pthread_exit(3)), and a wait for a
   future of an event loop's own fails there (EDEADLK). */
typedef bool http_receive(void *context, const struct http_piece *piece);

/*
 * Call it once, before any thread that calls http_get() begins (curl_global_init(3)
 * says why). Each GET may take timeout seconds, more than 0; certificates is the name
 * of a file of certificates to trust instead of the system's, or NULL, and must stay
 * valid.
 *
 * It also has SIGPIPE ignored, which a server could provoke, and lifts the limit of
 * open descriptors as far as an ordinary process may, and sets the locale's LC_CTYPE to
 * C.UTF-8, by which libcurl knows what a host name's bytes mean. If libcurl cannot start,
 * each http_get() will say so.
 */
void http_open(double timeout, const char *certificates);

/* Fetches a page. A URL without a scheme is taken as http. Returns RESULT_OK without a
   text when receive() has been given all that it wanted, else RESULT_FAILED with the
   reason, in words that do not depend on libcurl's version. Either way its span says who
   did it, and when, with the marks above. */
struct result http_get(const char *url, http_receive *receive, void *context);

/*
 * A GET that a loop drives, with libcurl's multi interface (libcurl-multi(3)): begin it,
 * add its handle, a CURL *, to a multi; when the multi says that the transfer is done,
 * remove the handle, and end the GET with the CURLcode that the multi has told. Meanwhile
 * nothing waits. Each GET has a connection of its own. The result is that of http_get();
 * its span is of the worker that the running thread is called when the GET begins.
 *
 * http_begin() returns NULL without memory. A GET that has begun has to be ended.
 */
struct http_transfer;
struct http_transfer *http_begin(const char *url, http_receive *receive, void *context);
void *http_handle(struct http_transfer *transfer);
struct result http_end(struct http_transfer *transfer, int code);

/* Frees all that the calling thread and libcurl hold. The other threads have ended. */
void http_close(void);

#endif
