// SPDX-License-Identifier: Apache-2.0
#include "sink/mapper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/record.h"
#include "sink/jq.h"
#include "sink/select.h"
#include "sink/unline.h"

struct mapper {
	const struct setup *setup;
	const char *topic;
	struct dest *dest;
	struct event_reader *reader, *again;
	struct jq *jq;
	struct unline *unline;
	struct value *changed;          /* what map made */
	struct buf payloads;
	struct dest_out out;
	int message_id, time;           /* leaves; < 0: none */
	char words[DEST_WORDS_MAX + 60];
	struct buf id;                  /* made where the record has none */
};

int mapper_open(struct mapper **mapperp, const struct setup *setup, struct dest *dest,
		const struct schema *schema, const char *topic, struct err *err)
{
	struct mapper *m = calloc(1, sizeof(*m));
	int rc;

	*mapperp = NULL;
	if (!m)
		return err_set(err, -ENOMEM, "no memory");
	m->setup = setup;
	m->topic = topic;
	m->dest = dest;
	m->message_id = schema_find(schema, "message_id");
	m->time = schema_find(schema, "timestamp");
	m->changed = calloc((size_t)schema_field_count(schema), sizeof(*m->changed));
	m->payloads.limit = (size_t)256 << 20;
	m->out.buf = &m->payloads;
	rc = m->changed ? event_open(&m->reader, schema, err) : -ENOMEM;
	if (rc == 0)
		rc = event_open(&m->again, schema, err);
	if (rc == 0)
		rc = unline_open(&m->unline, schema, err);
	if (rc == 0 && (setup->where || setup->map))
		rc = jq_open(&m->jq, setup->where, setup->map, err);
	if (rc < 0) {
		mapper_close(m);
		return err_set(err, rc, "no memory");
	}
	*mapperp = m;
	return 0;
}

void mapper_close(struct mapper *m)
{
	if (!m)
		return;
	jq_close(m->jq);
	unline_close(m->unline);
	event_close(m->reader);
	event_close(m->again);
	buf_close(&m->payloads);
	buf_close(&m->id);
	free(m->out.parts);
	free(m->changed);
	free(m);
}

static int invalid(struct mapper *m, struct mapper_result *result, const char *reason,
		   const char *words)
{
	snprintf(m->words, sizeof(m->words), "%s", words);
	result->fate = MAPPER_INVALID;
	result->reason = reason;
	result->why = m->words;
	return 0;
}

/* 1: go on with *event; 0: result is set. */
static int run_jq(struct mapper *m, struct event *event, struct mapper_result *result,
		  struct err *fatal)
{
	struct slice mapped;
	struct err err = { "" };
	int rc = jq_run(m->jq, event_line(event), &mapped, &err);

	if (rc == 0) {
		result->fate = MAPPER_FILTERED;
		result->why = "`where` is not true of it, or `map` made nothing";
		return 0;
	}
	if (rc == -EBADMSG)
		return invalid(m, result, "expression", err.text);
	if (rc < 0)
		return err_set(fatal, rc, "%s", err.text[0] ? err.text : strerror(-rc));
	if (!m->setup->map)
		return 1;
	if (m->setup->kind->flags & DEST_RAW_MAP) {
		event->mapped = mapped;
		return 1;
	}
	rc = unline_read(m->unline, mapped, m->changed, &err);
	if (rc == -EBADMSG)
		return invalid(m, result, "expression", err.text);
	if (rc < 0)
		return err_set(fatal, rc, "%s", strerror(-rc));
	event_read(m->again, m->changed, event->partition, event->offset, event);
	return 1;
}

/* A record of a topic without message ids is known by where it stands. */
static struct slice message_id_of(struct mapper *m, const struct event *event)
{
	struct slice id = { "", 0 };

	if (m->message_id >= 0)
		id = value_slice(&event->fields[m->message_id]);
	if (id.len)
		return id;
	buf_reset(&m->id);
	buf_printf(&m->id, "%s-%d-%lld", m->topic, event->partition,
		   (long long)event->offset);
	return buf_slice(&m->id);
}

static int run_map(struct mapper *m, const struct event *event, struct mapper_result *result,
		   struct err *err)
{
	size_t most = m->setup->limits.item_bytes;
	int rc;

	m->out.count = 0;
	m->out.begin = 0;
	m->out.words[0] = '\0';
	buf_reset(&m->payloads);
	rc = m->setup->kind->map(m->dest, event, &m->out);
	if (rc == -EBADMSG)
		return invalid(m, result, "invalid", m->out.words);
	if (rc < 0)
		return err_set(err, rc, "mapping to %s: %s", m->setup->kind->name, strerror(-rc));
	for (size_t i = 0; most && i < m->out.count; i++)
		if (m->out.parts[i].len > most)
			return invalid(m, result, "too_large", "more bytes than the destination "
				       "takes of one event");
	result->payloads = &m->payloads;
	result->parts = m->out.parts;
	result->part_count = m->out.count;
	if (m->out.count == 0) {
		result->fate = MAPPER_FILTERED;
		result->why = "this kind of destination has no use for it";
	}
	return 0;
}

int mapper_run(struct mapper *m, const struct value *fields, int32_t partition, int64_t offset,
	       struct mapper_result *result, struct err *err)
{
	struct event event;
	const char *why;
	int rc = 1;

	*result = (struct mapper_result){ .fate = MAPPER_SENT };
	event_read(m->reader, fields, partition, offset, &event);
	why = select_refuses(m->setup, &event);
	if (why) {
		result->fate = MAPPER_FILTERED;
		result->why = why;
		return 0;
	}
	if (m->jq)
		rc = run_jq(m, &event, result, err);
	if (rc <= 0)
		return rc;
	result->message_id = message_id_of(m, &event);
	result->person = event_person(&event);
	if (m->time >= 0)
		result->timestamp_us = event.fields[m->time].num;
	return run_map(m, &event, result, err);
}
