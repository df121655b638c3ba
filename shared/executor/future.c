/*
 * A future: what has become of a task, or will. Its state is one atomic number, so that a
 * task for which nobody waits is submitted, run and read without a lock.
 *
 *                begin                     finish
 *      pending ----------> begun  ------------------------+
 *        |  |  (a thread that runs it)                    |
 *        |  |    dispatch                  finish         v
 *        |  +------------> dispatched ----------------> done
 *        |                 (its pool knows more)          ^
 *        |                     | withdraw, cancel         |
 *        +---------------------+--------------------------+
 *                cancel
 *
 * Each arrow is one function. A future that is begun, dispatched or withdrawn has one
 * owner, and only the owner finishes it.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* The state: what has happened to the future, and above that, the number of references.
   */
enum {
    BEGUN = 1,
    DISPATCHED = 2,
    DONE = 4,
    WATCHED = 8, /* somebody has to be told when it is done */
    REFERENCE = 16,
};

/* Texts that are not from malloc. */
static char cancelled[] = "cancelled before it began";
static char nothing[] = "";
static char no_reason[] = "no reason given";

struct future *future_new(struct executor *executor, task_fn task, const char *argument)
{
    size_t size = strlen(argument) + 1;
    struct future *future = malloc(sizeof(*future) + size);
    if (future == NULL)
        return NULL;
    executor_ref(executor);
    *future = (struct future){
        .state = 2 * REFERENCE,
        .task = task,
        .executor = executor,
        .result = {.status = RESULT_CANCELLED,
                   .text = cancelled}, /* if it never begins */
    };
    memcpy(future->argument, argument, size);
    return future;
}

void future_ref(struct future *future)
{
    atomic_fetch_add(&future->state, REFERENCE);
}

static void destroy(struct future *future)
{
    char *text = future->result.text;
    if (text != cancelled && text != nothing && text != no_reason)
        free(text);
    executor_unref(future->executor);
    free(future);
}

void future_free(struct future *future)
{
    if (future == NULL)
        return;
    /* With one reference there is nobody else who could change the number. */
    bool is_last = atomic_load(&future->state) < 2 * REFERENCE;
    if (is_last || atomic_fetch_sub(&future->state, REFERENCE) < 2 * REFERENCE)
        destroy(future);
}

/* Sets the bit if the future is pending. Returns whether it was. */
static bool leave_pending(struct future *future, unsigned bit)
{
    unsigned state = atomic_load(&future->state);
    do {
        if (state & (BEGUN | DISPATCHED | DONE))
            return false;
    } while (!atomic_compare_exchange_weak(&future->state, &state, state | bit));
    return true;
}

bool future_begin(struct future *future)
{
    return leave_pending(future, BEGUN);
}

bool future_dispatch(struct future *future)
{
    return leave_pending(future, DISPATCHED);
}

bool future_watch(struct future *future)
{
    return (atomic_fetch_or(&future->state, WATCHED) & DONE) == 0;
}

static void free_future(void *future)
{
    future_free(future);
}

/* Makes the future done, and gives up a reference: in one step if there are no watchers,
   and otherwise when they have been told, also if a callback ends the thread. */
static void set_done(struct future *future)
{
    unsigned state = atomic_load(&future->state);
    unsigned done;
    do {
        done = state | DONE;
        if ((state & WATCHED) == 0)
            done -= REFERENCE;
    } while (!atomic_compare_exchange_weak(&future->state, &state, done));
    if (done & WATCHED) {
        pthread_cleanup_push(free_future, future);
        tell_watchers(future);
        pthread_cleanup_pop(1);
    } else if (done < REFERENCE) {
        destroy(future);
    }
}

void future_finish(struct future *future, struct result result)
{
    if (result.text == NULL)
        result.text = result.status == RESULT_OK ? nothing : no_reason;
    future->result = result;
    set_done(future);
}

/* The result with which a future is born says that it is cancelled: it only has to become
   done. */
void future_finish_cancelled(struct future *future)
{
    set_done(future);
}

bool future_cancel(struct future *future)
{
    if (future == NULL)
        return false;
    unsigned state = atomic_load(&future->state);
    do {
        if (state & (BEGUN | DONE))
            return future_cancelled(future);
        if (state & DISPATCHED) {
            if (!executor_withdraw(future))
                return future_cancelled(future);
            future_finish_cancelled(future);
            return true;
        }
        /* The queue keeps the reference that it has, so take one for us. */
    } while (!atomic_compare_exchange_weak(&future->state, &state,
                                           (state | BEGUN) + REFERENCE));
    future_finish_cancelled(future);
    return true;
}

/* ---- Its state ---- */

const char *future_argument(const struct future *future)
{
    return future == NULL ? NULL : future->argument;
}

bool future_done(const struct future *future)
{
    return future != NULL && (atomic_load(&future->state) & DONE) != 0;
}

bool future_running(const struct future *future)
{
    unsigned state = future == NULL ? DONE : atomic_load(&future->state);
    if (state & DONE)
        return false;
    return (state & BEGUN) || ((state & DISPATCHED) && executor_has_begun(future));
}

bool future_cancelled(const struct future *future)
{
    return future_done(future) && future->result.status == RESULT_CANCELLED;
}
