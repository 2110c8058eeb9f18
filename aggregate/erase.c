// SPDX-License-Identifier: Apache-2.0
#include "aggregate/erase.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "aggregate/saved_out.h"
#include "lib/when.h"

#define ASKED_MAX 256                   /* at the same time */

/* A delete that waits until reading has passed its moment. */
struct due {
	char *id;                       /* owned */
	size_t len;
	char kind;
	int64_t until_us;               /* of events */
	int64_t due_us;                 /* reading has passed it */
};

struct ask {
	struct slice id;                /* the asker's, who waits; empty: he gave up */
	enum { ASK_FREE, ASK_NEW, ASK_KEPT, ASK_DONE, ASK_UNKNOWN, ASK_FAILED } state;
	int64_t due_us;
};

struct erase {
	struct store *store;
	struct saved_out out;
	struct due *due;                /* owned; rising due_us */
	size_t due_count, due_room;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ask asks[ASKED_MAX];
};

static int add_due(struct erase *erase, struct slice id, char kind, int64_t until_us,
		   int64_t due_us)
{
	struct due due = { .id = malloc(id.len + 1), .len = id.len, .kind = kind,
			   .until_us = until_us, .due_us = due_us };
	size_t at = erase->due_count;

	if (due.id && at == erase->due_room) {
		size_t room = at ? at * 2 : 64;
		struct due *grown = reallocarray(erase->due, room, sizeof(*grown));

		if (grown) {
			erase->due = grown;
			erase->due_room = room;
		}
	}
	if (!due.id || at == erase->due_room) {
		free(due.id);
		return -ENOMEM;
	}
	memcpy(due.id, id.ptr, id.len);
	for (; at && erase->due[at - 1].due_us > due_us; at--)
		erase->due[at] = erase->due[at - 1];
	erase->due[at] = due;
	erase->due_count++;
	return 0;
}

static int take(void *ctx, const struct value *fields, struct err *err)
{
	struct slice kind = value_slice(&fields[DELETED_KIND]);

	if (add_due(ctx, value_slice(&fields[DELETED_ID]), kind.len ? kind.ptr[0] : 'u',
		    fields[DELETED_RECEIVED_AT].num, fields[DELETED_COMPUTED_AT].num) < 0)
		return err_set(err, -ENOMEM, "deleted: no memory");
	return 0;
}

int erase_open(struct erase **erasep, const char *url, struct store *store,
	       const struct bus_conf *out, struct err *err)
{
	struct erase *erase = calloc(1, sizeof(*erase));
	int rc;

	*erasep = NULL;
	if (!erase)
		return err_set(err, -ENOMEM, "no memory");
	erase->store = store;
	pthread_mutex_init(&erase->lock, NULL);
	pthread_cond_init(&erase->changed, NULL);
	rc = saved_out_open(&erase->out, url, "deleted", DELETED_COMPUTED_AT, out, take, erase,
			    err);
	if (rc < 0) {
		erase_close(erase);
		return rc;
	}
	*erasep = erase;
	return 0;
}

void erase_close(struct erase *erase)
{
	if (!erase)
		return;
	saved_out_close(&erase->out);
	for (size_t i = 0; i < erase->due_count; i++)
		free(erase->due[i].id);
	free(erase->due);
	pthread_mutex_destroy(&erase->lock);
	pthread_cond_destroy(&erase->changed);
	free(erase);
}

/* Asking */

static struct ask *free_ask(struct erase *erase)
{
	for (size_t i = 0; i < ASKED_MAX; i++)
		if (erase->asks[i].state == ASK_FREE)
			return &erase->asks[i];
	return NULL;
}

enum erase_fate erase_ask(struct erase *erase, struct slice id, int wait_ms, int64_t *until_us)
{
	enum erase_fate fate = ERASE_REFUSED;
	struct timespec end;
	struct ask *ask;

	*until_us = 0;
	if (!erase->out.bus)
		return ERASE_REFUSED;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += wait_ms / 1000;
	end.tv_nsec += wait_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	pthread_mutex_lock(&erase->lock);
	ask = free_ask(erase);
	if (ask) {
		*ask = (struct ask){ .id = id, .state = ASK_NEW };
		while ((ask->state == ASK_NEW || ask->state == ASK_KEPT) &&
		       pthread_cond_timedwait(&erase->changed, &erase->lock, &end) == 0)
			;
		fate = ask->state == ASK_DONE	   ? ERASE_DONE
		       : ask->state == ASK_KEPT	   ? ERASE_KEPT
		       : ask->state == ASK_UNKNOWN ? ERASE_UNKNOWN
						   : ERASE_REFUSED;
		*until_us = ask->due_us;
		ask->state = ASK_FREE;
	}
	pthread_mutex_unlock(&erase->lock);
	return fate;
}

/* Doing */

static int keep(struct erase *erase, struct ask *ask, struct err *err)
{
	struct value fields[DELETED_COUNT] = { 0 };
	const struct persons *persons = store_persons(erase->store);
	uint32_t actor = persons_find_any(persons, ask->id);
	int64_t until_us, last_us;
	char kind[2] = "u";
	int rc;

	if (!actor) {
		ask->state = ASK_UNKNOWN;
		return 0;
	}
	persons_id(persons, actor, kind);
	ask->due_us = until_us = when_now_us();
	/* A clock that is ahead is no way out. */
	last_us = persons_last_us(persons, persons_leaders(persons)[actor]);
	if (last_us > until_us)
		until_us = last_us;
	fields[DELETED_ID] = value_text(ask->id);
	fields[DELETED_KIND] = value_text(slice_from(kind));
	fields[DELETED_RECEIVED_AT] = value_num(until_us);
	fields[DELETED_COMPUTED_AT] = value_num(ask->due_us);
	rc = saved_out_write(&erase->out, ask->id, fields, err);
	if (rc == 0)
		rc = add_due(erase, ask->id, kind[0], until_us, ask->due_us);
	ask->state = rc == 0 ? ASK_KEPT : ASK_FAILED;
	return rc;
}

/* Takes what was asked; all of it is durable before any of it is done. */
static int keep_asked(struct erase *erase, struct err *err)
{
	bool any = false;
	int rc = 0;

	pthread_mutex_lock(&erase->lock);
	for (size_t i = 0; i < ASKED_MAX && rc == 0; i++) {
		if (erase->asks[i].state != ASK_NEW)
			continue;
		rc = keep(erase, &erase->asks[i], err);
		any = true;
	}
	if (any)
		pthread_cond_broadcast(&erase->changed);
	pthread_mutex_unlock(&erase->lock);
	return rc == 0 && any ? saved_out_release(&erase->out, true, err) : rc;
}

static int do_due(struct erase *erase, int64_t through_us, struct err *err)
{
	struct persons *persons;
	size_t done = 0;
	int rc = 0, end;

	store_change_begin(erase->store);
	persons = store_persons(erase->store);
	for (; done < erase->due_count && erase->due[done].due_us <= through_us && rc == 0;
	     done++) {
		const struct due *due = &erase->due[done];
		uint32_t actor;

		rc = persons_actor(persons, due->kind, (struct slice){ due->id, due->len }, 0,
				   &actor);
		if (rc == 0)
			rc = persons_delete(persons, actor, due->until_us, due->due_us);
	}
	if (rc == 0)
		rc = persons_delete_due(persons, through_us);
	end = store_change_end(erase->store, err);
	for (size_t i = 0; i < done; i++)
		free(erase->due[i].id);
	erase->due_count -= done;
	memmove(erase->due, erase->due + done, erase->due_count * sizeof(*erase->due));
	return rc < 0 ? err_set(err, rc, "deleted: no memory") : end;
}

int erase_commit(struct erase *erase, int64_t through_us, struct err *err)
{
	int rc;

	if (!erase)
		return 0;
	persons_set_through(store_persons(erase->store), through_us);
	rc = erase->out.bus ? keep_asked(erase, err) : 0;
	if (rc < 0 || ((!erase->due_count || erase->due[0].due_us > through_us) &&
		       !persons_has_due(store_persons(erase->store), through_us)))
		return rc;
	rc = do_due(erase, through_us, err);
	pthread_mutex_lock(&erase->lock);
	for (size_t i = 0; i < ASKED_MAX; i++)
		if (erase->asks[i].state == ASK_KEPT && erase->asks[i].due_us <= through_us)
			erase->asks[i].state = rc == 0 ? ASK_DONE : ASK_FAILED;
	pthread_cond_broadcast(&erase->changed);
	pthread_mutex_unlock(&erase->lock);
	return rc;
}
