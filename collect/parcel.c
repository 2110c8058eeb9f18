// SPDX-License-Identifier: Apache-2.0
#include "collect/parcel.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/datum.h"
#include "lib/json.h"
#include "lib/record.h"

#define TEXT_MAX 1024           /* of an agent or address */
#define KEEP_MAX ((size_t)4 << 20)

static struct slice clean(struct parcel *parcel, struct slice text, size_t *at)
{
	if (text.len > TEXT_MAX)
		text.len = TEXT_MAX;
	*at = parcel->clean.len;
	json_clean_utf8(text, &parcel->clean);
	return (struct slice){ NULL, parcel->clean.len - *at };
}

void parcel_begin(struct parcel *parcel, const struct parcel_from *from)
{
	size_t ip_at, agent_at;

	if (parcel->bytes.cap > KEEP_MAX)
		buf_close(&parcel->bytes);
	buf_reset(&parcel->bytes);
	parcel->bytes.limit = parcel->bytes_max;
	buf_reset(&parcel->clean);
	parcel->count = 0;
	parcel->counts[PARCEL_OUT] = parcel->counts[PARCEL_BAD] = 0;
	parcel->filtered = 0;
	parcel->from = *from;
	parcel->from.ip = clean(parcel, from->ip, &ip_at);
	parcel->from.user_agent = clean(parcel, from->user_agent, &agent_at);
	parcel->from.ip.ptr = buf_slice(&parcel->clean).ptr + ip_at;
	parcel->from.user_agent.ptr = buf_slice(&parcel->clean).ptr + agent_at;
}

static struct value text_or_null(struct slice text)
{
	return text.len ? value_text(text) : (struct value){ 0 };
}

static int add(struct parcel *parcel, enum parcel_lane lane, struct source *source,
	       const struct value *fields, struct slice key)
{
	size_t at = parcel->bytes.len;
	struct parcel_item *items;
	size_t cap;

	if (parcel->count == parcel->cap) {
		cap = parcel->cap ? parcel->cap * 2 : 64;
		items = realloc(parcel->items, cap * sizeof(*items));
		if (!items)
			return -ENOSPC;
		parcel->items = items;
		parcel->cap = cap;
	}
	if (datum_encode(parcel->schemas[lane], fields, &parcel->bytes))
		return -ENOSPC;
	items = &parcel->items[parcel->count];
	*items = (struct parcel_item){
		.source = source, .lane = (uint8_t)lane, .value_at = (uint32_t)at,
		.value_len = (uint32_t)(parcel->bytes.len - at), .key_len = (uint16_t)key.len,
	};
	buf_append_slice(&parcel->bytes, key);
	if (parcel->bytes.failed)
		return -ENOSPC;
	parcel->count++;
	parcel->counts[lane]++;
	return 0;
}

int parcel_event(struct parcel *parcel, const struct parcel_event *event)
{
	const struct value fields[COLLECTED_COUNT] = {
		[COLLECTED_MESSAGE_ID] = value_text(event->message_id),
		[COLLECTED_TYPE] = value_text(event->type),
		[COLLECTED_SOURCE] = value_text(event->source->name),
		[COLLECTED_RECEIVED_AT] = value_num(parcel->from.received_us),
		[COLLECTED_SENT_AT] = { .num = event->sent_us, .is_set = event->has_sent },
		[COLLECTED_IP] = text_or_null(parcel->from.ip),
		[COLLECTED_USER_AGENT] = text_or_null(parcel->from.user_agent),
		[COLLECTED_DOOR] = value_text(parcel->from.door),
		[COLLECTED_BODY] = value_text(event->body),
		[COLLECTED_OPT_OUT] = text_or_null(slice_from(parcel->from.opt_out)),
	};
	struct slice key = event->key;

	if (key.len > UINT16_MAX)
		key.len = UINT16_MAX;
	return add(parcel, PARCEL_OUT, event->source, fields, key);
}

int parcel_bad(struct parcel *parcel, const struct parcel_bad *bad)
{
	struct slice original = bad->original;
	struct value fields[BAD_COUNT] = {
		[BAD_STAGE] = value_text(SLICE("collect")),
		[BAD_REASON] = value_text(slice_from(bad->reason)),
		[BAD_WORDS] = value_text(slice_from(bad->words)),
		[BAD_AT] = value_text(slice_from(bad->at)),
		[BAD_FAILED_AT] = value_num(parcel->from.received_us),
		[BAD_RECEIVED_AT] = value_num(parcel->from.received_us),
		[BAD_IP] = text_or_null(parcel->from.ip),
		[BAD_USER_AGENT] = text_or_null(parcel->from.user_agent),
		[BAD_FORMAT] = value_text(slice_from(bad->format)),
		[BAD_SRC_PARTITION] = value_num(-1),
		[BAD_SRC_OFFSET] = value_num(-1),
		[BAD_SRC_COUNT] = value_num(1),
	};
	char words[320];

	if (bad->source)
		fields[BAD_SOURCE] = value_text(bad->source->name);
	if (original.len > parcel->bad_max) {
		int n = snprintf(words, sizeof(words), "%s; only the first %zu of %zu bytes are "
				 "kept", bad->words, parcel->bad_max, original.len);

		if (n >= (int)sizeof(words))
			n = (int)sizeof(words) - 1;
		fields[BAD_WORDS] = value_text((struct slice){ words, (size_t)n });
		original.len = parcel->bad_max;
	}
	fields[BAD_ORIGINAL] = value_text(original);
	return add(parcel, PARCEL_BAD, bad->source, fields, (struct slice){ "", 0 });
}

struct slice parcel_value(const struct parcel *parcel, const struct parcel_item *item)
{
	return (struct slice){ parcel->bytes.ptr + item->value_at, item->value_len };
}

struct slice parcel_key(const struct parcel *parcel, const struct parcel_item *item)
{
	return (struct slice){ parcel->bytes.ptr + item->value_at + item->value_len,
			       item->key_len };
}

void parcel_close(struct parcel *parcel)
{
	free(parcel->items);
	buf_close(&parcel->bytes);
	buf_close(&parcel->clean);
}
