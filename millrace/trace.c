// SPDX-License-Identifier: Apache-2.0
#include "millrace/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/record.h"
#include "lib/when.h"
#include "millrace/progress.h"
#include "millrace/reach.h"
#include "millrace/topic.h"

#define FOUND_MAX 100           /* records of one id; more are not shown */
#define ID_MAX    1000

/* One record that has the id, or that stands for one that has. */
struct found {
	int32_t partition, src_partition;
	int64_t offset, src_offset, at_us;
	/* collected: source, type, door. enriched: event, person, source. bad: stage,
	   reason, words */
	char *texts[3];                 /* owned */
	char *destination;              /* owned; of a dead letter */
	int64_t attempts;
	bool is_again;                  /* of a dead letter: it was sent again */
};

struct found_list {
	struct found items[FOUND_MAX];
	size_t count;
};

struct trace {
	const struct trace_conf *conf;
	const struct settings *settings;
	struct topic_conf topic;
	struct slice id;
	char head[ID_MAX + 8];          /* how a datum begins that has the id as its first leaf */
	size_t head_len;
	char quoted[ID_MAX + 4];        /* "ID" */
	struct found_list collected, enriched, bad;
	int64_t position[BUS_PARTITIONS_MAX];
	struct progress progress;
	struct reach_list reach;
};

#define AT(field) offsetof(struct trace_conf, field)

static const struct opt opts[] = {
	{ "last", OPT_TEXT, AT(last), NULL, 0, 0, "SPAN",
	  "look only at what was received in that time (1h, 7d); all where not given" },
	{ "json", OPT_FLAG, AT(is_json), "no", 0, 0, NULL, "print JSON" },
	{ "topics", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "where the topics are [from the settings]" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE", "a librdkafka property" },
	{ "data", OPT_TEXT, AT(data), NULL, 0, 0, "DIR", "data directory of the `up`" },
	{ .name = NULL },
};

const struct opt_program trace_program = {
	.name = "trace",
	.called = "millrace trace",
	.summary = "say where one event is, in all stages",
	.usage = "  millrace trace MESSAGE_ID [--last SPAN] [--json]",
	.opts = opts,
};

static struct found *add(struct found_list *list, const struct bus_record *record)
{
	struct found *found;

	if (list->count == FOUND_MAX)
		return NULL;
	found = &list->items[list->count++];
	*found = (struct found){ .partition = record->partition, .offset = record->offset,
				 .src_partition = -1, .src_offset = -1 };
	return found;
}

static void set(struct found *found, int i, struct slice text)
{
	found->texts[i] = strndup(text.ptr, text.len);
}

static int on_collected(void *ctx, const struct bus_record *record, struct err *err)
{
	struct trace *t = ctx;
	const struct value *fields = record->fields;
	struct found *found;

	(void)err;
	if (!fields || !slice_eq(value_slice(&fields[COLLECTED_MESSAGE_ID]), t->id) ||
	    !(found = add(&t->collected, record)))
		return 0;
	found->at_us = fields[COLLECTED_RECEIVED_AT].num;
	set(found, 0, value_slice(&fields[COLLECTED_SOURCE]));
	set(found, 1, value_slice(&fields[COLLECTED_TYPE]));
	set(found, 2, value_slice(&fields[COLLECTED_DOOR]));
	return 0;
}

static int on_enriched(void *ctx, const struct bus_record *record, struct err *err)
{
	struct trace *t = ctx;
	const struct value *fields = record->fields;
	struct found *found;
	struct slice who;
	int64_t p;

	(void)err;
	if (!fields)
		return 0;
	p = fields[ENRICHED_SRC_PARTITION].num;
	if (p >= 0 && p < BUS_PARTITIONS_MAX && fields[ENRICHED_SRC_OFFSET].num >= t->position[p])
		t->position[p] = fields[ENRICHED_SRC_OFFSET].num + 1;
	if (!slice_eq(value_slice(&fields[ENRICHED_MESSAGE_ID]), t->id) ||
	    slice_is(value_slice(&fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER) ||
	    !(found = add(&t->enriched, record)))
		return 0;
	found->src_partition = (int32_t)p;
	found->src_offset = fields[ENRICHED_SRC_OFFSET].num;
	found->at_us = fields[ENRICHED_TIMESTAMP].num;
	who = value_slice(&fields[ENRICHED_USER_ID]);
	set(found, 0, value_slice(&fields[ENRICHED_EVENT]));
	set(found, 1, who.len ? who : value_slice(&fields[ENRICHED_ANONYMOUS_ID]));
	set(found, 2, value_slice(&fields[ENRICHED_SOURCE]));
	return 0;
}

static bool is_of_collected(const struct trace *t, int64_t partition, int64_t offset)
{
	for (size_t i = 0; i < t->collected.count; i++)
		if (t->collected.items[i].partition == partition &&
		    t->collected.items[i].offset == offset)
			return true;
	return false;
}

/* The original is the event's JSON, or the record whose first leaf is the id. */
static bool is_ours(const struct trace *t, const struct value *fields)
{
	struct slice original = value_slice(&fields[BAD_ORIGINAL]);

	if (slice_is(value_slice(&fields[BAD_STAGE]), "enrich") &&
	    is_of_collected(t, fields[BAD_SRC_PARTITION].num, fields[BAD_SRC_OFFSET].num))
		return true;
	if (slice_starts(value_slice(&fields[BAD_FORMAT]), SLICE("avro:")))
		return slice_starts(original, (struct slice){ t->head, t->head_len });
	return memmem(original.ptr, original.len, t->quoted, strlen(t->quoted)) != NULL;
}

static int on_bad(void *ctx, const struct bus_record *record, struct err *err)
{
	struct trace *t = ctx;
	const struct value *fields = record->fields;
	struct found *found;

	(void)err;
	if (!fields || !is_ours(t, fields) || !(found = add(&t->bad, record)))
		return 0;
	found->at_us = fields[BAD_FAILED_AT].num;
	found->src_partition = (int32_t)fields[BAD_SRC_PARTITION].num;
	found->src_offset = fields[BAD_SRC_OFFSET].num;
	set(found, 0, value_slice(&fields[BAD_STAGE]));
	set(found, 1, value_slice(&fields[BAD_REASON]));
	set(found, 2, value_slice(&fields[BAD_WORDS]));
	if (fields[BAD_DESTINATION].is_set) {
		struct slice name = value_slice(&fields[BAD_DESTINATION]);

		found->destination = strndup(name.ptr, name.len);
		found->attempts = fields[BAD_ATTEMPTS].is_set ? fields[BAD_ATTEMPTS].num : 0;
	}
	return 0;
}

/* --- what became of it --- */

static const struct found *enriched_of(const struct trace *t, const struct found *collected)
{
	for (size_t i = 0; i < t->enriched.count; i++)
		if (t->enriched.items[i].src_partition == collected->partition &&
		    t->enriched.items[i].src_offset == collected->offset)
			return &t->enriched.items[i];
	return NULL;
}

static const char *fate_of(const struct trace *t, size_t at)
{
	const struct found *collected = &t->collected.items[at];

	if (enriched_of(t, collected))
		return "enriched";
	for (size_t i = 0; i < t->bad.count; i++)
		if (strcmp(t->bad.items[i].texts[0], "enrich") == 0 &&
		    t->bad.items[i].src_partition == collected->partition &&
		    t->bad.items[i].src_offset == collected->offset)
			return "bad";
	if (collected->offset >= t->position[collected->partition])
		return "pending";
	for (size_t i = 0; i < at; i++)
		if (t->collected.items[i].partition == collected->partition &&
		    strcmp(t->collected.items[i].texts[0], collected->texts[0]) == 0 &&
		    enriched_of(t, &t->collected.items[i]))
			return "duplicate";
	return "filtered";
}

/* Of a destination: state, and the file where it is one. */
static const char *state_at(const struct trace *t, size_t r, const struct found *enriched,
			    char file[400])
{
	const struct reach *reach = &t->reach.items[r];
	const struct reach_range *range;
	bool again = false;
	size_t hint = 0;

	file[0] = '\0';
	for (size_t i = 0; i < t->bad.count; i++) {
		const struct found *letter = &t->bad.items[i];

		if (!letter->destination || strcmp(letter->destination, reach->name) != 0)
			continue;
		again = letter->is_again;
		if (!again)
			return "dead letter";
	}
	if (again)
		return "sent again";
	if (strcmp(reach->from, "enriched") != 0)
		return "reads another topic";
	if (enriched->offset < reach->begin[enriched->partition])
		return "before its start";
	range = reach_find(reach, enriched->partition, enriched->offset, &hint);
	if (!range)
		return reach->is_on ? "pending" : "off";
	if (!reach->is_file)
		return "done";
	snprintf(file, 400, "%.100s-%d-%020" PRId64 "-%020" PRId64 ".%s", reach->from,
		 range->partition, range->first, range->last, reach->ext);
	return "delivered";
}

static const char *state_of_aggregate(const struct trace *t, const struct found *enriched)
{
	if (!t->progress.is_known)
		return "not known";
	return enriched->offset < t->progress.next[enriched->partition] ? "counted" : "pending";
}

/* --- printing --- */

static void put_place(const struct found *found, bool is_json, struct buf *out)
{
	char at[WHEN_TEXT_MAX];

	when_print(found->at_us, 3, at);
	buf_printf(out, is_json ? "\"partition\":%d,\"offset\":%" PRId64 ",\"at\":\"%s\""
		   : "partition %d, offset %" PRId64 ", %s", found->partition, found->offset, at);
}

static void put_members(const struct found *found, const char *const names[3], struct buf *out)
{
	for (int i = 0; i < 3; i++) {
		buf_printf(out, ",\"%s\":", names[i]);
		json_write_text(slice_from(found->texts[i] ? found->texts[i] : ""), out);
	}
}

static void json_collected(const struct trace *t, struct buf *out)
{
	static const char *const names[] = { "source", "type", "door" };

	for (size_t i = 0; i < t->collected.count; i++) {
		buf_append_text(out, i ? ",{" : "{");
		put_place(&t->collected.items[i], true, out);
		put_members(&t->collected.items[i], names, out);
		buf_printf(out, ",\"state\":\"%s\"}", fate_of(t, i));
	}
}

static void json_enriched(const struct trace *t, struct buf *out)
{
	static const char *const names[] = { "event", "person", "source" };

	for (size_t i = 0; i < t->enriched.count; i++) {
		const struct found *found = &t->enriched.items[i];
		char file[400];

		buf_append_text(out, i ? ",{" : "{");
		put_place(found, true, out);
		put_members(found, names, out);
		buf_printf(out, ",\"src\":{\"partition\":%d,\"offset\":%" PRId64 "},\"aggregate\":"
			   "\"%s\",\"destinations\":[", found->src_partition, found->src_offset,
			   state_of_aggregate(t, found));
		for (size_t r = 0; r < t->reach.count; r++) {
			buf_append_text(out, r ? ",{\"name\":" : "{\"name\":");
			json_write_text(slice_from(t->reach.items[r].name), out);
			buf_printf(out, ",\"state\":\"%s\"", state_at(t, r, found, file));
			if (file[0]) {
				buf_append_text(out, ",\"file\":");
				json_write_text(slice_from(file), out);
			}
			buf_append_char(out, '}');
		}
		buf_append_text(out, "]}");
	}
}

static void json_bad(const struct trace *t, struct buf *out)
{
	static const char *const names[] = { "stage", "reason", "words" };

	for (size_t i = 0; i < t->bad.count; i++) {
		const struct found *found = &t->bad.items[i];

		buf_append_text(out, i ? ",{" : "{");
		put_place(found, true, out);
		put_members(found, names, out);
		if (found->destination) {
			buf_append_text(out, ",\"destination\":");
			json_write_text(slice_from(found->destination), out);
			buf_printf(out, ",\"attempts\":%" PRId64, found->attempts);
		}
		buf_append_char(out, '}');
	}
}

static void print_json(const struct trace *t, struct buf *out)
{
	buf_append_text(out, "{\"message_id\":");
	json_write_text(t->id, out);
	buf_printf(out, ",\"found\":%s,\"collected\":[",
		   t->collected.count + t->enriched.count + t->bad.count ? "true" : "false");
	json_collected(t, out);
	buf_append_text(out, "],\"enriched\":[");
	json_enriched(t, out);
	buf_append_text(out, "],\"bad\":[");
	json_bad(t, out);
	buf_append_text(out, "]}\n");
}

static void print_text(const struct trace *t, struct buf *out)
{
	char file[400];

	for (size_t i = 0; i < t->collected.count; i++) {
		const struct found *found = &t->collected.items[i];

		buf_append_text(out, "collected    ");
		put_place(found, false, out);
		buf_printf(out, ": %s from %s, %s\n", found->texts[1], found->texts[0],
			   fate_of(t, i));
	}
	for (size_t i = 0; i < t->enriched.count; i++) {
		const struct found *found = &t->enriched.items[i];

		buf_append_text(out, "enriched     ");
		put_place(found, false, out);
		buf_printf(out, ": %s by %s\n", found->texts[0], found->texts[1]);
		buf_printf(out, "aggregate    %s\n", state_of_aggregate(t, found));
		for (size_t r = 0; r < t->reach.count; r++) {
			const char *state = state_at(t, r, found, file);

			buf_printf(out, "sink:%-8s %s%s%s\n", t->reach.items[r].name, state,
				   file[0] ? ": " : "", file);
		}
	}
	for (size_t i = 0; i < t->bad.count; i++) {
		const struct found *found = &t->bad.items[i];

		buf_append_text(out, "bad          ");
		put_place(found, false, out);
		buf_printf(out, ": %s, %s: %s\n", found->texts[0], found->texts[1],
			   found->texts[2]);
	}
	if (t->collected.count + t->enriched.count + t->bad.count == 0)
		buf_printf(out, "No stage knows a message with the id %.*s%s.\n", (int)t->id.len,
			   t->id.ptr, t->conf->last ? " in that time" : "");
}

/* --- all --- */

static int set_id(struct trace *t, const char *message_id, struct err *err)
{
	uint64_t len = strlen(message_id) * 2;          /* zigzag */

	t->id = slice_from(message_id);
	if (t->id.len == 0 || t->id.len > ID_MAX)
		return err_set(err, -EINVAL, "a message id has 1 to %d bytes", ID_MAX);
	for (; len >= 128; len >>= 7)
		t->head[t->head_len++] = (char)(len | 128);
	t->head[t->head_len++] = (char)len;
	memcpy(t->head + t->head_len, t->id.ptr, t->id.len);
	t->head_len += t->id.len;
	snprintf(t->quoted, sizeof(t->quoted), "\"%s\"", message_id);
	return 0;
}

static int read_topics(struct trace *t, struct err *err)
{
	struct topic_range range;
	int64_t ms;
	int rc;

	t->topic = (struct topic_conf){ t->conf->bus ? t->conf->bus : t->settings->bus,
					&t->conf->kafka, INT64_MIN };
	if (t->conf->last) {
		if (opt_parse_ms(t->conf->last, &ms) < 0 || ms <= 0)
			return err_set(err, -EINVAL, "--last: '%.40s' is no time such as 1h or 7d",
				       t->conf->last);
		t->topic.since_us = when_now_us() - ms * 1000;
	}
	progress_read(t->settings, &t->progress);
	/* Bad ones of enrich are known by the offsets of collected. */
	rc = topic_read(&t->topic, "enriched", "received_at", on_enriched, t, &range, err);
	if (rc == 0)
		rc = topic_read(&t->topic, "collected", "received_at", on_collected, t, &range,
				err);
	if (rc == 0)
		rc = topic_read(&t->topic, "bad", "failed_at", on_bad, t, &range, err);
	return rc;
}

/* Those that `sink --from bad` has settled. */
static int look_at_letters(struct trace *t, struct err *err)
{
	for (size_t i = 0; i < t->bad.count; i++) {
		struct found *letter = &t->bad.items[i];
		struct reach *replay = letter->destination ? calloc(1, sizeof(*replay)) : NULL;
		size_t hint = 0;

		if (!letter->destination)
			continue;
		if (!replay || reach_read_replay(replay, t->settings->data,
						 letter->destination) < 0) {
			free(replay);
			return err_set(err, -ENOMEM, "no memory");
		}
		letter->is_again = reach_find(replay, letter->partition, letter->offset,
					      &hint) != NULL;
		free(replay->ranges);
		free(replay);
	}
	return 0;
}

static void reset(struct found_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		for (int k = 0; k < 3; k++)
			free(list->items[i].texts[k]);
		free(list->items[i].destination);
	}
}

int trace_run(const struct trace_conf *conf, const struct settings *settings,
	      const char *message_id, struct buf *out, struct err *err)
{
	struct trace *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return err_set(err, -ENOMEM, "no memory");
	t->conf = conf;
	t->settings = settings;
	rc = set_id(t, message_id, err);
	if (rc == 0)
		rc = reach_read(&t->reach, settings->dir, settings->data, err);
	if (rc == 0)
		rc = read_topics(t, err);
	if (rc == 0)
		rc = look_at_letters(t, err);
	if (rc == 0)
		(conf->is_json ? print_json : print_text)(t, out);
	if (rc == 0 && t->collected.count + t->enriched.count + t->bad.count == 0)
		rc = -ENOENT;
	reset(&t->collected);
	reset(&t->enriched);
	reset(&t->bad);
	reach_close(&t->reach);
	free(t);
	return rc;
}
