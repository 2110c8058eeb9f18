// SPDX-License-Identifier: Apache-2.0
#include "millrace/letters.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/record.h"
#include "lib/when.h"
#include "millrace/reach.h"
#include "millrace/topic.h"

struct letters {
	const struct letters_conf *conf;
	const char *name;
	struct schema *enriched;
	struct datum_reader *reader;
	struct value fields[ENRICHED_COUNT];
	struct reach replay;
	size_t hint;
	struct buf *rows;               /* owned, [limit]: a ring of the latest */
	uint64_t total, waiting;
};

static void put_text(const char *name, struct slice text, struct buf *out)
{
	buf_printf(out, ",\"%s\":", name);
	json_write_text(text, out);
}

static void put_when(const char *name, const struct value *value, struct buf *out)
{
	char text[WHEN_TEXT_MAX];

	if (!value->is_set)
		return;
	when_print(value->num, 3, text);
	buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_event(struct letters *l, struct slice original, struct buf *out)
{
	const struct value *fields = l->fields;
	struct slice who;

	if (datum_decode(l->reader, original, l->fields) < 0)
		return;
	who = value_slice(&fields[ENRICHED_USER_ID]);
	put_text("message_id", value_slice(&fields[ENRICHED_MESSAGE_ID]), out);
	put_text("event", value_slice(&fields[ENRICHED_EVENT]), out);
	put_text("person", who.len ? who : value_slice(&fields[ENRICHED_ANONYMOUS_ID]), out);
}

static void put_json(struct letters *l, const struct bus_record *record, bool is_again,
		     struct buf *out)
{
	const struct value *bad = record->fields;

	buf_printf(out, "{\"id\":\"%d-%" PRId64 "\",\"again\":%s,\"attempts\":%" PRId64,
		   record->partition, record->offset, is_again ? "true" : "false",
		   bad[BAD_ATTEMPTS].is_set ? bad[BAD_ATTEMPTS].num : 0);
	put_when("at", &bad[BAD_FAILED_AT], out);
	put_when("first_at", &bad[BAD_FIRST_AT], out);
	put_text("reason", value_slice(&bad[BAD_REASON]), out);
	put_text("words", value_slice(&bad[BAD_WORDS]), out);
	if (slice_is(value_slice(&bad[BAD_FORMAT]), "avro:enriched"))
		put_event(l, value_slice(&bad[BAD_ORIGINAL]), out);
	buf_append_char(out, '}');
}

static void put_line(struct letters *l, const struct bus_record *record, bool is_again,
		     struct buf *out)
{
	const struct value *bad = record->fields;
	struct slice words = value_slice(&bad[BAD_WORDS]), id = { "?", 1 };
	char at[WHEN_TEXT_MAX];

	if (datum_decode(l->reader, value_slice(&bad[BAD_ORIGINAL]), l->fields) >= 0)
		id = value_slice(&l->fields[ENRICHED_MESSAGE_ID]);
	when_print(bad[BAD_FAILED_AT].num, 3, at);
	buf_printf(out, "%s %-10s %.*s  %.*s\n", at, is_again ? "sent again" : "waiting",
		   (int)id.len, id.ptr, (int)words.len, words.ptr);
}

static int on_bad(void *ctx, const struct bus_record *record, struct err *err)
{
	struct letters *l = ctx;
	const struct value *fields = record->fields;
	struct buf *row;
	bool is_again;

	(void)err;
	if (!fields || !fields[BAD_DESTINATION].is_set ||
	    !slice_is(value_slice(&fields[BAD_DESTINATION]), l->name))
		return 0;
	is_again = reach_find(&l->replay, record->partition, record->offset, &l->hint) != NULL;
	row = &l->rows[l->total % (uint64_t)l->conf->limit];
	l->total++;
	l->waiting += !is_again;
	buf_reset(row);
	(l->conf->is_json ? put_json : put_line)(l, record, is_again, row);
	return 0;
}

static void print(const struct letters *l, struct buf *out)
{
	uint64_t limit = (uint64_t)l->conf->limit;
	uint64_t first = l->total > limit ? l->total - limit : 0;

	if (l->conf->is_json)
		buf_printf(out, "{\"total\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"letters\":[",
			   l->total, l->waiting);
	for (uint64_t i = l->total; i > first; i--) {
		if (l->conf->is_json && i < l->total)
			buf_append_char(out, ',');
		buf_append_slice(out, buf_slice(&l->rows[(i - 1) % limit]));
	}
	if (l->conf->is_json)
		buf_append_text(out, "]}\n");
}

int letters_print(const struct letters_conf *conf, const struct settings *settings,
		  const char *name, struct buf *out, struct err *err)
{
	struct topic_conf topic = { conf->bus ? conf->bus : settings->bus, conf->kafka, INT64_MIN };
	struct letters *l = calloc(1, sizeof(*l));
	struct topic_range range;
	int rc = l ? 0 : -ENOMEM;

	if (rc < 0)
		return err_set(err, rc, "no memory");
	l->conf = conf;
	l->name = name;
	l->rows = calloc((size_t)conf->limit, sizeof(*l->rows));
	l->enriched = record_schema("enriched");
	rc = datum_reader_open(&l->reader, l->enriched, l->enriched, err);
	if (rc == 0)
		rc = l->rows ? reach_read_replay(&l->replay, settings->data, name) : -ENOMEM;
	if (rc == 0)
		rc = topic_read(&topic, "bad", "failed_at", on_bad, l, &range, err);
	if (rc == 0)
		print(l, out);
	for (int64_t i = 0; l->rows && i < conf->limit; i++)
		buf_close(&l->rows[i]);
	free(l->rows);
	free(l->replay.ranges);
	datum_reader_close(l->reader);
	schema_close(l->enriched);
	free(l);
	return rc < 0 ? err_set(err, rc, "no memory") : 0;
}
