// SPDX-License-Identifier: Apache-2.0
/*
 * The rest as it was sent: properties, traits, context and integrations as JSON text, all of
 * them, also what has leaves of its own. Something that is no object is dropped: its place in a
 * query would be undefined. An identify call without traits has those of its context (rudder).
 */
#include "enrich/step.h"

#include <errno.h>

/* As it stands in the body where that can be shown on one line; else written anew, compact. */
static int set_json(struct step_event *event, int leaf, yyjson_val *value, bool is_member)
{
	size_t start = event->text->len;
	struct slice source;

	if (!yyjson_is_obj(value))
		return 0;
	if (is_member) {
		source = json_source(event->json, event->in[COLLECTED_BODY].text, value);
		if (source.ptr) {
			event->out[leaf] = value_text(source);
			return 0;
		}
	}
	json_write(value, event->text);
	if (event->text->failed)
		return -ENOSPC;
	/* Only the length now: the buffer may move until all is written. */
	event->out[leaf] = value_text((struct slice){ NULL, event->text->len - start });
	return 0;
}

static int apply(void *state, struct step_event *event)
{
	static const int leaves[] = { ENRICHED_PROPERTIES, ENRICHED_TRAITS, ENRICHED_CONTEXT,
				      ENRICHED_INTEGRATIONS };
	yyjson_val *values[] = { event->body[STEP_BODY_PROPERTIES], event->body[STEP_BODY_TRAITS],
				 event->body[STEP_BODY_CONTEXT],
				 event->body[STEP_BODY_INTEGRATIONS] };
	const char *at;

	(void)state;
	if (!values[1] && event->type == STEP_TYPE_IDENTIFY)
		values[1] = event->context[STEP_CONTEXT_TRAITS];
	for (int i = 0; i < 4; i++) {
		bool is_member = i != 1 || event->body[STEP_BODY_TRAITS];

		if (set_json(event, leaves[i], values[i], is_member) < 0) {
			event->bad.reason = "too_large";
			event->bad.words = "the event's JSON is over 1 MiB";
			event->bad.at = "";
			return -EBADMSG;
		}
	}
	for (int i = 0; i < LEAF_COUNT; i++)
		event->trees[i].root = event->out[leaves[i]].is_set ? values[i] : NULL;
	at = buf_slice(event->text).ptr;
	for (int i = 0; i < 4; i++) {
		struct value *out = &event->out[leaves[i]];

		if (!out->is_set || out->text.ptr)
			continue;
		out->text.ptr = at;
		at += out->text.len;
	}
	return 0;
}

const struct step_kind step_json = {
	.name = "json",
	.version = 1,
	.apply = apply,
};
