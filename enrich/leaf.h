/* leaf - looking into a JSON leaf, and changing it
 *
 *      leaf_tree --> members (leaf_find) --> leaf_edits: this one away, that one as this text
 *                                                 `--> leaf_apply: the leaf's text anew
 *
 * For steps behind `json`. A leaf's tree is the body's own until something has changed the leaf;
 * only then its text is parsed. Edits are applied in one pass; texts live in the event's arena.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_LEAF_H
#define ENRICH_LEAF_H

#include "enrich/step.h"

struct leaf_edit {
	yyjson_val *key;                /* of the member, in the leaf's tree */
	struct slice text;              /* JSON in its place; ptr NULL: the member goes */
};

struct leaf_edits {
	struct leaf_edit *items;        /* in the event's arena */
	size_t count, room;
};

/* ENRICHED_PROPERTIES, .. */
int leaf_field(enum leaf leaf);
/* The leaf's object, or NULL where it is null; valid until the leaf is set. 0; -ENOMEM; -EBADMSG:
 * its text is no JSON (a step has spoilt it). */
MUST_CHECK int leaf_tree(struct step_event *event, enum leaf leaf, yyjson_val **treep);
/* Another text, in the arena; {NULL, 0}: null. */
void leaf_set(struct step_event *event, enum leaf leaf, struct slice text);

/* Calls found for each member of that path ("cart.items.price"); lists are passed through, and at
 * each level a name that itself has dots is one, too. Stops at the first that returns not 0. */
typedef int leaf_found_fn(void *ctx, yyjson_val *key, yyjson_val *value);
MUST_CHECK int leaf_find(yyjson_val *object, struct slice path, leaf_found_fn *found, void *ctx);

MUST_CHECK int leaf_edit(struct step_event *event, struct leaf_edits *edits, yyjson_val *key,
			 struct slice text);
/* 0; -ENOMEM; -ENOSPC: too large. */
MUST_CHECK int leaf_apply(struct step_event *event, enum leaf leaf, struct leaf_edits *edits);

#endif
