#include "board.h"

#include "monotonic.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LONGEST_ARGUMENT = 200 }; /* on the board */

/* What has become of the task at a place. */
enum phase { FREE, OPEN, TAKEN, DONE, FORBIDDEN };

/* It changes in one step, whoever changes it. The turn tells a task from the one that was
   there before, for who has looked and comes too late. */
typedef uint64_t place_state;

struct place {
    _Atomic place_state state;
    _Atomic double begun; /* when it was taken; 0: not yet */
    task_fn task;
    size_t length;
    char argument[LONGEST_ARGUMENT + 1];
};

/* Turn after turn the tasks hang at the places 0, 1, 2... and then at 0 again. A turn
   whose place is not free is left out. */
struct board {
    size_t place_count;
    _Atomic uint64_t end;  /* so many turns there have been */
    char gap[64];          /* what follows is changed by others: on another cache line */
    _Atomic uint64_t next; /* the turn of the next task; those before are taken */
    char another_gap[64];
    atomic_uint bell;     /* to sleep on: it changes when somebody is woken */
    atomic_uint sleepers; /* or more; never fewer */
    atomic_uint gong; /* the same for those that wait to go on: a ring for one of those
                             that sleep must not be heard by them instead */
    atomic_bool is_ended; /* nothing more will be hung up */
    struct place places[];
};

/* In it: the turn, the number of the worker that has taken the task, whether its process
   has to wait afterwards, and the phase. */
enum { TURN = 24, NUMBER = 4, HAS_TO_WAIT = 8, PHASE = 7 };

static enum phase phase_of(place_state state)
{
    return state & PHASE;
}

static size_t number_of(place_state state)
{
    return state >> NUMBER & ((1 << (TURN - NUMBER)) - 1);
}

/* The same with another phase. */
static place_state with(place_state state, enum phase phase)
{
    return (state & ~(place_state)PHASE) | phase;
}

/* Whether the task of this turn hangs there, and nobody has it. */
static bool is_open(place_state state, uint64_t turn)
{
    return state >> TURN == turn && phase_of(state) == OPEN;
}

/* ---- In the parent ---- */

static size_t size_of(size_t place_count)
{
    return sizeof(struct board) + place_count * sizeof(struct place);
}

struct board *board_open(size_t place_count)
{
    void *memory = mmap(NULL, size_of(place_count), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct board *board = memory; /* all zero */
    board->place_count = place_count;
    return board;
}

void board_close(struct board *board)
{
    if (board != NULL)
        munmap(board, size_of(board->place_count));
}

size_t board_hang_up(struct board *board, task_fn task, const char *argument)
{
    uint64_t turn = atomic_load(&board->end);
    while (phase_of(atomic_load(&board->places[turn % board->place_count].state)) != FREE)
        turn++;
    size_t index = turn % board->place_count;
    struct place *place = &board->places[index];
    place->task = task;
    place->length = strlen(argument);
    if (place->length <= LONGEST_ARGUMENT)
        memcpy(place->argument, argument, place->length + 1);
    atomic_store(&place->begun, 0);
    atomic_store(&place->state, turn << TURN | OPEN);
    atomic_store(&board->end, turn + 1);
    return index;
}

static void ring(atomic_uint *bell, int count)
{
    atomic_fetch_add(bell, 1);
    syscall(SYS_futex, bell, FUTEX_WAKE, count, NULL, NULL, 0);
}

void board_wake(struct board *board, size_t count)
{
    unsigned sleepers = atomic_load(&board->sleepers);
    unsigned woken;
    do {
        woken = count < sleepers ? (unsigned)count : sleepers;
        if (woken == 0)
            return;
    } while (
        !atomic_compare_exchange_weak(&board->sleepers, &sleepers, sleepers - woken));
    ring(&board->bell, (int)woken);
}

void board_wake_all(struct board *board)
{
    ring(&board->bell, INT32_MAX);
}

void board_let_go_on(struct board *board)
{
    ring(&board->gong, INT32_MAX);
}

void board_end(struct board *board)
{
    if (!atomic_exchange(&board->is_ended, true))
        board_wake_all(board);
}

bool board_is_over(const struct board *board)
{
    return atomic_load(&board->is_ended) && board_first(board) == NOWHERE;
}

size_t board_first(const struct board *board)
{
    uint64_t end = atomic_load(&board->end);
    for (uint64_t turn = atomic_load(&board->next); turn < end; turn++) {
        size_t index = turn % board->place_count;
        if (is_open(atomic_load(&board->places[index].state), turn))
            return index;
    }
    return NOWHERE;
}

/* Sets the phase, if it is this one before. */
static bool change(struct board *board, size_t index, enum phase from, enum phase to)
{
    _Atomic place_state *state = &board->places[index].state;
    place_state before = atomic_load(state);
    while (phase_of(before) == from) {
        if (atomic_compare_exchange_weak(state, &before, with(before, to)))
            return true;
    }
    return false;
}

bool board_take_back(struct board *board, size_t index)
{
    return change(board, index, OPEN, FREE);
}

bool board_is_taken(const struct board *board, size_t index)
{
    return phase_of(atomic_load(&board->places[index].state)) != OPEN;
}

bool board_is_taken_by(const struct board *board, size_t index, size_t number)
{
    if (index >= board->place_count)
        return false;
    place_state state = atomic_load(&board->places[index].state);
    return phase_of(state) != FREE && number_of(state) == number;
}

bool board_is_done(const struct board *board, size_t index)
{
    return phase_of(atomic_load(&board->places[index].state)) == DONE;
}

bool board_is_in_use(const struct board *board)
{
    for (size_t i = 0; i < board->place_count; i++) {
        enum phase phase = phase_of(atomic_load(&board->places[i].state));
        if (phase != FREE && phase != OPEN)
            return true;
    }
    return false;
}

size_t board_taken_by(const struct board *board, size_t number, double *begun)
{
    for (size_t i = 0; i < board->place_count; i++) {
        if (board_is_taken_by(board, i, number)) {
            *begun = atomic_load(&board->places[i].begun);
            return i;
        }
    }
    return NOWHERE;
}

bool board_forbid(struct board *board, size_t index)
{
    return change(board, index, TAKEN, FORBIDDEN) ||
           phase_of(atomic_load(&board->places[index].state)) == FORBIDDEN;
}

void board_have_wait(struct board *board, size_t index)
{
    _Atomic place_state *state = &board->places[index].state;
    place_state before = atomic_load(state);
    while ((phase_of(before) == OPEN || phase_of(before) == TAKEN) &&
           !atomic_compare_exchange_weak(state, &before, before | HAS_TO_WAIT))
        continue;
}

bool board_has_to_wait(const struct board *board, size_t index)
{
    return (atomic_load(&board->places[index].state) & HAS_TO_WAIT) != 0;
}

void board_take_off(struct board *board, size_t index)
{
    _Atomic place_state *state = &board->places[index].state;
    atomic_store(state, with(atomic_load(state), FREE));
}

/* ---- In a worker's process ---- */

/* The place of the next task, which is ours then; NOWHERE: there is none now. */
static size_t take_if_there(struct board *board, size_t number)
{
    for (;;) {
        uint64_t turn = atomic_load(&board->next);
        if (turn == atomic_load(&board->end))
            return NOWHERE;
        size_t index = turn % board->place_count;
        _Atomic place_state *state = &board->places[index].state;
        place_state before = atomic_load(state);
        bool is_ours = false;
        while (!is_ours && is_open(before, turn))
            is_ours = atomic_compare_exchange_weak(
                state, &before, with(before, TAKEN) | (place_state)number << NUMBER);
        /* Whoever has it, the next one is next; another may have said so already. */
        atomic_compare_exchange_strong(&board->next, &turn, turn + 1);
        if (is_ours)
            return index;
    }
}

/* The bell is read before we say that we sleep, and we say so before we look once more:
   who hangs up a task after that look sees us, and rings. */
static size_t take(struct board *board, size_t number)
{
    size_t index;
    while ((index = take_if_there(board, number)) == NOWHERE) {
        unsigned bell = atomic_load(&board->bell);
        atomic_fetch_add(&board->sleepers, 1);
        bool is_ended = atomic_load(&board->is_ended);
        index = take_if_there(board, number);
        if (index != NOWHERE || is_ended)
            break;
        syscall(SYS_futex, &board->bell, FUTEX_WAIT, bell, NULL, NULL, 0);
    }
    return index;
}

size_t board_take(struct board *board, size_t number)
{
    size_t index = take(board, number);
    if (index != NOWHERE)
        atomic_store(&board->places[index].begun, monotonic_seconds());
    return index;
}

task_fn board_task(const struct board *board, size_t index)
{
    return board->places[index].task;
}

size_t board_argument_length(const struct board *board, size_t index)
{
    return board->places[index].length;
}

const char *board_argument(const struct board *board, size_t index)
{
    const struct place *place = &board->places[index];
    return place->length <= LONGEST_ARGUMENT ? place->argument : NULL;
}

void board_done(struct board *board, size_t index)
{
    while (!change(board, index, TAKEN, DONE))
        pause(); /* it is forbidden, and we are to be killed */
}

void board_wait(struct board *board, size_t index)
{
    _Atomic place_state *state = &board->places[index].state;
    place_state done = atomic_load(state);
    while ((done & HAS_TO_WAIT) && phase_of(done) == DONE) {
        unsigned gong = atomic_load(&board->gong);
        if (atomic_load(state) != done)
            return;
        syscall(SYS_futex, &board->gong, FUTEX_WAIT, gong, NULL, NULL, 0);
    }
}
