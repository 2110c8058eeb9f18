// SPDX-License-Identifier: Apache-2.0
#include "enrich/enrich.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "enrich/chain.h"
#include "enrich/dedup.h"
#include "enrich/hold.h"
#include "enrich/resume.h"
#include "lib/when.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* So many dropped records in a row are worth a marker; they cost a restart about 10 ms. */
#define MARKER_EVERY 1000
/* A partition with a bad record since its last stamp gets a marker before so many bad records of
 * all partitions: filter looks for repeats in the last STAMP_TAIL of the bad partition. */
#define MARKER_BADS  4096

/* Data files are looked at so often. */
#define LOOK_MS 500

/* Raised when the frame around the steps gives other answers. */
#define FRAME_VERSION 2

struct partition {
	int64_t emit_from;              /* a replay: what is before it is written already */
	struct dedup *dedup;
	uint64_t dropped;               /* input records since the last stamp */
	uint64_t dropped_before;        /* as of the last commit */
	int64_t drop_offset;            /* of the last one */
	int64_t drop_received;
	int64_t received;               /* received_at of the last record that had one */
	bool drop_bad;                  /* one of them is bad */
	uint64_t bads_at;               /* enrich->bads when the first bad one came */
};

struct enrich {
	const struct enrich_conf *conf;
	char out_url[1024];             /* to read it: without ?partition= */
	const struct bus_conf *out_conf;
	struct chain *chain;
	char logic[17];
	struct json_reader *json;
	struct arena arena;
	struct buf text;
	struct buf datum;
	struct step_event event;
	struct value out[ENRICHED_COUNT];
	struct partition partitions[BUS_PARTITIONS_MAX];
	int partition_count;            /* 1 + the highest used */
	struct replay replay;
	struct err words;               /* of the record in hand */
	struct hold *hold;              /* records that wait for a step that asks */
	struct filter *filter;          /* since begin; NULL: none runs */
	uint64_t bads;
	uint64_t markers;
	int64_t looked_ms;
	struct metric *metric_ids, *metric_bytes, *metric_markers;
};

static int hash_logic(struct enrich *enrich, const struct chain *chain, struct err *err)
{
	struct buf text = { .limit = (size_t)1 << 20 };
	uint64_t hash;
	int rc = 0;

	buf_printf(&text, "enrich %d\n", FRAME_VERSION);
	if (enrich->out_conf->schema)
		buf_printf(&text, "schema %016llx\n", (unsigned long long)
			   schema_fingerprint(enrich->out_conf->schema));
	chain_hash(chain, &text);
	buf_printf(&text, "dedup_window_ms %lld\n", (long long)enrich->conf->dedup_window_ms);
	if (text.failed)
		rc = err_set(err, -ENOSPC, "the settings of all steps are over 1 MiB");
	hash = XXH3_64bits(text.ptr, text.len);
	if (rc == 0)
		snprintf(enrich->logic, sizeof(enrich->logic), "%016llx",
			 (unsigned long long)hash);
	buf_close(&text);
	return rc;
}

/* All steps anew, or as they were. */
static int load(struct enrich *enrich, struct err *err)
{
	struct chain *chain;
	int rc = chain_open(&chain, enrich->conf, err);

	if (rc < 0)
		return rc;
	rc = hash_logic(enrich, chain, err);
	if (rc < 0) {
		chain_close(chain);
		return rc;
	}
	chain_close(enrich->chain);
	enrich->chain = chain;
	return 0;
}

int enrich_open(struct enrich **enrichp, const struct enrich_conf *conf, const char *out_url,
		const struct bus_conf *out_conf, struct err *err)
{
	struct enrich *enrich = calloc(1, sizeof(*enrich));
	int rc;

	if (!enrich)
		return err_set(err, -ENOMEM, "no memory");
	enrich->conf = conf;
	snprintf(enrich->out_url, sizeof(enrich->out_url), "%.*s", (int)strcspn(out_url, "?"),
		 out_url);
	enrich->out_conf = out_conf;
	enrich->arena.bytes_max = (size_t)16 << 20;
	enrich->text.limit = BUS_RECORD_MAX;
	enrich->datum.limit = BUS_RECORD_MAX;
	step_event_init(&enrich->event);
	rc = replay_times(&enrich->replay, conf->from_time, conf->to_time, err);
	if (rc == 0)
		rc = load(enrich, err);
	if (rc == 0)
		rc = json_open(&enrich->json, err);
	if (rc == 0)
		rc = hold_open(&enrich->hold, err);
	if (rc < 0) {
		enrich_close(enrich);
		return rc;
	}
	*enrichp = enrich;
	return 0;
}

void enrich_close(struct enrich *enrich)
{
	if (!enrich)
		return;
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		dedup_close(enrich->partitions[p].dedup);
	chain_close(enrich->chain);
	step_event_close(&enrich->event);
	hold_close(enrich->hold);
	json_close(enrich->json);
	arena_close(&enrich->arena);
	buf_close(&enrich->text);
	buf_close(&enrich->datum);
	free(enrich);
}

const char *enrich_logic(const struct enrich *enrich)
{
	return enrich->logic;
}

/* Partitions */

static int partition_open(struct enrich *enrich, int32_t p, struct err *err)
{
	struct partition *partition = &enrich->partitions[p];

	dedup_close(partition->dedup);
	*partition = (struct partition){ .dropped = 0 };
	if (p >= enrich->partition_count)
		enrich->partition_count = p + 1;
	return dedup_open(&partition->dedup, enrich->conf->dedup_window_ms, err);
}

int64_t enrich_start(void *ctx, int32_t p, struct err *err)
{
	struct enrich *enrich = ctx;
	struct resume_point point;
	struct log_line line;
	int64_t warm;
	int rc = partition_open(enrich, p, err);

	if (rc < 0 || strcmp(enrich->out_url, "-") == 0)
		return rc < 0 ? rc : BUS_OFFSET_FIRST;
	rc = resume_read(enrich->out_url, enrich->out_conf, p, enrich->conf->dedup_window_ms,
			 enrich->partitions[p].dedup, &point, err);
	if (rc < 0)
		return rc;
	enrich->partitions[p].received = point.received;
	/* Ids come from the warm-up, as those before it are not in this output. */
	if (enrich_replay_start(enrich, p, &warm)) {
		rc = partition_open(enrich, p, err);
		enrich->partitions[p].emit_from = point.next;
		if (rc < 0)
			return rc;
	}
	log_begin(&line, enrich->out_conf->log, LOG_LEVEL_INFO, "resume");
	log_num(&line, "partition", p);
	if (point.next >= 0)
		log_num(&line, "offset", point.next);
	else
		log_str(&line, "offset", "first");
	log_num(&line, "ids", point.ids);
	log_end(&line);
	return enrich_replay_start(enrich, p, &warm) ? warm : point.next;
}

/* Replay */

int enrich_replay_open(struct enrich *enrich, const char *in_url, const struct bus_conf *in_base,
		       struct err *err)
{
	if (!replay_is_given(&enrich->replay))
		return 0;
	if (strcmp(in_url, "-") == 0)
		return err_set(err, -EINVAL, "--from-time and --to-time need a topic as --in");
	return replay_open(&enrich->replay, in_url, in_base, enrich->conf->dedup_window_ms, err);
}

int64_t enrich_stop(void *ctx, int32_t p, struct err *err)
{
	const struct enrich *enrich = ctx;

	(void)err;
	return enrich->replay.to_us != INT64_MAX && p < enrich->replay.count
		       ? enrich->replay.ranges[p].to : INT64_MAX;
}

bool enrich_replay_start(const struct enrich *enrich, int32_t p, int64_t *offset)
{
	if (!replay_is_given(&enrich->replay) || p >= enrich->replay.count)
		return false;
	*offset = enrich->replay.ranges[p].warm;
	return true;
}

bool enrich_is_in_times(const struct enrich *enrich, int64_t received_us)
{
	return received_us >= enrich->replay.from_us && received_us < enrich->replay.to_us;
}

/* One record */

static int set_bad(struct enrich_bad *bad, const char *reason, const char *words, const char *at)
{
	*bad = (struct enrich_bad){ reason, words, at };
	return -EBADMSG;
}

/* What the record has whatever the event says. Text of collected is UTF-8 but nobody promised. */
static int set_frame(struct enrich *enrich, const struct value *in, int32_t p, int64_t offset)
{
	static const struct { int in, out; } texts[] = {
		{ COLLECTED_MESSAGE_ID, ENRICHED_MESSAGE_ID },
		{ COLLECTED_TYPE, ENRICHED_TYPE },
		{ COLLECTED_SOURCE, ENRICHED_SOURCE },
		{ COLLECTED_DOOR, ENRICHED_DOOR },
	};
	struct value *out = enrich->out;

	for (int i = 0; i < ENRICHED_COUNT; i++)
		out[i].is_set = false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct slice text = text_utf8(&enrich->arena, value_slice(&in[texts[i].in]));

		if (!text.ptr)
			return -ENOMEM;
		out[texts[i].out] = value_text(text);
	}
	out[ENRICHED_SENT_AT] = in[COLLECTED_SENT_AT];
	out[ENRICHED_RECEIVED_AT] = in[COLLECTED_RECEIVED_AT];
	out[ENRICHED_SRC_PARTITION] = value_num(p);
	out[ENRICHED_SRC_OFFSET] = value_num(offset);
	out[ENRICHED_SRC_INDEX] = value_num(0);
	out[ENRICHED_LOGIC] = value_text((struct slice){ enrich->logic, 16 });
	return 0;
}

static int parse_body(struct enrich *enrich, const struct value *in, struct enrich_bad *bad)
{
	struct step_event *event = &enrich->event;
	yyjson_val *body;
	int type = step_type_of(value_slice(&in[COLLECTED_TYPE]));
	int rc;

	if (type < 0)
		return set_bad(bad, "type_unknown", "the type is none of track, identify, page, "
			       "screen, group, alias", "/type");
	enrich->words.text[0] = '\0';
	rc = json_parse(enrich->json, value_slice(&in[COLLECTED_BODY]), &body, &enrich->words);
	if (rc < 0)
		return rc == -EBADMSG ? set_bad(bad, "body_not_json", enrich->words.text, "") : rc;
	if (!yyjson_is_obj(body))
		return set_bad(bad, "body_not_object", "the body is JSON, but no object", "");
	event->in = in;
	event->out = enrich->out;
	event->json = enrich->json;
	event->arena = &enrich->arena;
	event->text = &enrich->text;
	event->type = (enum step_type)type;
	event->url = (struct url){ .host = { "", 0 } };
	buf_reset(&enrich->text);
	step_event_pick(event, body);
	return 0;
}

/* After set_frame and parse_body. 0; STEP_RESULT_DROP; -EBADMSG with bad; -ENOMEM. */
static int run_steps(struct enrich *enrich, struct slice *datum, struct enrich_bad *bad)
{
	struct step_event *event = &enrich->event;
	int rc = chain_apply(enrich->chain, event);

	if (rc == -EBADMSG)
		set_bad(bad, event->bad.reason, event->bad.words, event->bad.at);
	if (rc != 0)
		return rc;
	buf_reset(&enrich->datum);
	if (datum_encode(enrich->out_conf->schema, enrich->out, &enrich->datum) < 0)
		return set_bad(bad, "too_large", "the enriched record would be over 1 MiB", "");
	*datum = buf_slice(&enrich->datum);
	return 0;
}

static int record_once(struct enrich *enrich, const struct value *in, int32_t partition,
		       int64_t offset, struct slice *datum, struct enrich_bad *bad)
{
	int rc;

	arena_reset(&enrich->arena);
	rc = set_frame(enrich, in, partition, offset);
	if (rc == 0)
		rc = parse_body(enrich, in, bad);
	return rc == 0 ? run_steps(enrich, datum, bad) : rc;
}

static void set_answers(struct enrich *enrich, const struct step_answer *answers, int count)
{
	enrich->event.answers = answers;
	enrich->event.answer_count = count;
}

static bool stop_is_due(void *ctx)
{
	const struct enrich *enrich = ctx;

	return enrich->filter && filter_is_stopping(enrich->filter);
}

/* All steps over a held record, for hold_ask. */
static int run_held(void *ctx, const struct bus_record *record, const struct step_answer *answers,
		    int count)
{
	struct enrich *enrich = ctx;
	struct enrich_bad bad;
	struct slice datum;

	set_answers(enrich, answers, count);
	return record_once(enrich, record->fields, record->partition, record->offset, &datum, &bad);
}

static int ask_held(struct enrich *enrich)
{
	const struct step_stop stop = { stop_is_due, enrich, enrich->out_conf->log };

	return hold_ask(enrich->hold, enrich->chain, &enrich->event, &stop, run_held, enrich);
}

/* One event through the steps that ask, alone, and then through all steps. */
static int ask_alone(struct enrich *enrich, const struct bus_record *record, struct slice *datum,
		     struct enrich_bad *bad)
{
	const struct step_answer *answers;
	int asks = chain_ask_count(enrich->chain), rc;

	hold_reset(enrich->hold);
	rc = hold_add(enrich->hold, record, asks);
	if (rc == 0)
		rc = ask_held(enrich);
	if (rc < 0)
		return rc;
	hold_at(enrich->hold, 0, &answers);
	set_answers(enrich, answers, asks);
	rc = record_once(enrich, record->fields, record->partition, record->offset, datum, bad);
	set_answers(enrich, NULL, 0);
	hold_reset(enrich->hold);
	return rc;
}

int enrich_record(struct enrich *enrich, const struct value *in, int32_t partition, int64_t offset,
		  struct slice *datum, struct enrich_bad *bad)
{
	const struct bus_record record = { .partition = partition, .offset = offset, .count = 1,
					   .raw = { "", 0 }, .fields = in };
	int rc = record_once(enrich, in, partition, offset, datum, bad);

	return rc == STEP_RESULT_ASK ? ask_alone(enrich, &record, datum, bad) : rc;
}

static struct slice key_of(const struct value *out)
{
	return value_slice(out[ENRICHED_ANONYMOUS_ID].is_set ? &out[ENRICHED_ANONYMOUS_ID]
							     : &out[ENRICHED_USER_ID]);
}

/* The filter */

static void drop(struct enrich *enrich, struct partition *partition,
		 const struct bus_record *record, bool is_bad)
{
	partition->dropped += (uint64_t)record->count;
	partition->drop_offset = record->offset + record->count - 1;
	partition->drop_received = partition->received;
	if (!is_bad)
		return;
	enrich->bads++;
	if (!partition->drop_bad)
		partition->bads_at = enrich->bads;
	partition->drop_bad = true;
}

int enrich_decide(struct enrich *enrich, const struct bus_record *record, struct slice *datum,
		  struct enrich_bad *bad, struct err *err)
{
	struct partition *partition = &enrich->partitions[record->partition];
	int64_t received = record->fields[COLLECTED_RECEIVED_AT].num;
	bool in_times = enrich_is_in_times(enrich, received);
	struct dedup_id id;
	int rc;

	if (!partition->dedup) {        /* a pipe has no start */
		rc = partition_open(enrich, record->partition, err);
		if (rc < 0)
			return rc;
	}
	partition->received = received;
	arena_reset(&enrich->arena);
	rc = set_frame(enrich, record->fields, record->partition, record->offset);
	if (rc < 0)
		return err_set(err, rc, "no memory");
	/* By what the output will hold, as that is what the ids are rebuilt from. */
	id = dedup_id(enrich->out[ENRICHED_SOURCE].text, enrich->out[ENRICHED_MESSAGE_ID].text);
	dedup_prefetch(partition->dedup, id);
	rc = parse_body(enrich, record->fields, bad);
	if (dedup_seen(partition->dedup, id, received))
		return in_times ? FILTER_DUPLICATE : FILTER_FILTERED;
	if (rc == 0)
		rc = run_steps(enrich, datum, bad);
	if (rc == STEP_RESULT_ASK)
		rc = ask_alone(enrich, record, datum, bad);
	if (rc == -EBADMSG || rc == STEP_RESULT_DROP)
		return rc == -EBADMSG && in_times ? FILTER_BAD : FILTER_FILTERED;
	if (rc == 0)
		rc = dedup_add(partition->dedup, id, received);
	if (rc < 0)
		return err_set(err, rc, "offset %lld: %s", (long long)record->offset,
			       strerror(-rc));
	return in_times ? FILTER_OUT : FILTER_FILTERED;
}

/* What becomes of a record; event->answers are set. */
static int take(struct enrich *enrich, struct filter *filter, const struct bus_record *record,
		struct err *err)
{
	struct partition *partition = &enrich->partitions[record->partition];
	struct enrich_bad bad = { "", "", "" };
	struct slice datum;
	int fate = enrich_decide(enrich, record, &datum, &bad, err), rc;

	if (fate < 0)
		return fate;
	if (record->offset < partition->emit_from ||
	    !enrich_is_in_times(enrich, partition->received))
		return FILTER_FILTERED;
	if (fate != FILTER_OUT) {
		drop(enrich, partition, record, fate == FILTER_BAD);
		return fate != FILTER_BAD ? fate : filter_bad(filter, record, bad.reason, bad.words,
							      bad.at);
	}
	rc = filter_emit(filter, record->partition, key_of(enrich->out), datum);
	if (rc < 0)
		return err_set(err, rc, "offset %lld: %s", (long long)record->offset,
			       strerror(-rc));
	partition->dropped = 0;
	partition->drop_bad = false;
	return FILTER_OUT;
}

/* All that is held is asked for, and taken in order. */
static int settle_held(struct enrich *enrich, struct filter *filter, struct err *err)
{
	size_t count = hold_count(enrich->hold);
	int rc = count ? ask_held(enrich) : 0;

	if (rc < 0)
		return err_set(err, rc, "%s", rc == -EINTR ? "stopped while the command of a step "
			       "does not work; nothing is lost" : strerror(-rc));
	for (size_t i = 0; i < count; i++) {
		const struct step_answer *answers;
		const struct bus_record *record = hold_at(enrich->hold, i, &answers);

		set_answers(enrich, answers, chain_ask_count(enrich->chain));
		rc = take(enrich, filter, record, err);
		set_answers(enrich, NULL, 0);
		if (rc < 0)
			return rc;
		filter_settle(filter, (enum filter_fate)rc, (uint64_t)record->count);
	}
	hold_reset(enrich->hold);
	return 0;
}

static int step(void *ctx, struct filter *filter, const struct bus_record *record, struct err *err)
{
	struct enrich *enrich = ctx;
	int asks = chain_ask_count(enrich->chain), rc = 0;

	if (asks == 0)
		return take(enrich, filter, record, err);
	if (hold_is_full(enrich->hold))
		rc = settle_held(enrich, filter, err);
	if (rc == 0)
		rc = hold_add(enrich->hold, record, asks);
	return rc < 0 ? err_set(err, rc, "no memory") : FILTER_PENDING;
}

static void undecodable(void *ctx, const struct bus_record *record)
{
	struct enrich *enrich = ctx;

	drop(enrich, &enrich->partitions[record->partition], record, true);
}

static int write_marker(struct enrich *enrich, struct filter *filter, int32_t p)
{
	struct partition *partition = &enrich->partitions[p];
	struct value *out = enrich->out;
	struct slice type = slice_from(RECORD_TYPE_MARKER);

	for (int i = 0; i < ENRICHED_COUNT; i++)
		out[i].is_set = false;
	out[ENRICHED_TYPE] = out[ENRICHED_EVENT] = value_text(type);
	out[ENRICHED_TIMESTAMP] = out[ENRICHED_RECEIVED_AT] = value_num(partition->drop_received);
	out[ENRICHED_SRC_PARTITION] = value_num(p);
	out[ENRICHED_SRC_OFFSET] = value_num(partition->drop_offset);
	out[ENRICHED_SRC_INDEX] = value_num(0);
	out[ENRICHED_LOGIC] = value_text((struct slice){ enrich->logic, 16 });
	buf_reset(&enrich->datum);
	if (datum_encode(enrich->out_conf->schema, out, &enrich->datum) < 0)
		return -ENOMEM;
	partition->dropped = 0;
	partition->drop_bad = false;
	enrich->markers++;
	return filter_emit(filter, p, (struct slice){ "", 0 }, buf_slice(&enrich->datum));
}

static bool marker_is_due(const struct enrich *enrich, const struct partition *partition,
			  bool idle, bool ending)
{
	if (partition->dropped == 0)
		return false;
	if (ending || partition->dropped >= MARKER_EVERY)
		return true;
	if (partition->drop_bad && enrich->bads - partition->bads_at >= MARKER_BADS)
		return true;
	/* Idle, and nothing came since the last commit: not one marker for each lone duplicate of a
	 * busy time. */
	return idle && partition->dropped == partition->dropped_before;
}

/* Settings and data files anew */

static void log_load(const struct enrich *enrich, const char *before)
{
	struct buf names = { .limit = 1000 };
	struct log_line line;

	chain_names(enrich->chain, &names);
	log_begin(&line, enrich->out_conf->log, LOG_LEVEL_INFO, "steps");
	log_text(&line, "steps", buf_slice(&names));
	log_str(&line, "logic", enrich->logic);
	if (before)
		log_str(&line, "before", before);
	log_end(&line);
	buf_close(&names);
}

static int reload(void *ctx, struct err *err)
{
	struct enrich *enrich = ctx;
	char before[sizeof(enrich->logic)];
	int rc;

	memcpy(before, enrich->logic, sizeof(before));
	rc = load(enrich, err);
	if (rc == 0)
		log_load(enrich, before);
	return rc;
}

/* Between two batches: a data file that was replaced. */
static void reload_if_stale(struct enrich *enrich)
{
	int64_t now = when_monotonic_ms();
	struct err err = { "" };
	const char *path;
	char name[200];
	int rc;

	if (now - enrich->looked_ms < LOOK_MS)
		return;
	enrich->looked_ms = now;
	if (!chain_is_stale(enrich->chain, &path))
		return;
	snprintf(name, sizeof(name), "%s", path);
	rc = reload(enrich, &err);
	if (rc == 0) {
		log_words(enrich->out_conf->log, LOG_LEVEL_INFO, "reload", "%s is new", name);
		return;
	}
	if (rc == -EAGAIN)
		return;         /* it changed while it was read */
	chain_refuse(enrich->chain);
	log_words(enrich->out_conf->log, LOG_LEVEL_ERROR, "reload", "%s is new; kept the old: %s",
		  name, err.text);
}

static int commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct enrich *enrich = ctx;
	int64_t ids = 0, bytes = 0;
	int rc;

	rc = settle_held(enrich, filter, err);
	if (rc < 0)
		return rc;
	reload_if_stale(enrich);
	for (int p = 0; p < enrich->partition_count; p++) {
		struct partition *partition = &enrich->partitions[p];

		if (!partition->dedup)
			continue;
		ids += dedup_count(partition->dedup);
		bytes += dedup_bytes(partition->dedup);
		if (marker_is_due(enrich, partition, idle, filter_is_ending(filter))) {
			rc = write_marker(enrich, filter, p);
			if (rc < 0)
				return err_set(err, rc, "marker: %s", strerror(-rc));
		}
		partition->dropped_before = partition->dropped;
	}
	metric_set_value(enrich->metric_ids, ids);
	metric_set_value(enrich->metric_bytes, bytes);
	metric_set_value(enrich->metric_markers, (int64_t)enrich->markers);
	return 0;
}

static int begin(void *ctx, struct filter *filter, struct err *err)
{
	struct enrich *enrich = ctx;
	struct metric_set *set = filter_metrics(filter);

	for (int i = 0; chain_lack(enrich->chain, i); i++)
		log_words(enrich->out_conf->log, LOG_LEVEL_INFO, "lacks", "%s",
			  chain_lack(enrich->chain, i));
	(void)err;
	enrich->filter = filter;
	enrich->metric_ids = metric_add(set, METRIC_GAUGE, "millrace_enrich_dedup_ids", "",
					"Message ids held to know duplicates.");
	enrich->metric_bytes = metric_add(set, METRIC_GAUGE, "millrace_enrich_dedup_bytes", "",
					  "Memory of these.");
	enrich->metric_markers = metric_add(set, METRIC_COUNTER, "millrace_enrich_markers_total",
					    "", "Markers written in place of dropped records.");
	return 0;
}

const struct filter_ops enrich_ops = {
	.step = step, .commit = commit, .reload = reload, .begin = begin,
	.undecodable = undecodable,
};
