// SPDX-License-Identifier: Apache-2.0
#include "enrich/leaf.h"

#include <errno.h>
#include <stdlib.h>

int leaf_field(enum leaf leaf)
{
	static const int fields[LEAF_COUNT] = {
		[LEAF_PROPERTIES] = ENRICHED_PROPERTIES,
		[LEAF_TRAITS] = ENRICHED_TRAITS,
		[LEAF_CONTEXT] = ENRICHED_CONTEXT,
	};

	return fields[leaf];
}

int leaf_tree(struct step_event *event, enum leaf leaf, yyjson_val **treep)
{
	struct leaf_tree *tree = &event->trees[leaf];
	struct value *out = &event->out[leaf_field(leaf)];
	int rc;

	if (!out->is_set)
		tree->root = NULL;
	*treep = tree->root;
	if (!out->is_set || tree->root)
		return 0;
	if (!tree->reader) {
		rc = json_open(&tree->reader, NULL);
		if (rc < 0)
			return rc;
	}
	rc = json_parse(tree->reader, out->text, &tree->root, NULL);
	if (rc < 0)
		return rc;
	*treep = tree->root;
	return yyjson_is_obj(tree->root) ? 0 : -EBADMSG;
}

void leaf_set(struct step_event *event, enum leaf leaf, struct slice text)
{
	event->trees[leaf].root = NULL;
	event->out[leaf_field(leaf)] = text.ptr ? value_text(text)
						: (struct value){ .is_set = false };
}

static int find_below(yyjson_val *value, struct slice path, leaf_found_fn *found, void *ctx)
{
	yyjson_arr_iter iter;
	yyjson_val *item;
	int rc = 0;

	if (yyjson_is_obj(value))
		return leaf_find(value, path, found, ctx);
	if (!yyjson_is_arr(value))
		return 0;
	yyjson_arr_iter_init(value, &iter);
	while (rc == 0 && (item = yyjson_arr_iter_next(&iter)))
		rc = find_below(item, path, found, ctx);
	return rc;
}

int leaf_find(yyjson_val *object, struct slice path, leaf_found_fn *found, void *ctx)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	if (!yyjson_is_obj(object))
		return 0;
	yyjson_obj_iter_init(object, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		struct slice name = { yyjson_get_str(key), yyjson_get_len(key) };
		yyjson_val *value = yyjson_obj_iter_get_val(key);

		if (slice_eq(name, path))
			rc = found(ctx, key, value);
		else if (name.len < path.len && path.ptr[name.len] == '.' &&
			 slice_starts(path, name))
			rc = find_below(value, slice_skip(path, name.len + 1), found, ctx);
	}
	return rc;
}

int leaf_edit(struct step_event *event, struct leaf_edits *edits, yyjson_val *key,
	      struct slice text)
{
	if (edits->count == edits->room) {
		size_t room = edits->room ? edits->room * 2 : 16;
		struct leaf_edit *items = arena_alloc(event->arena, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		if (edits->count)
			memcpy(items, edits->items, edits->count * sizeof(*items));
		edits->items = items;
		edits->room = room;
	}
	edits->items[edits->count++] = (struct leaf_edit){ key, text };
	return 0;
}

static int compare_edits(const void *a, const void *b)
{
	const struct leaf_edit *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->text.ptr != NULL) - (y->text.ptr != NULL);   /* away wins */
}

/* What is left of the sorted edits. A tree's values lie in the order of its text, so that edits
 * come up in the order of their keys. */
struct cursor {
	const struct leaf_edit *next, *end;
};

static void write_value(yyjson_val *value, struct cursor *cursor, struct buf *out);

static void write_member(yyjson_val *key, struct cursor *cursor, bool *first, struct buf *out)
{
	const struct leaf_edit *edit = NULL;

	if (cursor->next < cursor->end && cursor->next->key == key) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);

		edit = cursor->next;
		/* Its twins and all that is inside of it are settled with it. */
		while (cursor->next < cursor->end &&
		       cursor->next->key < unsafe_yyjson_get_next(value))
			cursor->next++;
		if (!edit->text.ptr)
			return;
	}
	if (!*first)
		buf_append_char(out, ',');
	*first = false;
	json_write_text((struct slice){ yyjson_get_str(key), yyjson_get_len(key) }, out);
	buf_append_char(out, ':');
	if (edit)
		buf_append_slice(out, edit->text);
	else
		write_value(yyjson_obj_iter_get_val(key), cursor, out);
}

static void write_value(yyjson_val *value, struct cursor *cursor, struct buf *out)
{
	bool first = true;

	if (cursor->next == cursor->end || cursor->next->key >= unsafe_yyjson_get_next(value)) {
		json_write(value, out);
	} else if (yyjson_is_obj(value)) {
		yyjson_obj_iter iter;
		yyjson_val *key;

		yyjson_obj_iter_init(value, &iter);
		buf_append_char(out, '{');
		while ((key = yyjson_obj_iter_next(&iter)))
			write_member(key, cursor, &first, out);
		buf_append_char(out, '}');
	} else {
		yyjson_arr_iter iter;
		yyjson_val *item;

		yyjson_arr_iter_init(value, &iter);
		buf_append_char(out, '[');
		while ((item = yyjson_arr_iter_next(&iter))) {
			if (!first)
				buf_append_char(out, ',');
			first = false;
			write_value(item, cursor, out);
		}
		buf_append_char(out, ']');
	}
}

int leaf_apply(struct step_event *event, enum leaf leaf, struct leaf_edits *edits)
{
	struct cursor cursor;
	struct slice text;
	yyjson_val *tree;
	int rc;

	if (edits->count == 0)
		return 0;
	rc = leaf_tree(event, leaf, &tree);
	if (rc < 0)
		return rc;
	qsort(edits->items, edits->count, sizeof(*edits->items), compare_edits);
	cursor = (struct cursor){ edits->items, edits->items + edits->count };
	event->scratch.limit = event->text->limit;
	buf_reset(&event->scratch);
	write_value(tree, &cursor, &event->scratch);
	if (event->scratch.failed)
		return -ENOSPC;
	text = arena_copy(event->arena, buf_slice(&event->scratch));
	if (!text.ptr)
		return -ENOMEM;
	leaf_set(event, leaf, text);
	return 0;
}
