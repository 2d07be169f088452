/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.c — values from sender to receiver, through a buffer or hand to hand.
 *
 *     word_    [ elements: 29 bits | CLOSED | QUEUED | BUSY ]
 *
 *     senders wait only while the buffer is full, receivers only while it is empty
 *
 *     push   to the longest waiting receiver, else into the buffer, else wait
 *     pop    from the buffer, and the longest waiting sender's element takes the free place behind
 *            all others; without a buffer, from that sender; else wait
 *
 * Everything is done under BUSY, copying included: one swap and one store, and the copy of an
 * element, are a push or a pop. Who waits on the other side need not come back for anything: its
 * element has been copied when it is woken.
 *
 * Rejected: a lock-free ring for the elements. Its push is one swap as well; an element would then
 * have to pass through it also when a receiver waits, and who waits would compete for it again. */
#include "sync/channel.h"

#include <errno.h>
#include <string.h>

#define CLOSED WEFT__BIT(0)
#define ELEMENT WEFT__BIT(1)
#define ELEMENTS(word) ((word) / ELEMENT)
#define CAPACITY_MAX ELEMENTS(UINT32_MAX)

int weft_channel_create(weft_channel **channel, const weft_channel_spec *spec)
{
    size_t room = (SIZE_MAX - sizeof(weft_channel)) / (spec->elem_bytes | 1);
    if (spec->capacity > CAPACITY_MAX)
        return -EINVAL;
    if (spec->capacity > room)
        return -ENOMEM;
    weft_channel *self = weft__hook_alloc(sizeof(weft_channel) + spec->capacity * spec->elem_bytes);
    if (self == NULL)
        return -ENOMEM;
    *self = (weft_channel){.elem_bytes = spec->elem_bytes, .capacity = (uint32_t)spec->capacity};
    *channel = self;
    return 0;
}

void weft_channel_destroy(weft_channel *channel)
{
    if (channel == NULL)
        return;
    /* relaxed: a check only; whoever destroys it knows that all others are done with it */
    if (weft__load_relaxed(&channel->senders.word_) & (WEFT__QUEUED | WEFT__BUSY))
        WEFT__PANIC("weft_channel_destroy: somebody waits on the channel");
    weft__hook_free(channel);
}

size_t weft_channel_length(const weft_channel *channel)
{
    return ELEMENTS(weft__load_relaxed(&channel->senders.word_)); /* relaxed: a snapshot */
}

/* ---- under BUSY ------------------------------------------------------------------------------ */

WEFT__INLINE void copy_element(const weft_channel *channel, void *to, const void *from)
{
    if (channel->elem_bytes == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t)); /* the usual size, without a call */
    else if (channel->elem_bytes != 0)
        memcpy(to, from, channel->elem_bytes);
}

/* The place of the element behind the `ahead` oldest. */
WEFT__INLINE void *slot(weft_channel *channel, uint32_t ahead)
{
    uint32_t index = channel->head + ahead;
    if (index >= channel->capacity)
        index -= channel->capacity;
    return channel->slots + index * channel->elem_bytes;
}

/* The longest waiting party that can still be had, out of its queue; or NULL. */
WEFT__INLINE weft__party *take_party(weft__waitq *queue)
{
    weft__party *party;
    do
        party = (weft__party *)weft__waitq_take(queue);
    while (party != NULL && !weft__party_claim(party));
    return party;
}

WEFT__INLINE int trade_push(weft__party *self, uint32_t *state, weft__party **partner)
{
    weft_channel *channel = self->channel;
    if (*state & CLOSED)
        return -EPIPE;
    *partner = take_party(&channel->receivers);
    if (*partner != NULL) {
        copy_element(channel, (*partner)->element, self->element);
        return 0;
    }
    if (ELEMENTS(*state) == channel->capacity)
        return WEFT__MUST_WAIT;
    copy_element(channel, slot(channel, ELEMENTS(*state)), self->element);
    *state += ELEMENT;
    return 0;
}

/* From the buffer, whose free place the longest waiting sender gets. */
WEFT__INLINE void pop_oldest(weft__party *self, uint32_t *state, weft__party **partner)
{
    weft_channel *channel = self->channel;
    copy_element(channel, self->element, slot(channel, 0));
    channel->head = channel->head + 1 < channel->capacity ? channel->head + 1 : 0;
    *state -= ELEMENT;
    *partner = take_party(&channel->senders);
    if (*partner != NULL) {
        copy_element(channel, slot(channel, ELEMENTS(*state)), (*partner)->element);
        *state += ELEMENT;
    }
}

WEFT__INLINE int trade_pop(weft__party *self, uint32_t *state, weft__party **partner)
{
    if (ELEMENTS(*state) > 0) {
        pop_oldest(self, state, partner);
        return 0;
    }
    *partner = take_party(&self->channel->senders);
    if (*partner != NULL) {
        copy_element(self->channel, self->element, (*partner)->element);
        return 0;
    }
    return *state & CLOSED ? -EPIPE : WEFT__MUST_WAIT;
}

WEFT__INLINE int trade(weft__party *self, int is_push, uint32_t *state, weft__party **partner)
{
    *partner = NULL;
    return is_push ? trade_push(self, state, partner) : trade_pop(self, state, partner);
}

int weft__channel_trade(weft__party *self, uint32_t *state, weft__party **partner)
{
    return trade(self, self->is_push, state, partner);
}

/* ---- push and pop ----------------------------------------------------------------------------
 *
 * Inlined into each of them with its constants. */

/* Trade or, if `may_wait`, queue up. */
WEFT__INLINE int trade_or_queue(weft__party *self, int is_push, int may_wait)
{
    weft_channel *channel = self->channel;
    weft__party *partner;
    uint32_t state = weft__waitq_lock(&channel->senders);
    int rc = trade(self, is_push, &state, &partner);
    if (rc == WEFT__MUST_WAIT && may_wait)
        weft__waitq_append(&self->sleeper);
    weft__waitq_unlock_both(&channel->senders, &channel->receivers, state);
    if (partner != NULL)
        weft__waitq_wake_one(&partner->sleeper, 0);
    return rc;
}

/* Whether a look at the word says already that there is nothing to be had; spares the swap of those
 * who come first. Without a buffer, anybody in the queue may be a partner. */
WEFT__INLINE int looks_hopeless(const weft_channel *channel, int is_push)
{
    uint32_t seen = weft__load_relaxed(&channel->senders.word_); /* relaxed: a hint */
    if (ELEMENTS(seen) != (is_push ? channel->capacity : 0) || (seen & CLOSED))
        return 0;
    return channel->capacity > 0 || !(seen & WEFT__QUEUED);
}

WEFT__INLINE int try_to(weft__party *self, int is_push)
{
    return looks_hopeless(self->channel, is_push) ? WEFT__MUST_WAIT
                                                  : trade_or_queue(self, is_push, 0);
}

int weft__channel_try(weft__party *self)
{
    return self->is_push ? try_to(self, 1) : try_to(self, 0);
}

WEFT__INLINE int arrive(weft__waiter *waiter, weft__party *self, int is_push)
{
    weft__waits_for(waiter, WEFT_REASON_CHANNEL, self->channel);
    int rc = trade_or_queue(self, is_push, 1);
    if (rc == WEFT__MUST_WAIT)
        return 1;
    self->sleeper.result = rc;
    return 0;
}

static int push_arrives(weft__waiter *waiter, void *arg)
{
    return arrive(waiter, arg, 1);
}

static int pop_arrives(weft__waiter *waiter, void *arg)
{
    return arrive(waiter, arg, 0);
}

static int leave(void *arg)
{
    weft__party *self = arg;
    weft_channel *channel = self->channel;
    uint32_t state = weft__waitq_lock(&channel->senders);
    int is_queued = weft__waitq_has(&self->sleeper);
    if (is_queued)
        weft__waitq_remove(&self->sleeper);
    weft__waitq_unlock_both(&channel->senders, &channel->receivers, state);
    return is_queued;
}

WEFT__INLINE int trade_until(weft__party *self, int is_push, int64_t deadline_ns)
{
    int rc = try_to(self, is_push);
    if (WEFT__LIKELY(rc != WEFT__MUST_WAIT))
        return rc;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_or_leave(&self->sleeper, is_push ? push_arrives : pop_arrives, leave,
                                      self, deadline_ns);
}

int weft_channel_push(weft_channel *channel, const void *element, int64_t deadline_ns)
{
    weft__party self = {.sleeper = {.queue = &channel->senders},
                        .channel = channel,
                        .element = (void *)(uintptr_t)element,
                        .is_push = 1};
    return trade_until(&self, 1, deadline_ns);
}

int weft_channel_pop(weft_channel *channel, void *element, int64_t deadline_ns)
{
    weft__party self = {
        .sleeper = {.queue = &channel->receivers}, .channel = channel, .element = element};
    return trade_until(&self, 0, deadline_ns);
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Take all parties of a queue out, and append them to a chain. */
static weft__sleeper **take_parties(weft__waitq *queue, weft__sleeper **end)
{
    weft__party *party;
    while ((party = take_party(queue)) != NULL) {
        *end = &party->sleeper;
        end = &party->sleeper.next;
    }
    return end;
}

/* One by one and under BUSY, though there may be many: those of a select have to be claimed, and be
 * left alone if that fails. It happens once in a channel's life. */
void weft_channel_close(weft_channel *channel)
{
    weft__sleeper *chain = NULL;
    uint32_t state = weft__waitq_lock(&channel->senders);
    (void)take_parties(&channel->senders, take_parties(&channel->receivers, &chain));
    weft__waitq_unlock_both(&channel->senders, &channel->receivers, state | CLOSED);
    weft__waitq_wake(chain, -EPIPE);
}
