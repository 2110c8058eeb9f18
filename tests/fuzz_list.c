// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as each of enrich's lists; the first byte chooses. What opens is then asked with the
 * bytes themselves, and gives answers that lie inside what it may point to.
 */
#include <stdint.h>
#include <stdlib.h>

#include "enrich/agent_match.h"
#include "enrich/bot_match.h"
#include "enrich/ip.h"
#include "enrich/literal.h"
#include "enrich/range.h"
#include "enrich/referrers.h"
#include "enrich/suffix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte is read: the sanitizer sees what points astray. */
static void touch(struct slice text)
{
	volatile char sum = 0;

	for (size_t i = 0; i < text.len; i++)
		sum = (char)(sum + text.ptr[i]);
}

static void try_agent(struct slice text)
{
	static const char frame[] = "\nos_parsers: []\ndevice_parsers: []\n";
	struct agent_match *match = NULL;
	struct slice parts[AGENT_PARTS];
	struct buf whole = { 0 };

	buf_append_text(&whole, "user_agent_parsers:\n");
	buf_append_slice(&whole, text);
	buf_append_text(&whole, frame);
	if (agent_match_open(&match, buf_slice(&whole), "f", NULL, NULL) == 0) {
		agent_match(match, text, parts);
		for (int i = 0; i < AGENT_PARTS; i++)
			touch(parts[i]);
	}
	agent_match_close(match);
	buf_close(&whole);
}

/* A text that a pattern matches has its literals: the pattern with and without them agree. */
static void try_pattern(struct slice text)
{
	const char *end = memchr(text.ptr, '\n', text.len);
	struct slice regex = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };
	struct slice subject = slice_skip(text, regex.len + 1);
	struct pattern_set *sets[2] = { NULL, NULL };
	int found[2] = { -1, -1 };
	bool open = true;

	if (regex.len > 200)
		return;
	for (int i = 0; i < 2 && open; i++) {
		open = pattern_open(&sets[i], 10000000, NULL) == 0 &&
		       pattern_add(sets[i], 0, regex, i, NULL) == 0 &&
		       pattern_add(sets[i], 1, regex, false, NULL) == 0 &&
		       pattern_build(sets[i], true, NULL) == 0;
		if (!open)
			break;
		pattern_scan(sets[i], subject);
		found[i] = pattern_match(sets[i], 1);
		touch(pattern_group(sets[i], 0));
		pattern_close(sets[i]);
		sets[i] = NULL;
		open = pattern_open(&sets[i], 10000000, NULL) == 0 &&
		       pattern_add(sets[i], 0, regex, false, NULL) == 0 &&
		       pattern_build(sets[i], false, NULL) == 0;
		if (!open)
			break;
		pattern_scan(sets[i], subject);
		/* the limit counts steps, which a match that is not tried has none of */
		if (pattern_match(sets[i], 0) != found[i] && pattern_work(sets[i])->limited == 0)
			abort();
	}
	pattern_close(sets[0]);
	pattern_close(sets[1]);
}

static void try_bots(struct slice text)
{
	struct bot_list list = { text, "f" };
	struct bot_match *match = NULL;
	struct slice name, category;

	if (bot_match_open(&match, &list, 1, NULL) == 0 &&
	    bot_match(match, text, &name, &category)) {
		if (name.len == 0)
			abort();
		touch(name);
		touch(category);
	}
	bot_match_close(match);
}

static void try_ranges(struct slice text)
{
	struct range_table *table = NULL;
	const struct range_value *value;
	struct ip ip = { .v4 = (uint32_t)text.len };

	if (range_open(&table, text, "f", NULL) == 0) {
		for (int i = 0; i < 40; i++) {
			ip.v4 = ip.v4 * 2654435761u + 1;
			ip.high = ip.v4 * UINT64_C(0x9e3779b97f4a7c15);
			ip.is_v6 = i & 1;
			value = range_find(table, &ip);
			if (value)
				touch(value->org);
		}
	}
	range_close(table);
}

static void try_referrers(struct slice text)
{
	struct referrers *refs = NULL;
	struct referrer_hit hit;

	if (referrers_open(&refs, NULL) == 0 && referrers_add(refs, text, "f", NULL) == 0 &&
	    referrers_find(refs, text, SLICE("/a"), &hit)) {
		touch(hit.medium);
		touch(hit.source);
		for (int i = 0; i < hit.parameter_count; i++)
			touch(hit.parameters[i]);
	}
	referrers_close(refs);
}

static void try_suffixes(struct slice text)
{
	struct suffix_list *list = NULL;

	if (suffix_open(&list, text, "f", NULL) == 0) {
		struct slice host = text.len > 60 ? slice_skip(text, text.len - 60) : text;
		struct slice domain = suffix_registrable(list, host);

		if (domain.ptr && domain.ptr + domain.len != host.ptr + host.len)
			abort();
	}
	suffix_close(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(struct slice) = { try_agent, try_pattern, try_bots, try_ranges,
						       try_referrers, try_suffixes };

	if (size > 0 && size < 20000)
		tries[data[0] % 6]((struct slice){ (const char *)data + 1, size - 1 });
	return 0;
}
