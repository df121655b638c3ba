/*
 * A pool behind an interface: submit gives a future, the future gives the result. What
 * the workers are, threads, processes, the fibers of an event loop or the processes of
 * other machines, is settled by the line that opens the pool.
 *
 *     struct executor *executor = thread_pool_executor(8);
 *     struct future *future = executor_submit(executor, get_title, "http://example.org/");
 *     puts(future_result(future)->text);
 *     future_free(future);
 *     executor_free(executor);
 *
 * It does what Python's concurrent.futures does
 * (https://docs.python.org/3/library/concurrent.futures.html), except where this page
 * says otherwise.
 *
 * Errors are values: nothing here prints or exits. A call that cannot do its work returns
 * NULL or false with errno set: EINVAL if an argument makes no sense, ENOMEM without
 * memory, and what the function says. An executor and a future may be used from any
 * thread at once, from tasks and callbacks too; free each once, when nobody uses it any
 * more.
 *
 * Times are in seconds, fractions allowed, and INFINITY (math.h) is for ever.
 */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include "result.h"

#include <stdbool.h>
#include <stddef.h>

struct executor;
struct future;
struct as_completed;

/*
 * What a worker runs: a string in, a result out. The result's text comes from malloc and
 * belongs to the executor from then on; a text of NULL counts as "" if the status is
 * RESULT_OK. A task that returns RESULT_CANCELLED has run, so its result is
 * RESULT_FAILED.
 *
 * What a pool does not promise: argument and text are C strings, which end at their
 * first NUL. A task has no context but its argument. In a process pool the task runs in
 * another process: it sees the memory as it was when the pool was opened, and nobody
 * sees what it changes; and the descriptors that were open then stay open in the workers
 * until the pool is freed.
 *
 * A task that ends its worker costs its own result, which is RESULT_BROKEN, and another
 * worker takes the place: pthread_exit(3) ends a thread, exit(3) and a signal a process.
 * A pool's thread cannot be cancelled (pthread_cancel(3)) unless a task of it enables
 * that; nor may a task detach its thread (pthread_detach(3)). In a process, exit(3) runs
 * the handlers that the task has registered with atexit(3), and not those of its parent.
 * What a task has printed through stdio is written when it returns.
 *
 * In an event loop, all tasks take turns in one thread, each on a stack of 48 KB
 * (fiber.h): a task that waits for a page (http.h) or for a future lets the others run,
 * and one that computes, or waits for anything else, holds them all up. With
 * EXECUTOR_DEBUG=1 in the environment, a task that does so for more than 0.1 s is named
 * on standard error. pthread_exit(3) ends such a task, and not the thread.
 */
typedef struct result (*task_fn)(const char *argument);

/* ---- Opening a pool ---- */

/*
 * Options beyond the number of workers. Name those that you set, and leave the rest zero,
 * which is the default; so more can be added.
 *
 *     process_pool_executor_with(&(struct executor_options){.task_seconds = 5})
 */
struct executor_options {
    /* How many; 0: as many as suit the machine, in Python's reckoning: the CPUs that we
       may use, and for threads 4 more, but at most 32. In an event loop, how many tasks
       are under way at once; 0: 1,000. */
    size_t workers;

    /* How many tasks may wait; 0: any number. When that many wait, executor_submit()
       waits too. A task that is cancelled keeps its place until a worker comes to it. A
       task or callback of the pool's own may go beyond the bound: if it waited, nobody
       might be left to make room. In a process pool a bound costs time, because a worker
       that is free finds no task that is ready for it to claim. */
    size_t queue_capacity;

    /* Each worker runs it before its first task, with the argument, which is copied; an
       event loop runs it once. If it returns anything but RESULT_OK, or ends a worker
       that is no process, the pool is broken: all tasks that have not begun are
       RESULT_BROKEN, with the reason. If it ends a worker that is a process, others are
       tried; and while none is ready, each task is RESULT_BROKEN. */
    task_fn initializer;
    const char *initializer_argument;

    /* Process pools: a worker that has run this many tasks is replaced; 0: never. */
    size_t max_tasks_per_worker;

    /* Process pools and event loops: how many seconds a task, or the initializer, may
       run; 0: for ever. Then the task is RESULT_TIMED_OUT. In an event loop it is told so
       when it waits: the page is given up, and a wait for a future fails with ECANCELED.
       If it never waits again, its own result stands.

       In a process pool its worker is killed and replaced. What counts is how long the
       task ran, not how long its result took to arrive; but a worker that does not
       deliver a result for a second longer than that is given up as well. Without a
       limit, a worker that has been stopped (SIGSTOP) holds up its task until it is
       continued. */
    double task_seconds;

    /* Clusters: the tasks that a worker host runs, a list that ends with NULL, which is
       copied; no other task can be submitted. Host and submitter must have the same. */
    const task_fn *tasks;

    /* Clusters: how many seconds to wait for a sign of life of a worker host, while the
       pool is opened and while there are tasks; then the pool is broken. A host drops
       the tasks of a submitter that takes no result for as long. 0: as EXECUTOR_WAIT in
       the environment says, or else 30; INFINITY: for ever. */
    double host_seconds;
};

/*
 * Opens a pool whose workers are threads, processes, or the fibers of an event loop, and
 * starts all of them, fibers when there are tasks for them. If the system does not allow
 * as many, it has fewer; then executor_workers() says how many, and errno why. Free it
 * with executor_free().
 *
 * Returns NULL if not even one can be started, with errno as pthread_create(3), fork(2)
 * or socketpair(2) left it, or ECHILD if the small process (see below) has died; or with
 * ENOTSUP if an option asks for what such a pool cannot do: a thread cannot be killed, so
 * a thread pool has no time limit for tasks; and neither that nor an event loop has a
 * maximum of tasks per worker. An event loop has one thread; NULL comes with errno as
 * pthread_create(3), epoll_create1(2) or eventfd(2) left it.
 *
 * Processes are forked from a small process of their own, which this call forks: open
 * the pool before you start threads. All output streams are flushed before (fflush(3)
 * with NULL). What the processes share with their parent is the memory of the tasks that
 * are next, and nothing else. The workers ignore SIGINT, so that Ctrl-C is for their
 * parent; if that dies, they die too. If the small process dies, the pool is broken:
 * every task that is not done is RESULT_BROKEN.
 */
struct executor *thread_pool_executor(size_t workers);
struct executor *process_pool_executor(size_t workers);
struct executor *event_loop_executor(size_t workers);
struct executor *thread_pool_executor_with(const struct executor_options *options);
struct executor *process_pool_executor_with(const struct executor_options *options);
struct executor *event_loop_executor_with(const struct executor_options *options);

/*
 * Opens a pool whose workers are the processes of worker hosts, on this machine or on
 * others, which get their tasks from a NATS server (https://nats.io) with JetStream. The
 * task is the only one that can be submitted; with options, the list `tasks` says which.
 *
 * Where the server is, the environment says, as for NATS' own command line:
 *
 *   NATS_URL                     nats://HOST:PORT, tls://USER:PASSWORD@HOST, or
 *                                nats://TOKEN@HOST; or several, with commas between them
 *   NATS_USER and NATS_PASSWORD  if they do not stand in NATS_URL
 *   NATS_CREDS                   a file of credentials
 *   NATS_CA                      a file of certificates to trust
 *   NATS_CERT and NATS_KEY       files with a certificate of our own, and its key
 *
 * Without NATS_URL, the call starts a server and a worker host of its own on this
 * machine; they end with the pool, or with the process, however that ends. It forks: open
 * the pool before you start threads. A process can have one of these at a time, and none
 * after a cluster with NATS_URL. Its end closes libnats, which the program must not use
 * beside.
 *
 * With EXECUTOR_WORKER=1 and NATS_URL in the environment the call does not return: the
 * process is a worker host then, with a process pool of these options. It has the name
 * that EXECUTOR_HOST says, or the machine's. Any number of hosts may join and leave at
 * any time. They run the tasks of submitters that are the same build of the same program.
 *
 * What the other pools promise holds here too, except that
 *
 *   - a task may run twice: if its host dies, is stopped, or cannot be reached for
 *     more than 5 s, another host runs it. Its future is done once, by the first
 *     result. The third host that is lost with a task makes it RESULT_BROKEN.
 *   - a task that has been sent cannot be cancelled any more, neither by
 *     future_cancel() nor by executor_shutdown_now(). As many are sent as all hosts
 *     have workers, and more if they are short: what a worker does in 5 ms, but at
 *     most 256.
 *   - executor_kill_workers() kills no worker. All tasks that have been sent are
 *     RESULT_BROKEN at once, and no host begins them any more; one that runs runs on,
 *     and its result is dropped.
 *   - a callback that takes long delays also the tasks that are to be sent.
 *   - future_running() is true a moment after the task has begun: it has to be told.
 *   - `workers` is how many a host of this process has; other hosts have what they
 *     were told. executor_workers() says the same number.
 *   - an argument or result is at most as long as the server takes, by default 1 MiB,
 *     and 64 MiB in a server of our own; a longer one makes the task RESULT_BROKEN.
 *   - if no host is heard of for `host_seconds` while there are tasks, or if the
 *     server of our own dies, the pool is broken. A server that comes back in time
 *     loses no task.
 *   - a span of a host on another machine has times of the submitter's clock, reckoned
 *     from when the result came, and so too late by the time that it was under way.
 *
 * Unlike the other pools it prints: a line beginning with "cluster: ", on standard error,
 * says why a server cannot be reached, or for what it has been waiting for a second.
 * Returns NULL with errno
 *
 *   EINVAL        there is no task
 *   ECONNREFUSED  no server can be reached
 *   EACCES        the server refuses the password, the token or the certificate
 *   ETIMEDOUT     there is no worker host
 *   ENOENT        the program nats-server is not installed
 *   EBUSY         the process has a server of its own already, or has used NATS_URL
 *   ECHILD        the server of our own has died
 *   ENOEXEC       the program has no build ID (ld(1), --build-id)
 *
 * or as fork(2), mkdtemp(3) or malloc(3) left it.
 */
struct executor *cluster_executor(size_t workers, task_fn task);
struct executor *cluster_executor_with(const struct executor_options *options);

/* How many workers it has; 0 if the executor is NULL. */
size_t executor_workers(const struct executor *executor);

/* ---- Submitting ---- */

/*
 * Has a worker run the task with a copy of the argument (NULL means ""), after those
 * submitted before. Free the future with future_free().
 *
 * Returns NULL with ESHUTDOWN if the executor is shut down; with EPERM in a process that
 * was forked from the executor's, which has no workers; with EINVAL if the executor or
 * the task is NULL, or if the task is none that a cluster was opened with.
 */
struct future *executor_submit(struct executor *executor, task_fn task,
                               const char *argument);

/* The same, but where executor_submit() would wait for room, it returns NULL with EAGAIN.
   */
struct future *executor_try_submit(struct executor *executor, task_fn task,
                                   const char *argument);

/* How executor_map() goes about it. Zero is the default. */
struct map_options {
    size_t window;  /* how many tasks are there at once; 0: 16 for each worker */
    double seconds; /* after which it gives up; 0: never */
};

/*
 * Runs the task with each argument that `next` returns until it returns NULL, and hands
 * the results to `sink` in the same order, each as soon as those before it are there.
 * Both are called in the calling thread, with the context. At most a window of tasks is
 * there at once, so a million arguments need no more memory than a window of them.
 *
 * An argument is copied before `next` is called again. The result is the sink's to read,
 * not to keep. A sink that returns false ends the map.
 *
 * Returns true when all is done. Otherwise the tasks that have not begun are cancelled,
 * those that have are left to end by themselves, and errno is ECANCELED if the sink ended
 * it, ETIMEDOUT, EDEADLK as future_result() says, or what executor_submit() says.
 */
bool executor_map(struct executor *executor, task_fn task,
                  const char *(*next)(void *context),
                  bool (*sink)(void *context, const char *argument,
                               const struct result *result),
                  void *context, const struct map_options *options);

/* ---- Shutting down ---- */

/* Takes no more tasks, and returns at once: Python's shutdown(wait=False). What was
   submitted is still done. Free the executor all the same; that waits. */
void executor_close(struct executor *executor);

/* Takes no more tasks, and returns when all that were submitted are done and the workers
   have ended. May be called twice, and from several threads at once. In a task or
   callback that a thread of the pool's own runs it cannot wait, and is executor_close().
   NULL is nothing to do, here and below. */
void executor_shutdown(struct executor *executor);

/* The same, but cancels the tasks that have not begun. */
void executor_shutdown_now(struct executor *executor);

/*
 * Takes no more tasks, cancels those that have not begun, and sends each worker a
 * SIGTERM, or a SIGKILL: the tasks that run are RESULT_BROKEN. Does not wait;
 * executor_shutdown() does. While a callback runs, the signals may have to wait for its
 * end. An event loop sends no signals; each of its tasks that waits gives up what it
 * waits for, as when its time is up, and is RESULT_BROKEN. Returns false with ENOTSUP for
 * a thread pool, and then does nothing: a thread cannot be killed.
 */
bool executor_terminate_workers(struct executor *executor);
bool executor_kill_workers(struct executor *executor);

/* Shuts the executor down, waits, and frees it. Its futures stay valid, and keep some
   memory of it until the last one is freed. In a task or callback that a thread of the
   pool's own runs, it returns at once, and the rest happens when the tasks are done. What
   is pending when the program ends without this call is lost. */
void executor_free(struct executor *executor);

/* ---- A future ---- */

/*
 * Waits until the task is done. The result belongs to the future, and lives as long; its
 * text is never NULL. A future of NULL, which a submit that failed returned, is
 * RESULT_FAILED. This, and every other call here that waits, is a cancellation point
 * (pthread_cancel(3)).
 *
 * In a task: if the task waits for another one of the same thread pool that has not
 * begun, the call runs that one itself, on the same stack, so that even a pool of one
 * worker does not come to a standstill. In an event loop that one runs meanwhile, in the
 * place of the one that waits. The same holds for every other call that waits for
 * futures.
 *
 * In a task of an event loop, of whatever pool the future is, the call suspends the task
 * and nothing else, and so does every other one that waits for futures. (To submit to
 * another pool whose queue is full, or to shut another pool down, holds up the loop.)
 *
 * Where waiting would never end, the call fails at once. The result is RESULT_FAILED
 * then, says why, and belongs to nobody; the future goes on. errno is
 *
 *   EDEADLK  in a callback, for a future of the same pool that is not done
 *   EPERM    in a process that was forked from the one that has the pool's workers
 *   ECANCELED  in a task of an event loop that has been given up, because its time was up
 *              or its pool's workers were killed
 */
const struct result *future_result(struct future *future);

/* The same, but waits at most this many seconds. If the task is not done then
   (future_done() says so), the result is RESULT_TIMED_OUT, and the future goes on. No
   limit ends a task that the call runs itself, in a task of the same thread pool. */
const struct result *future_result_within(struct future *future, double seconds);

/* The argument that the task has, a copy of what was submitted. It lives as long as the
   future. NULL for NULL. */
const char *future_argument(const struct future *future);

/* Cancels the task if it has not begun: it is RESULT_CANCELLED, and done. Returns whether
   it is cancelled. */
bool future_cancel(struct future *future);

/* Whether it is cancelled; whether a worker runs it now; whether it is done, which a
   cancelled one is too. False for NULL. */
bool future_cancelled(const struct future *future);
bool future_running(const struct future *future);
bool future_done(const struct future *future);

/*
 * Has the callback called once when the future is done: by the pool's own thread that
 * has its result, which is a worker in a thread pool and the one manager of all workers
 * in a process pool; by the thread that cancels the future; or at once, by the caller,
 * if the future is done already. A callback that takes long delays the results behind
 * it. Callbacks of one future are called in the order in which they were added. A
 * callback may do all that is here with its future, free it too, but not wait for a
 * future of the same pool that is not done: see future_result().
 *
 * A callback that ends its thread (pthread_exit(3)) costs the callbacks of the same
 * future that would follow; the thread is replaced. Returns false with ENOMEM, and then
 * the callback will not be called.
 */
bool future_on_done(struct future *future,
                    void (*callback)(struct future *future, void *context),
                    void *context);

/* Gives up the future. A task that is not done is left to run, and its result dropped.
   NULL is nothing to do. */
void future_free(struct future *future);

/* ---- Many futures: those that are NULL, and those named twice, are passed over ---- */

enum wait_until {
    FIRST_COMPLETED, /* one is done */
    FIRST_EXCEPTION, /* one is done that is neither RESULT_OK nor cancelled; or all are */
    ALL_COMPLETED,
};

/* Waits until it is so, at most this many seconds. Returns false with ETIMEDOUT if it is
   not so then, with EDEADLK or EPERM as future_result() does, or with ENOMEM. Which ones
   are done, future_done() says. */
bool futures_wait(struct future *const futures[], size_t count, enum wait_until until,
                  double seconds);

/*
 * The futures one by one as they are done, first those that are so already. Each costs
 * the same, however many there are. `seconds` from now the time is over.
 *
 *     struct as_completed *completed = as_completed_open(futures, count, INFINITY);
 *     while ((future = as_completed_next(completed)) != NULL)
 *         puts(future_result(future)->text);
 *     as_completed_free(completed);
 *
 * A future may be freed once it has been returned; the others must stay until
 * as_completed_free(). One thread at a time.
 */
struct as_completed *as_completed_open(struct future *const futures[], size_t count,
                                       double seconds);

/* The next one that is done; waits for it. Returns NULL with errno 0 after the last, with
   EDEADLK or EPERM as future_result() does, and with EINVAL if `completed` is NULL. When
   the time is over it returns NULL with ETIMEDOUT, even if there are more that are done;
   after that it returns those, and NULL with ETIMEDOUT if there is none. */
struct future *as_completed_next(struct as_completed *completed);

/* NULL is nothing to do. */
void as_completed_free(struct as_completed *completed);

#endif
