/*
 * Which accesses of memory nothing orders. A program that is compiled with
 * -fsanitize=thread calls a function before each. Here it is not ThreadSanitizer's, but
 * follows the same idea: each thread counts its own time, and knows how much it has seen
 * of each other thread's. One that takes a lock has seen what those saw that released it.
 * Of two accesses of which one writes, the later thread must have seen the earlier one;
 * otherwise they race, and another thread may run just before the later access.
 */
#include "explore.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_WORDS = 1 << 15,
    SLOTS = 1 << 16,
    KEPT = sizeof((struct word){0}.accesses) / sizeof(struct access),
};

static struct word words[MOST_WORDS];
static uint16_t slots[SLOTS]; /* a hash table: the number of a word; 0: none */
static uint16_t word_count;

static uint16_t *slot_of(uintptr_t address)
{
    size_t slot = address * 0x9e3779b97f4a7c15 >> 48;
    while (slots[slot] != 0 && words[slots[slot]].address != address)
        slot = (slot + 1) % SLOTS;
    return &slots[slot];
}

struct word *word_at(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer >> 3;
    uint16_t *slot = slot_of(address);
    if (*slot != 0)
        return &words[*slot];
    if (++word_count == MOST_WORDS)
        fault("limit", "the explorer knows at most %d words of memory", MOST_WORDS);
    *slot = word_count;
    words[word_count].address = address;
    return &words[word_count];
}

static void forget_word(struct word *word)
{
    *word = (struct word){.address = word->address};
}

/* The memory is freed or reused: forget its accesses. */
void forget(const void *from, size_t length)
{
    uintptr_t first = (uintptr_t)from >> 3;
    uintptr_t end = ((uintptr_t)from + length + 7) >> 3;
    for (uint16_t i = 1; i <= word_count && end - first > word_count; i++) {
        if (words[i].address >= first && words[i].address < end)
            forget_word(&words[i]);
    }
    for (uintptr_t at = first; at < end && end - first <= word_count; at++) {
        if (*slot_of(at) != 0)
            forget_word(&words[*slot_of(at)]);
    }
}

extern void __libc_free(void *memory);
extern void *__libc_realloc(void *memory, size_t size);

static void forget_block(void *memory)
{
    if (is_scheduled() && memory != NULL)
        forget(memory, malloc_usable_size(memory));
}

SEEN void free(void *memory)
{
    forget_block(memory);
    __libc_free(memory);
}

SEEN void *realloc(void *memory, size_t size)
{
    forget_block(memory);
    return __libc_realloc(memory, size);
}

/* ---- What a thread has seen ---- */

void see_all(uint32_t seen[], const uint32_t others[])
{
    for (int i = 0; i < threads_end - threads; i++)
        seen[i] = seen[i] < others[i] ? others[i] : seen[i];
}

void acquire(struct word *word)
{
    see_all(self->seen, word->seen);
}

void release(struct word *word)
{
    see_all(word->seen, self->seen);
    self->seen[self->number]++;
}

static bool has_seen(const struct access *access)
{
    return access->time <= self->seen[access->thread];
}

/* ---- Accesses ---- */

static struct access *find_race(struct word *word, struct access access)
{
    for (struct access *other = word->accesses; other < word->accesses + KEPT; other++) {
        if ((other->bytes & access.bytes) != 0 && (other->writes || access.writes) &&
            !(other->is_atomic && access.is_atomic) && !has_seen(other))
            return other;
    }
    return NULL;
}

/* Keeps the access in the place of one that it makes superfluous, or else of any. */
static void keep(struct word *word, struct access access)
{
    struct access *place = NULL;
    for (struct access *other = word->accesses; other < word->accesses + KEPT; other++) {
        if ((other->bytes & ~access.bytes) == 0 && has_seen(other) &&
            (access.writes || !other->writes)) {
            *other = (struct access){0};
            place = other;
        }
    }
    *(place != NULL ? place : &word->accesses[word->next++ % KEPT]) = access;
}

static const char *name_of(const struct access *access)
{
    return access->writes ? "writes" : "reads";
}

static void use_word(uintptr_t address, struct access access)
{
    void *pointer = (void *)(address << 3);
    struct access *other = find_race(word_at(pointer), access);
    if (other != NULL && report->race[0] == '\0') {
        snprintf(report->race, sizeof(report->race), "%s\t%s\t%s\t%s",
                 threads[other->thread].name, name_of(other), self->name,
                 name_of(&access));
        report->races[0] = other->where;
        report->races[1] = access.where;
    }
    if (other != NULL)
        step(name_of(&access), pointer, NULL, NULL);
    else if (!access.is_atomic)
        note(name_of(&access), pointer, 0);
    access.time = self->seen[self->number];
    keep(word_at(pointer), access);
}

/* The access may reach over several words. */
static void use(const volatile void *pointer, size_t length, struct access access)
{
    if (!is_scheduled())
        return;
    access.thread = self->number;
    for (uintptr_t at = (uintptr_t)pointer, end = at + length; at < end;) {
        uintptr_t next = (at | 7) + 1 < end ? (at | 7) + 1 : end;
        access.bytes = ((1u << (next - at)) - 1) << (at & 7);
        use_word(at >> 3, access);
        at = next;
    }
}

/* An atomic variable is a step; it orders what was before with what comes after. */
static void use_atomic(const char *what, const volatile void *pointer, size_t length,
                       int order, struct access access)
{
    if (!is_scheduled())
        return;
    step(what, (const void *)pointer, NULL, NULL);
    use(pointer, length, access);
    struct word *word = word_at((const void *)pointer);
    if (order != memory_order_relaxed)
        acquire(word);
    if (order != memory_order_relaxed && access.writes)
        release(word);
}

/* ---- What -fsanitize=thread calls ---- */

#define HERE(...) ((struct access){.where = __builtin_return_address(0), __VA_ARGS__})
#define ACCESSES(length)                          \
    ACCESS(read##length, length, false)           \
    ACCESS(write##length, length, true)           \
    ACCESS(unaligned_read##length, length, false) \
    ACCESS(unaligned_write##length, length, true)
#define ACCESS(name, length, is_write)                  \
    SEEN void __tsan_##name(void *pointer)              \
    {                                                   \
        use(pointer, length, HERE(.writes = is_write)); \
    }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define RANGE(name, is_write)                                     \
    SEEN void __tsan_##name##_range(void *pointer, size_t length) \
    {                                                             \
        use(pointer, length, HERE(.writes = is_write));           \
    }
RANGE(read, false)
RANGE(write, true)

#define NOTHING(name)             \
    SEEN void __tsan_##name(void) \
    {                             \
    }
NOTHING(init)
NOTHING(func_entry)
NOTHING(func_exit)
NOTHING(atomic_thread_fence)
NOTHING(atomic_signal_fence)

#define ATOMIC(name, type, parameters, is_write, value)          \
    SEEN type __tsan_atomic##name parameters                     \
    {                                                            \
        use_atomic("atomic_" #name, at, sizeof(*at), order,      \
                   HERE(.writes = is_write, .is_atomic = true)); \
        return value;                                            \
    }
#define FETCH(bits, name, builtin)                                                  \
    ATOMIC(bits##_##name, uint##bits##_t,                                           \
           (volatile uint##bits##_t * at, uint##bits##_t operand, int order), true, \
           builtin(at, operand, __ATOMIC_SEQ_CST))
#define EXCHANGE_IF(bits, name)                                                       \
    ATOMIC(bits##_##name, int,                                                        \
           (volatile uint##bits##_t * at, uint##bits##_t * expected,                  \
            uint##bits##_t wanted, int order, __attribute__((unused)) int failure),   \
           true,                                                                      \
           __atomic_compare_exchange_n(at, expected, wanted, false, __ATOMIC_SEQ_CST, \
                                       __ATOMIC_SEQ_CST))
#define ATOMICS(bits)                                                                   \
    ATOMIC(bits##_load, uint##bits##_t, (const volatile uint##bits##_t *at, int order), \
           false, __atomic_load_n(at, __ATOMIC_SEQ_CST))                                \
    FETCH(bits, store, __atomic_exchange_n) /* nobody looks at the result */            \
    FETCH(bits, exchange, __atomic_exchange_n)                                          \
    FETCH(bits, fetch_add, __atomic_fetch_add)                                          \
    FETCH(bits, fetch_sub, __atomic_fetch_sub)                                          \
    FETCH(bits, fetch_and, __atomic_fetch_and)                                          \
    FETCH(bits, fetch_or, __atomic_fetch_or)                                            \
    FETCH(bits, fetch_xor, __atomic_fetch_xor)                                          \
    EXCHANGE_IF(bits, compare_exchange_strong)                                          \
    EXCHANGE_IF(bits, compare_exchange_weak)
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)
