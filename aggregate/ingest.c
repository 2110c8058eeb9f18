// SPDX-License-Identifier: Apache-2.0
#include "aggregate/ingest.h"

#include "lib/record.h"
#include "lib/when.h"

/* How often the ends of the topic are looked at: on Kafka that asks librdkafka. */
#define LOOK_MS 200

void ingest_init(struct ingest *ingest)
{
	stamp_seen_init(&ingest->seen);
}

static int count_one(struct ingest *ingest, const struct value *fields, struct err *err)
{
	struct slice user = value_slice(&fields[ENRICHED_USER_ID]);
	char kind = 'u';
	int rc;

	if (user.len == 0) {
		user = value_slice(&fields[ENRICHED_ANONYMOUS_ID]);
		kind = 'a';
	}
	rc = count_add(ingest->count, value_slice(&fields[ENRICHED_EVENT]), kind, user,
		       fields[ENRICHED_TIMESTAMP].num);
	return rc < 0 ? err_set(err, rc, "the counts do not fit into memory") : FILTER_OUT;
}

static int ingest_step(void *ctx, struct filter *filter, const struct bus_record *record,
		       struct err *err)
{
	struct ingest *ingest = ctx;
	const struct value *fields = record->fields;
	int64_t src = fields[ENRICHED_SRC_PARTITION].num;
	int32_t p = record->partition;

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
	return count_one(ingest, fields, err);
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
		if (state->next[p] >= state->end[p] || first == state->end[p])
			continue;
		if (state->next[p] == 0)
			is_known = false;
		else if (ingest->received_us[p] < through)
			through = ingest->received_us[p];
	}
	if (count > 0 && is_known && through > state->complete_through_us)
		state->complete_through_us = through;
}

static void publish(struct ingest *ingest, struct filter *filter)
{
	ingest->state.ledger = *filter_ledger(filter);
	pthread_mutex_lock(&ingest->progress->lock);
	ingest->progress->state = ingest->state;
	pthread_mutex_unlock(&ingest->progress->lock);
	metric_set_value(ingest->persons, (int64_t)count_persons(ingest->count));
	metric_set_value(ingest->names, count_names(ingest->count));
	metric_set_value(ingest->emitted, (int64_t)ingest->state.emitted);
}

static int ingest_commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct ingest *ingest = ctx;
	int64_t now_ms = when_monotonic_ms();
	bool ending = filter_is_ending(filter);
	int rc = 0;

	if (ending || now_ms - ingest->looked_ms >= LOOK_MS) {
		look_at_ends(ingest, idle);
		ingest->looked_ms = now_ms;
	}
	if (ingest->emit && (ending || now_ms - ingest->emitted_ms >= ingest->emit_every_ms)) {
		rc = emit_changes(ingest->emit, filter, ingest->state.next, ingest->state.end,
				  ingest->state.partitions, &ingest->state.emitted);
		ingest->emitted_ms = now_ms;
	}
	publish(ingest, filter);
	return rc < 0 ? err_set(err, rc, "counted: %s", bus_error_text(emit_bus(ingest->emit))) : 0;
}

static int ingest_begin(void *ctx, struct filter *filter, struct err *err)
{
	struct ingest *ingest = ctx;
	struct metric_set *set = filter_metrics(filter);

	(void)err;
	ingest->persons = metric_add(set, METRIC_GAUGE, "millrace_aggregate_persons", "",
				     "Different users counted.");
	ingest->names = metric_add(set, METRIC_GAUGE, "millrace_aggregate_event_names", "",
				   "Different event names.");
	ingest->emitted = metric_add(set, METRIC_COUNTER, "millrace_aggregate_emitted_total", "",
				     "Records written to counted.");
	return 0;
}

const struct filter_ops ingest_ops = {
	.step = ingest_step, .commit = ingest_commit, .begin = ingest_begin,
};
