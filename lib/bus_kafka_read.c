// SPDX-License-Identifier: Apache-2.0
/* Records come one by one out of rd_kafka_consumer_poll (never the batch call, whose results can be
 * of partitions that were revoked meanwhile); offsets go in by rd_kafka_assign (never by a seek
 * after it, which races with the fetcher).
 *
 *      static   all partitions, or conf.assign, at the first bus_next
 *      group    the range strategy; each assignment asks conf.start anew
 *
 * A partition is at its end when its position reached the frozen high watermark: by a record's
 * offset, or by the end-of-partition event, which passes over the holes that transactions leave.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/bus_kafka.h"

#define GROWTH_MS 30000         /* how often a static reader looks for new partitions */
#define SLACK_US  60000000      /* between a broker's clock and a record's */
#define NUDGE_AT  50000         /* fetched and not yet read: under this the fetcher is woken */
#define NUDGE_MS  50
#define NUDGE_RECORDS 4096      /* how often that is looked at */

struct part {
	bool owned;
	int64_t position;       /* next offset to be read; BUS_OFFSET_FIRST; INT64_MAX: END */
	int64_t first, end;     /* until_end: what was kept when reading began */
};

struct reader {
	struct kafka k;                         /* first */
	struct kafka_schemas *schemas;
	struct value *fields;
	rd_kafka_message_t *message;            /* the one that the caller looks at */
	bool is_group;
	bool began;                             /* assigned or subscribed */
	bool assigned;                          /* a group: had its first assignment */
	int64_t growth_due;
	rd_kafka_queue_t *queue;                /* what was fetched */
	uint32_t taken;                         /* records since the last look at it */
	int64_t nudge_due;
	struct part parts[BUS_PARTITIONS_MAX];
	char why[160];
};

/* --- assignment --- */

static int fail_range(struct reader *r, int32_t p)
{
	int64_t first = 0, end = 0, at = r->parts[p].position;

	if (kafka_range(&r->k.bus, p, &first, &end))
		return kafka_fail(&r->k, -ERANGE, "%s/%d: offset %lld is out of range", r->k.topic,
				  p, (long long)at);
	if (at >= 0 && at < first)
		return kafka_fail(&r->k, -ERANGE,
				  "%s/%d: gap: %lld records from offset %lld on were deleted "
				  "before they were read; %lld to %lld are kept",
				  r->k.topic, p, (long long)(first - at), (long long)at,
				  (long long)first, (long long)end);
	return kafka_fail(&r->k, -ERANGE,
			  "%s/%d: offset %lld is past the end, %lld to %lld are kept: was the "
			  "topic made anew, or cut?",
			  r->k.topic, p, (long long)at, (long long)first, (long long)end);
}

/* Puts the start of each partition into the list. */
static int choose_starts(struct reader *r, rd_kafka_topic_partition_list_t *list)
{
	const struct bus_conf *conf = r->k.conf;
	struct err err = { "" };

	for (int i = 0; i < list->cnt; i++) {
		int32_t p = list->elems[i].partition;
		int64_t at = BUS_OFFSET_FIRST;

		if (p < 0 || p >= BUS_PARTITIONS_MAX)
			return kafka_fail(&r->k, -EINVAL, "%s: partition %d is over the limit",
					  r->k.topic, p);
		if (conf->start)
			at = conf->start(conf->start_ctx, p, &err);
		if (at < BUS_OFFSET_FIRST)
			return kafka_fail(&r->k, (int)at, "%s/%d: no place to start from: %.150s",
					  r->k.topic, p, err.text);
		/* The two names are Kafka's own numbers. */
		list->elems[i].offset = at;
		r->parts[p].owned = true;
		r->parts[p].position = at;
		/* END is behind whatever the end was. */
		if (at == BUS_OFFSET_END)
			r->parts[p].position = INT64_MAX;
		if (at == BUS_OFFSET_FIRST && conf->until_end)
			r->parts[p].position = r->parts[p].first;
		/* Elsewhere the broker says it; here nothing would be asked for. */
		if (conf->until_end && !r->is_group && at > r->parts[p].end)
			return fail_range(r, p);
	}
	return 0;
}

static int assign(struct reader *r, rd_kafka_topic_partition_list_t *list)
{
	int rc = choose_starts(r, list);
	rd_kafka_resp_err_t code;

	if (rc)
		return rc;
	code = rd_kafka_assign(r->k.rk, list);
	if (code)
		return kafka_fail(&r->k, -EIO, "%s: assign: %s", r->k.topic,
				  rd_kafka_err2str(code));
	return 0;
}

static void log_assignment(const struct reader *r, const char *event,
			   const rd_kafka_topic_partition_list_t *list)
{
	struct log_line line;
	char text[200];
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < list->cnt && len < sizeof(text) - 32; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d:%lld", i ? "," : "",
					list->elems[i].partition, (long long)list->elems[i].offset);
	log_begin(&line, r->k.conf->log, LOG_LEVEL_INFO, event);
	log_str(&line, "topic", r->k.topic);
	log_num(&line, "partitions", list->cnt);
	log_str(&line, "from", text);
	log_end(&line);
}

/* Inside consumer_poll, on the reader's thread. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct reader *r = opaque;

	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		r->parts[p].owned = false;
	if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		log_assignment(r, "revoke", list);
		rd_kafka_assign(rk, NULL);
		return;
	}
	if (kafka_error(&r->k.bus) || assign(r, list)) {
		rd_kafka_assign(rk, NULL);
		return;
	}
	r->assigned = true;
	log_assignment(r, "assign", list);
}

/* "0,2-3" */
static int add_listed(struct reader *r, rd_kafka_topic_partition_list_t *list)
{
	const char *at = r->k.conf->assign;
	int partitions = atomic_load(&r->k.partitions);

	while (true) {
		char *end;
		long first = strtol(at, &end, 10), last = first;

		if (end != at && *end == '-') {
			at = end + 1;
			last = strtol(at, &end, 10);
		}
		if (end == at || (*end && *end != ',') || first < 0 || last < first)
			return kafka_fail(&r->k, -EINVAL, "partitions '%.80s': write such as 0,2-3",
					  r->k.conf->assign);
		if (last >= partitions)
			return kafka_fail(&r->k, -EINVAL, "%s has %d partitions, no number %ld",
					  r->k.topic, partitions, last);
		for (long p = first; p <= last; p++) {
			if (!rd_kafka_topic_partition_list_find(list, r->k.topic, (int32_t)p))
				rd_kafka_topic_partition_list_add(list, r->k.topic, (int32_t)p);
		}
		if (!*end)
			return 0;
		at = end + 1;
	}
}

static int begin_static(struct reader *r)
{
	int partitions = atomic_load(&r->k.partitions), rc = 0;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

	if (r->k.conf->assign)
		rc = add_listed(r, list);
	for (int p = 0; p < partitions && !r->k.conf->assign; p++)
		rd_kafka_topic_partition_list_add(list, r->k.topic, p);
	if (rc == 0)
		rc = assign(r, list);
	if (rc == 0)
		log_assignment(r, "assign", list);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

static int begin_group(struct reader *r)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add(list, r->k.topic, RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(r->k.rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code)
		return kafka_fail(&r->k, -EIO, "%s: subscribe: %s", r->k.topic,
				  rd_kafka_err2str(code));
	return 0;
}

/* 1: reading has begun. 0: there is no topic yet, or nobody answers. */
static int begin(struct reader *r)
{
	struct err err = { "" };
	int rc = 1;

	if (atomic_load(&r->k.partitions) == 0)
		rc = kafka_ask_topic(&r->k, &err);
	if (rc == 0 && r->k.conf->until_end)
		return -ENODATA;
	if (rc == 0 || rc == -EAGAIN)
		return 0;
	if (rc < 0)
		return kafka_fail(&r->k, rc, "%s", err.text);
	for (int p = 0; r->k.conf->until_end && p < atomic_load(&r->k.partitions); p++) {
		rc = kafka_range(&r->k.bus, p, &r->parts[p].first, &r->parts[p].end);
		if (rc)
			return kafka_fail(&r->k, rc, "%s/%d: the end is not to be learnt: %.120s",
					  r->k.topic, p, r->k.broker_words.text);
		if (r->k.conf->stop) {
			int64_t stop = r->k.conf->stop(r->k.conf->start_ctx, p, &err);

			if (stop >= 0 && stop < r->parts[p].end)
				r->parts[p].end = stop;
		}
	}
	rc = r->is_group ? begin_group(r) : begin_static(r);
	if (rc)
		return rc;
	r->began = true;
	r->growth_due = kafka_now_ms() + GROWTH_MS;
	return 1;
}

static bool at_end(const struct reader *r)
{
	int owned = 0;

	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		const struct part *part = &r->parts[p];

		owned += part->owned;
		if (part->owned && part->position < part->end)
			return false;
	}
	return owned > 0 || r->assigned;
}

/* A static reader would never see partitions that came later, and lose what is in them. */
static int check_growth(struct reader *r)
{
	int64_t now = kafka_now_ms();
	int before = atomic_load(&r->k.partitions);
	struct err err = { "" };

	if (!r->began || now < r->growth_due || r->is_group || r->k.conf->assign)
		return 0;
	r->growth_due = now + GROWTH_MS;
	if (kafka_ask_topic(&r->k, &err) == 1 && atomic_load(&r->k.partitions) > before)
		return kafka_fail(&r->k, -ESTALE,
				  "%s has %d partitions now, %d are read: start again", r->k.topic,
				  atomic_load(&r->k.partitions), before);
	return 0;
}

/* The partition that is furthest behind, or -1; *lag: records of all that were not read, going by
 * the ends in the brokers' latest answers. */
static int32_t furthest(const struct reader *r, int64_t *lag)
{
	int64_t first, end, largest = 0;
	int32_t which = -1;

	*lag = 0;
	for (int32_t p = 0; p < BUS_PARTITIONS_MAX; p++) {
		const struct part *part = &r->parts[p];

		if (!part->owned || part->position < 0 ||
		    rd_kafka_get_watermark_offsets(r->k.rk, r->k.topic, p, &first, &end) ||
		    end <= part->position)
			continue;
		*lag += end - part->position;
		if (end - part->position > largest) {
			largest = end - part->position;
			which = p;
		}
	}
	return which;
}

/* In 2.0.2 the thread that fetches sleeps a whole second once its queue is full, however fast the
 * queue empties: a filter that needs 0.3 s for 100,000 records stood still for the rest. Four times
 * the memory would hide it; any request to the broker wakes the thread as well. A request that
 * finds a fetch waiting at the end of the partition is answered after that one (500 ms), hence
 * the look at the lag, and the longer pause after a slow answer. */
static void nudge(struct reader *r)
{
	size_t fetched = rd_kafka_queue_length(r->queue);
	int64_t now, lag, first, end;
	int32_t p;

	r->taken = 0;
	if (fetched > NUDGE_AT)
		return;
	now = kafka_now_ms();
	if (now < r->nudge_due)
		return;
	p = furthest(r, &lag);
	if (p >= 0 && lag > (int64_t)fetched + NUDGE_RECORDS)
		(void)rd_kafka_query_watermark_offsets(r->k.rk, r->k.topic, p, &first, &end,
						       KAFKA_STEP_MS);
	r->nudge_due = now + NUDGE_MS + 20 * (kafka_now_ms() - now);
}

/* --- records --- */

static void decode(struct reader *r, struct slice value, struct bus_record *record)
{
	const unsigned char *b = (const unsigned char *)value.ptr;
	const struct datum_reader *how;
	uint64_t print = 0;
	ssize_t used;

	record->raw = value;
	record->fields = NULL;
	record->why = r->why;
	if (value.len < KAFKA_FRAME || b[0] != 0xc3 || b[1] != 0x01) {
		snprintf(r->why, sizeof(r->why),
			 "not in Avro's single-object encoding (C3 01, fingerprint): %zu bytes",
			 value.len);
		return;
	}
	for (int i = 0; i < 8; i++)
		print |= (uint64_t)b[2 + i] << (8 * i);
	how = kafka_schemas_find(r->schemas, print);
	if (!how) {
		snprintf(r->why, sizeof(r->why),
			 "schema fingerprint %016llx is not known to this version; "
			 "give its .avsc by ?schemas=DIR",
			 (unsigned long long)print);
		return;
	}
	value = slice_skip(value, KAFKA_FRAME);
	used = datum_decode(how, value, r->fields);
	if (used < 0 || (size_t)used != value.len) {
		snprintf(r->why, sizeof(r->why), "%zu bytes are %s a datum of the schema",
			 value.len, used < 0 ? "not" : "more than");
		return;
	}
	record->raw = value;
	record->fields = r->fields;
	record->why = NULL;
}

static int take_record(struct reader *r, rd_kafka_message_t *m, struct bus_record *record)
{
	struct part *part = &r->parts[m->partition];

	if (!part->owned || (r->k.conf->until_end && m->offset >= part->end)) {
		if (part->owned)
			part->position = m->offset;
		rd_kafka_message_destroy(m);
		return 0;
	}
	part->position = m->offset + 1;
	record->partition = m->partition;
	record->offset = m->offset;
	record->count = 1;
	record->key = (struct slice){ m->key ? m->key : "", m->key_len };
	r->message = m;
	decode(r, (struct slice){ m->payload ? m->payload : "", m->payload ? m->len : 0 }, record);
	return 1;
}

static int take_event(struct reader *r, const rd_kafka_message_t *m)
{
	bool is_ours = m->rkt && m->partition >= 0 && m->partition < BUS_PARTITIONS_MAX;
	struct part *part = is_ours ? &r->parts[m->partition] : NULL;

	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (is_ours && part->owned)
			part->position = m->offset;
		return 0;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		/* librdkafka asks for the same offset again for ever, and passes over nothing. */
		return kafka_fail(&r->k, -EBADMSG, "%s/%d: damaged in the broker: %.160s",
				  r->k.topic, m->partition, rd_kafka_message_errstr(m));
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return is_ours ? fail_range(r, m->partition) : 0;
	case RD_KAFKA_RESP_ERR__FATAL:
		return kafka_fail_fatal(&r->k);
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		/* Without a group librdkafka still asks for one, and needs none. */
		if (m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED && !r->is_group)
			return 0;
		return kafka_fail(&r->k, -EACCES, "%s: %s", r->k.topic, rd_kafka_err2str(m->err));
	default:
		log_words(r->k.conf->log, LOG_LEVEL_WARN, "kafka", "%s: %s", r->k.topic,
			  rd_kafka_message_errstr(m));
		return 0;
	}
}

static int take(struct reader *r, rd_kafka_message_t *m, struct bus_record *record)
{
	int rc;

	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && m->partition >= 0 &&
	    m->partition < BUS_PARTITIONS_MAX)
		return take_record(r, m, record);
	rc = take_event(r, m);
	rd_kafka_message_destroy(m);
	return rc;
}

static int reader_next(struct bus *bus, struct bus_record *record, int timeout_ms)
{
	struct reader *r = (struct reader *)bus;
	rd_kafka_message_t *m;
	int64_t end = -1, left = timeout_ms;
	int rc = kafka_error(bus);

	if (r->message) {
		rd_kafka_message_destroy(r->message);
		r->message = NULL;
		if (++r->taken >= NUDGE_RECORDS)
			nudge(r);
	}
	while (rc == 0) {
		if (r->k.conf->until_end && r->began && at_end(r))
			return -ENODATA;
		m = NULL;
		if (r->began || (rc = begin(r)) == 1)
			m = rd_kafka_consumer_poll(r->k.rk, (int)left);
		else if (rc == 0)
			rd_kafka_poll(r->k.rk, left > 100 ? 100 : (int)left);
		if (rc < 0)
			return rc;
		rc = m ? take(r, m, record) : check_growth(r);
		if (rc == 0)
			rc = kafka_error(bus);
		/* The clock is looked at only where there was no record at once. */
		if (rc == 0 && end < 0)
			end = kafka_now_ms() + timeout_ms;
		if (rc == 0) {
			left = end - kafka_now_ms();
			if (left <= 0 && (!m || timeout_ms > 0))
				return 0;
			left = left < 0 ? 0 : left;
		}
	}
	return rc;
}

/* --- the rest --- */

static int reader_find_time(struct bus *bus, int32_t partition, int64_t time_us, int64_t *offset)
{
	struct reader *r = (struct reader *)bus;
	rd_kafka_topic_partition_list_t *list;
	int64_t limit = kafka_now_ms() + KAFKA_ANSWER_MS, first, end;
	rd_kafka_resp_err_t code;
	int64_t at = -1;
	int rc;

	rc = kafka_range(bus, partition, &first, &end);
	if (rc)
		return rc;
	/* A broker's time is when the record was produced: not before the record's own, but for
	 * the clocks' difference. */
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, r->k.topic, partition);
	do {
		list->elems[0].offset = time_us > SLACK_US ? (time_us - SLACK_US) / 1000 : 0;
		code = rd_kafka_offsets_for_times(r->k.rk, list, KAFKA_STEP_MS);
		if (!code)
			code = list->elems[0].err;
		if (!code)
			at = list->elems[0].offset;
	} while (code && kafka_now_ms() < limit);
	rd_kafka_topic_partition_list_destroy(list);
	if (code)
		return -EHOSTUNREACH;
	*offset = at < 0 ? end : at;
	return 0;
}

static void reader_commit_offset(struct bus *bus, int32_t partition, int64_t offset)
{
	struct reader *r = (struct reader *)bus;
	rd_kafka_topic_partition_list_t *list;

	if (!r->is_group || partition < 0 || partition >= BUS_PARTITIONS_MAX ||
	    !r->parts[partition].owned)
		return;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, r->k.topic, partition)->offset = offset;
	rd_kafka_commit(r->k.rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

static void reader_close(struct bus *bus)
{
	struct reader *r = (struct reader *)bus;

	if (r->message)
		rd_kafka_message_destroy(r->message);
	if (r->queue)
		rd_kafka_queue_destroy(r->queue);
	/* A group is left in order, so that the others need not wait for a timeout. */
	kafka_end(&r->k, r->is_group ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	kafka_schemas_close(r->schemas);
	free(r->fields);
	free(r);
}

static const struct bus_ops reader_ops = {
	.partition_count = kafka_partition_count,
	.range = kafka_range,
	.find_time = reader_find_time,
	.next = reader_next,
	.error = kafka_error,
	.error_text = kafka_error_text,
	.commit_offset = reader_commit_offset,
	.close = reader_close,
};

static int connect_reader(struct reader *r, rd_kafka_conf_t *rkconf, struct err *err)
{
	const struct bus_conf *conf = r->k.conf;
	/* The high-level consumer wants a name even where no group is joined. */
	int rc = kafka_set(rkconf, "group.id", r->is_group ? conf->group : "millrace", err);

	if (rc) {
		rd_kafka_conf_destroy(rkconf);
		return rc;
	}
	rd_kafka_conf_set_rebalance_cb(rkconf, on_rebalance);
	rc = kafka_start(&r->k, RD_KAFKA_CONSUMER, rkconf, err);
	if (rc)
		return rc;
	rd_kafka_poll_set_consumer(r->k.rk);
	r->queue = rd_kafka_queue_get_consumer(r->k.rk);
	rc = kafka_await(&r->k, kafka_ask_topic, conf->open_ms, NULL, err);
	return rc < 0 ? rc : 0;
}

int kafka_read_open(struct bus **busp, const char *rest, const struct bus_conf *conf,
		    struct err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	rd_kafka_conf_t *rkconf;
	int rc;

	if (!r)
		return -ENOMEM;
	r->k.bus.ops = &reader_ops;
	r->is_group = conf->group && conf->group[0] && !conf->assign;
	r->fields = calloc((size_t)schema_field_count(conf->schema), sizeof(*r->fields));
	rc = r->fields ? kafka_init(&r->k, rest, BUS_READ, conf, &rkconf, err) : -ENOMEM;
	if (rc == 0)
		rc = connect_reader(r, rkconf, err);
	if (rc == 0)
		rc = kafka_schemas_open(&r->schemas, conf->schema, r->k.schemas, err);
	if (rc) {
		reader_close(&r->k.bus);
		return rc;
	}
	*busp = &r->k.bus;
	return 0;
}
