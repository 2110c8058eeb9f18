/* literal - what a text must contain for a regular expression to match it
 *
 *      (?:Foo|Bar)Bot/(\d+).*Android   ->   {foobot/, barbot/} and {android}
 *
 * Each set is an OR: at least one of its literals stands in every text that the expression
 * matches; all sets must hold. So a text without them needs no expression to be tried, which is
 * what makes a thousand rules cheap (pattern.h). Everything is in lower case, and is to be looked
 * for in the text in lower case. Optional parts are dropped, small classes expanded, alternatives
 * joined. What begins a part counts with what is before
 * it: "; " and "an" apart let through many times what "; an" does. What is not understood gives
 * no set, never a wrong one: the expression is then always
 * tried. Three sets at most, the rarest first: one set let through 2.1 times the candidates.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_LITERAL_H
#define ENRICH_LITERAL_H

#include "lib/arena.h"
#include "lib/err.h"

#define LITERAL_SETS 3
#define LITERAL_LEN_MAX 24      /* longer ones are used in pieces */

struct literal_set {
	struct slice *items;    /* not empty, in lower case, sorted, no two equal */
	int count;
};

struct literals {
	struct literal_set sets[LITERAL_SETS];
	int count;              /* 0: nothing is known */
};

/* Of an expression in PCRE's notation, byte mode, without the x flag. All lives in the arena.
 * -ENOMEM. */
MUST_CHECK int literal_find(struct arena *arena, struct slice pattern, struct literals *out);

#endif
