// SPDX-License-Identifier: Apache-2.0
#include "aggregate/ingest.h"

#include "aggregate/serve.h"
#include "lib/record.h"
#include "lib/when.h"

/* How often the ends of the topic are looked at: on Kafka that asks librdkafka. */
#define LOOK_MS 200

int ingest_open(struct ingest *ingest, const int64_t next[BUS_PARTITIONS_MAX], struct err *err)
{
	int rc = row_taker_open(&ingest->taker, ingest->store, err);

	stamp_seen_init(&ingest->seen);
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++) {
		ingest->state.next[p] = next[p];
		if (next[p])
			ingest->state.partitions = p + 1;
	}
	if (rc == 0 && ingest->count)
		rc = count_begin(ingest->count, ingest->store, err);
	return rc;
}

void ingest_close(struct ingest *ingest)
{
	if (ingest)
		row_taker_close(ingest->taker);
}

int64_t ingest_start(void *ctx, int32_t partition, struct err *err)
{
	const struct ingest *ingest = ctx;

	(void)err;
	return ingest->state.next[partition] ? ingest->state.next[partition] : BUS_OFFSET_FIRST;
}

static int ingest_step(void *ctx, struct filter *filter, const struct bus_record *record,
		       struct err *err)
{
	struct ingest *ingest = ctx;
	const struct value *fields = record->fields;
	int64_t src = fields[ENRICHED_SRC_PARTITION].num;
	int32_t p = record->partition;
	int rc;

	(void)filter;
	ingest->state.next[p] = record->offset + record->count;
	ingest->received_us[p] = fields[ENRICHED_RECEIVED_AT].num;
	if (p >= ingest->state.partitions)
		ingest->state.partitions = p + 1;
	if (src >= 0 && src < BUS_PARTITIONS_MAX &&
	    !stamp_is_new(&ingest->seen, (int32_t)src, fields[ENRICHED_SRC_OFFSET].num,
			  fields[ENRICHED_SRC_INDEX].num))
		return FILTER_DUPLICATE;
	if (slice_is(value_slice(&fields[ENRICHED_TYPE]), RECORD_TYPE_MARKER))
		return FILTER_FILTERED;
	if (!ingest->is_changing)
		store_change_begin(ingest->store);
	ingest->is_changing = true;
	rc = row_take(ingest->taker, fields, err);
	if (rc != 1)
		return rc < 0 ? rc : rc == 0 ? FILTER_DUPLICATE : FILTER_FILTERED;
	return FILTER_OUT;
}

/* All that was received before complete_through is counted: now, where nothing is left to read;
 * else what the slowest partition has come to. It never falls. */
static void look_at_ends(struct ingest *ingest, bool idle)
{
	struct progress_state *state = &ingest->state;
	int64_t through = when_now_us(), first;
	bool is_known = true;
	int count = bus_partition_count(ingest->in);

	if (count > state->partitions && count <= BUS_PARTITIONS_MAX)
		state->partitions = count;
	for (int p = 0; p < state->partitions; p++) {
		if (bus_range(ingest->in, p, &first, &state->end[p]) < 0) {
			first = 0;
			state->end[p] = idle ? state->next[p] : state->next[p] + 1;
		}
		if (ingest->first_count == 0)
			ingest->first_end[p] = first == state->end[p] ? 0 : state->end[p];
		if (state->next[p] >= state->end[p] || first == state->end[p])
			continue;
		if (state->next[p] == 0)
			is_known = false;
		else if (ingest->received_us[p] < through)
			through = ingest->received_us[p];
	}
	if (ingest->first_count == 0 && count > 0)
		ingest->first_count = count < BUS_PARTITIONS_MAX ? count : BUS_PARTITIONS_MAX;
	if (count > 0 && is_known && through > state->complete_through_us)
		state->complete_through_us = through;
}

/* Until then the store lacks what came since its last flush: days ago, too, where history was
 * imported, so that no bucket is whole. Without a topic there is nothing to wait for. */
static bool is_caught_up(const struct ingest *ingest, bool idle)
{
	if (ingest->first_count == 0)
		return idle;
	for (int p = 0; p < ingest->first_count; p++)
		if (ingest->state.next[p] < ingest->first_end[p])
			return false;
	return true;
}

static void set_gauges(struct ingest *ingest)
{
	struct store_counts counts = store_counts(ingest->store);
	struct row_counts rows = row_counts(ingest->taker);
	struct saved_counts saved = saved_counts(ingest->saved);
	struct serve_counts served = serve_counts(ingest->serve);
	struct count_counts cells = count_counts(ingest->count);
	const uint64_t values[] = {
		counts.events, persons_count(store_persons(ingest->store)), counts.files,
		counts.images, counts.file_bytes, counts.memory_bytes, counts.merges,
		counts.properties_left_out + rows.left_out, counts.events_left_out, rows.adjusted,
		counts.deleted, ingest->state.emitted, saved.queries + saved.funnels,
		saved.members, saved.emitted, saved.failed, cells.cells, cells.left_out,
		counts.forks, served.asked, served.late, served.large, served.canceled,
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		metric_set_value(ingest->gauges[i], (int64_t)values[i]);
}

static void publish(struct ingest *ingest, struct filter *filter)
{
	ingest->state.ledger = *filter_ledger(filter);
	pthread_mutex_lock(&ingest->progress->lock);
	ingest->progress->state = ingest->state;
	pthread_mutex_unlock(&ingest->progress->lock);
	set_gauges(ingest);
}

static int emit_due(struct ingest *ingest, struct filter *filter, int64_t now_ms, struct err *err)
{
	struct emit_progress progress = { ingest->state.next, ingest->state.end,
					  ingest->state.partitions, filter_is_ending(filter) };

	if (!ingest->emit ||
	    (!progress.all && now_ms - ingest->emitted_ms < ingest->emit_every_ms))
		return 0;
	ingest->emitted_ms = now_ms;
	return emit_changes(ingest->emit, filter, &progress, &ingest->state.emitted, err);
}

static int tell_saved(struct ingest *ingest, bool idle, bool ending, struct err *err)
{
	const struct saved_progress progress = {
		ingest->state.next, ingest->state.end, ingest->state.partitions, idle, ending
	};

	return saved_commit(ingest->saved, ingest->store, &progress, err);
}

static int ingest_commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct ingest *ingest = ctx;
	int64_t now_ms = when_monotonic_ms();
	bool ending = filter_is_ending(filter);
	int rc = ingest->is_changing ? store_change_end(ingest->store, err) : 0;

	ingest->is_changing = false;
	if (rc == 0 && (ending || now_ms - ingest->looked_ms >= LOOK_MS)) {
		look_at_ends(ingest, idle);
		ingest->looked_ms = now_ms;
	}
	if (!ingest->state.is_caught_up)
		ingest->state.is_caught_up = is_caught_up(ingest, idle);
	if (rc == 0)
		rc = store_commit(ingest->store, ingest->state.next,
				  bus_partition_count(ingest->in), ending, err);
	if (rc == 0)
		rc = erase_commit(ingest->erase, ingest->state.complete_through_us, err);
	if (rc == 0)
		rc = emit_due(ingest, filter, now_ms, err);
	if (rc == 0)
		rc = tell_saved(ingest, idle, ending, err);
	publish(ingest, filter);
	return rc;
}

static int ingest_begin(void *ctx, struct filter *filter, struct err *err)
{
	static const struct {
		enum metric_kind kind;
		const char *name, *help;
	} gauges[] = {
		{ METRIC_GAUGE, "millrace_aggregate_events", "Events in the store." },
		{ METRIC_GAUGE, "millrace_aggregate_persons", "Known persons." },
		{ METRIC_GAUGE, "millrace_aggregate_files", "Column files." },
		{ METRIC_GAUGE, "millrace_aggregate_images", "The same in memory." },
		{ METRIC_GAUGE, "millrace_aggregate_file_bytes", "Bytes of column files." },
		{ METRIC_GAUGE, "millrace_aggregate_memory_bytes", "Bytes of events in memory." },
		{ METRIC_COUNTER, "millrace_aggregate_merges_total", "Flushes and merges." },
		{ METRIC_COUNTER, "millrace_aggregate_properties_left_out_total",
		  "Properties that were too many, too deep, or no JSON." },
		{ METRIC_COUNTER, "millrace_aggregate_events_left_out_total",
		  "Events whose name was one too many." },
		{ METRIC_COUNTER, "millrace_aggregate_times_adjusted_total",
		  "Events with an impossible time." },
		{ METRIC_COUNTER, "millrace_aggregate_deleted_total",
		  "Events that came for a deleted person." },
		{ METRIC_COUNTER, "millrace_aggregate_emitted_total",
		  "Records written to counted." },
		{ METRIC_GAUGE, "millrace_aggregate_saved", "Saved queries and funnels." },
		{ METRIC_GAUGE, "millrace_aggregate_members", "Persons in saved queries." },
		{ METRIC_COUNTER, "millrace_aggregate_saved_emitted_total",
		  "Records written to members and funnels." },
		{ METRIC_COUNTER, "millrace_aggregate_saved_failed_total",
		  "Saved queries that could not be read or asked." },
		{ METRIC_GAUGE, "millrace_aggregate_counted_cells",
		  "Rolling counts that are kept right." },
		{ METRIC_COUNTER, "millrace_aggregate_counted_left_out_total",
		  "Rolling counts that were not told: a value too long, or too many." },
		{ METRIC_COUNTER, "millrace_aggregate_forks_total",
		  "Times that persons were copied because a question took long." },
		{ METRIC_COUNTER, "millrace_aggregate_questions_total", "Questions." },
		{ METRIC_COUNTER, "millrace_aggregate_questions_late_total",
		  "Questions that took too long (408)." },
		{ METRIC_COUNTER, "millrace_aggregate_questions_large_total",
		  "Questions that needed too much memory (413)." },
		{ METRIC_COUNTER, "millrace_aggregate_questions_canceled_total",
		  "Questions that stopped because the client went away." },
	};
	struct ingest *ingest = ctx;

	(void)err;
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
		ingest->gauges[i] = metric_add(filter_metrics(filter), gauges[i].kind,
					       gauges[i].name, "", gauges[i].help);
	return 0;
}

const struct filter_ops ingest_ops = {
	.step = ingest_step, .commit = ingest_commit, .begin = ingest_begin,
};
