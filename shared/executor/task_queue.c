#include "internal.h"

#include <errno.h>
#include <math.h>

void task_queue_open(struct task_queue *queue, size_t capacity)
{
    *queue = (struct task_queue){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .not_empty = PTHREAD_COND_INITIALIZER,
        .not_full = PTHREAD_COND_INITIALIZER,
        .taking = PTHREAD_MUTEX_INITIALIZER,
        .last = &queue->submitted,
        .capacity = capacity,
    };
}

void task_queue_destroy(struct task_queue *queue)
{
    must(pthread_mutex_destroy(&queue->lock), "pthread_mutex_destroy");
    must(pthread_mutex_destroy(&queue->taking), "pthread_mutex_destroy");
    must(pthread_cond_destroy(&queue->not_empty), "pthread_cond_destroy");
    must(pthread_cond_destroy(&queue->not_full), "pthread_cond_destroy");
}

/* With the lock held. */
static bool has_task(const struct task_queue *queue)
{
    return queue->submitted != NULL || atomic_load(&queue->next) != NULL;
}

/* With the lock held. */
static bool has_room(const struct task_queue *queue)
{
    return queue->capacity == 0 || queue->count < queue->capacity;
}

/* With the lock held: whether a sleeper has to be woken. One is woken at a time: it
   takes a future, and then wakes another if there is one more. */
static bool has_to_wake(struct task_queue *queue)
{
    if (!has_task(queue) || queue->sleepers == 0 || queue->is_waking)
        return false;
    queue->is_waking = true;
    return true;
}

static void wake_another(struct task_queue *queue)
{
    mutex_lock(&queue->lock);
    bool wakes = has_to_wake(queue);
    mutex_unlock(&queue->lock);
    if (wakes)
        cond_signal(&queue->not_empty);
}

int task_queue_put(struct task_queue *queue, struct future *future, double deadline,
                   bool ignores_capacity)
{
    int error = 0;
    bool wakes = false;
    bool is_in_time = deadline > 0;
    mutex_lock(&queue->lock);
    while (!has_room(queue) && !ignores_capacity && !queue->is_closed && is_in_time)
        is_in_time = cond_wait_until(&queue->not_full, &queue->lock, deadline);
    if (queue->is_closed) {
        error = ESHUTDOWN;
    } else if (!has_room(queue) && !ignores_capacity) {
        error = EAGAIN;
    } else {
        *queue->last = future;
        queue->last = &future->next;
        queue->count += queue->capacity > 0 ? 1 : 0;
        wakes = has_to_wake(queue);
    }
    mutex_unlock(&queue->lock);
    if (wakes)
        cond_signal(&queue->not_empty);
    return error;
}

/* With the takers' lock held: all that has been submitted is next. */
static void fetch_submitted(struct task_queue *queue)
{
    mutex_lock(&queue->lock);
    atomic_store(&queue->next, queue->submitted);
    queue->submitted = NULL;
    queue->last = &queue->submitted;
    mutex_unlock(&queue->lock);
}

static void make_room(struct task_queue *queue)
{
    mutex_lock(&queue->lock);
    queue->count--;
    mutex_unlock(&queue->lock);
    cond_signal(&queue->not_full);
}

struct future *task_queue_try_take(struct task_queue *queue)
{
    mutex_lock(&queue->taking);
    if (atomic_load(&queue->next) == NULL)
        fetch_submitted(queue);
    struct future *future = atomic_load(&queue->next);
    if (future != NULL)
        atomic_store(&queue->next, future->next);
    mutex_unlock(&queue->taking);
    if (future != NULL && queue->capacity > 0)
        make_room(queue);
    return future;
}

/* Sleeps while the queue is empty. Returns false if it is closed then. It looks once: a
   task that it has seen may be gone at the next look, for the lock does not protect the
   takers' side. */
static bool wait_for_task(struct task_queue *queue, bool *has_slept)
{
    bool is_there;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* may be enabled by a task */
    mutex_lock(&queue->lock);
    while (!(is_there = has_task(queue)) && !queue->is_closed) {
        queue->sleepers++;
        cond_wait_until(&queue->not_empty, &queue->lock, INFINITY);
        queue->sleepers--;
        queue->is_waking = false;
        *has_slept = true;
    }
    mutex_unlock(&queue->lock);
    return is_there;
}

struct future *task_queue_take(struct task_queue *queue)
{
    struct future *future;
    bool has_slept = false;
    while ((future = task_queue_try_take(queue)) == NULL &&
           wait_for_task(queue, &has_slept))
        continue;
    if (has_slept)
        wake_another(queue);
    return future;
}

struct future *task_queue_close(struct task_queue *queue, bool empties)
{
    struct future *list = NULL;
    mutex_lock(&queue->taking);
    mutex_lock(&queue->lock);
    queue->is_closed = true;
    if (empties) {
        list = atomic_exchange(&queue->next, NULL);
        struct future **last = &list;
        while (*last != NULL)
            last = &(*last)->next;
        *last = queue->submitted;
        queue->submitted = NULL;
        queue->last = &queue->submitted;
    }
    cond_broadcast(&queue->not_empty);
    cond_broadcast(&queue->not_full);
    mutex_unlock(&queue->lock);
    mutex_unlock(&queue->taking);
    return list;
}

bool task_queue_is_empty(struct task_queue *queue)
{
    mutex_lock(&queue->lock);
    bool is_empty = !has_task(queue);
    mutex_unlock(&queue->lock);
    return is_empty;
}

bool task_queue_is_drained(struct task_queue *queue)
{
    mutex_lock(&queue->lock);
    bool is_drained = queue->is_closed && !has_task(queue);
    mutex_unlock(&queue->lock);
    return is_drained;
}
