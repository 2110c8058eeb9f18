/* bot_match - is a user agent a bot's, whose, and what for
 *
 * Lists are YAML or JSON: either `named:` and `nameless:` with entries {pattern, name, category}
 * (enrich/bots.yaml), or a bare list of such entries or of patterns, as npm's isbot and
 * crawler-user-agents have it (whose `tags` give the category). Entries with a name are tried
 * first, those of files before our own; then those without, which give the text that they matched.
 * Patterns are PCRE, ignoring case.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_BOT_MATCH_H
#define ENRICH_BOT_MATCH_H

#include "enrich/pattern.h"

#define BOT_LISTS_MAX 8
#define BOT_NAME_MAX  64        /* of a text that was matched */

struct bot_match;

struct bot_list {
	struct slice text;
	const char *path;       /* for words */
};

MUST_CHECK int bot_match_open(struct bot_match **matchp, const struct bot_list *lists, int count,
			      struct err *err);
void bot_match_close(struct bot_match *match);
/* false: no bot. name is not empty; category may be {NULL, 0}. Both live until close, or point into
 * user_agent. */
bool bot_match(struct bot_match *match, struct slice user_agent, struct slice *name,
	       struct slice *category);
int bot_match_count(const struct bot_match *match);

#endif
