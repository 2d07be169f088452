/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c — what each thread may see: C11's memory model, by views.
 *
 * Every atomic location keeps the history of its stores, in the order in which they were made. A
 * thread's view holds, for each location, the oldest store it may still read:
 *
 *     history of bottom_     0      1      2      3
 *                            ↑             ↑      ↑ newest: what a read-modify-write reads
 *                     thief may read 0…3   owner's view: 2, 3
 *
 * A load may return any store from there on. A releasing store carries the view of its thread, an
 * acquiring load that returns it joins that view, and a read-modify-write passes on the view of the
 * store it replaces (the release sequence). The single order of sequentially consistent accesses is
 * the order of the execution, and such a load never goes back behind the newest such store of its
 * location. This is no more than C11 promises: the access is not a fence, orders no other location,
 * and two loads of that kind may see two ordinary stores in either order (C++20 forbids that).
 *
 * Views carry a vector clock as well. Plain accesses, which the compiler reports through the
 * interface of its race detector, are ordered by it or they race.
 *
 * A membarrier() orders what is seen, but no plain accesses: it is a fence in each thread, and
 * fences alone synchronize nothing.
 *
 * Never: the value of a store that is older than what the thread has read, written, or been told
 * of. Not modelled: a load that returns a store which is made later (load buffering); a store that
 * lands in its location's history before one made earlier. */
#include "engine.h"

#include <string.h>

#define LOCATIONS_MAX 160 /* atomic ones, in one execution */
#define HISTORY_MAX 200
#define STORES_MAX 4096
#define WORDS_MAX 1024  /* words accessed in one execution, plain ones too */
#define SLOTS_MAX 32768 /* power of two; words accessed in all executions of a model */
#define ARENA_BYTES ((size_t)1 << 16)
#define GRAIN 16

typedef struct view {
    uint8_t seen[LOCATIONS_MAX]; /* index into the location's history */
    uint32_t clock[ACTORS];      /* what has happened before */
} view;

typedef struct store {
    uint64_t value;
    bool is_plain;    /* made behind our back: the value is in memory by now */
    bool is_released; /* `view` holds something */
    view view;
} store;

enum { PLAIN_READ, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE, KINDS };
static const char *const kind_names[KINDS] = {"plain read", "plain write", "atomic read",
                                              "atomic write"};

/* One word in one execution. */
typedef struct word {
    const char *address;
    bool is_atomic;               /* has a history and an id */
    uint8_t id;                   /* in views */
    uint8_t in_order;             /* the newest sequentially consistent store */
    uint8_t count;                /* of stores */
    uint32_t last[KINDS][ACTORS]; /* clock of the last access of each kind by each thread */
    uint16_t stores[HISTORY_MAX];
} word;

/* One word in all executions: who shares it. */
typedef struct slot {
    const char *address;
    uint32_t generation; /* of the execution that `index` belongs to */
    uint16_t index;
    uint8_t touched; /* bit mask of threads, atomic accesses only */
    uint8_t written;
    uint8_t touched_known; /* the same when this pass of the search began */
    uint8_t written_known;
} slot;

static struct {
    view views[ACTORS];
    view barrier; /* what fences have passed on */
    store stores[STORES_MAX];
    unsigned store_count;
    word words[WORDS_MAX];
    unsigned word_count;
    unsigned id_count;
    slot slots[SLOTS_MAX];
    unsigned slot_count;
    uint32_t generation;
    bool has_learnt;
} memory;

static struct {
    char bytes[ARENA_BYTES] __attribute__((aligned(64)));
    size_t sizes[ARENA_BYTES / GRAIN]; /* of the block that begins here; 0: none, or released */
    bool is_free[ARENA_BYTES / GRAIN];
    size_t used;
    unsigned blocks;
} arena;

/* ---- views --------------------------------------------------------------------------------- */

static void join(view *into, const view *from)
{
    for (unsigned i = 0; i < memory.id_count; i++)
        into->seen[i] = into->seen[i] > from->seen[i] ? into->seen[i] : from->seen[i];
    for (unsigned i = 0; i < ACTORS; i++)
        into->clock[i] = into->clock[i] > from->clock[i] ? into->clock[i] : from->clock[i];
}

static void join_seen(view *into, const view *from)
{
    for (unsigned i = 0; i < memory.id_count; i++)
        into->seen[i] = into->seen[i] > from->seen[i] ? into->seen[i] : from->seen[i];
}

void memory_reset(void)
{
    memory.generation++;
    memory.store_count = 0;
    memory.word_count = 0;
    memory.id_count = 0;
    memset(memory.views, 0, sizeof memory.views);
    memset(&memory.barrier, 0, sizeof memory.barrier);
    for (unsigned i = 0; i < ACTORS; i++)
        memory.views[i].clock[i] = 1;
    size_t grains = (arena.used + GRAIN - 1) / GRAIN;
    memset(arena.sizes, 0, grains * sizeof arena.sizes[0]);
    memset(arena.is_free, 0, grains * sizeof arena.is_free[0]);
    arena.used = 0;
    arena.blocks = 0;
}

void memory_forget(void)
{
    memset(memory.slots, 0, sizeof memory.slots);
    memory.slot_count = 0;
    memory.has_learnt = false;
}

void memory_fork(void)
{
    for (unsigned i = 0; i < PREPARER; i++)
        join(&memory.views[i], &memory.views[PREPARER]);
    memory.views[PREPARER].clock[PREPARER]++;
}

void memory_join(void)
{
    for (unsigned i = 0; i < PREPARER; i++)
        join(&memory.views[PREPARER], &memory.views[i]);
}

bool memory_has_learnt(void)
{
    bool answer = memory.has_learnt;
    memory.has_learnt = false;
    for (slot *s = memory.slots; s < memory.slots + SLOTS_MAX; s++) {
        s->touched_known = s->touched;
        s->written_known = s->written;
    }
    return answer;
}

/* ---- words --------------------------------------------------------------------------------- */

static slot *slot_of(const void *address)
{
    uintptr_t hash = (uintptr_t)address >> 2;
    hash ^= hash >> 11;
    for (;; hash++) {
        slot *s = &memory.slots[hash & (SLOTS_MAX - 1)];
        if (s->address == address)
            return s;
        if (s->address == NULL) {
            if (++memory.slot_count > SLOTS_MAX / 2)
                engine_fail("the model accesses too many words");
            s->address = address;
            return s;
        }
    }
}

/* Whether anybody has accessed the word in this execution. */
static bool is_known(const void *address)
{
    return slot_of(address)->generation == memory.generation;
}

static word *word_of(slot *s)
{
    if (s->generation == memory.generation)
        return &memory.words[s->index];
    if (memory.word_count == WORDS_MAX)
        engine_fail("the model accesses too many words");
    s->generation = memory.generation;
    s->index = (uint16_t)memory.word_count++;
    word *w = &memory.words[s->index];
    memset(w, 0, offsetof(word, stores));
    w->address = s->address;
    return w;
}

/* Who shares a word with whom decides where the order of threads matters. Once learnt, it is
 * remembered for all executions of the model; the search begins anew until nothing is learnt. */
static void learn(slot *s, bool is_write)
{
    unsigned self = engine_current();
    if (self == PREPARER)
        return;
    uint8_t bit = (uint8_t)(1U << self);
    if ((s->touched & bit) && (!is_write || (s->written & bit)))
        return;
    s->touched |= bit;
    if (is_write)
        s->written |= bit;
    memory.has_learnt = true;
}

bool memory_is_local(const void *address, bool is_write)
{
    const slot *s = slot_of(address);
    unsigned others = (is_write ? s->touched_known : s->written_known) & ~(1U << engine_current());
    return others == 0;
}

static store *append(word *w, uint64_t value)
{
    if (w->count == HISTORY_MAX || memory.store_count == STORES_MAX)
        engine_fail("the model makes too many stores");
    w->stores[w->count] = (uint16_t)memory.store_count;
    store *made = &memory.stores[memory.store_count++];
    made->value = value;
    made->is_plain = false;
    made->is_released = false;
    w->count++;
    return made;
}

static store *store_at(const word *w, unsigned index)
{
    return &memory.stores[w->stores[index]];
}

static uint64_t peek(const void *address, unsigned bytes)
{
    uint32_t narrow;
    uint64_t wide;
    if (bytes == sizeof narrow) {
        memcpy(&narrow, address, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, address, sizeof wide);
    return wide;
}

static void poke(void *address, unsigned bytes, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;
    if (bytes == sizeof narrow)
        memcpy(address, &narrow, sizeof narrow);
    else
        memcpy(address, &value, sizeof value);
}

static void check_alive(const char *address, const char *site)
{
    if ((uintptr_t)address < 4096 || (uintptr_t)address >> 47 != 0)
        engine_fail("access through a pointer to nowhere: %s", site);
    size_t offset = (size_t)(address - arena.bytes);
    if (offset < ARENA_BYTES && (offset >= arena.used || arena.is_free[offset / GRAIN]))
        engine_fail("access to memory that was released: %s", site);
    if (engine_is_dead_frame(address))
        engine_fail("access to the frame of a function that has returned: %s", site);
}

/* Note an access; two of which one is a write and one is plain must not be concurrent. */
static void note(word *w, int kind, const char *site)
{
    static const bool races[KINDS][KINDS] = {
        [PLAIN_READ] = {[PLAIN_WRITE] = true, [ATOMIC_WRITE] = true},
        [PLAIN_WRITE] = {true, true, true, true},
        [ATOMIC_READ] = {[PLAIN_WRITE] = true},
        [ATOMIC_WRITE] = {[PLAIN_READ] = true, [PLAIN_WRITE] = true},
    };
    unsigned self = engine_current();
    const view *mine = &memory.views[self];
    for (int other = 0; other < KINDS; other++) {
        if (!races[kind][other])
            continue;
        for (unsigned i = 0; i < ACTORS; i++)
            if (i != self && w->last[other][i] > mine->clock[i])
                engine_fail("data race: %s against an earlier %s by thread %u: %s",
                            kind_names[kind], kind_names[other], i, site);
    }
    w->last[kind][self] = mine->clock[self];
}

/* The word of an atomic access, whose history begins with what memory holds at the first. */
static word *begin(const explore_access *access, int kind)
{
    const char *text = access->site->text;
    check_alive(access->address, text);
    bool is_write = kind == ATOMIC_WRITE;
    bool is_ordered = access->site->order == EXPLORE_SEQ_CST;
    engine_step step = {access->address, is_write};
    if (engine_current() != PREPARER)
        engine_point(step, memory_is_local(access->address, is_write || is_ordered));
    engine_makes(step);
    check_alive(access->address, text);
    slot *s = slot_of(access->address);
    learn(s, is_write);
    word *w = word_of(s);
    if (!w->is_atomic) {
        if (memory.id_count == LOCATIONS_MAX)
            engine_fail("the model has too many atomic locations");
        w->is_atomic = true;
        w->id = (uint8_t)memory.id_count++;
        (void)append(w, peek(access->address, access->bytes));
    }
    store *newest = store_at(w, w->count - 1U);
    if (newest->is_plain) {
        newest->value = peek(access->address, access->bytes);
        newest->is_plain = false;
    }
    note(w, kind, text);
    return w;
}

/* The thread has read store `index`. */
static uint64_t read_store(word *w, unsigned index, explore_order order)
{
    view *mine = &memory.views[engine_current()];
    const store *found = store_at(w, index);
    mine->seen[w->id] = (uint8_t)index;
    if ((order & EXPLORE_ACQUIRE) && found->is_released)
        join(mine, &found->view);
    mine->clock[engine_current()]++;
    return found->value;
}

/* The thread has made a store, in place of `replaced` if it is a read-modify-write. */
static void write_store(word *w, const explore_access *access, uint64_t value,
                        const store *replaced)
{
    view *mine = &memory.views[engine_current()];
    store *made = append(w, value);
    mine->seen[w->id] = (uint8_t)(w->count - 1);
    if (access->site->order & EXPLORE_RELEASE) {
        made->is_released = true;
        made->view = *mine;
    }
    if (replaced != NULL && replaced->is_released) {
        if (made->is_released)
            join(&made->view, &replaced->view);
        else
            made->view = replaced->view;
        made->is_released = true;
    }
    if (access->site->order == EXPLORE_SEQ_CST)
        w->in_order = (uint8_t)(w->count - 1);
    mine->clock[engine_current()]++;
    poke(access->address, access->bytes, value);
    engine_has_written();
}

/* The oldest store that a load may return. */
static unsigned oldest(const word *w, explore_order order)
{
    unsigned seen = memory.views[engine_current()].seen[w->id];
    return order == EXPLORE_SEQ_CST && w->in_order > seen ? w->in_order : seen;
}

/* ---- accesses ------------------------------------------------------------------------------ */

uint64_t explore_load(explore_access access)
{
    explore_order order = access.site->order;
    word *w = begin(&access, ATOMIC_READ);
    unsigned newest = w->count - 1U;
    unsigned back = engine_choose(newest - oldest(w, order) + 1, !engine_may_be_stale());
    uint64_t value = read_store(w, newest - back, order);
    if (back > 0)
        engine_is_stale();
    engine_say("%s = %#llx%s", access.site->text, (unsigned long long)value,
               back > 0 ? "  (not the newest)" : "");
    return value;
}

void explore_store(explore_access access, uint64_t value)
{
    word *w = begin(&access, ATOMIC_WRITE);
    write_store(w, &access, value, NULL);
    engine_say("%s := %#llx", access.site->text, (unsigned long long)value);
}

static uint64_t mask(unsigned bytes, uint64_t value)
{
    return bytes == sizeof(uint32_t) ? (uint32_t)value : value;
}

static uint64_t modify(const explore_access *access, uint64_t value, bool is_sum)
{
    word *w = begin(access, ATOMIC_WRITE);
    unsigned newest = w->count - 1U;
    uint64_t old = read_store(w, newest, access->site->order);
    uint64_t made = mask(access->bytes, is_sum ? old + value : value);
    write_store(w, access, made, store_at(w, newest));
    engine_say("%s: %#llx -> %#llx", access->site->text, (unsigned long long)old,
               (unsigned long long)made);
    return old;
}

uint64_t explore_exchange(explore_access access, uint64_t value)
{
    return modify(&access, value, false);
}

uint64_t explore_fetch_add(explore_access access, uint64_t value)
{
    return modify(&access, value, true);
}

/* The order of a swap that fails, by that of one that succeeds: as <weft/atomic.h> has it. */
static explore_order order_of_failure(explore_order order)
{
    if (order == EXPLORE_SEQ_CST)
        return order;
    return order == EXPLORE_ACQ_REL ? EXPLORE_ACQUIRE : EXPLORE_RELAXED;
}

int explore_cas(explore_access access, void *expected, uint64_t value)
{
    word *w = begin(&access, ATOMIC_WRITE);
    uint64_t wanted = peek(expected, access.bytes);
    unsigned newest = w->count - 1U;
    /* A swap that fails is a load: it too may see an older store, if that is not the wanted one. */
    unsigned readable = newest - oldest(w, access.site->order) + 1;
    unsigned back = engine_choose(readable, !engine_may_be_stale());
    if (back > 0 && store_at(w, newest - back)->value == wanted)
        back = 0;
    uint64_t found = store_at(w, newest - back)->value;
    if (found != wanted) {
        (void)read_store(w, newest - back, order_of_failure(access.site->order));
        if (back > 0)
            engine_is_stale();
        poke(expected, access.bytes, found);
        engine_say("%s: %#llx, wanted %#llx: fails%s", access.site->text, (unsigned long long)found,
                   (unsigned long long)wanted, back > 0 ? "  (not the newest)" : "");
        return 0;
    }
    (void)read_store(w, newest, access.site->order);
    write_store(w, &access, mask(access.bytes, value), store_at(w, newest));
    engine_say("%s: %#llx -> %#llx", access.site->text, (unsigned long long)found,
               (unsigned long long)mask(access.bytes, value));
    return 1;
}

/* Each thread executes a fence at some moment during the call, the caller at its ends. */
void explore_membarrier(void)
{
    unsigned self = engine_current();
    view *mine = &memory.views[self];
    join_seen(&memory.barrier, mine);
    for (unsigned i = 0; i < PREPARER; i++) {
        if (i == self)
            continue;
        if (engine_is_running(i))
            engine_point((engine_step){NULL, true}, false);
        engine_makes((engine_step){NULL, true});
        join_seen(&memory.barrier, &memory.views[i]);
        join_seen(&memory.views[i], &memory.barrier);
    }
    join_seen(mine, &memory.barrier);
    engine_say("membarrier()");
}

void memory_follow(unsigned thread)
{
    join(&memory.views[engine_current()], &memory.views[thread]);
}

void memory_tell(unsigned thread)
{
    join_seen(&memory.views[thread], &memory.views[engine_current()]);
}

uint32_t memory_newest(const uint32_t *address)
{
    return (uint32_t)peek(address, sizeof *address);
}

/* ---- plain accesses, as the compiler reports them ------------------------------------------ */

static void plain(const void *address, int kind, const char *site)
{
    check_alive(address, site);
    word *w = word_of(slot_of(address));
    note(w, kind, site);
    if (kind == PLAIN_WRITE && w->is_atomic) {
        store *made = append(w, 0);
        made->is_plain = true;
        memory.views[engine_current()].seen[w->id] = (uint8_t)(w->count - 1);
        learn(slot_of(address), true);
        engine_makes((engine_step){address, true});
        engine_has_written();
    }
}

void explore_plain_read(const void *address)
{
    plain(address, PLAIN_READ, "explore_plain_read()");
}

void explore_plain_write(void *address)
{
    plain(address, PLAIN_WRITE, "explore_plain_write()");
}

/* The names that -fsanitize=thread calls; the library that usually has them is not linked. */
#define REPORTED(name, kind, text)                                                                 \
    void name(void *address);                                                                      \
    void name(void *address)                                                                       \
    {                                                                                              \
        plain(address, kind, text);                                                                \
    }
#define REPORTED_PAIR(name, kind, text)                                                            \
    void name(void *address);                                                                      \
    void name(void *address)                                                                       \
    {                                                                                              \
        plain(address, kind, text);                                                                \
        plain((char *)address + 8, kind, text);                                                    \
    }
REPORTED(__tsan_read1, PLAIN_READ, "plain code")
REPORTED(__tsan_read2, PLAIN_READ, "plain code")
REPORTED(__tsan_read4, PLAIN_READ, "plain code")
REPORTED(__tsan_read8, PLAIN_READ, "plain code")
REPORTED_PAIR(__tsan_read16, PLAIN_READ, "plain code")
REPORTED(__tsan_write1, PLAIN_WRITE, "plain code")
REPORTED(__tsan_write2, PLAIN_WRITE, "plain code")
REPORTED(__tsan_write4, PLAIN_WRITE, "plain code")
REPORTED(__tsan_write8, PLAIN_WRITE, "plain code")
REPORTED_PAIR(__tsan_write16, PLAIN_WRITE, "plain code")
REPORTED(__tsan_unaligned_read2, PLAIN_READ, "plain code") /* clang: of unknown alignment */
REPORTED(__tsan_unaligned_read4, PLAIN_READ, "plain code")
REPORTED(__tsan_unaligned_read8, PLAIN_READ, "plain code")
REPORTED_PAIR(__tsan_unaligned_read16, PLAIN_READ, "plain code")
REPORTED(__tsan_unaligned_write2, PLAIN_WRITE, "plain code")
REPORTED(__tsan_unaligned_write4, PLAIN_WRITE, "plain code")
REPORTED(__tsan_unaligned_write8, PLAIN_WRITE, "plain code")
REPORTED_PAIR(__tsan_unaligned_write16, PLAIN_WRITE, "plain code")

/* Copies and initialisations of structures. */
#define REPORTED_RANGE(name, kind, text)                                                           \
    void name(void *address, unsigned long bytes);                                                 \
    void name(void *address, unsigned long bytes)                                                  \
    {                                                                                              \
        for (unsigned long i = 0; i < bytes; i += 8)                                               \
            plain((char *)address + i, kind, text);                                                \
    }

REPORTED_RANGE(__tsan_read_range, PLAIN_READ, "plain code")
REPORTED_RANGE(__tsan_write_range, PLAIN_WRITE, "plain code")

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void *caller);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void *caller)
{
    (void)caller;
}

/* ---- allocated memory ---------------------------------------------------------------------- */

void *explore_alloc(size_t bytes)
{
    size_t offset = (arena.used + 63) / 64 * 64;
    if (bytes == 0 || offset + bytes > ARENA_BYTES)
        engine_fail("the model allocates too much memory");
    arena.used = (offset + bytes + GRAIN - 1) / GRAIN * GRAIN;
    arena.sizes[offset / GRAIN] = bytes;
    arena.blocks++;
    memset(arena.bytes + offset, 0xa5, bytes);
    return arena.bytes + offset;
}

void explore_free(void *memory_block)
{
    if (memory_block == NULL)
        return;
    size_t offset = (size_t)((char *)memory_block - arena.bytes);
    if (offset >= ARENA_BYTES || offset % GRAIN != 0 || arena.sizes[offset / GRAIN] == 0)
        engine_fail("release of what was not allocated, or for the second time");
    size_t bytes = arena.sizes[offset / GRAIN];
    for (size_t at = offset; at < offset + bytes; at += sizeof(void *))
        if (is_known(arena.bytes + at))
            plain(arena.bytes + at, PLAIN_WRITE, "explore_free()");
    for (size_t at = offset; at < offset + bytes; at += GRAIN)
        arena.is_free[at / GRAIN] = true;
    arena.sizes[offset / GRAIN] = 0;
    arena.blocks--;
}

unsigned memory_left_over(void)
{
    return arena.blocks;
}
