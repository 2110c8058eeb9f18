/* loop - epoll, timers and signals in one thread
 *
 * Callbacks run one after the other on the thread that called loop_run. A watch may remove
 * itself or any other from within a callback: a removed watch is never called again.
 * Time is monotonic: the wall clock may jump.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct loop;
struct loop_watch;
struct loop_timer;

typedef void loop_ready_fn(void *ctx, uint32_t events);         /* EPOLLIN | .. */
typedef void loop_timer_fn(void *ctx);
typedef void loop_signal_fn(void *ctx, int signo);
typedef void loop_turn_fn(void *ctx);

MUST_CHECK int loop_open(struct loop **loopp, struct err *err);
void loop_close(struct loop *loop);     /* watches and timers go with it; fds stay the callers' */

MUST_CHECK int loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready_fn *ready,
			  void *ctx, struct loop_watch **watchp);
MUST_CHECK int loop_watch_events(struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop_watch *watch);

/* Calls once after ms, or every ms where `every`. Timers are few (a heap of pointers). One that
 * called once is gone after its callback: it must not be stopped then. */
MUST_CHECK int loop_timer(struct loop *loop, int64_t ms, bool every, loop_timer_fn *fn, void *ctx,
			  struct loop_timer **timerp);
void loop_timer_stop(struct loop_timer *timer);

/* Blocks the signals (for threads started later, too) and takes them by signalfd. Ends with 0. */
MUST_CHECK int loop_signals(struct loop *loop, const int *signals, loop_signal_fn *fn, void *ctx);

/* Called after each round of callbacks: the place to release what a round staged. At most 8,
 * called in the order of registration. */
void loop_after_turn(struct loop *loop, loop_turn_fn *fn, void *ctx);
void loop_after_turn_stop(struct loop *loop, loop_turn_fn *fn, void *ctx);
/* The next turn does not wait for events: a hook has left work for it. */
void loop_again(struct loop *loop);

MUST_CHECK int loop_run(struct loop *loop);     /* until loop_stop; 0 or -errno */
void loop_stop(struct loop *loop);              /* from a callback, or from another thread */
int64_t loop_now_ms(const struct loop *loop);   /* monotonic, as of this round */

#endif
