/*
 * A board on which tasks hang that are next. It lies in memory that a parent and the
 * processes it forks later share: the parent hangs up a task, the first process that is
 * free takes it, in order, and that without a word to the parent. So nobody has to guess
 * which of them will be free first, and a task that nobody has begun can be taken back.
 *
 * A task keeps its place on the board until the parent has its result, and the place says
 * who has it: so if that process dies, it is known what it ran.
 */
#ifndef EXECUTOR_BOARD_H
#define EXECUTOR_BOARD_H

#include "executor.h"

#include <stdint.h>

struct board;

/* No place. */
#define NOWHERE SIZE_MAX

/* ---- In the parent. Who hangs up, looks for, takes back or takes off does so one at a
   time ---- */

/* A board with so many places. Returns NULL with errno as mmap(2) left it. */
struct board *board_open(size_t place_count);

/* NULL is nothing to do. */
void board_close(struct board *board);

/* Hangs the task up at a free place, which is returned. There has to be one. Whoever
   sleeps has to be woken for it. */
size_t board_hang_up(struct board *board, task_fn task, const char *argument);

/* Wakes so many processes, if as many sleep; wakes all that do. */
void board_wake(struct board *board, size_t count);
void board_wake_all(struct board *board);

/* Says that no more will be hung up: the processes end when all are taken. */
void board_end(struct board *board);

/* Whether that has been said, and all are taken. */
bool board_is_over(const struct board *board);

/* The place of the first task that nobody has taken, or NOWHERE. */
size_t board_first(const struct board *board);

/* Takes a task off that nobody has taken. Returns false if somebody has. */
bool board_take_back(struct board *board, size_t place);

/* Whether the task at this place has been taken; whether the worker of this number has,
   if there is such a place; whether it is done. */
bool board_is_taken(const struct board *board, size_t place);
bool board_is_taken_by(const struct board *board, size_t place, size_t number);
bool board_is_done(const struct board *board, size_t place);

/* Whether any worker has a task. */
bool board_is_in_use(const struct board *board);

/* The place of the task that the worker of this number has, or NOWHERE; and when it has
   begun it, or 0. */
size_t board_taken_by(const struct board *board, size_t number, double *begun);

/* Has it that the task at this place is not done any more if it is not done now: then its
   process does nothing more. Returns false if it is done. */
bool board_forbid(struct board *board, size_t place);

/* Has the process that takes the task at this place, when it is done, not go on before it
   is taken off, and it is told so; too late if it is done. Whether it does not go on.
   Tells all who wait so. */
void board_have_wait(struct board *board, size_t place);
bool board_has_to_wait(const struct board *board, size_t place);
void board_let_go_on(struct board *board);

/* Takes a task off whose result is there, or never will be. */
void board_take_off(struct board *board, size_t place);

/* ---- In a worker's process ---- */

/* Takes the next task, in the name of the worker of this number; waits for one. Returns
   its place, or NOWHERE when there will be none any more. */
size_t board_take(struct board *board, size_t number);

/* The task at this place, and the length of its argument. */
task_fn board_task(const struct board *board, size_t place);
size_t board_argument_length(const struct board *board, size_t place);

/* The argument; NULL: it is too long for the board. */
const char *board_argument(const struct board *board, size_t place);

/* Says that the task is done. Does not return if that has been forbidden. */
void board_done(struct board *board, size_t place);

/* Waits until the task is taken off, if the process has to. */
void board_wait(struct board *board, size_t place);

#endif
