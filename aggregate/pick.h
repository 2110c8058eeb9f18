/* pick - an event in a question: {"event": NAME, "where": TREE} or {"event": "*"}
 *
 * Becomes a selector of scan.h, with what it points to.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_PICK_H
#define AGGREGATE_PICK_H

#include "aggregate/question.h"
#include "aggregate/scan.h"

#define PICK_NAME_MAX 1024

struct pick {
	struct slice event;             /* owned; ptr NULL: every behavioural event */
	struct predicate *where;        /* owned; NULL: all */
};

/* known: the members that node may have. Nothing of node is kept. -EINVAL with *error. */
MUST_CHECK int pick_parse(struct pick *pick, yyjson_val *node, const char *at,
			  const char *const *known, const struct predicate_world *world,
			  struct question_error *error);
/* The event's name only: whoever knows the other members has checked them. */
MUST_CHECK int pick_parse_name(struct pick *pick, yyjson_val *node, const char *at,
			       struct question_error *error);
void pick_close(struct pick *pick);

/* Points into pick. also: the question's own condition; may be NULL. */
struct scan_selector pick_selector(const struct pick *pick, const struct predicate *also,
				   int64_t from_us, int64_t to_us);

#endif
