# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in core/sync, each of which the models beside this file notice."""

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    # ---- the queue ----
    ("a fast path swaps a word that is BUSY", "core/sync/waitq.h",
     "        if (!(seen & WEFT__BUSY))\n            return seen;\n", "        return seen;\n",
     ["semaphore", "event", "mutex.two"]),
    ("nobody is told that the ring is not empty", "core/sync/waitq.h",
     "    state = (state & ~WEFT__QUEUED) | (queue->first_ != NULL ? WEFT__QUEUED : 0);\n", "",
     ["semaphore", "event", "mutex.two"]),
    ("whoever gives up does not look whether it was taken out", "core/sync/waitq.c",
     """    int is_queued = weft__waitq_has(sleeper);
    if (is_queued)
        weft__waitq_remove(sleeper);
    weft__waitq_unlock(sleeper->queue, state);
    return is_queued;
""", """    if (weft__waitq_has(sleeper))
        weft__waitq_remove(sleeper);
    weft__waitq_unlock(sleeper->queue, state);
    return 1;
""", ["semaphore.deadline", "mutex.deadline"]),
    ("whoever gives up too late does not await the wake", "core/sync/waitq.c",
     "    weft__wait_woken(sleeper->waiter);\n", "",
     ["semaphore.deadline", "event.deadline"]),
    ("all are taken out, and their tickets stay good", "core/sync/waitq.c",
     "    queue->epoch_++; /* no ticket is of this epoch any more */\n", "",
     ["event.deadline", "barrier.deadline"]),
    ("the waker looks for the next after the wake", "core/sync/waitq.h",
     """        weft__waitq_wake_one(chain, result);
        chain = next;
""", """        weft__waitq_wake_one(chain, result);
        chain = chain->next;
        (void)next;
""", ["event.all", "semaphore.two"]),
    # ---- semaphore, event, latch, once, barrier ----
    ("an acquire does not look again before it queues up", "core/sync/semaphore.c",
     "    int is_late = PERMITS(state) == 0;\n", "    int is_late = 1;\n",
     ["semaphore"]),
    ("a release counts though somebody waits", "core/sync/semaphore.c",
     "    while (!(seen & WEFT__QUEUED)) {\n", "    for (;;) {\n", ["semaphore"]),
    ("the waiters' permits are counted as well", "core/sync/semaphore.c",
     "state + (uint32_t)rest * PERMIT", "state + permits * PERMIT", ["semaphore"]),
    ("an event wakes before it lets go of the queue", "core/sync/event.c",
     """    weft__waitq_unlock(queue, state | SET);
    weft__waitq_wake(chain, 0);
""", """    weft__waitq_wake(chain, 0);
    weft__waitq_unlock(queue, state | SET);
""", ["event"]),
    ("a wait does not look again before it queues up", "core/sync/event.c",
     "    int is_late = !(state & SET);\n", "    int is_late = 1;\n", ["event"]),
    ("the last step wakes nobody", "core/sync/latch.c",
     "    while (!(seen & WEFT__QUEUED) || STEPS(seen) > steps) {\n", "    for (;;) {\n",
     ["latch"]),
    ("a failed action passes its turn to nobody", "core/sync/once.c",
     "    weft__waitq_wake(next, YOUR_TURN);\n", "    (void)next;\n", ["once"]),
    ("a failed action lets the next in twice", "core/sync/once.c",
     "    weft__waitq_unlock(queue, next != NULL ? RUNNING : 0);\n",
     "    weft__waitq_unlock(queue, 0);\n", ["once"]),
    ("the last to arrive does not begin a new round", "core/sync/barrier.c",
     "        self->chain = weft__waitq_take_all(queue);\n        state = 0;\n",
     "        self->chain = weft__waitq_take_all(queue);\n", ["barrier"]),
    ("whoever gives up leaves the others waiting", "core/sync/barrier.c",
     "        chain = weft__waitq_take_all(queue);\n        state = BROKEN;\n",
     "        state -= ONE;\n", ["barrier.deadline"]),
    # ---- mutex and condition ----
    ("a runner that takes the mutex remains one", "core/sync/mutex.c",
     "(seen | HELD) & ~flag", "((void)flag, seen | HELD)", ["mutex"]),
    ("a runner that comes too late remains one", "core/sync/mutex.c",
     "        state &= ~RUNNER;\n", "        state &= ~(uint32_t)0;\n", ["mutex"]),
    ("an unlock frees the mutex and wakes nobody", "core/sync/mutex.c",
     "        if ((seen & WEFT__QUEUED) && !(seen & RUNNER))\n            return 0;\n", "",
     ["mutex"]),
    ("a mutex that is handed over is free as well", "core/sync/mutex.c",
     "is_old ? state : (state & ~HELD) | RUNNER", "(state & ~HELD) | (is_old ? 0 : RUNNER)",
     ["mutex"]),
    ("a wait unlocks before it queues up", "core/sync/cond.c",
     """    uint32_t state = weft__waitq_lock(self->sleeper.queue);
    weft__waitq_append(&self->sleeper);
    weft__waitq_unlock(self->sleeper.queue, state);
    weft_mutex_unlock(mutex); /* nobody gets out of here without it, so it is still there */
""", """    weft_mutex_unlock(mutex);
    uint32_t state = weft__waitq_lock(self->sleeper.queue);
    weft__waitq_append(&self->sleeper);
    weft__waitq_unlock(self->sleeper.queue, state);
""", ["cond"]),
    ("a wait that is given up does not lock", "core/sync/cond.c",
     "        weft_mutex_lock(mutex);\n", "        (void)mutex;\n", ["cond.deadline"]),
    ("the notifier looks for the next after the hand-over", "core/sync/cond.c",
     """        weft__mutex_stand_in_line(&notified->contender);
        chain = next;
""", """        weft__mutex_stand_in_line(&notified->contender);
        chain = chain->next;
        (void)next;
""", ["cond"]),
    # ---- reader-writer lock ----
    ("a writer lets readers in without counting them", "core/sync/rwlock.c",
     "    *state += lock->readers_.word_ * READER;\n", "    (void)state;\n", ["rwlock"]),
    ("a reader that leaves is counted on", "core/sync/rwlock.c",
     """        weft__waitq_remove(&self->sleeper);
        lock->readers_.word_--;
""", "        weft__waitq_remove(&self->sleeper);\n", ["rwlock"]),
    ("a writer that leaves forgets the readers behind it", "core/sync/rwlock.c",
     "            readers = admit_readers(lock, &state);\n", "            readers = NULL;\n",
     ["rwlock"]),
    ("the last reader lets nobody in", "core/sync/rwlock.c",
     "    while (!(seen & WEFT__QUEUED) || READERS(seen) > 1) {\n", "    for (;;) {\n", ["rwlock"]),
    # ---- channel and select ----
    ("a close forgets those who wait to pop", "core/sync/channel.c",
     "take_parties(&channel->receivers, &chain)", "&chain", ["channel.close"]),
    ("a waiting sender's element is forgotten", "core/sync/channel.c",
     """        copy_element(channel, slot(channel, ELEMENTS(*state)), (*partner)->element);
        *state += ELEMENT;
""", "", ["channel.buffer", "channel.three"]),
    ("a push ignores who waits", "core/sync/channel.c",
     "    *partner = take_party(&channel->receivers);\n", "    *partner = NULL;\n", ["channel"]),
    ("a party is taken that its select does not want any more", "core/sync/channel.c",
     "    while (party != NULL && !weft__party_claim(party));\n", "    while (0);\n", ["select"]),
    ("a select queues up after it has let go of its channels", "core/sync/select.c",
     """    if (!has_traded)
        queue_up(self, waiter);
    unlock_channels(self);
""", """    unlock_channels(self);
    if (!has_traded) {
        lock_channels(self);
        queue_up(self, waiter);
        unlock_channels(self);
    }
""", ["select"]),
    ("a select takes its channels in the order of its cases", "core/sync/select.c",
     "    for (size_t gap = self->channels / 2; gap > 0; gap /= 2)\n",
     "    for (size_t gap = 0; gap > 0; gap /= 2)\n", ["select.meet"]),
    ("a select remains in its queues", "core/sync/select.c",
     "    if (self->is_queued)\n        leave_queues(self);\n", "", ["select"]),
    ("a select gives up without claiming itself", "core/sync/select.c",
     "    return weft__cas_relaxed(&self->claimed, &unclaimed, WITHDRAWN); "
     "/* relaxed: as any claim */\n", "    return unclaimed == 0;\n", ["select"]),
    ("a select whose time has come may have been claimed", "core/sync/select.c",
     "    if (reason == -ETIMEDOUT && timed != NULL && time_is_ready(timed))",
     "    if (timed != NULL && time_is_ready(timed))", ["select.time"]),
    ("a source that refuses does not ask whether something was faster", "core/sync/select.c",
     "    if (!is_withdrawn(self)) /* something was faster */\n        return 0;\n", "",
     ["select.refuse"]),
    ("a select does not wait for a source that fires too late", "core/sync/select.c",
     "        weft__waiter waiter;\n        weft__wait(&waiter, await_fire, &its->fired);\n",
     "        (void)await_fire;\n", ["select.fire"]),
]
