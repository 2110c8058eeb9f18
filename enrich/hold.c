// SPDX-License-Identifier: Apache-2.0
#include "enrich/hold.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

struct held {
	struct bus_record record;
	struct step_answer *answers;
	size_t line;                    /* of the question in lines; SIZE_MAX: it does not ask */
	size_t line_len;
};

struct hold {
	struct arena arena;
	struct held *held;              /* [HOLD_COUNT_MAX] */
	struct step_question *questions;        /* [HOLD_COUNT_MAX] */
	size_t count, bytes;
	struct buf lines;
};

int hold_open(struct hold **holdp, struct err *err)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	if (hold) {
		hold->held = calloc(HOLD_COUNT_MAX, sizeof(*hold->held));
		hold->questions = calloc(HOLD_COUNT_MAX, sizeof(*hold->questions));
	}
	if (!hold || !hold->held || !hold->questions) {
		hold_close(hold);
		return err_set(err, -ENOMEM, "no memory");
	}
	*holdp = hold;
	return 0;
}

void hold_close(struct hold *hold)
{
	if (!hold)
		return;
	arena_close(&hold->arena);
	buf_close(&hold->lines);
	free(hold->held);
	free(hold->questions);
	free(hold);
}

int hold_add(struct hold *hold, const struct bus_record *record, int asks)
{
	struct held *held = &hold->held[hold->count];
	struct slice raw = arena_copy(&hold->arena, record->raw);
	struct value *fields = arena_alloc(&hold->arena, COLLECTED_COUNT * sizeof(*fields));

	held->answers = arena_alloc(&hold->arena, ((size_t)asks + 1) * sizeof(*held->answers));
	if (!raw.ptr || !fields || !held->answers)
		return -ENOMEM;
	memset(held->answers, 0, ((size_t)asks + 1) * sizeof(*held->answers));
	memcpy(fields, record->fields, COLLECTED_COUNT * sizeof(*fields));
	for (int i = 0; i < COLLECTED_COUNT; i++) {
		bool is_text = i != COLLECTED_RECEIVED_AT && i != COLLECTED_SENT_AT;

		if (!is_text || !fields[i].is_set)
			continue;
		/* Texts point into raw, but for defaults of the schema, which stay. */
		if (fields[i].text.ptr >= record->raw.ptr &&
		    fields[i].text.ptr <= record->raw.ptr + record->raw.len)
			fields[i].text.ptr = raw.ptr + (fields[i].text.ptr - record->raw.ptr);
	}
	held->record = *record;
	held->record.raw = raw;
	held->record.key = (struct slice){ "", 0 };
	held->record.fields = fields;
	hold->count++;
	hold->bytes += raw.len;
	return 0;
}

bool hold_is_full(const struct hold *hold)
{
	return hold->count == HOLD_COUNT_MAX || hold->bytes >= HOLD_BYTES_MAX;
}

size_t hold_count(const struct hold *hold)
{
	return hold->count;
}

/* The questions of one step. */
static int ask_one(struct hold *hold, struct chain *chain, const struct step_event *event,
		   int number, const struct step_stop *stop, hold_run_fn *run, void *ctx)
{
	size_t count = 0;

	buf_reset(&hold->lines);
	for (size_t i = 0; i < hold->count; i++) {
		struct held *held = &hold->held[i];
		int rc = run(ctx, &held->record, held->answers, number);

		held->line = SIZE_MAX;
		if (rc == -ENOMEM)
			return rc;
		if (rc != STEP_RESULT_ASK || event->asked != number)
			continue;       /* it is settled, or does not come by here */
		held->line = hold->lines.len;
		chain_question(chain, event, &hold->lines);
		held->line_len = hold->lines.len - held->line;
	}
	if (hold->lines.failed)
		return -ENOMEM;
	for (size_t i = 0; i < hold->count; i++) {
		struct held *held = &hold->held[i];

		if (held->line == SIZE_MAX)
			continue;
		hold->questions[count++] = (struct step_question){
			.partition = held->record.partition, .offset = held->record.offset,
			.line = { hold->lines.ptr + held->line, held->line_len },
			.answer = &held->answers[number],
		};
	}
	return count ? chain_answer(chain, number, stop, hold->questions, count, &hold->arena) : 0;
}

int hold_ask(struct hold *hold, struct chain *chain, const struct step_event *event,
	     const struct step_stop *stop, hold_run_fn *run, void *ctx)
{
	int rc = 0;

	for (int i = 0; i < chain_ask_count(chain) && rc == 0; i++)
		rc = ask_one(hold, chain, event, i, stop, run, ctx);
	return rc;
}

const struct bus_record *hold_at(const struct hold *hold, size_t i,
				 const struct step_answer **answers)
{
	*answers = hold->held[i].answers;
	return &hold->held[i].record;
}

void hold_reset(struct hold *hold)
{
	arena_reset(&hold->arena);
	hold->count = 0;
	hold->bytes = 0;
}
