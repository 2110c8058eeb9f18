// SPDX-License-Identifier: Apache-2.0
#include "lib/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"

struct world {
	struct loop *loop;
	struct loop_watch *watch[2];
	struct loop_timer *timer[64];
	int fd[4];
	int calls, turns, order[64], count, signo;
};

static void stop_timer(void *ctx)
{
	loop_stop(((struct world *)ctx)->loop);
}

static void run(struct tap *tap, struct world *world, int64_t ms)
{
	struct loop_timer *timer;

	OK(tap, loop_timer(world->loop, ms, false, stop_timer, world, &timer) == 0, "a timer");
	OK(tap, loop_run(world->loop) == 0, "the loop ends by loop_stop");
}

/* Whichever socket is seen first removes both: the other must not be called any more. */
static void remove_both(void *ctx, uint32_t events)
{
	struct world *world = ctx;

	(void)events;
	world->calls++;
	for (int i = 0; i < 2; i++)
		loop_unwatch(world->watch[i]);
}

static void test_unwatch(struct tap *tap, struct world *world)
{
	struct loop_watch *other;

	for (int i = 0; i < 2; i++) {
		OK(tap, socketpair(AF_UNIX, SOCK_STREAM, 0, &world->fd[2 * i]) == 0, "pair");
		OK(tap, write(world->fd[2 * i + 1], "x", 1) == 1, "a byte");
		OK(tap, loop_watch(world->loop, world->fd[2 * i], EPOLLIN, remove_both, world,
				   &world->watch[i]) == 0, "watch");
	}
	OK(tap, loop_watch(world->loop, world->fd[0], EPOLLIN, remove_both, world, &other) < 0,
	   "the same fd twice is refused");
	run(tap, world, 20);
	OK(tap, world->calls == 1, "a removed watch is not called (%d calls)", world->calls);
	for (int i = 0; i < 4; i++)
		close(world->fd[i]);
}

struct numbered {
	struct world *world;
	int number;
};

static void note(void *ctx)
{
	struct numbered *numbered = ctx;

	numbered->world->order[numbered->world->count++] = numbered->number;
}

static void test_order(struct tap *tap, struct world *world)
{
	struct numbered numbered[24];
	bool sorted = true;

	world->count = 0;
	for (int i = 0; i < 24; i++) {
		numbered[i] = (struct numbered){ world, i * 7 % 24 };
		OK(tap, loop_timer(world->loop, 2 * numbered[i].number, false, note, &numbered[i],
				   &world->timer[i]) == 0, "timer %d", i);
	}
	/* Every third number is stopped before it is due. */
	for (int i = 0; i < 24; i++)
		if (numbered[i].number % 3 == 0)
			loop_timer_stop(world->timer[i]);
	run(tap, world, 80);
	for (int i = 1; i < world->count; i++)
		sorted = sorted && world->order[i - 1] < world->order[i];
	OK(tap, world->count == 16, "16 of 24 timers were left: %d", world->count);
	OK(tap, sorted, "in the order of their times");
}

static void tick(void *ctx)
{
	struct world *world = ctx;

	if (++world->calls == 5) {
		loop_timer_stop(world->timer[0]);
		loop_stop(world->loop);
	}
}

static void turn(void *ctx)
{
	struct world *world = ctx;

	if (++world->turns < 3)
		loop_again(world->loop);
	else
		loop_stop(world->loop);
}

static void test_turns(struct tap *tap, struct world *world)
{
	world->calls = 0;
	OK(tap, loop_timer(world->loop, 1, true, tick, world, &world->timer[0]) == 0, "every ms");
	OK(tap, loop_run(world->loop) == 0, "runs");
	OK(tap, world->calls == 5, "a repeating timer stops itself");
	loop_after_turn(world->loop, turn, world);
	loop_again(world->loop);
	OK(tap, loop_run(world->loop) == 0 && world->turns == 3, "loop_again does not wait");
	loop_after_turn_stop(world->loop, turn, world);
	world->turns = 0;
	run(tap, world, 1);
	OK(tap, world->turns == 0, "a hook that was taken away is not called");
}

static void got_signal(void *ctx, int signo)
{
	struct world *world = ctx;

	world->signo = signo;
	loop_stop(world->loop);
}

static void *stop_thread(void *ctx)
{
	loop_stop(ctx);
	return NULL;
}

static void test_stop(struct tap *tap, struct world *world)
{
	pthread_t thread;

	OK(tap, loop_signals(world->loop, (const int[]){ SIGTERM, SIGHUP, 0 }, got_signal,
		world) == 0,
	   "signals");
	raise(SIGHUP);
	OK(tap, loop_run(world->loop) == 0 && world->signo == SIGHUP, "SIGHUP comes as a callback");
	raise(SIGTERM);
	OK(tap, loop_run(world->loop) == 0 && world->signo == SIGTERM, "SIGTERM, too");
	for (int i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, stop_thread, world->loop);
		if (!OK(tap, loop_run(world->loop) == 0, "another thread stops it"))
			break;
		pthread_join(thread, NULL);
	}
}

int main(void)
{
	struct tap tap = { 0 };
	struct world world = { 0 };
	struct err err = { "" };

	if (!OK(&tap, loop_open(&world.loop, &err) == 0, "open: %s", err.text))
		return tap_end(&tap);
	test_unwatch(&tap, &world);
	test_order(&tap, &world);
	test_turns(&tap, &world);
	test_stop(&tap, &world);
	loop_close(world.loop);
	loop_close(NULL);
	return tap_end(&tap);
}
