/* SPDX-License-Identifier: BSD-2-Clause */
/* local.c — values by key for each fiber and each plain thread.
 *
 * A fiber's values lie in a table of pairs that it gets when it first sets one: those that never do
 * pay for a pointer. A key is its address, so there is nothing to register, to run out of, or to
 * give back. The table is searched from its beginning, as hardly anybody uses more than a few keys.
 *
 * A plain thread's table hangs on a key of the C library, the only thing that knows of its end. */
#include "fiber/local.h"

#include <weft/local.h>

#include "hooks.h"
#include "sched/worker.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define FIRST_CAPACITY 4
#define ROUNDS 4 /* in which destructors may leave something behind */

typedef struct pair {
    const weft_local *key;
    void *value;
} pair;

struct weft__locals {
    size_t count;
    size_t capacity;
    pair pairs[];
};

/* ---- whose ----------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static int has_thread_key;

static void thread_ends(void *locals)
{
    weft__locals_end(locals);
}

static void make_thread_key(void)
{
    has_thread_key = pthread_key_create(&thread_key, thread_ends) == 0;
}

static weft__locals *own_locals(void)
{
    weft__worker *worker = weft__worker_self();
    if (worker != NULL)
        return worker->current->locals;
    (void)pthread_once(&once, make_thread_key);
    return has_thread_key ? pthread_getspecific(thread_key) : NULL;
}

static int keep_locals(weft__locals *locals)
{
    weft__worker *worker = weft__worker_self();
    if (worker != NULL) {
        worker->current->locals = locals;
        return 0;
    }
    return has_thread_key && pthread_setspecific(thread_key, locals) == 0 ? 0 : -ENOMEM;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static pair *find(weft__locals *locals, const weft_local *key)
{
    for (size_t i = 0; locals != NULL && i < locals->count; i++)
        if (locals->pairs[i].key == key)
            return &locals->pairs[i];
    return NULL;
}

/* A table with room for one more: this one, or a larger one that takes its place. */
static int make_room(weft__locals **locals)
{
    weft__locals *old = *locals;
    if (old != NULL && old->count < old->capacity)
        return 0;
    size_t capacity = old != NULL ? 2 * old->capacity : FIRST_CAPACITY;
    weft__locals *larger = weft__hook_alloc(sizeof(weft__locals) + capacity * sizeof(pair));
    if (larger == NULL)
        return -ENOMEM;
    larger->count = old != NULL ? old->count : 0;
    larger->capacity = capacity;
    if (old != NULL)
        memcpy(larger->pairs, old->pairs, old->count * sizeof(pair));
    if (keep_locals(larger) != 0) {
        weft__hook_free(larger);
        return -ENOMEM;
    }
    weft__hook_free(old);
    *locals = larger;
    return 0;
}

void *weft_local_get(const weft_local *key)
{
    const pair *one = find(own_locals(), key);
    return one != NULL ? one->value : NULL;
}

int weft_local_set(const weft_local *key, void *value)
{
    weft__locals *locals = own_locals();
    pair *one = find(locals, key);
    if (one == NULL) {
        if (value == NULL)
            return 0;
        if (make_room(&locals) != 0)
            return -ENOMEM;
        one = &locals->pairs[locals->count++];
        one->key = key;
    }
    one->value = value;
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void destroy_values(const weft__locals *locals)
{
    for (size_t i = 0; i < locals->count; i++) {
        pair one = locals->pairs[i];
        if (one.value != NULL && one.key->destroy_ != NULL)
            one.key->destroy_(one.value);
    }
}

/* What destructors set goes into a new table, of which the next round takes care. */
void weft__locals_end(weft__locals *locals)
{
    for (int round = 0; locals != NULL && round < ROUNDS; round++) {
        (void)keep_locals(NULL);
        destroy_values(locals);
        weft__hook_free(locals);
        locals = own_locals();
    }
    (void)keep_locals(NULL);
    weft__hook_free(locals);
}
