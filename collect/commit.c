// SPDX-License-Identifier: Apache-2.0
#include "collect/commit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "collect/door.h"
#include "collect/lane.h"
#include "lib/datum.h"
#include "lib/record.h"
#include "lib/when.h"

#define TICK_MS      100
#define RECORD_COST  256        /* what a transport keeps beside a record's bytes, at most */
#define TICKETS_KEPT 4096

/* One parcel on its way. */
struct ticket {
	struct ticket *next;
	struct commit_answer answer;    /* request NULL: answered, or there is none */
	int64_t since_ms;
	uint64_t seq[PARCEL_LANES];     /* its last record; 0: none */
	uint64_t count[PARCEL_LANES];
	int64_t cost;
};

struct ticket_list {
	struct ticket *first, *last;
};

struct commit {
	struct commit_conf conf;
	struct bus_conf bus_confs[PARCEL_LANES];
	struct lane *lanes[PARCEL_LANES];
	struct ticket_list waits[PARCEL_LANES];
	struct ticket *spare;
	size_t spare_count;
	int64_t bytes, bytes_max;       /* not safe yet, with RECORD_COST */
	size_t waiting;
	struct ledger ledger;
	struct loop_timer *tick;
};

static void list_add(struct ticket_list *list, struct ticket *ticket)
{
	ticket->next = NULL;
	if (list->last)
		list->last->next = ticket;
	else
		list->first = ticket;
	list->last = ticket;
}

static struct ticket *list_pop(struct ticket_list *list)
{
	struct ticket *ticket = list->first;

	list->first = ticket->next;
	if (!list->first)
		list->last = NULL;
	return ticket;
}

static struct ticket *ticket_take(struct commit *commit)
{
	struct ticket *ticket = commit->spare;

	if (!ticket)
		return malloc(sizeof(*ticket));
	commit->spare = ticket->next;
	commit->spare_count--;
	return ticket;
}

static void ticket_give(struct commit *commit, struct ticket *ticket)
{
	if (commit->spare_count >= TICKETS_KEPT) {
		free(ticket);
		return;
	}
	ticket->next = commit->spare;
	commit->spare = ticket;
	commit->spare_count++;
}

static void answer(struct commit *commit, struct ticket *ticket, const char *unsafe)
{
	if (!ticket->answer.request)
		return;
	commit->conf.answer(commit->conf.ctx, &ticket->answer, unsafe);
	ticket->answer.request = NULL;
	commit->waiting--;
}

/* A lane's records of a ticket are safe. */
static void pass(struct commit *commit, struct ticket *ticket, enum parcel_lane lane)
{
	struct ledger *ledger = &commit->ledger;

	*(lane == PARCEL_OUT ? &ledger->out : &ledger->bad) += ticket->count[lane];
	ledger->pending -= ticket->count[lane];
	if (lane == PARCEL_OUT && ticket->seq[PARCEL_BAD]) {
		list_add(&commit->waits[PARCEL_BAD], ticket);
		return;
	}
	commit->bytes -= ticket->cost;
	answer(commit, ticket, NULL);
	ticket_give(commit, ticket);
}

/* Those that no mark will pass soon are answered; they stay in the list until it does. */
static void expire(struct commit *commit, enum parcel_lane lane, int64_t before_ms,
		   const char *words)
{
	for (struct ticket *ticket = commit->waits[lane].first; ticket && commit->waiting;
	     ticket = ticket->next) {
		/* Not `break`: tickets join the list of `bad` when `out` has passed them, late. */
		if (ticket->since_ms > before_ms)
			continue;
		answer(commit, ticket, words);
	}
}

static void settle(struct commit *commit)
{
	for (int i = 0; i < PARCEL_LANES; i++) {
		struct ticket_list *list = &commit->waits[i];

		if (!commit->lanes[i])
			continue;
		while (list->first && list->first->seq[i] <= lane_durable(commit->lanes[i]))
			pass(commit, list_pop(list), (enum parcel_lane)i);
		if (commit->waiting && lane_error(commit->lanes[i]))
			expire(commit, (enum parcel_lane)i, INT64_MAX,
			       lane_error_text(commit->lanes[i]));
	}
	assert(ledger_holds(&commit->ledger));
}

void commit_turn(struct commit *commit)
{
	for (int i = 0; i < PARCEL_LANES; i++)
		if (commit->lanes[i])
			lane_turn(commit->lanes[i]);
	settle(commit);
	if (commit->conf.loop && commit_is_dead(commit))
		loop_stop(commit->conf.loop);
}

static void on_turn(void *ctx)
{
	commit_turn(ctx);
}

static void on_tick(void *ctx)
{
	struct commit *commit = ctx;

	for (int i = 0; i < PARCEL_LANES; i++) {
		if (!commit->lanes[i])
			continue;
		lane_tick(commit->lanes[i]);
		expire(commit, (enum parcel_lane)i,
		       when_monotonic_ms() - commit->conf.options->answer_ms,
		       "the events could not be made safe in time");
	}
}

/* Marks are looked at when the turn ends: here is nothing to do but to wake up for it. */
static void on_moved(void *ctx)
{
	(void)ctx;
}

static struct slice key_of(void *ctx, const struct value *fields)
{
	struct commit *commit = ctx;

	return door_segment_key(commit->conf.json, value_slice(&fields[COLLECTED_BODY]));
}

static int open_lane(struct commit *commit, enum parcel_lane lane, struct err *err)
{
	const struct collect_conf *options = commit->conf.options;
	struct lane_conf conf = {
		.url = lane == PARCEL_OUT ? options->out_url : options->bad_url,
		.topic = lane == PARCEL_OUT ? "collected" : "bad",
		.bus_conf = &commit->bus_confs[lane], .loop = commit->conf.loop,
		.moved = on_moved, .ctx = commit, .spool = options->spool,
		.spool_after_ms = options->spool_after_ms, .spool_bytes = options->spool_bytes,
		.always_spool = options->ack_spool, .key = lane == PARCEL_OUT ? key_of : NULL,
	};

	commit->bus_confs[lane] = (struct bus_conf){
		.schema = commit->conf.schemas[lane], .log = commit->conf.log,
		.time_field = -1, .partitions = (int)options->partitions,
		.commit_ms = (int)options->commit_ms, .segment_bytes = options->segment_bytes,
		/* Room is counted here, for both lanes; the transport is never the first to say
		 * no. */
		.buffer_bytes = 2 * commit->bytes_max,
		.retain_bytes = options->retain_bytes, .retain_ms = options->retain_ms,
		.kafka = &options->kafka, .open_ms = options->spool ? -1 : (int)options->open_ms,
	};
	/* A log's bad topic has a partition per stage. */
	if (lane == PARCEL_BAD)
		commit->bus_confs[lane].partitions = 1;
	return lane_open(&commit->lanes[lane], &conf, err);
}

int commit_open(struct commit **commitp, const struct commit_conf *conf, struct err *err)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	int rc;

	if (!commit)
		return err_set(err, -ENOMEM, "no memory");
	commit->conf = *conf;
	commit->bytes_max = conf->options->buffer_bytes;
	rc = open_lane(commit, PARCEL_OUT, err);
	if (!rc && conf->loop)
		rc = open_lane(commit, PARCEL_BAD, err);
	if (rc) {
		commit_close(commit);
		return err_set(err, rc, "%s", strerror(-rc));
	}
	*commitp = commit;
	return 0;
}

int commit_begin(struct commit *commit, struct err *err)
{
	struct loop *loop = commit->conf.loop;
	int rc = loop_timer(loop, TICK_MS, true, on_tick, commit, &commit->tick);

	loop_after_turn(loop, on_turn, commit);
	return rc ? err_set(err, rc, "loop: %s", strerror(-rc)) : 0;
}

static void free_list(struct ticket *ticket)
{
	for (struct ticket *next; ticket; ticket = next) {
		next = ticket->next;
		free(ticket);
	}
}

void commit_close(struct commit *commit)
{
	if (!commit)
		return;
	if (commit->conf.loop)
		loop_after_turn_stop(commit->conf.loop, on_turn, commit);
	if (commit->tick)
		loop_timer_stop(commit->tick);
	for (int i = 0; i < PARCEL_LANES; i++) {
		expire(commit, (enum parcel_lane)i, INT64_MAX, "the program ends");
		lane_close(commit->lanes[i]);
		free_list(commit->waits[i].first);
	}
	free_list(commit->spare);
	free(commit);
}

int commit_error(const struct commit *commit)
{
	int rc = 0;

	for (int i = 0; i < PARCEL_LANES && !rc; i++)
		if (commit->lanes[i])
			rc = lane_error(commit->lanes[i]);
	return rc;
}

const char *commit_error_text(const struct commit *commit)
{
	for (int i = 0; i < PARCEL_LANES; i++)
		if (commit->lanes[i] && lane_error(commit->lanes[i]))
			return lane_error_text(commit->lanes[i]);
	return "no error";
}

bool commit_is_dead(const struct commit *commit)
{
	for (int i = 0; i < PARCEL_LANES; i++)
		if (commit->lanes[i] && lane_is_dead(commit->lanes[i]))
			return true;
	return false;
}

static int64_t now_ms(const struct commit *commit)
{
	return commit->conf.loop ? loop_now_ms(commit->conf.loop) : when_monotonic_ms();
}

/* Room is made sure of before, so that a failure within means that the bus is broken, or memory
 * is out: then what was written before it may come twice, when the sender repeats it. */
static int write_items(struct commit *commit, const struct parcel *parcel, struct ticket *ticket)
{
	for (size_t i = 0; i < parcel->count; i++) {
		const struct parcel_item *item = &parcel->items[i];
		enum parcel_lane lane = (enum parcel_lane)item->lane;
		int rc = lane_write(commit->lanes[lane], parcel_key(parcel, item),
				    parcel_value(parcel, item), &ticket->seq[lane]);

		if (rc)
			return rc;
		ticket->count[lane]++;
	}
	return 0;
}

static int check_room(struct commit *commit, const struct parcel *parcel, int64_t cost)
{
	struct err err = { "" };
	int rc;

	if (parcel->counts[PARCEL_BAD] && !commit->lanes[PARCEL_BAD]) {
		rc = open_lane(commit, PARCEL_BAD, &err);
		if (rc) {
			log_words(commit->conf.log, LOG_LEVEL_ERROR, "open", "%s: %s",
				  commit->conf.options->bad_url, err.text);
			return rc;
		}
	}
	rc = commit_error(commit);
	if (rc)
		return rc == -EAGAIN ? -EIO : rc;
	if (commit->bytes == 0 || commit->bytes + cost <= commit->bytes_max)
		return 0;
	for (int i = 0; i < PARCEL_LANES; i++)
		if (commit->lanes[i])
			lane_press(commit->lanes[i]);
	return -EAGAIN;
}

int commit_parcel(struct commit *commit, const struct parcel *parcel,
		  const struct commit_answer *to)
{
	int64_t cost = (int64_t)(parcel->bytes.len + parcel->count * RECORD_COST);
	int rc = check_room(commit, parcel, cost);
	struct ticket *ticket;
	enum parcel_lane lane;

	if (rc)
		return rc;
	ticket = ticket_take(commit);
	if (!ticket)
		return -ENOMEM;
	*ticket = (struct ticket){ .answer = *to, .cost = cost, .since_ms = now_ms(commit) };
	rc = write_items(commit, parcel, ticket);
	if (rc)
		ticket->answer.request = NULL;
	else
		commit->ledger.in += parcel->filtered;
	if (!rc)
		commit->ledger.filtered += parcel->filtered;
	commit->ledger.in += ticket->count[PARCEL_OUT] + ticket->count[PARCEL_BAD];
	commit->ledger.pending += ticket->count[PARCEL_OUT] + ticket->count[PARCEL_BAD];
	commit->bytes += cost;
	commit->waiting += ticket->answer.request != NULL;
	lane = ticket->seq[PARCEL_OUT] ? PARCEL_OUT : PARCEL_BAD;
	if (ticket->seq[lane]) {
		list_add(&commit->waits[lane], ticket);
	} else {
		commit->bytes -= cost;
		answer(commit, ticket, NULL);
		ticket_give(commit, ticket);
	}
	return rc;
}

const struct ledger *commit_ledger(const struct commit *commit)
{
	return &commit->ledger;
}

size_t commit_waiting(const struct commit *commit)
{
	return commit->waiting;
}

static int64_t sum_lanes(const struct commit *commit, int64_t (*of)(const struct lane *lane))
{
	int64_t sum = 0;

	for (int i = 0; i < PARCEL_LANES; i++)
		if (commit->lanes[i])
			sum += of(commit->lanes[i]);
	return sum;
}

int64_t commit_spool_waiting(const struct commit *commit)
{
	return sum_lanes(commit, lane_spool_waiting);
}

int64_t commit_spool_bytes(const struct commit *commit)
{
	return sum_lanes(commit, lane_spool_bytes);
}

int64_t commit_spool_refused(const struct commit *commit)
{
	return sum_lanes(commit, lane_refused);
}

int commit_flush(struct commit *commit, int timeout_ms, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < PARCEL_LANES; i++) {
		int lane_rc = commit->lanes[i] ? lane_flush(commit->lanes[i], timeout_ms) : 0;

		if (lane_rc)
			err_set(err, lane_rc, "not all events are safe: %s",
				lane_rc == -ETIMEDOUT ? "it takes too long"
						      : lane_error_text(commit->lanes[i]));
		if (!rc)
			rc = lane_rc;
	}
	settle(commit);
	return rc;
}

int commit_wait(struct commit *commit, int timeout_ms)
{
	int rc = 0;

	commit_turn(commit);
	if (commit->bytes)
		rc = lane_wait(commit->lanes[commit->waits[PARCEL_OUT].first ? PARCEL_OUT
									   : PARCEL_BAD],
			       timeout_ms);
	settle(commit);
	return rc;
}
