// SPDX-License-Identifier: Apache-2.0
#include "millrace/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/record.h"
#include "lib/stamp.h"
#include "lib/when.h"
#include "millrace/audit_book.h"
#include "millrace/progress.h"
#include "millrace/run.h"

#define WINDOW_US  (INT64_C(30) * 86400 * 1000000)      /* dedup's, at most */
#define VERIFY_MS  (3600 * 1000)

enum { STAGE_COLLECT, STAGE_ENRICH, STAGE_AGGREGATE, STAGE_SINKS };

/* A dead letter's place in enriched. */
struct letter {
	size_t sink;
	int64_t offset, received_us;
	int32_t partition;
};

struct audit {
	const struct audit_conf *conf;
	const struct settings *settings;
	struct topic_conf topic;
	int64_t since_us;               /* INT64_MIN: all */
	struct book_stage *stages;      /* owned: the three, then one per destination */
	size_t stage_count;
	struct reach_list reach;
	size_t *hints;                  /* owned, one per destination */
	struct topic_range collected, enriched;
	struct book_bits bits[BUS_PARTITIONS_MAX];
	int64_t position[BUS_PARTITIONS_MAX];   /* of enrich: highest src + 1 */
	uint64_t marked, matched;       /* offsets that came out; of these, that went in */
	struct stamp_seen seen;
	struct progress progress;       /* of aggregate */
	struct letter *letters;         /* owned */
	size_t letter_count;
	struct book_drops drops;
};

#define AT(field) offsetof(struct audit_conf, field)

static const struct opt opts[] = {
	{ "last", OPT_TEXT, AT(last), NULL, 0, 0, "SPAN",
	  "only what was received in that time (1h, 7d); all where not given" },
	{ "verify", OPT_FLAG, AT(is_verify), "yes", 0, 0, NULL,
	  "prove by `enrich --verify` that what was filtered is what settings drop" },
	{ "json", OPT_FLAG, AT(is_json), "no", 0, 0, NULL, "print JSON" },
	{ "topics", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "where the topics are [from the settings]" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE", "a librdkafka property" },
	{ "data", OPT_TEXT, AT(data), NULL, 0, 0, "DIR", "data directory of the `up`" },
	{ .name = NULL },
};

const struct opt_program audit_program = {
	.name = "audit",
	.called = "millrace audit",
	.summary = "prove that no event vanished between the stages",
	.usage = "  millrace audit [--last SPAN] [--no-verify] [--json]",
	.opts = opts,
};

static bool is_in_window(const struct audit *a, int64_t received_us)
{
	return a->since_us == INT64_MIN || received_us >= a->since_us;
}

/* --- enriched: what enrich made, how far aggregate and the sinks have come with it --- */

static void take_aggregate(struct audit *a, const struct bus_record *record, bool is_repeat,
			   bool is_marker, int64_t received)
{
	struct book_stage *stage = &a->stages[STAGE_AGGREGATE];
	int64_t next = a->progress.next[record->partition];

	if (!a->progress.is_known)
		return;
	book_count(stage, record->offset >= next ? BOOK_PENDING
		   : !record->fields		 ? BOOK_BAD
		   : is_repeat			 ? BOOK_DUPLICATE
		   : is_marker			 ? BOOK_FILTERED : BOOK_OUT,
		   (uint64_t)record->count, received);
}

static void take_sink(struct audit *a, size_t s, const struct bus_record *record, bool is_repeat,
		      bool is_marker, int64_t received)
{
	const struct reach *reach = &a->reach.items[s];
	struct book_stage *stage = &a->stages[STAGE_SINKS + s];
	int32_t p = record->partition;
	struct reach_range *range;
	bool is_event = record->fields && !is_repeat && !is_marker;

	if (record->offset < reach->begin[p])
		return;
	range = reach_find(reach, p, record->offset, &a->hints[s]);
	if (range)
		range->seen += is_event;
	if (!is_in_window(a, received))
		return;
	if (range) {
		book_count(stage, is_event ? BOOK_OUT : !record->fields ? BOOK_BAD
			   : is_repeat ? BOOK_DUPLICATE : BOOK_FILTERED,
			   (uint64_t)record->count, received);
	} else if (reach->is_file && record->offset < reach_end(reach, p)) {
		stage->in += (uint64_t)record->count;
		stage->lost += (uint64_t)record->count;
	} else {
		book_count(stage, BOOK_PENDING, (uint64_t)record->count, received);
	}
}

static int take_src(struct audit *a, const struct value *fields, bool is_marker, bool *is_repeat)
{
	int64_t p = fields[ENRICHED_SRC_PARTITION].num, offset = fields[ENRICHED_SRC_OFFSET].num;

	if (p < 0 || p >= BUS_PARTITIONS_MAX)
		return 0;
	*is_repeat = !stamp_is_new(&a->seen, (int32_t)p, offset, fields[ENRICHED_SRC_INDEX].num);
	if (offset >= a->position[p])
		a->position[p] = offset + 1;
	if (is_marker || offset < a->bits[p].base || book_marks(&a->bits[p], offset))
		return 0;
	a->marked++;
	return book_mark(&a->bits[p], offset, BOOK_MARK_OUT);
}

static int on_enriched(void *ctx, const struct bus_record *record, struct err *err)
{
	struct audit *a = ctx;
	const struct value *fields = record->fields;
	bool is_marker = false, is_repeat = false;
	int64_t received = 0;

	if (fields) {
		is_marker = slice_is(value_slice(&fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER);
		received = fields[ENRICHED_RECEIVED_AT].num;
		if (take_src(a, fields, is_marker, &is_repeat) < 0)
			return err_set(err, -ENOMEM, "no memory");
	}
	if (is_in_window(a, received))
		take_aggregate(a, record, is_repeat, is_marker, received);
	for (size_t s = 0; s < a->reach.count; s++)
		if (a->reach.items[s].is_on && !a->reach.items[s].words[0] &&
		    strcmp(a->reach.items[s].from, "enriched") == 0)
			take_sink(a, s, record, is_repeat, is_marker, received);
	return 0;
}

/* --- bad --- */

static int add_letter(struct audit *a, const struct value *fields)
{
	struct slice name = value_slice(&fields[BAD_DESTINATION]);
	struct letter letter = { .offset = fields[BAD_SRC_OFFSET].num,
				 .partition = (int32_t)fields[BAD_SRC_PARTITION].num,
				 .received_us = fields[BAD_RECEIVED_AT].num };
	struct letter *letters;

	for (letter.sink = 0; letter.sink < a->reach.count; letter.sink++)
		if (slice_is(name, a->reach.items[letter.sink].name))
			break;
	if (letter.sink == a->reach.count)
		return 0;
	if (a->letter_count % 256 == 0) {
		letters = reallocarray(a->letters, a->letter_count + 256, sizeof(*letters));
		if (!letters)
			return -ENOMEM;
		a->letters = letters;
	}
	a->letters[a->letter_count++] = letter;
	return 0;
}

static int on_bad(void *ctx, const struct bus_record *record, struct err *err)
{
	struct audit *a = ctx;
	const struct value *fields = record->fields;
	int64_t p = fields ? fields[BAD_SRC_PARTITION].num : -1;
	struct slice stage;
	int rc = 0;

	if (!fields)
		return 0;
	stage = value_slice(&fields[BAD_STAGE]);
	if (slice_is(stage, "collect") && is_in_window(a, fields[BAD_FAILED_AT].num))
		book_count(&a->stages[STAGE_COLLECT], BOOK_BAD, 1, 0);
	if (slice_is(stage, "enrich") && p >= 0 && p < BUS_PARTITIONS_MAX)
		for (int64_t i = 0; i < fields[BAD_SRC_COUNT].num && rc == 0; i++)
			rc = book_mark(&a->bits[p], fields[BAD_SRC_OFFSET].num + i, BOOK_MARK_BAD);
	if (slice_is(stage, "sink") && fields[BAD_DESTINATION].is_set)
		rc = add_letter(a, fields);
	return rc < 0 ? err_set(err, -ENOMEM, "no memory") : 0;
}

static int compare_letters(const void *a, const void *b)
{
	const struct letter *x = a, *y = b;

	if (x->sink != y->sink)
		return x->sink < y->sink ? -1 : 1;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* A dead letter is settled, but not out. One that died again after it was sent from bad has its
 * place there, and is none of enriched. */
static void take_letters(struct audit *a)
{
	if (a->letter_count)
		qsort(a->letters, a->letter_count, sizeof(*a->letters), compare_letters);
	for (size_t i = 0; i < a->letter_count; i++) {
		const struct letter *letter = &a->letters[i];
		struct book_stage *stage = &a->stages[STAGE_SINKS + letter->sink];
		size_t hint = 0;

		if ((i && compare_letters(letter, letter - 1) == 0) ||
		    !is_in_window(a, letter->received_us) || stage->fates[BOOK_OUT] == 0 ||
		    letter->partition < 0 || letter->partition >= a->enriched.partitions ||
		    letter->offset < a->enriched.begin[letter->partition] ||
		    !reach_find(&a->reach.items[letter->sink], letter->partition, letter->offset,
				&hint))
			continue;
		stage->fates[BOOK_OUT]--;
		stage->fates[BOOK_BAD]++;
	}
}

/* --- collected --- */

static uint64_t id_of(const struct value *fields)
{
	struct slice source = value_slice(&fields[COLLECTED_SOURCE]);
	struct slice id = value_slice(&fields[COLLECTED_MESSAGE_ID]);

	return XXH3_64bits_withSeed(id.ptr, id.len, XXH3_64bits(source.ptr, source.len));
}

static int take_offset(struct audit *a, const struct bus_record *record, int64_t offset,
		       int64_t received)
{
	struct book_stage *stage = &a->stages[STAGE_ENRICH];
	int32_t p = record->partition;
	unsigned marks = book_marks(&a->bits[p], offset);
	struct book_drop drop = { .offset = offset, .received_us = received, .partition = p };

	if (marks & BOOK_MARK_OUT)
		a->matched++;
	if (!is_in_window(a, received))
		return 0;
	book_count(&a->stages[STAGE_COLLECT], BOOK_OUT, 1, 0);
	if (marks & BOOK_MARK_OUT) {
		book_count(stage, BOOK_OUT, 1, received);
	} else if (marks & BOOK_MARK_BAD) {
		book_count(stage, BOOK_BAD, 1, received);
	} else if (offset >= a->position[p]) {
		book_count(stage, BOOK_PENDING, 1, received);
	} else {
		stage->in++;
		if (record->fields)
			drop.id = id_of(record->fields);
		return book_drop(&a->drops, drop);
	}
	return 0;
}

static int on_collected(void *ctx, const struct bus_record *record, struct err *err)
{
	struct audit *a = ctx;
	int64_t received = record->fields ? record->fields[COLLECTED_RECEIVED_AT].num : 0;
	int rc = 0;

	for (int64_t i = 0; i < record->count && rc == 0; i++)
		rc = take_offset(a, record, record->offset + i, received);
	return rc < 0 ? err_set(err, -ENOMEM, "no memory") : 0;
}

/* Again, from a window before: an earlier one that passed makes the later a duplicate. */
static int on_twin(void *ctx, const struct bus_record *record, struct err *err)
{
	struct audit *a = ctx;
	int32_t p = record->partition;

	(void)err;
	if (record->fields && (record->offset < a->collected.begin[p] ||
			       (book_marks(&a->bits[p], record->offset) & BOOK_MARK_OUT)))
		book_drops_prove(&a->drops, id_of(record->fields), p, record->offset);
	return 0;
}

/* `enrich --verify` computes all anew: what it does not miss, today's settings drop. */
static int verify(const struct audit *a, char *words, size_t size, struct err *err)
{
	char from[WHEN_TEXT_MAX + 16] = "", bus[4200], config[PATH_MAX + 16];
	const char *args[8] = { "enrich", config, bus, "--verify", "--metrics=", NULL };
	struct run_result result;
	int rc;

	snprintf(config, sizeof(config), "--config=%s", a->settings->config);
	snprintf(bus, sizeof(bus), "--bus=%s", a->topic.bus);
	if (a->since_us != INT64_MIN) {
		size_t len = (size_t)snprintf(from, sizeof(from), "--from-time=");

		when_print(a->since_us, 6, from + len);
		args[5] = from;
	}
	rc = run_child(args, VERIFY_MS, &result, err);
	if (rc < 0)
		return rc;
	run_last_words(&result, words, size);
	rc = result.status;
	run_result_close(&result);
	return rc;
}

static int settle_drops(struct audit *a, struct err *err)
{
	struct book_stage *stage = &a->stages[STAGE_ENRICH];
	struct topic_conf topic = a->topic;
	struct topic_range range;
	uint64_t unknown = 0;
	char words[200];
	int rc = 0;

	if (a->drops.count == 0)
		return 0;
	if (topic.since_us != INT64_MIN)
		topic.since_us -= WINDOW_US;
	book_drops_sort(&a->drops);
	rc = topic_read(&topic, "collected", "received_at", on_twin, a, &range, err);
	for (size_t i = 0; i < a->drops.count && rc == 0; i++)
		unknown += !a->drops.items[i].is_proven;
	if (rc < 0)
		return rc;
	stage->fates[BOOK_DUPLICATE] += a->drops.count - unknown;
	stage->unproven = a->conf->is_verify ? 0 : unknown;
	if (unknown && a->conf->is_verify)
		rc = verify(a, words, sizeof(words), err);
	if (rc == 0) {
		stage->fates[BOOK_FILTERED] += unknown;
	} else if (rc > 0) {
		stage->lost += unknown;
		book_say(stage, "enrich --verify: %s", words);
	}
	return rc < 0 ? rc : 0;
}

/* --- what else is known --- */

/* The store may hold fewer rows than passed (persons deleted, an id again after its window), more
 * never. */
static void look_at_aggregate(struct audit *a)
{
	struct book_stage *stage = &a->stages[STAGE_AGGREGATE];

	progress_read(a->settings, &a->progress);
	if (!a->progress.is_running)
		book_say(stage, a->progress.is_known ? "it does not run: as its manifest says"
			 : "it neither runs nor has a state: not looked at");
}

static void check_store(struct audit *a)
{
	struct book_stage *stage = &a->stages[STAGE_AGGREGATE];
	bool is_whole = a->since_us == INT64_MIN;
	uint64_t events = a->progress.events;

	for (int p = 0; p < a->enriched.partitions; p++)
		is_whole &= a->enriched.first[p] == 0;
	if (!a->progress.is_known || !is_whole || events == UINT64_MAX)
		return;
	/* While it runs its rows are counted a little later than its offsets. */
	if (events > stage->fates[BOOK_OUT] + stage->fates[BOOK_PENDING]) {
		stage->extra += events - stage->fates[BOOK_OUT] - stage->fates[BOOK_PENDING];
		book_say(stage, "the store has %" PRIu64 " events", events);
	} else if (events < stage->fates[BOOK_OUT]) {
		book_say(stage, "the store has %" PRIu64 " of them: the others are of deleted "
			 "persons, too old to be kept, or have an id that it had", events);
	}
}

/* Each finished file holds what its sums say, and what the topic has between its offsets. */
static void check_files(struct audit *a, size_t s)
{
	const struct reach *reach = &a->reach.items[s];
	struct book_stage *stage = &a->stages[STAGE_SINKS + s];

	for (int p = 0; p < a->enriched.partitions; p++)
		if (reach->begin[p] > a->enriched.first[p])
			book_say(stage, "no files before offset %" PRId64 " are here",
				 reach->begin[p]);
	for (size_t i = 0; i < reach->count; i++) {
		const struct reach_range *range = &reach->ranges[i];
		int32_t p = range->partition;

		if (i && range[-1].partition == p && range[-1].last >= range->first) {
			stage->extra += (uint64_t)(range[-1].last - range->first + 1);
			book_say(stage, "files overlap at offset %" PRId64, range->first);
		}
		if (!range->has_sum || p >= a->enriched.partitions ||
		    range->first < a->enriched.begin[p] || range->last >= a->enriched.end[p] ||
		    range->seen == range->records)
			continue;
		if (range->seen > range->records)
			stage->lost += range->seen - range->records;
		else
			stage->extra += range->records - range->seen;
		book_say(stage, "the file from offset %" PRId64 " holds %" PRIu64 " records, "
			 "the topic %" PRIu64, range->first, range->records, range->seen);
	}
}

static void check_sinks(struct audit *a)
{
	for (size_t s = 0; s < a->reach.count; s++) {
		struct reach *reach = &a->reach.items[s];
		struct book_stage *stage = &a->stages[STAGE_SINKS + s];

		if (reach->words[0])
			book_say(stage, "%.200s", reach->words);
		else if (!reach->is_on)
			book_say(stage, "switched off");
		else if (strcmp(reach->from, "enriched") != 0)
			book_say(stage, "reads %s: only enriched is added up", reach->from);
		else if (reach->is_file)
			check_files(a, s);
		else
			book_say(stage, "out is what it took, and what its settings left out");
	}
}

/* --- all --- */

static int begin(struct audit *a, struct err *err)
{
	int rc = reach_read(&a->reach, a->settings->dir, a->settings->data, err);

	if (rc < 0)
		return rc;
	a->stage_count = STAGE_SINKS + a->reach.count;
	a->stages = calloc(a->stage_count, sizeof(*a->stages));
	a->hints = calloc(a->reach.count + 1, sizeof(*a->hints));
	if (!a->stages || !a->hints)
		return err_set(err, -ENOMEM, "no memory");
	snprintf(a->stages[STAGE_COLLECT].name, sizeof(a->stages->name), "collect");
	snprintf(a->stages[STAGE_ENRICH].name, sizeof(a->stages->name), "enrich");
	snprintf(a->stages[STAGE_AGGREGATE].name, sizeof(a->stages->name), "aggregate");
	for (size_t s = 0; s < a->reach.count; s++)
		snprintf(a->stages[STAGE_SINKS + s].name, sizeof(a->stages->name), "sink:%s",
			 a->reach.items[s].name);
	rc = topic_read(&a->topic, "collected", "received_at", NULL, NULL, &a->collected, err);
	if (rc < 0 || a->since_us == INT64_MIN)
		a->topic.since_us = a->since_us;
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		a->position[p] = -1;
		a->bits[p].base = a->collected.first[p];
	}
	stamp_seen_init(&a->seen);
	return rc;
}

static int read_topics(struct audit *a, struct err *err)
{
	struct topic_range range;
	int rc;

	look_at_aggregate(a);
	rc = topic_read(&a->topic, "enriched", "received_at", on_enriched, a, &a->enriched, err);
	if (rc == 0)
		rc = topic_read(&a->topic, "bad", "failed_at", on_bad, a, &range, err);
	if (rc == 0)
		rc = topic_read(&a->topic, "collected", "received_at", on_collected, a,
				&a->collected, err);
	if (rc == 0)
		rc = settle_drops(a, err);
	if (rc < 0)
		return rc;
	a->stages[STAGE_ENRICH].extra += a->marked > a->matched ? a->marked - a->matched : 0;
	take_letters(a);
	check_store(a);
	check_sinks(a);
	return 0;
}

static int set_since(struct audit *a, struct err *err)
{
	int64_t ms;

	a->since_us = INT64_MIN;
	if (!a->conf->last)
		return 0;
	if (opt_parse_ms(a->conf->last, &ms) < 0 || ms <= 0 || ms > INT64_C(3650) * 86400000)
		return err_set(err, -EINVAL, "--last: '%.40s' is no time such as 1h or 7d",
			       a->conf->last);
	a->since_us = when_now_us() - ms * 1000;
	return 0;
}

int audit_run(const struct audit_conf *conf, const struct settings *settings, struct buf *out,
	      struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));
	bool holds = true;
	int rc;

	if (!a)
		return err_set(err, -ENOMEM, "no memory");
	a->conf = conf;
	a->settings = settings;
	rc = set_since(a, err);
	a->topic = (struct topic_conf){ conf->bus ? conf->bus : settings->bus, &conf->kafka,
					a->since_us };
	if (rc == 0)
		rc = begin(a, err);
	if (rc == 0)
		rc = read_topics(a, err);
	if (rc == 0)
		book_print(a->stages, a->stage_count, a->topic.bus, a->since_us, conf->is_json,
			   out);
	for (size_t i = 0; i < a->stage_count && rc == 0; i++)
		holds &= book_holds(&a->stages[i]);
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		free(a->bits[p].bytes);
	reach_close(&a->reach);
	free(a->stages);
	free(a->hints);
	free(a->letters);
	free(a->drops.items);
	free(a);
	return rc == 0 && !holds ? -EBADMSG : rc;
}
