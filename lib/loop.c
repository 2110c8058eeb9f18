// SPDX-License-Identifier: Apache-2.0
#include "lib/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define LOOP_EVENTS 256         /* taken per epoll_wait: one call serves a busy round */
#define LOOP_HOOKS  8

struct loop_watch {
	struct loop *loop;
	int fd;
	uint32_t events;
	loop_ready_fn *ready;           /* NULL: removed, waits for the end of the turn */
	void *ctx;
	struct loop_watch *prev, *next; /* among the live, or (next only) the removed or spare */
};

struct loop_timer {
	struct loop *loop;
	int64_t due_ms, every_ms;       /* every_ms 0: once */
	loop_timer_fn *fn;
	void *ctx;
	size_t index;                   /* in the heap */
	bool stopped;                   /* by its own callback */
};

struct loop_signal {
	int fd;
	loop_signal_fn *fn;
	void *ctx;
	struct loop_signal *next;
};

struct loop {
	int epoll_fd, wake_fd;
	atomic_bool stop;
	bool again;                     /* the next turn must not wait */
	int64_t now_ms;
	struct loop_watch *live, *removed, *spare;
	struct loop_timer **heap;       /* the earliest due first; children of i: 2i+1, 2i+2 */
	size_t timer_count, timer_cap;
	struct loop_timer *running;     /* whose callback is on the stack */
	struct loop_signal *signals;
	int hook_count;
	struct { loop_turn_fn *fn; void *ctx; } hooks[LOOP_HOOKS];
};

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wake_ready(void *ctx, uint32_t events)
{
	struct loop *loop = ctx;
	uint64_t count;

	(void)events;
	/* Only empties it; that it woke us is all there is to know. */
	while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

int loop_open(struct loop **loopp, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct loop_watch *watch;
	int rc;

	*loopp = NULL;
	if (!loop)
		return err_set(err, -ENOMEM, "no memory for an event loop");
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->now_ms = monotonic_ms();
	rc = loop->epoll_fd < 0 || loop->wake_fd < 0 ? -errno : 0;
	if (!rc)
		rc = loop_watch(loop, loop->wake_fd, EPOLLIN, wake_ready, loop, &watch);
	if (rc) {
		loop_close(loop);
		return err_set(err, rc, "event loop: %s (raise the limit of open files?)",
			       strerror(-rc));
	}
	*loopp = loop;
	return 0;
}

static void watches_free(struct loop_watch *watch)
{
	while (watch) {
		struct loop_watch *next = watch->next;

		free(watch);
		watch = next;
	}
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	watches_free(loop->live);
	watches_free(loop->removed);
	watches_free(loop->spare);
	for (size_t i = 0; i < loop->timer_count; i++)
		free(loop->heap[i]);
	free(loop->heap);
	while (loop->signals) {
		struct loop_signal *signal = loop->signals;

		loop->signals = signal->next;
		close(signal->fd);
		free(signal);
	}
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

int loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready_fn *ready, void *ctx,
	       struct loop_watch **watchp)
{
	struct loop_watch *watch = loop->spare;
	struct epoll_event event = { .events = events };

	*watchp = NULL;
	if (watch)
		loop->spare = watch->next;
	else if (!(watch = malloc(sizeof(*watch))))
		return -ENOMEM;
	*watch = (struct loop_watch){ loop, fd, events, ready, ctx, NULL, NULL };
	event.data.ptr = watch;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		int rc = -errno;

		watch->next = loop->spare;
		loop->spare = watch;
		return rc;
	}
	watch->next = loop->live;
	if (loop->live)
		loop->live->prev = watch;
	loop->live = watch;
	*watchp = watch;
	return 0;
}

int loop_watch_events(struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	assert(watch->ready);
	if (watch->events == events)
		return 0;
	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event))
		return -errno;
	watch->events = events;
	return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
	struct loop *loop;

	if (!watch)
		return;
	loop = watch->loop;
	assert(watch->ready);
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->ready = NULL;
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		loop->live = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	/* This round's events may still name it: it is reused only after the turn. */
	watch->next = loop->removed;
	loop->removed = watch;
}

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_ms < b->due_ms;
}

static void heap_put(struct loop *loop, size_t index, struct loop_timer *timer)
{
	loop->heap[index] = timer;
	timer->index = index;
}

/* Moves the timer at index to where its due time belongs. */
static void heap_settle(struct loop *loop, size_t index)
{
	struct loop_timer *timer = loop->heap[index];

	while (index > 0 && timer_before(timer, loop->heap[(index - 1) / 2])) {
		heap_put(loop, index, loop->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count &&
		    timer_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!timer_before(loop->heap[child], timer))
			break;
		heap_put(loop, index, loop->heap[child]);
		index = child;
	}
	heap_put(loop, index, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer)
{
	size_t index = timer->index;
	struct loop_timer *last = loop->heap[--loop->timer_count];

	assert(loop->heap[index] == timer);
	if (last == timer)
		return;
	heap_put(loop, index, last);
	heap_settle(loop, index);
}

int loop_timer(struct loop *loop, int64_t ms, bool every, loop_timer_fn *fn, void *ctx,
	       struct loop_timer **timerp)
{
	struct loop_timer *timer;

	*timerp = NULL;
	if (loop->timer_count == loop->timer_cap) {
		size_t cap = loop->timer_cap ? 2 * loop->timer_cap : 16;
		struct loop_timer **heap = realloc(loop->heap, cap * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		loop->heap = heap;
		loop->timer_cap = cap;
	}
	timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	if (ms < 0)
		ms = 0;
	/* From the clock, not from now_ms: a long callback may lie between. */
	*timer = (struct loop_timer){ .loop = loop, .due_ms = monotonic_ms() + ms, .fn = fn,
				      .every_ms = every ? (ms > 0 ? ms : 1) : 0, .ctx = ctx };
	heap_put(loop, loop->timer_count++, timer);
	heap_settle(loop, loop->timer_count - 1);
	*timerp = timer;
	return 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (!timer)
		return;
	if (timer->loop->running == timer) {
		timer->stopped = true;
		return;
	}
	heap_remove(timer->loop, timer);
	free(timer);
}

static void signal_ready(void *ctx, uint32_t events)
{
	struct loop_signal *signal = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(signal->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		signal->fn(signal->ctx, (int)info.ssi_signo);
}

int loop_signals(struct loop *loop, const int *signals, loop_signal_fn *fn, void *ctx)
{
	struct loop_signal *signal = calloc(1, sizeof(*signal));
	struct loop_watch *watch;
	sigset_t set;
	int rc;

	if (!signal)
		return -ENOMEM;
	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	*signal = (struct loop_signal){ -1, fn, ctx, loop->signals };
	rc = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!rc) {
		signal->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
		rc = signal->fd < 0 ? -errno : 0;
	}
	if (!rc)
		rc = loop_watch(loop, signal->fd, EPOLLIN, signal_ready, signal, &watch);
	if (rc) {
		if (signal->fd >= 0)
			close(signal->fd);
		free(signal);
		return rc;
	}
	loop->signals = signal;
	return 0;
}

void loop_after_turn(struct loop *loop, loop_turn_fn *fn, void *ctx)
{
	assert(loop->hook_count < LOOP_HOOKS);
	loop->hooks[loop->hook_count].fn = fn;
	loop->hooks[loop->hook_count].ctx = ctx;
	loop->hook_count++;
}

void loop_after_turn_stop(struct loop *loop, loop_turn_fn *fn, void *ctx)
{
	for (int i = 0; i < loop->hook_count; i++) {
		if (loop->hooks[i].fn != fn || loop->hooks[i].ctx != ctx)
			continue;
		loop->hook_count--;
		memmove(&loop->hooks[i], &loop->hooks[i + 1],
			(size_t)(loop->hook_count - i) * sizeof(loop->hooks[0]));
		return;
	}
}

void loop_again(struct loop *loop)
{
	loop->again = true;
}

/* How long epoll_wait may sleep: to the next timer, -1 without one. */
static int wait_ms(const struct loop *loop)
{
	int64_t ms;

	if (loop->again)
		return 0;
	if (!loop->timer_count)
		return -1;
	ms = loop->heap[0]->due_ms - monotonic_ms();
	if (ms < 0)
		return 0;
	return ms > 60000 ? 60000 : (int)ms;
}

static void run_timers(struct loop *loop)
{
	/* A timer that is set by a callback, or repeats, waits for the next turn: else one of
	 * 0 ms would keep the sockets waiting for ever. */
	int64_t now = loop->now_ms;
	size_t left = loop->timer_count;

	while (left-- > 0 && loop->timer_count && loop->heap[0]->due_ms <= now) {
		struct loop_timer *timer = loop->heap[0];

		loop->running = timer;
		if (timer->every_ms) {
			timer->due_ms = now + timer->every_ms;
			heap_settle(loop, 0);
		} else {
			heap_remove(loop, timer);
		}
		timer->fn(timer->ctx);
		loop->running = NULL;
		if (timer->every_ms && timer->stopped)
			heap_remove(loop, timer);
		if (!timer->every_ms || timer->stopped)
			free(timer);
	}
}

static void end_turn(struct loop *loop)
{
	for (int i = 0; i < loop->hook_count; i++)
		loop->hooks[i].fn(loop->hooks[i].ctx);
	while (loop->removed) {
		struct loop_watch *watch = loop->removed;

		loop->removed = watch->next;
		watch->next = loop->spare;
		loop->spare = watch;
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[LOOP_EVENTS];

	while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
		int n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS, wait_ms(loop));

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->again = false;
		loop->now_ms = monotonic_ms();
		for (int i = 0; i < n; i++) {
			struct loop_watch *watch = events[i].data.ptr;

			if (watch->ready)
				watch->ready(watch->ctx, events[i].events);
		}
		run_timers(loop);
		end_turn(loop);
	}
	atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
	return 0;
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	atomic_store_explicit(&loop->stop, true, memory_order_release);
	/* It can only fail when it is full, and then the loop wakes up anyway. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}
