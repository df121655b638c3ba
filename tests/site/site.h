/*
 * site.h - what the files of the local web site share.
 */
#ifndef SITE_H
#define SITE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

/* How a request's wait stands. */
enum outcome {
    NOT_WAITED,
    WAITING,
    RELEASED, /* another request let it go on */
    EXPIRED,  /* its time is over */
    DEPARTED, /* its client has gone away */
};

/* A request, from its first line to the end of its reply. */
struct request {
    struct MHD_Connection *connection;
    char *uri;        /* path and query, exactly as they came; the request owns it */
    const char *path; /* decoded, without the query; NULL until the headers are in */
    const char *rest; /* what follows its route in the path */
    uintmax_t number; /* the same, where the route says that it is one */
    bool counted;     /* in the statistics */
    enum outcome outcome;

    /* What waiting.c alone uses: */
    int64_t deadline;
    size_t place; /* in the heap of deadlines */
    struct wait_queue *queue;
    TAILQ_ENTRY(request) neighbours;
};

/*
 * What answers a path. A slash at its end stands for any path that begins so, a # there
 * for any number.
 */
struct route {
    const char *path;
    enum MHD_Result (*serve)(struct request *request);
};

/* The routes of each file; the last one's path is NULL. */
extern const struct route page_routes[];
extern const struct route waiting_routes[];
extern const struct route stats_routes[];
extern const struct route neighbour_routes[];

/* request.c - what a request asks for, and its life. */

/* True if TEXT is a number of at most twelve digits; VALUE is then the number. */
bool parse_number(const char *text, uintmax_t *value);

/* Any bytes, also '\0'. A holder of one does not own them. */
struct bytes {
    const char *start;
    size_t length;
};
struct bytes bytes_of(const char *text);

/* The value of NAME in the query, if there is none FALLBACK, or no bytes. */
const char *query_text(const struct request *request, const char *name,
                       const char *fallback);
uintmax_t query_number(const struct request *request, const char *name,
                       uintmax_t fallback);
struct bytes query_bytes(const struct request *request, const char *name);

/* False if the query gives something else for what must be a number. */
bool query_is_valid(const struct request *request);

/* The socket on which requests come. */
int socket_of(struct MHD_Connection *connection);

/*
 * MHD calls these: when a request's first line has come; when its headers are in, again
 * when it is complete, and again after its wait; when it has been answered or was given
 * up.
 */
void *request_started(void *closure, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_arrived(void *closure, struct MHD_Connection *connection,
                                const char *path, const char *method, const char *version,
                                const char *upload, size_t *upload_size, void **context);
void request_completed(void *closure, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code);

/* answer.c - how it is answered. */

#define CHUNKED MHD_SIZE_UNKNOWN
#define WITHOUT_END UINTMAX_MAX

/* The HTML of a small page with that title, and its two parts. */
#define PAGE_START(title)                                                              \
    "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>" title \
    "</title>\n</head>\n<body>\n<h1>The local site</h1>\n<p>A page for a test to "     \
    "fetch.\n"
#define PAGE_END "</p>\n</body>\n</html>\n"
#define PAGE(title) PAGE_START(title) PAGE_END

/* What comes after the last byte of a body. */
enum ending {
    END_CLEANLY, /* if more bytes were announced, then too early */
    END_NEVER,   /* nothing, and the connection stays */
    END_BY_RESET,
};

/* What is sent: the head, bytes of the block again and again, and the tail. */
struct reply {
    unsigned int status; /* 0: 200 */
    const char *type;    /* of its content; NULL: HTML in UTF-8; empty: it does not say */
    struct {
        const char *name;
        const char *value; /* NULL or empty: there is no such header */
    } header;
    struct bytes head; /* copied; the other two must stay */
    struct bytes block;
    uintmax_t repeated; /* bytes, or WITHOUT_END */
    uintmax_t size;     /* repeats the block until the body is at least so long */
    struct bytes tail;
    uintmax_t announced; /* as its length; CHUNKED: none; 0: what it is */
    enum ending ending;
    uintmax_t piece; /* the most bytes at a time, if not 0 */
    uintmax_t pause; /* milliseconds between two pieces */

    /* What answer.c alone uses: */
    struct request *request;
    uintmax_t paused_at;
};

/*
 * Both answer the request, the second with a text, printed as by printf, for the head.
 * They return what a route is to return: MHD_NO, which hangs up, if memory runs out or a
 * header is not fit for HTTP.
 */
enum MHD_Result answer(struct request *request, struct reply reply);
enum MHD_Result answer_text(struct request *request, struct reply reply, const char *text,
                            ...) __attribute__((format(printf, 3, 4)));

/* waiting.c - requests that wait; ending one wait among n costs O(log n). */

#define FOREVER UINTMAX_MAX

/* How many milliseconds a request waits for others, if its query does not say. */
extern uintmax_t patience;

/* Requests that wait for the same thing, the one that came first in front. */
struct wait_queue {
    TAILQ_HEAD(, request) requests;
    size_t count;
};

/*
 * To be called first. The loop that owns EPOLL is to end the wait of a request that it
 * finds in an event's data.ptr: the client has departed.
 */
void waiting_watch_with(int epoll);

/*
 * Suspends the request for that long, in QUEUE unless that is NULL. What called this, the
 * route or the reader of the body, is called again after the wait. MHD_NO: it cannot
 * wait.
 */
enum MHD_Result wait_begin(struct request *request, struct wait_queue *queue,
                           uintmax_t milliseconds);
void wait_end(struct request *request, enum outcome outcome);

/* Says how long the loop may sleep. Returns false if it may until there is an event. */
bool wait_timeout(struct timespec *time);

/* Ends waits whose time is over, the earliest first: one, or a 64th of all that wait if
   that is more. Not all at once: those who ask for the next page meanwhile would be seen
   only after all of them, and from then on all would come at once, again and again. But
   each time that some end, MHD looks through all that wait: with ten thousand, one at a
   time took it five seconds. */
void wait_expire(void);

/* Ends all waits. */
void waiting_close(void);

/* stats.c - what is counted. */

/* MHD calls this when a connection has begun and when it has ended. */
void stats_connection(void *closure, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code);

/* Notes how much has reached the peer; to be called before the socket forgets it. */
void stats_measure(struct MHD_Connection *connection);

/* The request has begun, its path is known; it has been answered or given up. */
void stats_begin(struct request *request);
void stats_end(struct request *request);

void stats_close(void);

/* pages.c */

/*
 * The file's bytes and a '\0', for the caller to free; NULL, with errno set, on failure.
 */
char *read_file(int folder, const char *name, size_t *length);

/* Says in which folder (a descriptor) the files are that /file/NAME serves. */
void pages_are_in(int folder);

#endif
