// SPDX-License-Identifier: Apache-2.0
#include "sink/courier.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/dir.h"
#include "lib/json.h"
#include "lib/record.h"
#include "lib/when.h"
#include "sink/carrier.h"
#include "sink/mapper.h"

#define CRATE_BYTES  ((size_t)256 << 10)
#define SYNC_MS      1000
#define STATUS_MS    500
#define SPARE_CRATES 8

/* Memory of many letters, given back when the last of them is settled. */
struct crate {
	struct crate *next, *prev;      /* among the spare, or the busy ones */
	bool is_busy;                   /* full, and not all of its letters are settled */
	size_t used, size, letters;
	char bytes[];
};

/* Sent to bad, and settled once that is durable. */
struct condemned {
	int32_t partition;
	int64_t offset;
};

struct courier {
	struct outlet base;
	const struct courier_conf *conf;
	struct dest *dest;
	struct dest_env env;
	struct mapper *mapper;
	struct carrier *carrier;
	struct position *position;
	atomic_bool stop;
	bool is_new;                    /* the position was empty at the start */
	int start_count;                /* partitions that were there then; -1: not looked yet */
	struct crate *crate, *spare, *busy;
	int spare_count;
	struct condemned *condemned;
	size_t condemned_count, condemned_cap;
	struct buf datum, text;
	struct datum_reader *reader;    /* datums of schema, for dead letters and from_bad */
	struct value *fields, *original;
	int received_at;
	int64_t synced_ms, status_ms;
	struct carrier_status status;
};

/* Letters */

static struct crate *open_crate(struct courier *c, size_t least)
{
	size_t size = least > CRATE_BYTES ? least : CRATE_BYTES;
	struct crate *crate = c->spare;

	if (crate && size == CRATE_BYTES) {
		c->spare = crate->next;
		c->spare_count--;
	} else {
		crate = malloc(sizeof(*crate) + size);
	}
	if (crate)
		*crate = (struct crate){ .size = size };
	return crate;
}

static void release_crate(struct courier *c, struct crate *crate)
{
	if (crate->letters || crate == c->crate)
		return;
	if (crate->is_busy) {
		if (crate->prev)
			crate->prev->next = crate->next;
		else
			c->busy = crate->next;
		if (crate->next)
			crate->next->prev = crate->prev;
		crate->is_busy = false;
	}
	if (c->spare_count == SPARE_CRATES || crate->size != CRATE_BYTES) {
		free(crate);
		return;
	}
	crate->next = c->spare;
	c->spare = crate;
	c->spare_count++;
}

/* It is full: what letters are in it find it again, and the end frees it where they never do. */
static void retire_crate(struct courier *c, struct crate *crate)
{
	if (crate->letters) {
		crate->is_busy = true;
		crate->prev = NULL;
		crate->next = c->busy;
		if (c->busy)
			c->busy->prev = crate;
		c->busy = crate;
	}
	release_crate(c, crate);
}

static void free_crates(struct crate *crate)
{
	while (crate) {
		struct crate *next = crate->next;

		free(crate);
		crate = next;
	}
}

static void *take_room(struct courier *c, size_t len)
{
	struct crate *full = c->crate;
	void *at;

	len = (len + 15) & ~(size_t)15;
	if (!full || full->size - full->used < len) {
		c->crate = open_crate(c, len);
		if (full)
			retire_crate(c, full);
		if (!c->crate)
			return NULL;
	}
	at = c->crate->bytes + c->crate->used;
	c->crate->used += len;
	c->crate->letters++;
	return at;
}

static struct slice put_bytes(char **at, struct slice bytes)
{
	char *to = *at;

	if (bytes.len)
		memcpy(to, bytes.ptr, bytes.len);
	*at += bytes.len;
	return (struct slice){ to, bytes.len };
}

static uint64_t order_of(const struct courier *c, const struct mapper_result *result,
			 int32_t partition)
{
	uint64_t hash;

	if (c->conf->setup->kind->flags & DEST_PARTITION)
		return (uint64_t)partition + 1;
	if (!c->conf->setup->by_person || !result->person.len)
		return 0;
	hash = XXH3_64bits(result->person.ptr, result->person.len);
	return hash ? hash : 1;
}

static struct letter *make_letter(struct courier *c, const struct mapper_result *r,
				  struct slice datum, int32_t partition, int64_t offset)
{
	size_t head = sizeof(struct letter) + r->part_count * sizeof(struct part);
	size_t len = head + datum.len + r->message_id.len + r->payloads->len;
	struct letter *letter = take_room(c, len);
	char *at = (char *)letter + head;
	uint64_t order = order_of(c, r, partition);

	if (!letter)
		return NULL;
	*letter = (struct letter){ .crate = c->crate, .partition = partition, .offset = offset,
				   .bytes = len, .parts_left = (unsigned)r->part_count,
				   .part_count = (unsigned)r->part_count };
	letter->datum = put_bytes(&at, datum);
	letter->message_id = put_bytes(&at, r->message_id);
	for (size_t i = 0; i < r->part_count; i++) {
		struct slice payload = { r->payloads->ptr + r->parts[i].begin, r->parts[i].len };

		letter->parts[i] = (struct part){
			.item = { .payload = put_bytes(&at, payload),
				  .message_id = letter->message_id, .route = r->parts[i].route,
				  .partition = partition, .offset = offset,
				  .timestamp_us = r->timestamp_us },
			.letter = letter, .order = order, .index = (unsigned)i,
		};
	}
	return letter;
}

static void drop_letter(struct courier *c, struct letter *letter)
{
	struct crate *crate = letter->crate;

	crate->letters--;
	release_crate(c, crate);
}

/* Bad */

static int condemn(struct courier *c, int32_t partition, int64_t offset)
{
	if (c->condemned_count == c->condemned_cap) {
		size_t cap = c->condemned_cap ? c->condemned_cap * 2 : 64;
		struct condemned *list = reallocarray(c->condemned, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		c->condemned = list;
		c->condemned_cap = cap;
	}
	c->condemned[c->condemned_count++] = (struct condemned){ partition, offset };
	return 0;
}

/* bad is durable: its letters are done. */
static void settle_condemned(struct courier *c)
{
	for (size_t i = 0; i < c->condemned_count; i++)
		position_settle(c->position, c->condemned[i].partition, c->condemned[i].offset);
	c->condemned_count = 0;
}

static int bury(struct courier *c, struct filter *filter, struct letter *letter, struct err *err)
{
	struct bus_record record = { .partition = letter->partition, .offset = letter->offset,
				     .count = 1, .raw = letter->datum, .fields = c->fields };
	struct filter_dead dead = { c->conf->setup->name, letter->attempts, letter->first_us };
	const char *reason = letter->why == DEST_INVALID ? "refused" : "gave_up";
	char words[DEST_WORDS_MAX + 120];
	int rc;

	if (datum_decode(c->reader, letter->datum, c->fields) < 0)
		record.fields = NULL;
	snprintf(words, sizeof(words), "%s: %s (tried %u times)", c->conf->setup->name,
		 letter->words, letter->attempts);
	rc = filter_bad_dead(filter, &record, reason, words, &dead);
	if (rc < 0)
		return rc;
	filter_settle(filter, FILTER_BAD, 1);
	rc = condemn(c, letter->partition, letter->offset);
	return rc < 0 ? err_set(err, rc, "no memory") : 0;
}

static int collect(struct courier *c, struct filter *filter, struct err *err)
{
	struct letter *letter = carrier_take(c->carrier), *next;
	uint64_t sent = 0;
	int rc = 0;

	for (; letter && rc == 0; letter = next) {
		next = letter->next;
		if (letter->is_dead)
			rc = bury(c, filter, letter, err);
		else
			sent++;
		drop_letter(c, letter);
	}
	if (sent)
		filter_settle(filter, FILTER_OUT, sent);
	return rc;
}

/* Put */

/* The record of the destination's own schema within a record of bad. NULL: not of this one. */
static const struct value *unwrap(struct courier *c, const struct value *bad, struct slice *datum)
{
	const char *name = c->conf->setup->name;

	if (!slice_is(value_slice(&bad[BAD_DESTINATION]), name) ||
	    !slice_starts(value_slice(&bad[BAD_FORMAT]), SLICE("avro:")))
		return NULL;
	*datum = value_slice(&bad[BAD_ORIGINAL]);
	return datum_decode(c->reader, *datum, c->original) < 0 ? NULL : c->original;
}

static bool is_in_range(const struct courier *c, const struct value *fields)
{
	const struct value *at = c->received_at >= 0 ? &fields[c->received_at] : NULL;
	const struct setup *setup = c->conf->setup;

	/* The topic is entered at a block that begins before `start`. */
	if (c->is_new && setup->start == SETUP_TIME && at && at->is_set &&
	    at->num < setup->start_us && !c->conf->from_bad && !c->conf->from_us)
		return false;
	if (!c->conf->from_us && !c->conf->to_us)
		return true;
	return at && at->is_set && at->num >= c->conf->from_us &&
	       (!c->conf->to_us || at->num < c->conf->to_us);
}

static int wait_for_room(struct courier *c, struct filter *filter, struct err *err)
{
	int rc = 0;

	while (rc == 0 && !carrier_has_room(c->carrier)) {
		carrier_wait(c->carrier, 100);
		rc = collect(c, filter, err);
		carrier_status(c->carrier, &c->status);
		if (rc == 0 && c->status.error)
			return 0;       /* commit tells of it */
		if (rc == 0 && c->condemned_count)
			rc = filter_flush(filter);
		if (rc == 0)
			settle_condemned(c);
		if (rc == 0 && filter_is_stopping(filter))
			return 1;
	}
	return rc;
}

static int send(struct courier *c, struct filter *filter, const struct mapper_result *result,
		struct slice datum, int32_t partition, int64_t offset, struct err *err)
{
	struct letter *letter;
	int rc = wait_for_room(c, filter, err);

	/* Stopping: it stays begun and unsettled, so the next start reads it again. */
	if (rc)
		return rc < 0 ? rc : FILTER_PENDING;
	letter = make_letter(c, result, datum, partition, offset);
	if (!letter)
		return err_set(err, -ENOMEM, "no memory");
	carrier_put(c->carrier, letter);
	return FILTER_PENDING;
}

static int filtered(struct courier *c, int32_t partition, int64_t offset)
{
	position_settle(c->position, partition, offset);
	return FILTER_FILTERED;
}

static int courier_put(struct outlet *base, struct filter *filter, const struct bus_record *record,
		       int64_t offset, struct outlet_src src, struct err *err)
{
	struct courier *c = (struct courier *)base;
	struct position_src stamp = { src.partition, src.offset, src.index };
	struct filter_dead dead = { c->conf->setup->name, 0, 0 };
	const struct value *fields = record->fields;
	int32_t p = record->partition;
	struct mapper_result result;
	struct slice datum;
	int rc = position_begin(c->position, p, offset, stamp);

	if (rc <= 0)
		return rc < 0 ? err_set(err, rc, "no memory") : FILTER_DUPLICATE;
	if (c->conf->from_bad)
		fields = unwrap(c, fields, &datum);
	if (!fields || !is_in_range(c, fields))
		return filtered(c, p, offset);
	rc = mapper_run(c->mapper, fields, p, offset, &result, err);
	if (rc < 0)
		return rc;
	if (result.fate == MAPPER_FILTERED)
		return filtered(c, p, offset);
	if (!c->conf->from_bad) {
		buf_reset(&c->datum);
		if (datum_encode(c->conf->schema, fields, &c->datum) < 0)
			return err_set(err, -ENOMEM, "no memory");
		datum = buf_slice(&c->datum);
	}
	if (result.fate == MAPPER_INVALID) {
		struct bus_record bad = *record;

		bad.raw = datum;
		rc = filter_bad_dead(filter, &bad, result.reason, result.why, &dead);
		if (rc >= 0 && condemn(c, p, offset) < 0)
			return err_set(err, -ENOMEM, "no memory");
		return rc;
	}
	return send(c, filter, &result, datum, p, offset, err);
}

static int courier_skip(struct outlet *base, int32_t partition, int64_t offset,
			struct outlet_src src, enum outlet_skip why, struct err *err)
{
	struct courier *c = (struct courier *)base;
	struct position_src stamp = { src.partition, src.offset, src.index };
	int rc = position_begin(c->position, partition, offset, stamp);

	(void)why;
	if (rc == 1)
		position_settle(c->position, partition, offset);
	return rc < 0 ? err_set(err, rc, "no memory") : 0;
}

/* Where to begin */

/* For `millrace audit`: what is before was never meant for it. */
static void note_start(const struct courier *c, int32_t partition, int64_t next)
{
	char path[PATH_MAX];
	FILE *file;

	if (strcmp(c->conf->position, "position") != 0 ||
	    snprintf(path, sizeof(path), "%s/started", c->conf->state_dir) >= (int)sizeof(path))
		return;
	file = fopen(path, "ae");
	if (!file)
		return;
	fprintf(file, "%d %" PRId64 "\n", partition, next);
	fclose(file);
}

static int first_start(struct courier *c, struct bus *in, int32_t partition, int64_t *next,
		       struct err *err)
{
	const struct setup *setup = c->conf->setup;
	int64_t first, end;

	*next = BUS_OFFSET_FIRST;
	if (c->start_count < 0)
		c->start_count = in ? bus_partition_count(in) : 0;
	if (!in || bus_range(in, partition, &first, &end) < 0)
		return 0;
	if (c->conf->from_us) {
		if (bus_find_time(in, partition, c->conf->from_us, next) < 0)
			*next = BUS_OFFSET_FIRST;
		return 0;
	}
	/* A partition that came later holds only what came later. */
	if (!c->is_new || partition >= c->start_count || setup->start == SETUP_FIRST ||
	    c->conf->from_bad)
		return 0;
	if (setup->start == SETUP_TIME) {
		if (bus_find_time(in, partition, setup->start_us, next) < 0)
			*next = BUS_OFFSET_FIRST;
		if (*next < 0)
			return 0;
	} else {
		*next = end;
	}
	note_start(c, partition, *next);
	return position_start(c->position, partition, *next, err);
}

static int courier_resume(struct outlet *base, struct bus *in, int32_t partition,
			  struct stamp_seen *seen, int64_t *next, struct err *err)
{
	struct courier *c = (struct courier *)base;
	int rc = 0;

	position_resume(c->position, partition, seen, next);
	if (*next < 0)
		rc = first_start(c, in, partition, next, err);
	if (rc == 0 && c->conf->setup->kind->resume && *next >= 0)
		rc = c->conf->setup->kind->resume(c->dest, partition, next, err);
	return rc;
}

static int courier_lost(struct outlet *base, int32_t partition, int64_t first, struct err *err)
{
	struct courier *c = (struct courier *)base;

	(void)err;
	log_words(c->conf->log, LOG_LEVEL_ERROR, "lost", "partition %d: offsets before %lld were "
		  "no longer kept by the topic: %s never got them", partition, (long long)first,
		  c->conf->setup->name);
	return 0;
}

/* Commit */

static void put_when(struct buf *out, const char *name, int64_t us)
{
	char text[WHEN_TEXT_MAX];

	if (!us)
		return;
	when_print(us, 3, text);
	buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

/* For `millrace destination list` and the dashboard: a file that is always whole. */
static void write_status(struct courier *c, struct filter *filter, const char *state)
{
	static const char *const names[] = { "delivering", "waiting", "setup" };
	const struct ledger *ledger = filter_ledger(filter);
	char path[PATH_MAX], tmp[PATH_MAX];
	struct buf *out = &c->text;
	int fd;

	if (strcmp(c->conf->position, "position") != 0)
		return;                 /* a replay says nothing of the destination itself */
	buf_reset(out);
	buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\",\"pid\":%d,\"state\":\"%s\",\"words\":",
		   c->conf->setup->name, c->conf->setup->kind->name, (int)getpid(),
		   state ? state : names[c->status.state]);
	json_write_text(slice_from(c->status.words), out);
	put_when(out, "at", when_now_us());
	put_when(out, "since", c->status.state_us);
	put_when(out, "ok_at", c->status.ok_us);
	put_when(out, "failed_at", c->status.failed_us);
	buf_printf(out, ",\"delivered\":%llu,\"bad\":%llu,\"filtered\":%llu,\"duplicate\":%llu,"
		   "\"pending\":%llu}\n", (unsigned long long)ledger->out,
		   (unsigned long long)ledger->bad, (unsigned long long)ledger->filtered,
		   (unsigned long long)ledger->duplicate, (unsigned long long)ledger->pending);
	if (out->failed || snprintf(path, sizeof(path), "%s/status.json", c->conf->state_dir) >=
			   (int)sizeof(path) - 8)
		return;
	snprintf(tmp, sizeof(tmp), "%.*s.tmp", (int)sizeof(tmp) - 8, path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, out->ptr, out->len) == (ssize_t)out->len)
		(void)!rename(tmp, path);
	close(fd);
}

static int save(struct courier *c, bool sync, struct err *err)
{
	int rc = position_save(c->position, sync);

	return rc < 0 ? err_set(err, rc, "%s: position: %s", c->conf->state_dir, strerror(-rc))
		      : 0;
}

static int check_error(struct courier *c, struct err *err)
{
	carrier_status(c->carrier, &c->status);
	if (c->status.error == 0)
		return 0;
	return err_set(err, c->status.error, "%s: %s", c->conf->setup->name,
		       c->status.words[0] ? c->status.words : strerror(-c->status.error));
}

/* All is read, or a signal came: what is under way gets its time, the rest stays for the next. */
static int finish(struct courier *c, struct filter *filter, struct err *err)
{
	const struct dest_kind *kind = c->conf->setup->kind;
	int64_t next_ms = 0;
	int rc = 0;

	carrier_flush(c->carrier, true);
	while (rc == 0 && !filter_is_stopping(filter)) {
		rc = collect(c, filter, err);
		if (rc == 0 && c->condemned_count)
			rc = filter_flush(filter);
		if (rc == 0)
			settle_condemned(c);
		if (rc == 0)
			rc = check_error(c, err);
		if (rc == 0 && c->status.under_way == 0)
			break;
		if (when_monotonic_ms() >= next_ms) {
			next_ms = when_monotonic_ms() + STATUS_MS;
			write_status(c, filter, NULL);
		}
		if (rc == 0)
			carrier_wait(c->carrier, 100);
	}
	carrier_stop(c->carrier, c->conf->grace_ms);
	if (kind->finish && kind->finish(c->dest, err) < 0 && rc == 0)
		rc = -EIO;
	if (rc == 0)
		rc = collect(c, filter, err);
	if (rc == 0)
		rc = filter_flush(filter);
	if (rc == 0)
		settle_condemned(c);
	return rc;
}

static int courier_commit(struct outlet *base, struct filter *filter, struct err *err)
{
	struct courier *c = (struct courier *)base;
	int64_t now_ms = when_monotonic_ms();
	bool ending = filter_is_ending(filter), sync = ending;
	int rc;

	settle_condemned(c);
	carrier_show(c->carrier);
	rc = collect(c, filter, err);
	if (rc == 0 && ending)
		rc = finish(c, filter, err);
	if (now_ms - c->synced_ms >= SYNC_MS) {
		c->synced_ms = now_ms;
		sync = true;
	}
	if (rc == 0)
		rc = save(c, sync, err);
	if (rc == 0)
		rc = check_error(c, err);
	if (rc < 0 || ending || now_ms - c->status_ms >= STATUS_MS) {
		c->status_ms = now_ms;
		write_status(c, filter, ending && rc == 0 ? "ended" : NULL);
	}
	return rc;
}

static int courier_begin(struct outlet *base, struct filter *filter, struct err *err)
{
	struct courier *c = (struct courier *)base;

	(void)err;
	carrier_metrics(c->carrier, filter_metrics(filter));
	return 0;
}

/* Open */

static void courier_close(struct outlet *base)
{
	struct courier *c = (struct courier *)base;

	if (!c)
		return;
	carrier_close(c->carrier);
	position_close(c->position);
	mapper_close(c->mapper);
	if (c->dest)
		c->conf->setup->kind->close(c->dest);
	free_crates(c->spare);
	free_crates(c->busy);
	free(c->crate);
	free(c->condemned);
	buf_close(&c->datum);
	buf_close(&c->text);
	datum_reader_close(c->reader);
	free(c->fields);
	free(c->original);
	free(c);
}

static int make_state(const char *dir, struct err *err)
{
	int rc = dir_make(dir);

	return rc < 0 ? err_set(err, rc, "%s: %s", dir, strerror(-rc)) : 0;
}

static int open_position(struct courier *c, struct err *err)
{
	char path[PATH_MAX], key[300];
	int rc;

	snprintf(key, sizeof(key), "%.180s to %s", c->conf->topic, c->conf->setup->name);
	if (snprintf(path, sizeof(path), "%s/%s", c->conf->state_dir, c->conf->position) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	rc = position_open(&c->position, path, key, err);
	if (rc == 0)
		c->is_new = position_is_new(c->position);
	return rc;
}

static int open_all(struct courier *c, struct err *err)
{
	const struct courier_conf *conf = c->conf;
	const struct setup *setup = conf->setup;
	struct carrier_conf carrier = {
		.setup = setup, .guard = conf->guard, .log = conf->log, .ca_file = conf->ca_file,
		.stop = &c->stop, .until_end = conf->until_end,
	};
	size_t fields = (size_t)schema_field_count(conf->schema);
	int rc;

	c->env = (struct dest_env){
		.name = setup->name, .conf = setup->conf, .schema = conf->schema,
		.topic = conf->topic, .state_dir = conf->state_dir, .log = conf->log,
		.timeout_ms = setup->limits.timeout_ms, .stop = &c->stop, .guard = conf->guard,
		.ca_file = conf->ca_file,
		.is_replay = conf->from_bad || conf->from_us || conf->to_us,
	};
	c->fields = calloc(fields, sizeof(*c->fields));
	c->original = calloc(fields, sizeof(*c->original));
	c->received_at = schema_find(conf->schema, "received_at");
	if (!c->fields || !c->original)
		return err_set(err, -ENOMEM, "no memory");
	if ((rc = datum_reader_open(&c->reader, conf->schema, conf->schema, err)) < 0 ||
	    (rc = make_state(conf->state_dir, err)) < 0 ||
	    (rc = open_position(c, err)) < 0 ||
	    (rc = setup->kind->open(&c->dest, &c->env, err)) < 0 ||
	    (rc = mapper_open(&c->mapper, setup, c->dest, conf->schema, conf->topic, err)) < 0)
		return rc;
	carrier.dest = c->dest;
	carrier.position = c->position;
	return carrier_open(&c->carrier, &carrier, err);
}

static const struct outlet_ops ops = {
	courier_resume, courier_lost, courier_put, courier_skip, courier_commit, courier_begin,
	courier_close,
};

int courier_open(struct outlet **outletp, const struct courier_conf *conf, struct err *err)
{
	struct courier *c = calloc(1, sizeof(*c));
	int rc;

	*outletp = NULL;
	if (!c)
		return err_set(err, -ENOMEM, "no memory");
	c->base.ops = &ops;
	c->conf = conf;
	c->start_count = -1;
	rc = open_all(c, err);
	if (rc < 0) {
		courier_close(&c->base);
		return err_set(err, rc, "%s: %s", conf->setup->name, strerror(-rc));
	}
	*outletp = &c->base;
	return 0;
}
