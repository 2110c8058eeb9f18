// SPDX-License-Identifier: Apache-2.0
/*
 * Who and what: the ids, the event's name, and name and category of a page or screen.
 *
 * A number is kept as the digits that were sent; JSON null and empty text are absent (python
 * sends "anonymousId": null). Which ids are junk (null, undefined, 0) is for aggregate to say: the
 * record keeps what the sender meant. An event without any id is kept, too.
 */
#include "enrich/step.h"

#include <errno.h>

static int apply(void *state, struct step_event *event)
{
	static const char *const names[STEP_TYPE_COUNT] = {
		[STEP_TYPE_IDENTIFY] = "Identify", [STEP_TYPE_PAGE] = "Page",
		[STEP_TYPE_SCREEN] = "Screen", [STEP_TYPE_GROUP] = "Group",
		[STEP_TYPE_ALIAS] = "Alias",
	};
	struct value *out = event->out;

	(void)state;
	if (event->type != STEP_TYPE_TRACK) {
		out[ENRICHED_EVENT] = value_text(slice_from(names[event->type]));
	} else {
		out[ENRICHED_EVENT] = step_id(event->body[STEP_BODY_EVENT]);
		if (!out[ENRICHED_EVENT].is_set) {
			event->bad.reason = "event_missing";
			event->bad.words = "a track call needs a non-empty string `event`";
			event->bad.at = "/event";
			return -EBADMSG;
		}
	}
	out[ENRICHED_USER_ID] = step_id(event->body[STEP_BODY_USER_ID]);
	out[ENRICHED_ANONYMOUS_ID] = step_id(event->body[STEP_BODY_ANONYMOUS_ID]);
	out[ENRICHED_GROUP_ID] = step_either(step_id(event->body[STEP_BODY_GROUP_ID]),
					     step_id(event->context[STEP_CONTEXT_GROUP_ID]));
	out[ENRICHED_PREVIOUS_ID] = step_id(event->body[STEP_BODY_PREVIOUS_ID]);
	if (event->type != STEP_TYPE_PAGE && event->type != STEP_TYPE_SCREEN)
		return 0;
	/* Segment's libraries copy both into properties, some senders have them only there. */
	out[ENRICHED_NAME] =
		step_either(step_text(event->body[STEP_BODY_NAME], TEXT_ID_MAX),
			    step_text(event->properties[STEP_PAGE_NAME], TEXT_ID_MAX));
	out[ENRICHED_CATEGORY] =
		step_either(step_text(event->body[STEP_BODY_CATEGORY], TEXT_ID_MAX),
			    step_text(event->properties[STEP_PAGE_CATEGORY], TEXT_ID_MAX));
	return 0;
}

const struct step_kind step_ids = {
	.name = "ids",
	.version = 1,
	.apply = apply,
};
