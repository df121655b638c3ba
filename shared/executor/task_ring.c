#include "task_ring.h"

#include "monotonic.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LONGEST_ARGUMENT = 200, /* that fits into a slot */
    WINDOW = 64 * 1024,
};

/* The turn above bit 24, the worker above bit 4, and the phase. */
typedef uint64_t slot_state;
enum { TURN = 24, WORKER = 4, PHASE = 15 };

struct slot {
    _Atomic slot_state state;
    _Atomic double begun;
    task_fn task;
    size_t length; /* of the argument */
    char argument[LONGEST_ARGUMENT + 1];
};

/* Through which the argument of a task comes that is too long for a slot. */
struct window {
    atomic_uint is_full; /* what the worker sleeps on */
    size_t length;
    char bytes[WINDOW];
};

/* Turn after turn, tasks go into the slots 0, 1, 2... and then into 0 again. A turn whose
   slot is not free is left out. */
struct task_ring {
    size_t slot_count;
    size_t size;            /* of the memory, with the windows behind the slots */
    struct window *windows; /* worker n has n - 1 */
    _Atomic uint64_t end;   /* the turn that is next to be published */
    char gap[64];           /* keeps what workers change on another cache line */
    _Atomic uint64_t first; /* no task of an earlier turn is READY */
    char another_gap[64];
    atomic_uint futex;    /* the word that workers sleep on: each wake-up changes it */
    atomic_uint sleepers; /* at least as many as sleep: one that dies stays counted */
    atomic_bool is_ended;
    struct slot slots[];
};

static enum slot_phase phase_of(slot_state state)
{
    return state & PHASE;
}

static size_t worker_of(slot_state state)
{
    return state >> WORKER & ((1 << (TURN - WORKER)) - 1);
}

static bool is_ready(slot_state state, uint64_t turn)
{
    return state >> TURN == turn && phase_of(state) == READY;
}

static size_t slot_of(const struct task_ring *ring, uint64_t turn)
{
    return turn % ring->slot_count;
}

/* Changes the phase to `to` if it is `from`. Turn and worker stay. */
static bool change(struct task_ring *ring, size_t slot, enum slot_phase from,
                   enum slot_phase to)
{
    _Atomic slot_state *state = &ring->slots[slot].state;
    slot_state before = atomic_load(state);
    while (phase_of(before) == from) {
        slot_state after = (before & ~(slot_state)PHASE) | to;
        if (atomic_compare_exchange_weak(state, &before, after))
            return true;
    }
    return false;
}

/* ---- In the parent ---- */

struct task_ring *task_ring_open(size_t slot_count, size_t worker_count)
{
    size_t slots = sizeof(struct task_ring) + slot_count * sizeof(struct slot);
    size_t size = slots + worker_count * sizeof(struct window);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct task_ring *ring = memory; /* all zero: every slot is FREE */
    ring->slot_count = slot_count;
    ring->size = size;
    ring->windows = (struct window *)&ring->slots[slot_count];
    return ring;
}

void task_ring_close(struct task_ring *ring)
{
    if (ring != NULL)
        munmap(ring, ring->size);
}

size_t task_ring_publish(struct task_ring *ring, task_fn task, const char *argument)
{
    uint64_t turn = atomic_load(&ring->end);
    while (phase_of(atomic_load(&ring->slots[slot_of(ring, turn)].state)) != FREE)
        turn++;
    size_t index = slot_of(ring, turn);
    struct slot *slot = &ring->slots[index];
    slot->task = task;
    slot->length = strlen(argument);
    if (slot->length <= LONGEST_ARGUMENT)
        memcpy(slot->argument, argument, slot->length + 1);
    atomic_store(&slot->begun, 0);
    atomic_store(&slot->state, turn << TURN | READY);
    atomic_store(&ring->end, turn + 1);
    return index;
}

bool task_ring_withdraw(struct task_ring *ring, size_t slot)
{
    return change(ring, slot, READY, FREE);
}

bool task_ring_expire(struct task_ring *ring, size_t slot)
{
    return change(ring, slot, CLAIMED, EXPIRED);
}

bool task_ring_release(struct task_ring *ring, size_t slot)
{
    return change(ring, slot, CLAIMED, FREE) || change(ring, slot, DONE, FREE) ||
           change(ring, slot, EXPIRED, FREE);
}

size_t task_ring_first_ready(const struct task_ring *ring)
{
    uint64_t end = atomic_load(&ring->end);
    for (uint64_t turn = atomic_load(&ring->first); turn < end; turn++) {
        if (is_ready(atomic_load(&ring->slots[slot_of(ring, turn)].state), turn))
            return slot_of(ring, turn);
    }
    return NO_SLOT;
}

struct slot_view task_ring_look(const struct task_ring *ring, size_t slot)
{
    slot_state state = atomic_load(&ring->slots[slot].state);
    struct slot_view view = {.phase = phase_of(state)};
    if (view.phase != FREE && view.phase != READY)
        view.worker = worker_of(state);
    view.begun = atomic_load(&ring->slots[slot].begun);
    return view;
}

/* futex(2): sleeps unless the word has another value; wakes at most
   `count` that sleep on it. */
static void sleep_on(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake(atomic_uint *word, unsigned count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

static void wake_workers(struct task_ring *ring, unsigned count)
{
    atomic_fetch_add(&ring->futex, 1);
    wake(&ring->futex, count);
}

void task_ring_wake(struct task_ring *ring, size_t count)
{
    unsigned sleepers = atomic_load(&ring->sleepers);
    unsigned woken;
    do {
        woken = count < sleepers ? (unsigned)count : sleepers;
        if (woken == 0)
            return;
    } while (!atomic_compare_exchange_weak(&ring->sleepers, &sleepers, sleepers - woken));
    wake_workers(ring, woken);
}

void task_ring_wake_all(struct task_ring *ring)
{
    atomic_store(&ring->sleepers, 0);
    wake_workers(ring, INT32_MAX);
}

void task_ring_end(struct task_ring *ring)
{
    atomic_store(&ring->is_ended, true);
    task_ring_wake_all(ring);
}

void task_ring_fill_window(struct task_ring *ring, size_t worker, const char *bytes,
                           size_t length)
{
    struct window *window = &ring->windows[worker - 1];
    window->length = length < WINDOW ? length : WINDOW;
    memcpy(window->bytes, bytes, window->length);
    atomic_store(&window->is_full, 1);
    wake(&window->is_full, 1);
}

/* ---- In a worker's process ---- */

/* The slot of the next task, which is the worker's then; NO_SLOT: there is none now. */
static size_t try_claim(struct task_ring *ring, size_t worker)
{
    for (;;) {
        uint64_t turn = atomic_load(&ring->first);
        if (turn == atomic_load(&ring->end))
            return NO_SLOT;
        size_t slot = slot_of(ring, turn);
        _Atomic slot_state *state = &ring->slots[slot].state;
        slot_state ready = turn << TURN | READY;
        slot_state claimed = turn << TURN | worker << WORKER | CLAIMED;
        bool is_ours = atomic_compare_exchange_strong(state, &ready, claimed);
        /* Either way no task of this turn is READY now. Another worker may have said so
           already; if a worker dies before it says so, the next one does. */
        atomic_compare_exchange_strong(&ring->first, &turn, turn + 1);
        if (is_ours)
            return slot;
    }
}

/*
 * A worker counts itself as a sleeper, and only then looks at the ring for the last time.
 * So if the parent publishes after that look, it sees a sleeper, and changes the futex
 * word: futex(2) does not put the worker to sleep if the word is no longer the one that
 * was read before.
 */
size_t task_ring_claim(struct task_ring *ring, size_t worker, void (*before_sleep)(void))
{
    size_t slot;
    while ((slot = try_claim(ring, worker)) == NO_SLOT) {
        unsigned word = atomic_load(&ring->futex);
        atomic_fetch_add(&ring->sleepers, 1);
        bool is_ended = atomic_load(&ring->is_ended);
        slot = try_claim(ring, worker);
        if (slot != NO_SLOT || is_ended)
            break;
        before_sleep();
        sleep_on(&ring->futex, word);
    }
    return slot;
}

task_fn task_ring_task(const struct task_ring *ring, size_t slot)
{
    return ring->slots[slot].task;
}

size_t task_ring_argument_length(const struct task_ring *ring, size_t slot)
{
    return ring->slots[slot].length;
}

const char *task_ring_argument(const struct task_ring *ring, size_t slot)
{
    const struct slot *at = &ring->slots[slot];
    return at->length <= LONGEST_ARGUMENT ? at->argument : NULL;
}

void task_ring_clear_window(struct task_ring *ring, size_t worker)
{
    atomic_store(&ring->windows[worker - 1].is_full, 0);
}

size_t task_ring_read_window(struct task_ring *ring, size_t worker, char *to)
{
    struct window *window = &ring->windows[worker - 1];
    while (atomic_load(&window->is_full) == 0)
        sleep_on(&window->is_full, 0);
    memcpy(to, window->bytes, window->length);
    return window->length;
}

double task_ring_begin(struct task_ring *ring, size_t slot)
{
    double now = monotonic_seconds();
    atomic_store(&ring->slots[slot].begun, now);
    return now;
}

bool task_ring_complete(struct task_ring *ring, size_t slot)
{
    return change(ring, slot, CLAIMED, DONE);
}
