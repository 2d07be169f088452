/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h — a process for models of the detector of hangs: workers, fibers without stacks, plain
 * threads, and a kernel that counts threads.
 *
 * Workers are those of common/workers.h, and look for a hang whenever they fall asleep last. What
 * they run are fibers that do something and wait for the next letter, in a box each. Whoever does
 * anything, or goes on, calls acts(): after an alarm nobody may. Everybody may be left asleep at
 * the end, if that was told: model.hangs is &told. */
#ifndef EXPLORE_HANG_WORLD_H
#define EXPLORE_HANG_WORLD_H

#include "common/workers.h"

#define FIBERS_MAX 4
#define BOXES_MAX 4

extern uint32_t told;

/* Before all else. The last `other` workers are those of a second runtime; `threads` plain ones
 * exist besides. */
void world_prepare(unsigned count, unsigned other, unsigned threads);
void world_finish(void);

/* A worker's thread: until its runtime stops. */
void worker(void);

/* The caller goes on, or is about to do something. */
void acts(void);

/* The program is through: its runtimes stop. */
void end(void);

/* A fiber of the runtime waits for a letter, and then calls `next`, which does something and says
 * what comes next: fiber_awaits() again, last of all, or fiber_ends(). */
void fiber_awaits(unsigned number, unsigned box, void (*next)(void));
void fiber_begins(unsigned number, weft_runtime *runtime, weft_reason reason);
void fiber_ends(unsigned number);

/* The same when the file of common/reactor.h is ready, in a fiber. */
void fiber_awaits_file(unsigned number, void (*next)(void));

/* The same at a time, when it is on worker 0's wheel. */
void fiber_sleeps(unsigned number, int64_t deadline_ns, void (*next)(void));

/* A letter: whoever waits for it is woken, or will not wait. From anywhere; a plain thread. */
void post(unsigned box);
void thread_awaits(unsigned box);
void thread_awaits_in_scope(unsigned box);

/* The calling plain thread makes another one, whose body begins with the second; it ends. */
void thread_makes(void);
void thread_begins(void);
void thread_ends(void);

/* One more helper; one less. From any thread. */
void helper_begins(void);
void helper_ends(void);

/* A fork: the second runtime is the parent's, as are so many helpers. */
void world_forks(unsigned helpers);

#endif
