/*
 * The runner takes the place of main(), and forks a process for each schedule, in which
 * the program's main() runs. So a schedule costs a fork, but no start of a program.
 *
 *     EXPLORE=FOLDER     explore; in there is `expected`, which the program shall print,
 *                        and what was found goes there: `report`, and `out`,
 *                        `err` and `steps` of the schedule that failed
 *     EXPLORE_RUNS       the largest number of schedules (1000), and
 *     EXPLORE_SECONDS    no new one after this time
 *     EXPLORE_FROM       after seed 0, begin with this one (1)
 *     EXPLORE_BOUND      an exhaustive search, with at most this many preemptions
 *     EXPLORE_PATIENT    1: no deadline comes early
 *     EXPLORE_HERE       the one that has failed runs in this process: for a debugger
 *
 * Exit status: 0 no schedule failed; 1 one did; 2 it could not be tried.
 */
#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LONGEST_RUN = 20, /* seconds */
    MOST_CPU = 10,
    RUNS_AFTER_A_RACE = 200,
    MOST_OUTPUT = 1 << 20,
    MOST_PAGES = 64,
    MOST_RECORDED = 2000, /* choices */
};

typedef int main_function(int count, char **words, char **variables);

static main_function *program_main;
static int out, err; /* files, for what the program prints */
static char expected[MOST_OUTPUT];
static ssize_t expected_length;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "explore: %s: %s\n", what, strerror(errno));
    _exit(2);
}

static void must(bool is_done, const char *what)
{
    if (!is_done)
        die(what);
}

static long number_in(const char *variable, long otherwise)
{
    const char *value = getenv(variable);
    return value == NULL || *value == '\0' ? otherwise : atol(value);
}

/* ---- In the process of a run ---- */

static void on_crash(int number)
{
    note("crashes", NULL, 0);
    fault("crash", "%s crashed: %s", self->name, strsignal(number));
}

static void refute_threads_inside(void)
{
    schedule_end();
    for (struct thread *thread = threads; thread < threads_end; thread++) {
        if (thread != self && is_alive(thread) && !thread->is_detached)
            fault("exit", "%s ended the program while %s still ran", self->name,
                  thread->name);
    }
}

/* A page is fetched: see pages.c. */
SEEN void explore_page(const char *url)
{
    static const char *fetched[MOST_PAGES];
    int i = 0;
    if (!is_scheduled())
        return;
    step("get_title", NULL, NULL, NULL);
    while (i < MOST_PAGES - 1 && fetched[i] != NULL) {
        if (strcmp(fetched[i++], url) == 0)
            fault("twice", "%s fetched %s, which was fetched before", self->name, url);
    }
    fetched[i] = strdup(url);
}

static int run_program(int count, char **words, char **variables)
{
    const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
        must(signal(crashes[i], on_crash) != SIG_ERR, "signal");
    must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl");
    must(setrlimit(RLIMIT_CPU, &(struct rlimit){MOST_CPU, MOST_CPU + 1}) == 0,
         "setrlimit");
    alarm(LONGEST_RUN);
    schedule_begin();
    int status = program_main(count, words, variables);
    note("returns", NULL, 0);
    refute_threads_inside();
    return status;
}

SEEN void exit(int status)
{
    if (is_scheduled()) {
        note("exit", NULL, 0);
        refute_threads_inside();
    }
    NEXT(exit)(status);
    abort();
}

/* ---- A run, and what came of it ---- */

static void judge(int status)
{
    static char output[MOST_OUTPUT];
    ssize_t length = pread(out, output, sizeof(output), 0);
    const char *kind = NULL;
    if (report->fault[0] != '\0')
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        kind = "stuck";
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        kind = "endless";
    else if (WIFSIGNALED(status))
        kind = "killed";
    else if (WEXITSTATUS(status) != 0)
        kind = "status";
    else if (expected_length >= 0 &&
             (length != expected_length || memcmp(output, expected, (size_t)length) != 0))
        kind = "output";
    if (kind != NULL)
        strcpy(report->fault, kind);
    if (kind != NULL && strcmp(kind, "killed") == 0)
        strcpy(report->text, strsignal(WTERMSIG(status)));
}

/* Runs the program with the schedule of the seed. Returns false in the process in which
   main() has to run now. */
static bool run(unsigned seed, bool is_recorded)
{
    int status;
    report->seed = seed;
    report->is_recorded = is_recorded;
    report->choices = 0;
    report->fault[0] = report->race[0] = report->text[0] = '\0';
    must(ftruncate(out, 0) == 0 && ftruncate(err, 0) == 0, "ftruncate");
    pid_t child = getenv("EXPLORE_HERE") != NULL && is_recorded ? 0 : fork();
    must(child >= 0, "fork");
    if (child == 0) {
        must(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0, "dup2");
        return false;
    }
    must(waitpid(child, &status, 0) == child, "waitpid");
    judge(status);
    return true;
}

/* ---- All of them ---- */

/* For an exhaustive search: the last choice that has another possibility takes that.
   Returns false if there is none. */
static bool take_next_possibility(void)
{
    int last = MOST_CHOICES - 1;
    while (last >= 0 && report->chosen[last] + 1 >= report->possible[last])
        last--;
    if (last < 0)
        return false;
    report->chosen[last]++;
    memset(&report->chosen[last + 1], 0, (size_t)(MOST_CHOICES - last - 1));
    memset(&report->possible[last + 1], 0, (size_t)(MOST_CHOICES - last - 1));
    return true;
}

static struct {
    unsigned runs;
    unsigned failed;  /* the seed; UINT_MAX: none has */
    unsigned choices; /* at most, in a run */
    bool is_at_end;   /* there are no more schedules */
    bool is_cut;      /* a run had more choices than a search can vary */
} found = {.failed = UINT_MAX};

/* Schedule after schedule, until one fails: that of seed 0, which tells how many choices
   there are, and then from `first` on. A race is a fault too, but others say more: so it
   goes on for a little. Returns false in the program. */
static bool explore(unsigned first, unsigned most, long seconds)
{
    time_t begin = time(NULL);
    while (found.runs < most && time(NULL) - begin < seconds && !found.is_at_end) {
        unsigned seed = found.runs == 0 ? 0 : first + found.runs - 1;
        if (!run(seed, false))
            return false;
        if (found.runs++ == 0)
            settings.expected_choices = report->choices;
        if (found.choices < report->choices)
            found.choices = report->choices;
        bool is_first_race = report->race[0] != '\0' && found.failed == UINT_MAX;
        if (report->fault[0] != '\0' || is_first_race) {
            found.failed = seed;
            settings.recorded_from =
                report->choices > MOST_RECORDED ? report->choices - MOST_RECORDED : 0;
        }
        if (report->fault[0] != '\0' || (is_first_race && settings.bound >= 0))
            break;
        if (is_first_race && most - found.runs > RUNS_AFTER_A_RACE)
            most = found.runs + RUNS_AFTER_A_RACE;
        found.is_cut |= report->possible[MOST_CHOICES - 1] != 0;
        found.is_at_end = settings.bound >= 0 && !take_next_possibility();
    }
    return true;
}

/* ---- Telling it ---- */

/* Lines of fields with tabs between: what scripts/explore reads. */
static void print_report(FILE *file)
{
    bool has_failed = found.failed != UINT_MAX;
    const char *kind = report->race[0] == '\0' ? "unsteady" : "race";
    fprintf(file, "found\t%d\t%u\t%u\t%u\t%u\t%d\n", has_failed,
            has_failed ? found.failed : 0, found.runs, report->threads, found.choices,
            found.is_at_end && !found.is_cut);
    if (!has_failed)
        return;
    fprintf(file, "fault\t%s\t%s\n", report->fault[0] == '\0' ? kind : report->fault,
            report->text);
    fprintf(file, "race\t%s\t %#lx %#lx\n", report->race,
            (unsigned long)report->races[0] - 1, (unsigned long)report->races[1] - 1);
}

static int open_in(const char *folder, const char *name, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static void prepare(const char *folder)
{
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(report != MAP_FAILED, "mmap");
    out = open_in(folder, "out", O_RDWR | O_CREAT | O_APPEND);
    err = open_in(folder, "err", O_RDWR | O_CREAT | O_APPEND);
    settings.steps = open_in(folder, "steps", O_WRONLY | O_CREAT | O_TRUNC);
    must(out >= 0 && err >= 0 && settings.steps >= 0, folder);
    expected_length = read(open_in(folder, "expected", O_RDONLY), expected, MOST_OUTPUT);
    settings.bound = (int)number_in("EXPLORE_BOUND", -1);
    settings.is_patient = number_in("EXPLORE_PATIENT", 0) > 0;
    unsetenv("LD_PRELOAD");
    unsetenv("EXPLORE");
}

static int runner(int count, char **words, char **variables)
{
    const char *folder = getenv("EXPLORE");
    if (folder == NULL)
        return program_main(count, words, variables);
    prepare(folder);
    int file = open_in(folder, "report", O_WRONLY | O_CREAT | O_TRUNC);
    must(file >= 0, folder);
    if (!explore((unsigned)number_in("EXPLORE_FROM", 1),
                 (unsigned)number_in("EXPLORE_RUNS", 1000),
                 number_in("EXPLORE_SECONDS", LONG_MAX)))
        return run_program(count, words, variables);
    /* The same again, to keep all its steps. */
    if (found.failed != UINT_MAX && !run(found.failed, true))
        return run_program(count, words, variables);
    errno = report->error;
    must(errno == 0, "cannot write the steps");
    FILE *stream = fdopen(file, "w");
    must(stream != NULL, "fdopen");
    print_report(stream);
    must(fclose(stream) == 0, "cannot write the report");
    _exit(found.failed != UINT_MAX);
}

/* The program's own start calls this, to have its main() called. */
SEEN int __libc_start_main(main_function *main, int count, char **words,
                           void (*begin)(void), void (*end)(void),
                           void (*end_of_linker)(void), void *stack)
{
    int (*next)(main_function *, int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *);
    *(void **)&next = next_function("__libc_start_main");
    program_main = main;
    return next(runner, count, words, begin, end, end_of_linker, stack);
}
