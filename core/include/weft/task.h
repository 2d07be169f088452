/* SPDX-License-Identifier: BSD-2-Clause */
/* task.h — fork-join: tasks that live in their spawner's frame.
 *
 *     WEFT_TASK(long, fib, int, n)
 *     {
 *         if (n < 2)
 *             return n;
 *         weft_spawn(left, fib, n - 1);        // may run on another worker from here on
 *         long right = fib(n - 2);             // a plain call
 *         return weft_join(left) + right;      // runs here unless it was stolen
 *     }
 *
 * WEFT_TASK defines an ordinary function `long fib(int n)`, a struct `fib_task` that holds the
 * arguments and the result, and the functions `fib_spawn(&t, n)` and `fib_join(&t)` on which the
 * two macros rest. Zero to six arguments, by value; WEFT_VOID_TASK is for tasks without a result.
 * The same line makes `fib_future` for <weft/future.h>: one definition, and the task runs in this
 * frame, on other workers, or in another process.
 *
 * A spawn links the task, which lives in the caller's frame, in front of the worker's private
 * list and tests one word. A join takes it off again and calls the function directly, so that
 * the compiler can inline through it. Neither allocates, fences or locks. Other workers reach
 * tasks through core/sched/README.md's protocol, never through this file.
 *
 * Every spawned task is joined: explicitly, or on any way out of the block that declares it.
 * Outside a runtime a spawned task runs at its join, so the same code is a serial program.
 *
 * Related: Faxén's Wool and van Dijk's Lace (direct task stack, private and shared part); weft
 * differs in that the task lives in the frame, has any size, and a blocked join parks a fiber. */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/atomic.h>
#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_task weft_task;
typedef struct weft_future weft_future;
typedef struct weft_executor weft_executor;

/* What the engine knows of a kind of task: one constant for each WEFT_TASK. Offsets and sizes are
 * those of the struct `name_task`: what has to travel when a task runs in another process. */
typedef struct weft_task_type {
    void (*run)(weft_task *task); /* calls the function on the stored arguments, keeps the result */
    const char *name;
    const char *file;
    int line;
    int is_consumed_;       /* nonzero: `run` gives the task away, nobody may look at it after */
    unsigned task_bytes;    /* of the whole struct */
    unsigned task_align;    /* what its address must be a multiple of */
    unsigned args_offset;   /* of the arguments */
    unsigned args_bytes;    /* of the arguments, padding included; 1 when there are none */
    unsigned first_bytes;   /* of the first argument; 0 when there are none */
    unsigned result_offset; /* of the result; 0 when there is none */
    unsigned result_bytes;  /* of the result; 0 when there is none */
    void (*drop_)(weft_task *task); /* NULL, or frees what the task owns besides its struct */
} weft_task_type;

/* Where a task was submitted: one constant for each place in the source. */
typedef struct weft_site {
    const weft_task_type *type;
    const char *file;
    int line;
} weft_site;

/* The place in which it is written, as one that submits the task `name`. */
#define WEFT__SITE(name)                                                                           \
    (__extension__({                                                                               \
        static const weft_site weft__site = {&name##_type, __FILE__, __LINE__};                    \
        &weft__site;                                                                               \
    }))

/* The head of every task. The spawner writes it, then publishes it with `youngest_`. */
struct weft_task {
    weft_task *prev_; /* next older private task; the spawner's, then whoever owns the chain */
    uintptr_t state_; /* the type while nobody waits; a waiter; or done: core/sched/join.h */
};

/* The part of a worker that inlined code touches. The two words lie on lines of their own: the
 * owner writes the first all the time, others poll the second. */
typedef struct weft__lane {
    weft_task *youngest_; /* owner stores (release), a raider loads (acquire) */
    void *worker_;        /* the worker this lane belongs to; NULL: a plain thread's lane */
    char line0_[64 - 2 * sizeof(void *)];
    uintptr_t attention_; /* any worker asks, the owner answers: core/sched/lane.c */
    char line1_[64 - sizeof(uintptr_t)];
} weft__lane;

/* Slow paths of the inlined functions below; not for users. */
WEFT_API void weft__spawn_slow(weft_task *task);
WEFT_API int weft__join_popped(weft_task *task);
WEFT_API int weft__join_public(weft_task *task);
WEFT_API weft__lane *weft__lane_get(void);

/* The lane of the current worker, or of the current plain thread. Volatile, because a fiber may
 * have moved to another thread since the last look, and a compiler would keep a thread-local
 * address across the call in which that happened. */
WEFT__INLINE weft__lane *weft__lane_self(void)
{
#if defined(WEFT_NO_INLINE_TLS)
    return weft__lane_get();
#elif defined(__x86_64__) && defined(__LP64__)
    weft__lane *lane;
    __asm__ volatile("movq weft__self@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(lane));
    return lane;
#elif defined(__aarch64__) && defined(__LP64__)
    weft__lane *lane;
    uintptr_t base;
    __asm__ volatile("adrp %0, :gottprel:weft__self\n\t"
                     "ldr %0, [%0, #:gottprel_lo12:weft__self]\n\t"
                     "mrs %1, tpidr_el0\n\t"
                     "ldr %0, [%1, %0]"
                     : "=&r"(lane), "=&r"(base));
    return lane;
#else
    return weft__lane_get();
#endif
}

WEFT__INLINE void weft__spawn(weft_task *task, const weft_task_type *type)
{
    weft__lane *lane = weft__lane_self();
    /* relaxed: the task is private until the store below */
    weft__store_relaxed(&task->state_, (uintptr_t)type);
    task->prev_ = weft__load_relaxed(&lane->youngest_);
    /* edge lane.youngest (release): a raider that reads this value sees the task's contents. */
    weft__store_release(&lane->youngest_, task);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    if (WEFT__UNLIKELY(weft__differs_relaxed(&lane->attention_, (uintptr_t)0)))
        weft__spawn_slow(task);
}

/* Nonzero: another worker has run the task and its result is in it. Zero: the caller runs it. */
WEFT__INLINE int weft__join(weft_task *task)
{
    weft__lane *lane = weft__lane_self();
    if (WEFT__UNLIKELY(weft__differs_relaxed(&lane->youngest_, task)))
        return weft__join_public(task);
    /* edge lane.youngest (release): as in spawn; older tasks stay visible to a raider. */
    weft__store_release(&lane->youngest_, task->prev_);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    if (WEFT__UNLIKELY(weft__differs_relaxed(&lane->attention_, (uintptr_t)0)))
        return weft__join_popped(task);
    return 0;
}

/* The tasks that are defined (not merely declared) in one program or shared object, for those that
 * look tasks up by name: `WEFT_TASK_TABLE`, evaluated in that program or object. */
typedef struct weft_task_table {
    const weft_task_type *const *begin;
    const weft_task_type *const *end;
} weft_task_table;

/* Made by the linker from the section of that name; absent in a program without tasks. */
extern const weft_task_type *const __start_weft_tasks[] __attribute__((weak, visibility("hidden")));
extern const weft_task_type *const __stop_weft_tasks[] __attribute__((weak, visibility("hidden")));

/* Beneath weft_submit(), weft_submit_until() and weft_then() of <weft/future.h>, which documents
 * them: submit the task of `site` with a copy of `args`, a `name_args`; at once, or when `after`
 * has finished. */
WEFT_API weft_future *weft_future_submit(weft_executor *executor, const weft_site *site,
                                         const void *args) WEFT_NONNULL(1, 2, 3);
WEFT_API weft_future *weft_future_submit_until(weft_executor *executor, const weft_site *site,
                                               const void *args, int64_t deadline)
    WEFT_NONNULL(1, 2, 3);
WEFT_API weft_future *weft_future_then(weft_executor *executor, weft_future *after,
                                       const weft_site *site, const void *args)
    WEFT_NONNULL(1, 2, 3, 4);

WEFT__INLINE weft_task_table weft__task_table(void)
{
    weft_task_table table;
    table.begin = __start_weft_tasks;
    table.end = __stop_weft_tasks;
    return table;
}
#define WEFT_TASK_TABLE weft__task_table()

WEFT_END_DECLS

/* ---- the macros -------------------------------------------------------------------------
 *
 * WEFT_TASK(long, fib, int, n) { ... } expands to
 *
 *     typedef struct fib_args { int n; } fib_args;
 *     typedef struct fib_task { weft_task head; fib_args args; long result; } fib_task;
 *     typedef union fib_future { weft_future *h; long *of; } fib_future;   // weft/future.h
 *     long fib(int n);
 *     static void fib_run(weft_task *);            // for thieves: result = fib(args.n)
 *     static inline void fib_spawn(fib_task *, int n);
 *     static inline long fib_join(fib_task *);     // calls fib(args.n) unless it was stolen
 *     static inline fib_future fib_submit(...);    // beneath weft_submit()
 *     static inline fib_future fib_then(...);      // beneath weft_then()
 *     static const weft_task_type *const fib_entry_ = &fib_type;  // in the section weft_tasks
 *     long fib(int n) { ... }
 *
 * WEFT_TASK_DECLARE and WEFT_TASK_DEFINE are its two halves, for headers and mutual recursion. */

/* Number of (type, name) pairs behind a name: WEFT__ARITY(fib, int, n) is 1. X where they are no
 * pairs, or seven or eight of them. */
#define WEFT__ARITY(...)                                                                           \
    WEFT__ARITY_(__VA_ARGS__, X, X, X, X, 6, X, 5, X, 4, X, 3, X, 2, X, 1, X, 0, )
#define WEFT__ARITY_(x, a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, n, ...) n
/* N when something follows the name, 1 when it stands alone; up to sixteen things. */
#define WEFT__MANY(...)                                                                            \
    WEFT__MANY_(__VA_ARGS__, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, 1, )
#define WEFT__MANY_(x, a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, n, ...) n

#define WEFT__MAP0(f, sep, none, name) none
#define WEFT__MAP1(f, sep, none, name, t, a) f(t, a)
#define WEFT__MAP2(f, sep, none, name, t, a, ...) f(t, a) sep() WEFT__MAP1(f, sep, , , __VA_ARGS__)
#define WEFT__MAP3(f, sep, none, name, t, a, ...) f(t, a) sep() WEFT__MAP2(f, sep, , , __VA_ARGS__)
#define WEFT__MAP4(f, sep, none, name, t, a, ...) f(t, a) sep() WEFT__MAP3(f, sep, , , __VA_ARGS__)
#define WEFT__MAP5(f, sep, none, name, t, a, ...) f(t, a) sep() WEFT__MAP4(f, sep, , , __VA_ARGS__)
#define WEFT__MAP6(f, sep, none, name, t, a, ...) f(t, a) sep() WEFT__MAP5(f, sep, , , __VA_ARGS__)
/* A mistake: one message, and as few others as can be. */
#define WEFT__MAPX(f, sep, none, ...) f##_WRONG
#define WEFT__COMMA() ,
#define WEFT__NOTHING()
#define WEFT__PARAM(t, a) t a
#define WEFT__MORE(t, a) , t a
#define WEFT__FIELD(t, a) t a;
#define WEFT__STORE(t, a) weft__t->args.a = a;
#define WEFT__LOAD(t, a) weft__t->args.a
#define WEFT__PARAM_WRONG void
#define WEFT__MORE_WRONG
#define WEFT__FIELD_WRONG                                                                          \
    WEFT__ASSERT(0, "the arguments of a task are pairs of a type and a name, six at most");        \
    char none_;
#define WEFT__STORE_WRONG
#define WEFT__LOAD_WRONG
#ifdef __cplusplus
#define WEFT__ASSERT(condition, message) static_assert(condition, message)
#else
#define WEFT__ASSERT(condition, message) _Static_assert(condition, message)
#endif

#define WEFT__EACH(...) WEFT__CAT(WEFT__MAP, WEFT__ARITY(__VA_ARGS__))
#define WEFT__PARAMS(...) WEFT__EACH(__VA_ARGS__)(WEFT__PARAM, WEFT__COMMA, void, __VA_ARGS__)
#define WEFT__MORES(...) WEFT__EACH(__VA_ARGS__)(WEFT__MORE, WEFT__NOTHING, , __VA_ARGS__)
#define WEFT__FIELDS(...)                                                                          \
    WEFT__EACH(__VA_ARGS__)(WEFT__FIELD, WEFT__NOTHING, char none_;, __VA_ARGS__)
#define WEFT__STORES(...) WEFT__EACH(__VA_ARGS__)(WEFT__STORE, WEFT__NOTHING, , __VA_ARGS__)
#define WEFT__LOADS(...) WEFT__EACH(__VA_ARGS__)(WEFT__LOAD, WEFT__COMMA, , __VA_ARGS__)
#define WEFT__NAME(name, ...) name
/* The type of the first argument: what a task that continues a future takes from it. */
#define WEFT__FIRST(...) WEFT__FIRST_(__VA_ARGS__, void, )
#define WEFT__FIRST_(name, t, ...) t
#define WEFT__FIRST_BYTES(...) WEFT__CAT(WEFT__FIRST_BYTES, WEFT__MANY(__VA_ARGS__))(__VA_ARGS__)
#define WEFT__FIRST_BYTES1(name) 0
#define WEFT__FIRST_BYTESN(name, t, ...) sizeof(t)

/* The two kinds of task: with a result and without. */
#define WEFT__FIELD_VALUE(R) R result;
#define WEFT__KEEP_VALUE weft__t->result =
#define WEFT__GIVE_VALUE return weft__t->result;
#define WEFT__RETURN_VALUE return
#define WEFT__SIZE_VALUE(task, R) offsetof(task, result), sizeof(R)
#define WEFT__FIELD_VOID(R)
#define WEFT__KEEP_VOID
#define WEFT__GIVE_VOID return;
#define WEFT__RETURN_VOID
#define WEFT__SIZE_VOID(task, R) 0, 0

/* `list` is the parenthesised (name, type, name, ...). */
#define WEFT__DECLARE(kind, R, name, list)                                                         \
    typedef struct name##_args {                                                                   \
        WEFT__FIELDS list                                                                          \
    } name##_args;                                                                                 \
    typedef struct name##_task {                                                                   \
        weft_task head;                                                                            \
        name##_args args;                                                                          \
        WEFT__FIELD_##kind(R)                                                                      \
    } name##_task;                                                                                 \
    typedef WEFT__FIRST list name##_first_;                                                        \
    typedef union name##_future {                                                                  \
        weft_future *h;                                                                            \
        R *of;                                                                                     \
    } name##_future;                                                                               \
    typedef struct name##_scope {                                                                  \
        name##_task *task;                                                                         \
        int pending;                                                                               \
    } name##_scope;                                                                                \
    R name(WEFT__PARAMS list);                                                                     \
    __attribute__((unused)) static void name##_run(weft_task *weft__head)                          \
    {                                                                                              \
        name##_task *weft__t = (name##_task *)weft__head;                                          \
        (void)weft__t;                                                                             \
        WEFT__KEEP_##kind name(WEFT__LOADS list);                                                  \
    }                                                                                              \
    static const weft_task_type name##_type                                                        \
        __attribute__((unused)) = {name##_run,                                                     \
                                   #name,                                                          \
                                   __FILE__,                                                       \
                                   __LINE__,                                                       \
                                   0,                                                              \
                                   sizeof(name##_task),                                            \
                                   __alignof__(name##_task),                                       \
                                   offsetof(name##_task, args),                                    \
                                   sizeof(name##_args),                                            \
                                   WEFT__FIRST_BYTES list,                                         \
                                   WEFT__SIZE_##kind(name##_task, R),                              \
                                   NULL};                                                          \
    WEFT__INLINE void name##_spawn(name##_task *weft__t WEFT__MORES list)                          \
    {                                                                                              \
        WEFT__STORES list weft__spawn(&weft__t->head, &name##_type);                               \
    }                                                                                              \
    WEFT__INLINE R name##_join(name##_task *weft__t)                                               \
    {                                                                                              \
        if (WEFT__UNLIKELY(weft__join(&weft__t->head))) {                                          \
            WEFT__GIVE_##kind                                                                      \
        }                                                                                          \
        WEFT__RETURN_##kind name(WEFT__LOADS list);                                                \
    }                                                                                              \
    WEFT__INLINE void name##_leave(name##_scope *weft__s)                                          \
    {                                                                                              \
        if (weft__s->pending)                                                                      \
            (void)name##_join(weft__s->task);                                                      \
    }                                                                                              \
    WEFT_NODISCARD WEFT__INLINE name##_future name##_submit(                                       \
        weft_executor *weft__e, const weft_site *weft__s, name##_args weft__a)                     \
    {                                                                                              \
        name##_future weft__f;                                                                     \
        weft__f.h = weft_future_submit(weft__e, weft__s, &weft__a);                                \
        return weft__f;                                                                            \
    }                                                                                              \
    WEFT_NODISCARD WEFT__INLINE name##_future name##_submit_until(                                 \
        weft_executor *weft__e, const weft_site *weft__s, name##_args weft__a, int64_t weft__d)    \
    {                                                                                              \
        name##_future weft__f;                                                                     \
        weft__f.h = weft_future_submit_until(weft__e, weft__s, &weft__a, weft__d);                 \
        return weft__f;                                                                            \
    }                                                                                              \
    WEFT_NODISCARD WEFT__INLINE name##_future name##_then(                                         \
        weft_executor *weft__e, weft_future *weft__h, const weft_site *weft__s,                    \
        name##_args weft__a)                                                                       \
    {                                                                                              \
        name##_future weft__f;                                                                     \
        weft__f.h = weft_future_then(weft__e, weft__h, weft__s, &weft__a);                         \
        return weft__f;                                                                            \
    }                                                                                              \
    struct weft__semicolon

#define WEFT__DECLARE_AS(kind, R, name, list) WEFT__DECLARE(kind, R, name, list)

/**
 * Declare a task: `R` is the result type, followed by the name and up to six (type, name) pairs.
 * Ends with a semicolon; every translation unit that spawns the task needs it.
 */
#define WEFT_TASK_DECLARE(R, ...)                                                                  \
    WEFT__DECLARE_AS(VALUE, R, WEFT__NAME(__VA_ARGS__, ), (__VA_ARGS__))
#define WEFT_VOID_TASK_DECLARE(...)                                                                \
    WEFT__DECLARE_AS(VOID, void, WEFT__NAME(__VA_ARGS__, ), (__VA_ARGS__))

/* gcc inlines a recursive function into itself if the word `inline` invites it to, which halves the
 * number of calls in fine-grained tasks. Together with the plain prototype above it makes an
 * ordinary function in C. clang never does it, and C++ means something else by the word. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__cplusplus)
#define WEFT__INLINE_HINT inline
#else
#define WEFT__INLINE_HINT
#endif

/* A name in the linker's table. C++ drops a constant that nobody uses unless told otherwise. */
#define WEFT__ENTER(name) WEFT__ENTER_(name)
#define WEFT__ENTER_(name)                                                                         \
    static const weft_task_type *const name##_entry_                                               \
        __attribute__((used, section("weft_tasks"))) = &name##_type;

/** Begin the definition of a task that has been declared; the function's body follows. */
#define WEFT_TASK_DEFINE(R, ...)                                                                   \
    WEFT__ENTER(WEFT__NAME(__VA_ARGS__, ))                                                         \
    WEFT__INLINE_HINT R WEFT__NAME(__VA_ARGS__, )(WEFT__PARAMS(__VA_ARGS__))
#define WEFT_VOID_TASK_DEFINE(...) WEFT_TASK_DEFINE(void, __VA_ARGS__)

/** Declare and define a task in one go; the function's body follows. */
#define WEFT_TASK(R, ...)                                                                          \
    WEFT_TASK_DECLARE(R, __VA_ARGS__);                                                             \
    WEFT_TASK_DEFINE(R, __VA_ARGS__)
#define WEFT_VOID_TASK(...)                                                                        \
    WEFT_VOID_TASK_DECLARE(__VA_ARGS__);                                                           \
    WEFT_VOID_TASK_DEFINE(__VA_ARGS__)

/**
 * Declare a task variable in this block and spawn it: weft_spawn(left, fib, n - 1).
 *
 * The arguments are copied. The task is joined by weft_join(), or when the block is left in any
 * other way (return, break, goto; not longjmp). For arrays of tasks use name_spawn(&t[i], ...)
 * and name_join(&t[i]) yourself, newest first: that order is the fast one, any other is correct.
 *
 * Context         any; in a plain thread the task runs at its join
 * Order           what the spawner did before happens-before the task
 * Progress        wait-free; a bounded number of tasks moved when a thief asked for work
 * Lifetime        the task must stay where it is until it is joined
 */
#define weft_spawn(var, ...) WEFT__CAT(WEFT__SPAWN, WEFT__MANY(__VA_ARGS__))(var, __VA_ARGS__)

/**
 * Get the result of a task spawned in this scope, running it here unless a thief has it.
 *
 * If a thief has it, the calling fiber is suspended until it is done and its worker does other
 * work meanwhile, on another stack: a lock held across a join never blocks the worker. The fiber
 * may resume on another thread.
 *
 * Context         the fiber or thread that spawned the task; once for each spawn; may park
 * Order           the task happens-before the return
 * Progress        blocking if stolen, otherwise that of the task
 */
#define weft_join(var) (var##_spawned_here_.pending = 0, var##_join_(&var))

#define WEFT__SPAWN1(var, name)                                                                    \
    WEFT__SPAWN_VAR(var, name);                                                                    \
    name##_spawn(&var)
#define WEFT__SPAWNN(var, name, ...)                                                               \
    WEFT__SPAWN_VAR(var, name);                                                                    \
    name##_spawn(&var, __VA_ARGS__)
#define WEFT__SPAWN_VAR(var, name)                                                                 \
    name##_task var;                                                                               \
    __typeof__(&name##_join) const var##_join_ __attribute__((unused)) = name##_join;              \
    name##_scope var##_spawned_here_ __attribute__((unused, cleanup(name##_leave))) = {&var, 1}

#endif
