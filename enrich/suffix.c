// SPDX-License-Identifier: Apache-2.0
#include "enrich/suffix.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "enrich/ip.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RULES_MAX   (1u << 20)
#define LABELS_MAX  16
#define POINTS_MAX  64          /* characters of a label */

enum { RULE_NAME = 1, RULE_WILD = 2, RULE_EXCEPTION = 4 };

struct rule {
	uint32_t at;            /* of texts, + 1; 0: an empty place */
	uint16_t len;
	uint8_t kinds;          /* RULE_.. */
};

struct suffix_list {
	struct rule *rules;             /* by hash; mask + 1 places */
	uint32_t mask, count;
	struct buf texts;
	int labels_max;                 /* of the longest rule */
};

static struct rule *find(const struct suffix_list *list, struct slice name)
{
	uint32_t at = (uint32_t)XXH3_64bits(name.ptr, name.len) & list->mask;

	for (; list->rules[at].at; at = (at + 1) & list->mask) {
		const struct rule *rule = &list->rules[at];

		if (rule->len == name.len &&
		    memcmp(list->texts.ptr + rule->at - 1, name.ptr, name.len) == 0)
			break;
	}
	return &list->rules[at];
}

static int grow(struct suffix_list *list)
{
	uint32_t size = list->mask ? (list->mask + 1) * 2 : 16384;
	struct rule *old = list->rules;
	uint32_t old_size = list->mask ? list->mask + 1 : 0;

	list->rules = calloc(size, sizeof(*list->rules));
	if (!list->rules) {
		list->rules = old;
		return -ENOMEM;
	}
	list->mask = size - 1;
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i].at)
			*find(list, (struct slice){ list->texts.ptr + old[i].at - 1,
						    old[i].len }) = old[i];
	}
	free(old);
	return 0;
}

static int add_name(struct suffix_list *list, struct slice name, uint8_t kind)
{
	struct rule *rule;
	int labels = 1, rc;

	if (name.len == 0 || name.len > 255)
		return 0;
	if (list->count == RULES_MAX)
		return -ENOSPC;
	if (list->count * 2 >= list->mask && (rc = grow(list)) < 0)
		return rc;
	for (size_t i = 0; i < name.len; i++)
		labels += name.ptr[i] == '.';
	labels += kind == RULE_WILD;
	if (labels > list->labels_max)
		list->labels_max = labels;
	rule = find(list, name);
	if (!rule->at) {
		size_t at = list->texts.len;

		buf_append_slice(&list->texts, name);
		if (list->texts.failed)
			return -ENOMEM;
		*rule = (struct rule){ .at = (uint32_t)at + 1, .len = (uint16_t)name.len };
		list->count++;
	}
	rule->kinds |= kind;
	return 0;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

/* Both spellings of a rule. */
static int add_rule(struct suffix_list *list, struct slice rule)
{
	uint8_t kind = RULE_NAME;
	struct buf coded = { .limit = 1024 };
	struct slice rest;
	bool is_good = true;
	int rc;

	if (slice_starts(rule, SLICE("!"))) {
		kind = RULE_EXCEPTION;
		rule = slice_skip(rule, 1);
	} else if (slice_starts(rule, SLICE("*."))) {
		kind = RULE_WILD;
		rule = slice_skip(rule, 2);
	}
	rc = add_name(list, rule, kind);
	if (rc < 0 || is_ascii(rule))
		return rc;
	for (rest = rule; rest.len && is_good;) {
		const char *dot = memchr(rest.ptr, '.', rest.len);
		struct slice label = { rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len };

		is_good = suffix_punycode(label, &coded);
		if (dot)
			buf_append_char(&coded, '.');
		rest = slice_skip(rest, label.len + 1);
	}
	if (is_good && !coded.failed)
		rc = add_name(list, buf_slice(&coded), kind);
	buf_close(&coded);
	return rc;
}

int suffix_open(struct suffix_list **listp, struct slice text, const char *path, struct err *err)
{
	struct suffix_list *list = calloc(1, sizeof(*list));
	int rc = list ? 0 : -ENOMEM;

	if (list) {
		list->texts.limit = 64 << 20;
		rc = grow(list);
	}
	while (text.len && rc == 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };
		size_t n = 0;

		text = slice_skip(text, line.len + 1);
		if (slice_starts(line, SLICE("//")))
			continue;
		while (n < line.len && (unsigned char)line.ptr[n] > ' ')
			n++;
		line.len = n;
		if (line.len)
			rc = add_rule(list, line);
	}
	if (rc < 0)
		rc = err_set(err, rc, "%s: %s", path, strerror(-rc));
	else if (list->count < 2)
		rc = err_set(err, -EBADMSG, "%s: no rules: is it a public_suffix_list.dat?", path);
	if (rc < 0) {
		suffix_close(list);
		return rc;
	}
	*listp = list;
	return 0;
}

void suffix_close(struct suffix_list *list)
{
	if (!list)
		return;
	free(list->rules);
	buf_close(&list->texts);
	free(list);
}

/* Where the labels begin, from the last one: at[0] is the last. 0: an empty one, or none. */
static int split(struct slice host, size_t at[LABELS_MAX])
{
	int count = 0;
	size_t end = host.len;

	for (size_t i = host.len; i > 0; i--) {
		if (host.ptr[i - 1] != '.')
			continue;
		if (i == end)
			return 0;
		end = i - 1;
		if (count < LABELS_MAX)
			at[count++] = i;
	}
	if (end == 0)
		return 0;
	if (count < LABELS_MAX)
		at[count++] = 0;
	return count;
}

struct slice suffix_registrable(const struct suffix_list *list, struct slice host)
{
	const struct slice none = { NULL, 0 };
	size_t at[LABELS_MAX];
	struct ip ip;
	int count, suffix = 1;

	if (host.len == 0 || host.ptr[0] == '[')
		return none;
	if (host.ptr[host.len - 1] >= '0' && host.ptr[host.len - 1] <= '9' && ip_parse(host, &ip))
		return none;
	count = split(host, at);
	for (int i = 0; i < count && i < list->labels_max; i++) {
		uint8_t kinds = find(list, slice_skip(host, at[i]))->kinds;

		if (kinds & RULE_EXCEPTION) {
			suffix = i;
			break;
		}
		if (kinds & RULE_NAME)
			suffix = i + 1;
		if (kinds & RULE_WILD)
			suffix = i + 2;
	}
	return suffix < count ? slice_skip(host, at[suffix]) : none;
}

/* Punycode */

static int decode_points(struct slice text, uint32_t points[POINTS_MAX])
{
	int count = 0;

	for (size_t i = 0; i < text.len;) {
		unsigned char c = (unsigned char)text.ptr[i++];
		int more = c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;
		uint32_t point = more > 0 ? c & (0x3fu >> more) : c;

		more = c < 0x80 ? 0 : more;
		if (more < 0 || count == POINTS_MAX || text.len - i < (size_t)more)
			return -1;
		for (; more > 0; more--)
			point = point << 6 | ((unsigned char)text.ptr[i++] & 0x3f);
		points[count++] = point;
	}
	return count;
}

static uint32_t adapt(uint32_t delta, uint32_t count, bool is_first)
{
	uint32_t k = 0;

	delta = is_first ? delta / 700 : delta / 2;
	delta += delta / count;
	for (; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

static void append_delta(uint32_t delta, uint32_t bias, struct buf *out)
{
	for (uint32_t k = 36;; k += 36) {
		uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
		uint32_t digit = delta < t ? delta : t + (delta - t) % (36 - t);

		buf_append_char(out, (char)(digit < 26 ? 'a' + digit : '0' + digit - 26));
		if (delta < t)
			return;
		delta = (delta - t) / (36 - t);
	}
}

bool suffix_punycode(struct slice label, struct buf *out)
{
	uint32_t points[POINTS_MAX], n = 0x80, delta = 0, bias = 72, done = 0, basic;
	int count;

	if (is_ascii(label)) {
		buf_append_slice(out, label);
		return true;
	}
	count = decode_points(label, points);
	if (count < 0)
		return false;
	buf_append_text(out, "xn--");
	for (int i = 0; i < count; i++) {
		if (points[i] < 0x80) {
			buf_append_char(out, (char)points[i]);
			done++;
		}
	}
	basic = done;
	if (basic)
		buf_append_char(out, '-');
	while (done < (uint32_t)count) {
		uint32_t least = UINT32_MAX;

		for (int i = 0; i < count; i++) {
			if (points[i] >= n && points[i] < least)
				least = points[i];
		}
		delta += (least - n) * (done + 1);
		n = least;
		for (int i = 0; i < count; i++) {
			delta += points[i] < n;
			if (points[i] != n)
				continue;
			append_delta(delta, bias, out);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
		delta++;
		n++;
	}
	return true;
}
