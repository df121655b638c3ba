/*
 * A fiber: a function on a stack of its own, which can be suspended in the middle and
 * resumed later. Many of them take turns in one thread, that of an event loop (loop.h):
 * one runs until it suspends itself, and then the loop goes on.
 *
 *      the loop's stack        fiber_resume()          fiber_suspend()
 *      ---------------------------+                       +-------------- loop_turn()
 *                                 |                       |
 *      a fiber's stack            +-- function() ---------+
 *
 * It is made of ucontext (makecontext(3), swapcontext(3)). What a fiber must not do:
 * hold a mutex while it is suspended, since the next fiber of the thread may want it; or
 * wait in a system call, which holds up all fibers of the thread.
 *
 * But for fiber_wake(), all functions are called in the loop's thread.
 */
#ifndef FIBER_H
#define FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct fiber;
struct fibers;

/* How long a fiber's name may be, with its NUL. */
enum { FIBER_NAME = 40 };

/* ---- The fibers of a loop ---- */

/* Returns NULL with ENOMEM. */
struct fibers *fibers_open(struct loop *loop);

/* Frees them and their stacks. All have ended. NULL is nothing to do. */
void fibers_close(struct fibers *fibers);

/* Tells that the calling thread is the loop's from now on, and that it is no longer:
   between the two, a fiber that uses up its stack ends the program with a line that says
   so (SIGSEGV, on an alternate stack; sigaltstack(2)). */
void fibers_enter(struct fibers *fibers);
void fibers_leave(struct fibers *fibers);

/* How many there are that have not ended. */
size_t fibers_count(const struct fibers *fibers);

/* Sets a function that is called after each run of a fiber, with its seconds. */
void fibers_time(struct fibers *fibers,
                 void (*tell)(struct fiber *fiber, double seconds));

/* Calls that function for work that was done for the fiber on the loop's stack. */
void fiber_took(struct fiber *fiber, double seconds);

/* ---- A fiber ---- */

/*
 * Makes a fiber that is to call the function with a copy of the argument, of `size` bytes
 * (at most 256), which lives as long as the fiber. It begins with fiber_resume() or after
 * fiber_wake(). Its stack has 48 KB, of which only what is used takes memory; it is used
 * again for another fiber when this one has ended.
 *
 * Returns NULL with ENOMEM.
 */
struct fiber *fiber_new(struct fibers *fibers, void (*function)(void *argument),
                        const void *argument, size_t size);

/* Gives up a fiber that has not begun. */
void fiber_drop(struct fiber *fiber);

/* That copy. */
void *fiber_argument(struct fiber *fiber);

/* The loop that resumes it. */
struct loop *fiber_loop(const struct fiber *fiber);

/* Runs the fiber until it suspends itself or ends. Called on the loop's stack. */
void fiber_resume(struct fiber *fiber);

/* Makes the fiber ready, from any thread: the loop resumes it in its next turn. A fiber
   that is neither suspended nor new by then is left alone. */
void fiber_wake(struct fiber *fiber);

/* The same; besides, this and every further fiber_suspend() of the fiber return
   ECANCELED, until fiber_forget_interrupt(), when the others have had their turn. */
void fiber_interrupt(struct fiber *fiber);

/* ---- In a fiber ---- */

/* The running fiber. NULL: the thread runs on a stack of its own, or this is a process
   that a fiber has forked; the loop is its parent's. */
struct fiber *fiber_running(void);

/*
 * Suspends the running fiber until fiber_wake(), or until the deadline on the clock of
 * monotonic.h; INFINITY is never. Returns 0, ETIMEDOUT or ECANCELED. It may return 0
 * without a reason, as pthread_cond_wait(3) may: look whether what you wait for has
 * happened, and call it again if not. errno is as it was before.
 */
int fiber_suspend(double deadline);

/* The running fiber is not interrupted any more. */
void fiber_forget_interrupt(void);

/* Calls the function on the loop's stack, which has room for what needs much. It must not
   suspend the fiber. If no fiber runs, this is an ordinary call. */
void fiber_call_below(void (*function)(void *argument), void *argument);

/* The running fiber's name, FIBER_NAME bytes that may be written; NULL if none runs. */
char *fiber_name(void);

/* Where the running fiber may keep a pointer, NULL at first; NULL if none runs. A
   variable of the thread's would be shared by all its fibers. */
void **fiber_local(void);

#endif
