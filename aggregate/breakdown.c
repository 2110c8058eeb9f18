// SPDX-License-Identifier: Apache-2.0
#include "aggregate/breakdown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/ranges.h"

struct part {
	struct scan_prop *prop;
	uint32_t count;                 /* of its numbers */
	uint64_t stride;
	bool wants_ranges;
	uint8_t *seen;                  /* [count], while ranges are wanted; owned */
	struct ranges ranges;
	uint32_t group_count;           /* values, then ranges */
};

struct breakdown {
	struct part parts[BREAKDOWN_PROPS_MAX];
	size_t count;
	uint64_t keys;
};

struct breakdown_look {
	const struct breakdown *breakdown;
	struct scan_look *looks[BREAKDOWN_PROPS_MAX];
	uint8_t *seen[BREAKDOWN_PROPS_MAX];
	uint64_t keys[BREAKDOWN_KEYS_MAX];
};

static int set_strides(struct breakdown *breakdown)
{
	uint64_t stride = 1;

	for (size_t i = 0; i < breakdown->count; i++) {
		struct part *part = &breakdown->parts[i];

		part->stride = stride;
		if (__builtin_mul_overflow(stride, (uint64_t)part->group_count, &stride) ||
		    stride > UINT64_MAX / 4)
			return -ENOSPC;
	}
	breakdown->keys = stride;
	return 0;
}

static int open_part(struct part *part, const struct snapshot *snapshot,
		     const struct scan_prop_conf *conf)
{
	int rc = scan_prop_open(&part->prop, snapshot, conf);

	if (rc < 0)
		return rc;
	part->count = part->group_count = scan_prop_count(part->prop);
	if (conf->cast == SCAN_AS_TEXT || !ranges_may_need(part->prop))
		return 0;
	part->wants_ranges = true;
	part->seen = calloc(part->count, 1);
	return part->seen ? 0 : -ENOMEM;
}

static int parse_part(struct part *part, yyjson_val *node, const char *at,
		      const struct snapshot *snapshot, struct question_error *error)
{
	static const char *const known[] = { "prop", "of", "type", NULL };
	static const char *const ofs[] = { "event", "profile", NULL };
	static const char *const casts[] = { "", "string", "number", NULL };
	struct scan_prop_conf conf = { 0 };
	int of = 0, cast = 0, rc = question_known(node, at, known, error);

	if (rc == 0)
		rc = question_text(node, "prop", at, 1000, &conf.name, error);
	if (rc == 0 && !conf.name.ptr)
		rc = question_fail(error, at, "bad_value", "'prop' is needed");
	if (rc == 0)
		rc = question_word(node, "of", at, ofs, &of, error);
	if (rc == 0)
		rc = question_word(node, "type", at, casts, &cast, error);
	if (rc < 0)
		return rc;
	conf.of_profile = of;
	conf.cast = cast == 1 ? SCAN_AS_TEXT : cast == 2 ? SCAN_AS_NUMBER : SCAN_AS_IS;
	rc = open_part(part, snapshot, &conf);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

static int parse_parts(struct breakdown *breakdown, yyjson_val *node, const char *at,
		       const struct snapshot *snapshot, struct question_error *error)
{
	size_t i, count;
	yyjson_val *item;
	char place[160];
	int rc = 0;

	if (yyjson_is_obj(node)) {
		breakdown->count = 1;
		return parse_part(&breakdown->parts[0], node, at, snapshot, error);
	}
	if (!yyjson_is_arr(node) || yyjson_arr_size(node) > BREAKDOWN_PROPS_MAX ||
	    yyjson_arr_size(node) < 1)
		return question_fail(error, at, "bad_value", "a list of 1 to %d properties is "
				     "needed", BREAKDOWN_PROPS_MAX);
	yyjson_arr_foreach(node, i, count, item) {
		question_at_index(place, at, NULL, i);
		breakdown->count++;
		rc = parse_part(&breakdown->parts[i], item, place, snapshot, error);
		if (rc < 0)
			break;
	}
	return rc;
}

int breakdown_open(struct breakdown **breakdownp, yyjson_val *node, const char *at,
		   const char *prop, const struct snapshot *snapshot,
		   struct question_error *error)
{
	struct breakdown *breakdown = calloc(1, sizeof(*breakdown));
	struct scan_prop_conf conf = { .name = slice_from(prop) };
	int rc;

	*breakdownp = NULL;
	if (!breakdown)
		return question_fail_scan(error, -ENOMEM);
	if (prop) {
		breakdown->count = 1;
		rc = open_part(&breakdown->parts[0], snapshot, &conf);
	} else {
		rc = parse_parts(breakdown, node, at, snapshot, error);
	}
	if (rc == 0)
		rc = set_strides(breakdown);
	if (rc < 0) {
		breakdown_close(breakdown);
		return question_fail_scan(error, rc);
	}
	*breakdownp = breakdown;
	return 0;
}

void breakdown_close(struct breakdown *breakdown)
{
	if (!breakdown)
		return;
	for (size_t i = 0; i < breakdown->count; i++) {
		scan_prop_close(breakdown->parts[i].prop);
		free(breakdown->parts[i].seen);
		ranges_close(&breakdown->parts[i].ranges);
	}
	free(breakdown);
}

size_t breakdown_count(const struct breakdown *breakdown)
{
	return breakdown->count;
}

uint64_t breakdown_keys(const struct breakdown *breakdown)
{
	return breakdown->keys;
}

bool breakdown_wants_to_see(const struct breakdown *breakdown)
{
	for (size_t i = 0; i < breakdown->count; i++)
		if (breakdown->parts[i].wants_ranges)
			return true;
	return false;
}

/* Labels */

static uint32_t group_of(const struct breakdown *breakdown, size_t part, uint64_t key)
{
	return (uint32_t)(key / breakdown->parts[part].stride %
			  breakdown->parts[part].group_count);
}

void breakdown_write(const struct breakdown *breakdown, uint64_t key, struct buf *out)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < breakdown->count; i++) {
		const struct part *part = &breakdown->parts[i];
		uint32_t group = group_of(breakdown, i, key);

		buf_reset(&text);
		ranges_write(&part->ranges, part->prop, group, &text);
		if (i)
			buf_append_char(out, ',');
		json_write_text(buf_slice(&text), out);
	}
	buf_close(&text);
}

int breakdown_compare(const struct breakdown *breakdown, uint64_t a, uint64_t b)
{
	for (size_t i = 0; i < breakdown->count; i++) {
		const struct part *part = &breakdown->parts[i];
		struct prop of_a = ranges_low(&part->ranges, part->prop,
					      group_of(breakdown, i, a));
		struct prop of_b = ranges_low(&part->ranges, part->prop,
					      group_of(breakdown, i, b));
		int order;

		if (of_a.kind != of_b.kind)
			return of_a.kind < of_b.kind ? -1 : 1;
		order = of_a.kind == PROP_NONE ? 0 : prop_compare(&of_a, &of_b);
		if (order)
			return order;
	}
	return 0;
}

/* Ranges */

void breakdown_fold_seen(struct breakdown *breakdown, const struct breakdown_look *look)
{
	for (size_t i = 0; i < breakdown->count; i++)
		for (uint32_t j = 0; look->seen[i] && j < breakdown->parts[i].count; j++)
			breakdown->parts[i].seen[j] |= look->seen[i][j];
}

static int settle_part(struct part *part)
{
	int rc = ranges_make(&part->ranges, part->prop, part->seen);

	part->group_count = part->count + part->ranges.count;
	return rc;
}

int breakdown_settle(struct breakdown *breakdown)
{
	for (size_t i = 0; i < breakdown->count; i++) {
		int rc = breakdown->parts[i].wants_ranges ? settle_part(&breakdown->parts[i]) : 0;

		if (rc < 0)
			return rc;
	}
	return set_strides(breakdown);
}

/* Looks */

int breakdown_look_open(struct breakdown_look **lookp, const struct breakdown *breakdown)
{
	struct breakdown_look *look = calloc(1, sizeof(*look));
	int rc = look ? 0 : -ENOMEM;

	if (look)
		look->breakdown = breakdown;
	for (size_t i = 0; rc == 0 && i < breakdown->count; i++) {
		rc = scan_look_open(&look->looks[i], breakdown->parts[i].prop);
		if (rc == 0 && breakdown->parts[i].wants_ranges) {
			look->seen[i] = calloc(breakdown->parts[i].count, 1);
			rc = look->seen[i] ? 0 : -ENOMEM;
		}
	}
	if (rc < 0) {
		breakdown_look_close(look);
		look = NULL;
	}
	*lookp = look;
	return rc;
}

void breakdown_look_close(struct breakdown_look *look)
{
	if (!look)
		return;
	for (size_t i = 0; i < look->breakdown->count; i++) {
		scan_look_close(look->looks[i]);
		free(look->seen[i]);
	}
	free(look);
}

void breakdown_see(struct breakdown_look *look, uint32_t leader, const struct scan_event *event)
{
	for (size_t i = 0; i < look->breakdown->count; i++) {
		const struct part *part = &look->breakdown->parts[i];
		const uint32_t *elements;
		size_t count;

		if (!look->seen[i])
			continue;
		elements = scan_prop_elements(part->prop,
					      scan_look(look->looks[i], leader, event), &count);
		for (size_t j = 0; j < count; j++)
			look->seen[i][elements[j]] = 1;
	}
}

size_t breakdown_look_up(struct breakdown_look *look, uint32_t leader,
			 const struct scan_event *event, const uint64_t **keys)
{
	size_t count = 1;

	*keys = look->keys;
	look->keys[0] = 0;
	for (size_t i = 0; i < look->breakdown->count; i++) {
		const struct part *part = &look->breakdown->parts[i];
		size_t elements, before = count;
		const uint32_t *numbers = scan_prop_elements(
			part->prop, scan_look(look->looks[i], leader, event), &elements);

		/* The product with what is there; the first element last, in place. */
		for (size_t j = elements; j-- > 0;) {
			uint32_t group = ranges_group(&part->ranges, numbers[j]);
			size_t to = j ? count : 0;

			for (size_t k = 0; k < before && to + k < BREAKDOWN_KEYS_MAX; k++)
				look->keys[to + k] = look->keys[k] + group * part->stride;
			if (j)
				count = to + before < BREAKDOWN_KEYS_MAX ? to + before
									 : BREAKDOWN_KEYS_MAX;
		}
	}
	return count;
}

bool breakdown_is_single(const struct breakdown *breakdown)
{
	for (size_t i = 0; i < breakdown->count; i++)
		if (scan_prop_has_lists(breakdown->parts[i].prop))
			return false;
	return true;
}

bool breakdown_has_profile(const struct breakdown *breakdown)
{
	for (size_t i = 0; i < breakdown->count; i++)
		if (scan_prop_is_of_profile(breakdown->parts[i].prop))
			return true;
	return false;
}

void breakdown_look_rows(struct breakdown_look *look, const struct scan_block *block,
			 const uint16_t *places, uint32_t count, uint64_t *keys)
{
	uint32_t numbers[SCAN_BLOCK_ROWS];

	memset(keys, 0, count * sizeof(*keys));
	for (size_t p = 0; p < look->breakdown->count; p++) {
		const struct part *part = &look->breakdown->parts[p];

		scan_look_rows(look->looks[p], block, places, count, numbers);
		for (uint32_t i = 0; i < count && part->ranges.groups; i++)
			numbers[i] = part->ranges.groups[numbers[i]];
		for (uint32_t i = 0; i < count; i++)
			keys[i] += numbers[i] * part->stride;
	}
}

bool breakdown_is_event(const struct breakdown *breakdown)
{
	return breakdown->count == 1 && !breakdown->parts[0].wants_ranges &&
	       !scan_prop_has_lists(breakdown->parts[0].prop) &&
	       scan_prop_is_event(breakdown->parts[0].prop);
}

uint64_t breakdown_key_of(const struct breakdown_look *look, size_t file, uint32_t code)
{
	return scan_look_code(look->looks[0], file, code) * look->breakdown->parts[0].stride;
}
