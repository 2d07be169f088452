/* SPDX-License-Identifier: BSD-2-Clause */
/* select.c — one of several trades, whichever can be had first.
 *
 * A select has a party in the queue of each of its channels. Whoever meets one of them has to claim
 * it, by a swap on the word `claimed` that all parties of a select share, so exactly one succeeds;
 * the others find out under BUSY of their channels that the party is not to be had, and drop it.
 * Who waits claims itself in the same way when it gives up.
 *
 * Before it queues up, the select looks at all its channels with all of them BUSY, in the order of
 * their addresses, so that selects with the same channels cannot stop each other. Nothing can
 * become possible between the look and the queueing, and while it trades with another select it is
 * in no queue itself: one claim decides, where two selects that meet while both are queued would
 * have to claim each other at once.
 *
 * Other sources, such as futures, are asked one after another afterwards. They become ready once
 * and stay so: it does no harm to hear of it late. Time is one that needs no asking: the wait ends
 * when the first case's time has come.
 *
 * Rejected: one channel BUSY at a time, and a claim that can be taken back while a partner is
 * sought. Selects that claim themselves meanwhile see each other as gone, back off, and try again:
 * nobody waits for anybody, and nobody need ever meet. */
#include "sync/channel.h"

#include "sched/worker.h"

#include <errno.h>

/* What weft_case.place_ is used for. */
typedef struct place {
    weft__party party;  /* of a channel; other sources use its `claimed` and `sleeper.waiter` */
    uintptr_t fired;    /* another source: 0 while armed, then FIRED, or who waits for that */
    weft_case *ordered; /* of the i-th case: the i-th of the channels' cases, by address */
} place;

_Static_assert(sizeof(place) == sizeof(((weft_case *)NULL)->place_), "a place fits into a case");

#define FIRED ((uintptr_t)1)
#define WITHDRAWN ((uintptr_t)1) /* as `claimed`: the select has given up */

typedef struct selection {
    weft_case *cases;
    size_t count;
    size_t channels;   /* cases that are about channels */
    size_t turn;       /* the case to look at first */
    uintptr_t claimed; /* 0, then the place that has come true, or WITHDRAWN */
    int is_queued;     /* the parties have been in their queues */
    int failure;       /* why a source cannot be waited for: then nothing comes true */
} selection;

static place *place_of(weft_case *one)
{
    return (place *)(void *)one->place_;
}

static weft_channel *channel_of(weft_case *one)
{
    return one->hook_ == NULL ? one->source_ : NULL;
}

/* The i-th case to look at. */
static weft_case *in_turn(const selection *self, size_t i)
{
    size_t index = self->turn + i;
    return &self->cases[index < self->count ? index : index - self->count];
}

/* The i-th of the channels' cases by address of the channel, and that channel. */
static weft_case **ordered(const selection *self, size_t i)
{
    return &place_of(&self->cases[i])->ordered;
}

static weft_channel *ordered_channel(const selection *self, size_t i)
{
    return i < self->channels ? channel_of(*ordered(self, i)) : NULL;
}

/* ---- looking, without waiting ---------------------------------------------------------------- */

static void prepare(selection *self, weft_case *one)
{
    weft_channel *channel = channel_of(one);
    weft__party *party = &place_of(one)->party;
    place_of(one)->fired = FIRED; /* not armed */
    party->channel = channel;
    party->element = one->element_;
    party->claimed = &self->claimed;
    party->is_push = one->is_push_;
    if (channel != NULL)
        party->sleeper.queue = one->is_push_ ? &channel->senders : &channel->receivers;
}

static int come_true(selection *self, weft_case *one, int result)
{
    self->claimed = (uintptr_t)place_of(one);
    place_of(one)->party.sleeper.result = result;
    return 1;
}

/* Each case by itself: good enough for one that comes true. */
static int look(selection *self)
{
    for (size_t i = 0; i < self->count; i++) {
        weft_case *one = in_turn(self, i);
        prepare(self, one);
        if (channel_of(one) != NULL) {
            int rc = weft__channel_try(&place_of(one)->party);
            if (rc != WEFT__MUST_WAIT)
                return come_true(self, one, rc);
        } else if (one->hook_ != NULL && one->hook_->is_ready(one)) {
            return come_true(self, one, 0);
        }
    }
    return 0;
}

/* ---- waiting: channels ----------------------------------------------------------------------- */

/* Shell's sort: a few lines, no memory, and hardly worse than others for so few. */
static void order_channels(selection *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (channel_of(&self->cases[i]) != NULL)
            *ordered(self, self->channels++) = &self->cases[i];
    for (size_t gap = self->channels / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < self->channels; i++) {
            weft_case *one = *ordered(self, i);
            size_t at = i;
            for (; at >= gap &&
                   (uintptr_t)ordered_channel(self, at - gap) > (uintptr_t)channel_of(one);
                 at -= gap)
                *ordered(self, at) = *ordered(self, at - gap);
            *ordered(self, at) = one;
        }
}

static void lock_channels(const selection *self)
{
    for (size_t i = 0; i < self->channels; i++)
        if (ordered_channel(self, i) != ordered_channel(self, i + 1))
            (void)weft__waitq_lock(&ordered_channel(self, i)->senders);
}

/* While a channel is BUSY its word is ours. */
static uint32_t state_of(const weft_channel *channel)
{
    return weft__load_relaxed(&channel->senders.word_) & ~WEFT__BUSY; /* relaxed: our own */
}

static void unlock_channels(const selection *self)
{
    for (size_t i = 0; i < self->channels; i++) {
        weft_channel *channel = ordered_channel(self, i);
        if (channel != ordered_channel(self, i + 1))
            weft__waitq_unlock_both(&channel->senders, &channel->receivers, state_of(channel));
    }
}

/* With all channels BUSY: let one case come true if any can. */
static int trade_one(selection *self, weft__party **partner)
{
    for (size_t i = 0; i < self->count; i++) {
        weft_case *one = in_turn(self, i);
        weft_channel *channel = channel_of(one);
        if (channel == NULL)
            continue;
        uint32_t state = state_of(channel);
        int rc = weft__channel_trade(&place_of(one)->party, &state, partner);
        if (rc == WEFT__MUST_WAIT)
            continue;
        weft__store_relaxed(&channel->senders.word_, state | WEFT__BUSY); /* relaxed: our own */
        return come_true(self, one, rc);
    }
    return 0;
}

static void queue_up(selection *self, weft__waiter *waiter)
{
    self->is_queued = 1;
    for (size_t i = 0; i < self->channels; i++) {
        weft__sleeper *sleeper = &place_of(*ordered(self, i))->party.sleeper;
        sleeper->waiter = waiter;
        sleeper->result = 0;
        weft__waitq_append(sleeper);
    }
}

static void leave_queues(const selection *self)
{
    for (size_t i = 0; i < self->channels; i++) {
        weft_channel *channel = ordered_channel(self, i);
        weft__sleeper *sleeper = &place_of(*ordered(self, i))->party.sleeper;
        uint32_t state = weft__waitq_lock(&channel->senders);
        if (weft__waitq_has(sleeper))
            weft__waitq_remove(sleeper);
        weft__waitq_unlock_both(&channel->senders, &channel->receivers, state);
    }
}

/* ---- waiting: other sources ------------------------------------------------------------------ */

static int is_withdrawn(selection *self)
{
    uintptr_t unclaimed = 0;
    return weft__cas_relaxed(&self->claimed, &unclaimed, WITHDRAWN); /* relaxed: as any claim */
}

static int is_failed(selection *self, int code)
{
    if (!is_withdrawn(self)) /* something was faster */
        return 0;
    self->failure = code;
    return 1;
}

/* Nonzero: one of them is ready, or cannot be waited for, and nothing else was faster. */
static int arm(selection *self, weft__waiter *waiter)
{
    for (size_t i = 0; i < self->count; i++) {
        weft_case *one = in_turn(self, i);
        place *its = place_of(one);
        if (one->hook_ == NULL)
            continue;
        its->party.sleeper.waiter = waiter;
        its->party.sleeper.result = 0;
        its->fired = 0;
        int rc = one->hook_->arm(one);
        if (rc == 0)
            continue;
        its->fired = FIRED; /* it will not fire */
        return rc < 0 ? is_failed(self, rc) : weft__party_claim(&its->party);
    }
    return 0;
}

void weft__case_fire(weft_case *one)
{
    place *its = place_of(one);
    if (weft__party_claim(&its->party)) {
        weft__wake(its->party.sleeper.waiter);
        return;
    }
    /* edge select.fired (acq_rel): the last touch of the case; or whoever waits for it. */
    uintptr_t waiter = weft__exchange_acq_rel(&its->fired, FIRED);
    if (waiter != 0)
        weft__wake((weft__waiter *)waiter);
}

static int await_fire(weft__waiter *waiter, void *arg)
{
    uintptr_t armed = 0;
    weft__waits_for(waiter, WEFT_REASON_SELECT, NULL);
    /* edge select.fired (acq_rel): the waiter's fields; failing, it has fired */
    return weft__cas_acq_rel((uintptr_t *)arg, &armed, (uintptr_t)waiter);
}

/* Let no source touch its case any more. The one that has come true has done so already. */
static void disarm(const selection *self)
{
    uintptr_t claimed = weft__load_relaxed(&self->claimed); /* relaxed: it is decided */
    for (size_t i = 0; i < self->count; i++) {
        weft_case *one = &self->cases[i];
        place *its = place_of(one);
        /* edge select.fired (acquire): its last touch */
        if (one->hook_ == NULL || (uintptr_t)its == claimed ||
            weft__load_acquire(&its->fired) == FIRED || one->hook_->disarm(one))
            continue;
        weft__waiter waiter;
        weft__wait(&waiter, await_fire, &its->fired);
    }
}

/* ---- waiting: time --------------------------------------------------------------------------- */

/* No source that fires: the wait itself ends by then. */

static int64_t time_of(const weft_case *one)
{
    return (int64_t)(intptr_t)one->element_;
}

static int time_is_ready(weft_case *one)
{
    return time_of(one) != WEFT_FOREVER && time_of(one) <= weft_now();
}

static int time_is_armed(weft_case *one)
{
    (void)one;
    return 0;
}

static int time_is_disarmed(weft_case *one)
{
    (void)one;
    return 1;
}

const weft__case_hook weft__time_case = {time_is_ready, time_is_armed, time_is_disarmed};

/* The case whose time comes first, before `deadline_ns`; NULL: there is none. */
static weft_case *first_in_time(const selection *self, int64_t deadline_ns)
{
    weft_case *first = NULL;
    for (size_t i = 0; i < self->count; i++) {
        weft_case *one = in_turn(self, i);
        if (one->hook_ == &weft__time_case &&
            time_of(one) < (first != NULL ? time_of(first) : deadline_ns))
            first = one;
    }
    return first;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Let one case come true, or have all of them know of us. The selection stays where it is until
 * this has returned, whoever comes first: see weft__wait_until(). */
static int arrive(weft__waiter *waiter, void *arg)
{
    selection *self = arg;
    weft__party *partner = NULL;
    weft__waits_for(waiter, WEFT_REASON_SELECT, NULL);
    lock_channels(self);
    int has_traded = trade_one(self, &partner);
    if (!has_traded)
        queue_up(self, waiter);
    unlock_channels(self);
    if (partner != NULL)
        weft__waitq_wake(&partner->sleeper, 0);
    return !has_traded && !arm(self, waiter);
}

static int conclude(const selection *self)
{
    /* relaxed: it is decided */
    size_t bytes = weft__load_relaxed(&self->claimed) - (uintptr_t)self->cases;
    weft_case *one = &self->cases[bytes / sizeof(weft_case)];
    one->result = place_of(one)->party.sleeper.result;
    return (int)(one - self->cases);
}

static int wait_for_one(selection *self, int64_t deadline_ns)
{
    weft__waiter waiter;
    weft_case *timed = first_in_time(self, deadline_ns);
    order_channels(self);
    int reason = weft__wait_until(&waiter, arrive, self, timed ? time_of(timed) : deadline_ns);
    if (reason == 0)
        reason = self->failure;
    else if (!is_withdrawn(self)) {
        weft__wait_woken(&waiter);
        reason = 0;
    }
    if (self->is_queued)
        leave_queues(self);
    disarm(self);
    if (reason == -ETIMEDOUT && timed != NULL && time_is_ready(timed)) /* not a scope's deadline */
        reason = !come_true(self, timed, 0);
    return reason != 0 ? reason : conclude(self);
}

/* Where to begin to look. The clock's readings in a regular loop are multiples of something, so
 * they have to be mixed well (the end of splitmix64). */
static size_t random_below(size_t count)
{
    weft__worker *worker = weft__worker_self();
    uint64_t seed = worker != NULL ? ++worker->random : (uint64_t)weft_now();
    seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
    seed ^= seed >> 31;
    return count < 2 ? 0 : (size_t)((seed >> 32) * count >> 32);
}

int weft_select(weft_case *cases, size_t count, int64_t deadline_ns)
{
    selection self = {.cases = cases, .count = count, .turn = random_below(count)};
    weft__store_relaxed(&self.claimed, 0); /* relaxed: nobody knows of the selection yet */
    if (look(&self))
        return conclude(&self);
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return wait_for_one(&self, deadline_ns);
}
