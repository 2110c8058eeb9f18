// SPDX-License-Identifier: Apache-2.0
/*
 * People who must not appear: events with one of the ids of a file are dropped, and counted as
 * filtered. A line is an id as it was sent; spaces around it and lines that begin with # are
 * nothing. user_id, anonymous_id and previous_id are looked at, or those of `ids`.
 *
 * An open table of 64-bit hashes over the ids' text, half full at most: a million ids take their
 * text and 32 MB.
 */
#include "enrich/step.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define IDS_MAX ((size_t)16 << 20)

struct conf {
	const char *file;
	struct opt_list ids;
};

struct suppress {
	char *text;
	struct slice *slots;            /* [mask + 1]; ptr NULL: free */
	size_t mask;
	int leaves[4];
	int leaf_count;
};

static const struct opt opts[] = {
	{ "file", OPT_TEXT, offsetof(struct conf, file), NULL, 0, 0, "FILE", "ids, one a line" },
	{ "ids", OPT_LIST, offsetof(struct conf, ids), NULL, 0, 0, "NAME",
	  "user_id, anonymous_id, group_id, previous_id" },
	{ .name = NULL },
};

static const struct { const char *name; int leaf; bool is_default; } names[] = {
	{ "user_id", ENRICHED_USER_ID, true },
	{ "anonymous_id", ENRICHED_ANONYMOUS_ID, true },
	{ "group_id", ENRICHED_GROUP_ID, false },
	{ "previous_id", ENRICHED_PREVIOUS_ID, true },
};

static int choose(struct suppress *s, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;

	for (size_t n = 0; n < conf->ids.count; n++) {
		bool known = false;

		for (int i = 0; i < 4; i++)
			known |= strcmp(conf->ids.items[n], names[i].name) == 0;
		if (!known)
			return err_set(err, -EINVAL, "%s: ids: '%.40s' is none of user_id, "
				       "anonymous_id, group_id, previous_id", args->where,
				       conf->ids.items[n]);
	}
	for (int i = 0; i < 4; i++) {
		bool wanted = conf->ids.count == 0 && names[i].is_default;

		for (size_t n = 0; n < conf->ids.count; n++)
			wanted |= strcmp(conf->ids.items[n], names[i].name) == 0;
		if (wanted)
			s->leaves[s->leaf_count++] = names[i].leaf;
	}
	return 0;
}

static struct slice *slot_of(const struct suppress *s, struct slice id)
{
	size_t at = (size_t)XXH3_64bits(id.ptr, id.len);

	for (;; at++) {
		struct slice *slot = &s->slots[at & s->mask];

		if (!slot->ptr || slice_eq(*slot, id))
			return slot;
	}
}

static struct slice next_line(struct slice *rest)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	struct slice line = { rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len };

	*rest = slice_skip(*rest, line.len + 1);
	while (line.len && memchr(" \t\r", line.ptr[line.len - 1], 3))
		line.len--;
	while (line.len && memchr(" \t", line.ptr[0], 2))
		line = slice_skip(line, 1);
	return line;
}

static int fill(struct suppress *s, struct slice bytes, const struct step_args *args,
		struct err *err)
{
	size_t lines = 1, size = 16;
	struct slice rest;

	for (size_t i = 0; i < bytes.len; i++)
		lines += bytes.ptr[i] == '\n';
	if (lines > IDS_MAX)
		return err_set(err, -ENOSPC, "%s: over %zu ids", args->where, IDS_MAX);
	while (size < lines * 2)
		size *= 2;
	s->mask = size - 1;
	s->slots = calloc(size, sizeof(*s->slots));
	s->text = malloc(bytes.len + 1);
	if (!s->slots || !s->text)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	memcpy(s->text, bytes.ptr, bytes.len);
	rest = (struct slice){ s->text, bytes.len };
	while (rest.len) {
		struct slice id = next_line(&rest);

		if (id.len && id.ptr[0] != '#') {
			id = text_cut(id, TEXT_ID_MAX);         /* as step_id cuts them */
			*slot_of(s, id) = id;
		}
	}
	return 0;
}

static void close_state(void *state)
{
	struct suppress *s = state;

	free(s->slots);
	free(s->text);
	free(s);
}

static int open_state(void **statep, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;
	struct suppress *s;
	struct slice bytes;
	int rc;

	if (!conf->file || !conf->file[0])
		return err_set(err, -EINVAL, "%s: needs file: of ids, one a line", args->where);
	rc = step_file_read(args, conf->file, &bytes, err);
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	rc = choose(s, args, err);
	if (rc == 0)
		rc = fill(s, bytes, args, err);
	if (rc < 0) {
		close_state(s);
		return rc;
	}
	*statep = s;
	return 0;
}

static int apply(void *state, struct step_event *event)
{
	const struct suppress *s = state;

	for (int i = 0; i < s->leaf_count; i++) {
		const struct value *id = &event->out[s->leaves[i]];

		if (id->is_set && slot_of(s, id->text)->ptr)
			return STEP_RESULT_DROP;
	}
	return 0;
}

const struct step_kind step_suppress = {
	.name = "suppress",
	.version = 1,
	.after = "ids",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.open = open_state,
	.close = close_state,
	.apply = apply,
};
