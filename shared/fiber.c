#include "fiber.h"

#include "loop.h"
#include "monotonic.h"
#include "sync.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* Sanitizers and Valgrind have to be told of every stack and every switch. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* since Linux 6.13 */
#endif

enum {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    STACK_SIZE = 256 * 1024, /* they make every function's frame larger */
#else
    STACK_SIZE = 64 * 1024,
#endif
    STACKS_IN_SLAB = 64,
    SLAB_SIZE = STACKS_IN_SLAB * STACK_SIZE,
    GUARD_SIZE = 16 * 1024, /* at its lower end; a function's frame may be several KB */
    /* Of those that cost two mappings each; the kernel allows 65,530 (vm.max_map_count).
     */
    MOST_MAPPED_GUARDS = 16000,
    LARGEST_ARGUMENT = 256,
    SIGNAL_STACK_SIZE = 64 * 1024,
};

/* Stands at the upper end of its stack, which grows downwards from there: a fiber that
   needs little needs one page of memory in all. */
struct fiber {
    enum { IDLE, NEW, RUNNING, SUSPENDED } state;
    bool is_interrupted;
    bool has_timed_out;
    struct fibers *fibers;
    char *bottom;       /* of its stack */
    struct fiber *next; /* in the list of those that are IDLE */
    struct loop_job job;
    struct loop_timer timer;
    void (*function)(void *argument);
    void (*call)(void *argument); /* to be called on the loop's stack; NULL: nothing is */
    void *call_argument;
    void *local;
    void *sanitizer; /* what a sanitizer keeps of it */
    unsigned valgrind_id;
    char name[FIBER_NAME];
    ucontext_t context; /* where it was suspended */
    _Alignas(16) char argument[];
};

struct slab {
    struct slab *next;
    char *stacks;
    size_t used;
};

struct fibers {
    struct loop *loop;
    struct slab *slabs;
    struct fiber *idle;
    size_t count; /* that are not IDLE */
    size_t mapped_guards;
    void (*tell)(struct fiber *fiber, double seconds); /* NULL: nobody asks */
    ucontext_t below; /* the loop's stack, while a fiber runs */
    void *below_sanitizer;
    const void *below_bottom;
    size_t below_size;
    char *signal_stack;
    stack_t previous_signal_stack;
};

static _Thread_local struct fiber *running;

struct fiber *fiber_running(void)
{
    return running;
}

char *fiber_name(void)
{
    return running == NULL ? NULL : running->name;
}

void **fiber_local(void)
{
    return running == NULL ? NULL : &running->local;
}

void *fiber_argument(struct fiber *fiber)
{
    return fiber->argument;
}

void fibers_time(struct fibers *fibers, void (*tell)(struct fiber *fiber, double seconds))
{
    fibers->tell = tell;
}

void fiber_took(struct fiber *fiber, double seconds)
{
    if (fiber->fibers->tell != NULL)
        fiber->fibers->tell(fiber, seconds);
}

struct loop *fiber_loop(const struct fiber *fiber)
{
    return fiber->fibers->loop;
}

size_t fibers_count(const struct fibers *fibers)
{
    return fibers->count;
}

/* ---- Stacks ---- */

static struct fiber *fiber_on(char *bottom)
{
    size_t size = sizeof(struct fiber) + LARGEST_ARGUMENT;
    return (struct fiber *)(bottom + STACK_SIZE - (size + 63) / 64 * 64);
}

/* Has every access to the lower end of a stack end the program. A kernel that cannot
   mark it splits the mapping, and can do that only so often; from then on only the lowest
   stack of a slab has a guard. */
static bool guard(struct fibers *fibers, char *bottom, bool is_lowest)
{
    if (madvise(bottom, GUARD_SIZE, MADV_GUARD_INSTALL) == 0)
        return true;
    if (fibers->mapped_guards >= MOST_MAPPED_GUARDS && !is_lowest)
        return true;
    fibers->mapped_guards++;
    return mprotect(bottom, GUARD_SIZE, PROT_NONE) == 0;
}

/* Maps stacks for more fibers. Returns false without memory. */
static bool add_slab(struct fibers *fibers)
{
    struct slab *slab = malloc(sizeof(*slab));
    char *stacks = mmap(NULL, SLAB_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab == NULL || stacks == MAP_FAILED) {
        if (stacks != MAP_FAILED)
            munmap(stacks, SLAB_SIZE);
        free(slab);
        return false;
    }
    /* Or a stack that uses one page may get 2 MB. A kernel that cannot, does not. */
    madvise(stacks, SLAB_SIZE, MADV_NOHUGEPAGE);
    *slab = (struct slab){.next = fibers->slabs, .stacks = stacks};
    fibers->slabs = slab;
    return true;
}

static void on_job(struct loop_job *job);
static void on_due(struct loop_timer *timer);

/* A fiber on the next stack of the slab that was mapped last. Returns NULL without
   memory. */
static struct fiber *make_fiber(struct fibers *fibers)
{
    struct slab *slab = fibers->slabs;
    if ((slab == NULL || slab->used == STACKS_IN_SLAB) && !add_slab(fibers))
        return NULL;
    slab = fibers->slabs;
    char *bottom = slab->stacks + slab->used * STACK_SIZE;
    struct fiber *fiber = fiber_on(bottom);
    if (!guard(fibers, bottom, slab->used == 0))
        return NULL;
    *fiber = (struct fiber){.fibers = fibers,
                            .bottom = bottom,
                            .job = {.run = on_job},
                            .timer = {.on_due = on_due}};
    if (!loop_add_timer(fibers->loop, &fiber->timer))
        return NULL;
    slab->used++;
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (char *)fiber);
    return fiber;
}

static void free_slab(struct fibers *fibers, struct slab *slab)
{
    for (size_t i = 0; i < slab->used; i++) {
        struct fiber *fiber = fiber_on(slab->stacks + i * STACK_SIZE);
        loop_remove_timer(fibers->loop, &fiber->timer);
        VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
    }
    if (munmap(slab->stacks, SLAB_SIZE) < 0)
        must(errno, "munmap");
    free(slab);
}

/* ---- Switching between the loop's stack and a fiber's ---- */

/* From the loop's stack to the fiber's; returns when that switches back. */
static void switch_to(struct fiber *fiber)
{
    struct fibers *fibers = fiber->fibers;
    (void)fibers;
#ifdef __SANITIZE_ADDRESS__
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, fiber->bottom,
                                   (size_t)((char *)fiber - fiber->bottom));
#endif
#ifdef __SANITIZE_THREAD__
    fibers->below_sanitizer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->sanitizer, 0);
#endif
    running = fiber;
    if (swapcontext(&fibers->below, &fiber->context) < 0)
        must(errno, "swapcontext");
    running = NULL;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

/* What a fiber does first when it has been switched to. */
static void has_switched(struct fiber *fiber)
{
    (void)fiber;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fiber->sanitizer, &fiber->fibers->below_bottom,
                                    &fiber->fibers->below_size);
#endif
}

/* From the running fiber's stack to the loop's; returns when that switches to it, which
   it never does after the fiber's end. */
static void switch_back(struct fiber *fiber)
{
    struct fibers *fibers = fiber->fibers;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fiber->state == IDLE ? NULL : &fiber->sanitizer,
                                   fibers->below_bottom, fibers->below_size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(fibers->below_sanitizer, 0);
#endif
    if (swapcontext(&fiber->context, &fibers->below) < 0)
        must(errno, "swapcontext");
    has_switched(fiber);
}

static void end_fiber(void *context)
{
    struct fiber *fiber = context;
    if (running == NULL)
        _exit(EXIT_SUCCESS); /* a copy that it has forked: the loop is elsewhere */
    fiber->state = IDLE;
    switch_back(fiber);
}

/* Where each fiber begins. It ends also if its function calls pthread_exit(3), and the
   thread, whose stack that unwinds no further, goes on. */
static void begin(void)
{
    struct fiber *fiber = running;
    has_switched(fiber);
    pthread_cleanup_push(end_fiber, fiber);
    fiber->function(fiber->argument);
    pthread_cleanup_pop(1);
}

/* ---- A fiber ---- */

static void recycle(struct fiber *fiber)
{
    struct fibers *fibers = fiber->fibers;
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(fiber->sanitizer);
#endif
    fiber->next = fibers->idle;
    fibers->idle = fiber;
    fibers->count--;
}

void fiber_drop(struct fiber *fiber)
{
    fiber->state = IDLE;
    recycle(fiber);
}

/* Prepares the stack: the first switch to it calls begin(). */
static void prepare_stack(struct fiber *fiber)
{
    if (getcontext(&fiber->context) < 0)
        must(errno, "getcontext");
    fiber->context.uc_stack.ss_sp = fiber->bottom;
    fiber->context.uc_stack.ss_size = (size_t)((char *)fiber - fiber->bottom);
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
}

struct fiber *fiber_new(struct fibers *fibers, void (*function)(void *argument),
                        const void *argument, size_t size)
{
    struct fiber *fiber = fibers->idle;
    if (fiber != NULL)
        fibers->idle = fiber->next;
    else
        fiber = make_fiber(fibers);
    if (fiber == NULL || size > LARGEST_ARGUMENT) {
        errno = ENOMEM;
        return NULL;
    }
    fibers->count++;
    fiber->state = NEW;
    fiber->is_interrupted = false;
    fiber->function = function;
    fiber->local = NULL;
    fiber->sanitizer = NULL;
    snprintf(fiber->name, sizeof(fiber->name), "fiber");
    memcpy(fiber->argument, argument, size);
#ifdef __SANITIZE_THREAD__
    fiber->sanitizer = __tsan_create_fiber(0);
#endif
    prepare_stack(fiber);
    return fiber;
}

static void run_until_suspended(struct fiber *fiber)
{
    do {
        fiber->call = NULL;
        fiber->state = RUNNING;
        switch_to(fiber);
        if (fiber->call != NULL)
            fiber->call(fiber->call_argument);
    } while (fiber->call != NULL);
}

void fiber_resume(struct fiber *fiber)
{
    struct fibers *fibers = fiber->fibers;
    double start = fibers->tell == NULL ? 0 : monotonic_seconds();
    run_until_suspended(fiber);
    if (fibers->tell != NULL)
        fibers->tell(fiber, monotonic_seconds() - start);
    if (fiber->state == IDLE)
        recycle(fiber);
}

static void on_job(struct loop_job *job)
{
    struct fiber *fiber = (struct fiber *)((char *)job - offsetof(struct fiber, job));
    if (fiber->state == NEW || fiber->state == SUSPENDED)
        fiber_resume(fiber);
}

static void on_due(struct loop_timer *timer)
{
    struct fiber *fiber = (struct fiber *)((char *)timer - offsetof(struct fiber, timer));
    fiber->has_timed_out = true;
    fiber_resume(fiber);
}

void fiber_wake(struct fiber *fiber)
{
    loop_post(fiber->fibers->loop, &fiber->job);
}

void fiber_interrupt(struct fiber *fiber)
{
    fiber->is_interrupted = true;
    fiber_wake(fiber);
}

void fiber_forget_interrupt(void)
{
    running->is_interrupted = false;
}

int fiber_suspend(double deadline)
{
    struct fiber *fiber = running;
    int error = errno;
    if (fiber->is_interrupted)
        fiber_wake(fiber);
    else
        loop_set_timer(fiber->fibers->loop, &fiber->timer, deadline);
    fiber->has_timed_out = false;
    fiber->state = SUSPENDED;
    switch_back(fiber);
    loop_set_timer(fiber->fibers->loop, &fiber->timer, INFINITY);
    errno = error;
    if (fiber->is_interrupted)
        return ECANCELED;
    return fiber->has_timed_out ? ETIMEDOUT : 0;
}

void fiber_call_below(void (*function)(void *argument), void *argument)
{
    struct fiber *fiber = running;
    if (fiber == NULL) {
        function(argument);
        return;
    }
    fiber->call = function;
    fiber->call_argument = argument;
    switch_back(fiber);
}

/* ---- A stack that is used up ---- */

static struct sigaction previous_action;

static bool is_in_guard(const struct fiber *fiber, const char *address)
{
    return address >= fiber->bottom && address < fiber->bottom + GUARD_SIZE;
}

static void on_fault(int number, siginfo_t *fault, void *context)
{
    (void)number, (void)context;
    struct fiber *fiber = running;
    if (fiber == NULL || !is_in_guard(fiber, fault->si_addr)) {
        sigaction(SIGSEGV, &previous_action, NULL); /* it faults again */
        return;
    }
    char line[128];
    int length =
        snprintf(line, sizeof(line), "error: worker %s has used up its stack of %d KB\n",
                 fiber->name, (STACK_SIZE - GUARD_SIZE) / 1024);
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        length = 0; /* there is nobody to tell */
    signal(SIGSEGV, SIG_DFL);
}

static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &previous_action) < 0)
        must(errno, "sigaction");
}

void fibers_enter(struct fibers *fibers)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    stack_t stack = {.ss_sp = fibers->signal_stack, .ss_size = SIGNAL_STACK_SIZE};
    must(pthread_once(&once, install_handler), "pthread_once");
    if (sigaltstack(&stack, &fibers->previous_signal_stack) < 0)
        must(errno, "sigaltstack");
}

void fibers_leave(struct fibers *fibers)
{
    if (sigaltstack(&fibers->previous_signal_stack, NULL) < 0)
        must(errno, "sigaltstack");
}

/* ---- Opening and closing ---- */

static void after_fork_in_child(void)
{
    running = NULL;
}

static void watch_forks(void)
{
    must(pthread_atfork(NULL, NULL, after_fork_in_child), "pthread_atfork");
}

struct fibers *fibers_open(struct loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fibers *fibers = calloc(1, sizeof(*fibers));
    char *signal_stack = malloc(SIGNAL_STACK_SIZE);
    if (fibers == NULL || signal_stack == NULL) {
        free(fibers);
        free(signal_stack);
        errno = ENOMEM;
        return NULL;
    }
    must(pthread_once(&once, watch_forks), "pthread_once");
    fibers->loop = loop;
    fibers->signal_stack = signal_stack;
    return fibers;
}

void fibers_close(struct fibers *fibers)
{
    if (fibers == NULL)
        return;
    while (fibers->slabs != NULL) {
        struct slab *slab = fibers->slabs;
        fibers->slabs = slab->next;
        free_slab(fibers, slab);
    }
    free(fibers->signal_stack);
    free(fibers);
}
