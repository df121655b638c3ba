#include "processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a state and a parent from a process's or thread's folder in /proc. Returns false
   if it is gone. */
static bool read_state(const char *folder, const char *pid, char *state, pid_t *parent)
{
    char path[300];
    char line[512] = {0};
    snprintf(path, sizeof(path), "%s/%s/stat", folder, pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t length = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    const char *after_name = length > 0 ? strrchr(line, ')') : NULL;
    int number = 0;
    if (after_name == NULL || sscanf(after_name + 1, " %c %d", state, &number) != 2)
        return false;
    *parent = number;
    return true;
}

/* The state's letter; 0 if it is gone, or a zombie. */
static char state_of(const char *folder, pid_t pid)
{
    char number[20], state;
    pid_t parent;
    snprintf(number, sizeof(number), "%d", (int)pid);
    return read_state(folder, number, &state, &parent) && state != 'Z' ? state : 0;
}

/* Whether the process is the ancestor's child, or the child of one. A zombie is gone. */
static bool descends(const char *pid, pid_t ancestor, int generations)
{
    char state, number[20];
    pid_t parent;
    if (!read_state("/proc", pid, &state, &parent) || state == 'Z')
        return false;
    if (generations == 1)
        return parent == ancestor;
    snprintf(number, sizeof(number), "%d", (int)parent);
    return descends(number, ancestor, generations - 1);
}

static size_t find(pid_t ancestor, int generations, pid_t pids[], size_t most)
{
    size_t count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    if (folder == NULL)
        return 0;
    while (count < most && (entry = readdir(folder)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name); /* 0: "self" and others */
        if (pid > 0 && descends(entry->d_name, ancestor, generations))
            pids[count++] = pid;
    }
    closedir(folder);
    return count;
}

size_t find_children(pid_t parent, pid_t pids[], size_t most)
{
    return find(parent, 1, pids, most);
}

size_t find_grandchildren(pid_t grandparent, pid_t pids[], size_t most)
{
    return find(grandparent, 2, pids, most);
}

bool is_child(pid_t pid, pid_t parent)
{
    char number[20];
    snprintf(number, sizeof(number), "%d", (int)pid);
    return descends(number, parent, 1);
}

char process_state(pid_t pid)
{
    return state_of("/proc", pid);
}

/* There is no event to wait for, of what is not our child. */
void is_gone(pid_t pid)
{
    while (state_of("/proc", pid) != 0)
        continue;
}

void is_thread_gone(pid_t thread)
{
    while (state_of("/proc/self/task", thread) != 0)
        continue;
}

void is_asleep(pid_t thread)
{
    while (state_of("/proc/self/task", thread) != 'S')
        continue;
}

/* Whether the thread of ours has a signal that it has not taken. */
static bool has_pending_signal(pid_t thread)
{
    char path[64], line[128];
    unsigned long long pending = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL &&
           sscanf(line, "SigPnd: %llx", &pending) != 1)
        continue;
    fclose(file);
    return pending != 0;
}

void has_taken_signals(pid_t thread)
{
    while (has_pending_signal(thread))
        continue;
}
