/* pattern - many regular expressions tried on a text, nearly all of them not at all
 *
 *      text --> scan: which literals stand in it --> candidates, in order --> PCRE2's JIT code
 *
 * Each expression's required literals (literal.h) go into one automaton (scan.h); one pass over
 * the text tells which expressions can match, and only these run, in the order they were added,
 * until the first that matches. Measured on uap-core's 1,162 rules: 10 runs in place of 880 per
 * user agent; the answers are those of trying all (tests/enrich_agent_match_test.c compares).
 *
 * Expressions are PCRE2's in byte mode; $ matches at the very end only. A run that passes the
 * match limit counts as no match (and in `limited`): no text can make one run for ever. Rules
 * belong to sections, of which each has an answer of its own. Not for several threads: the latest
 * scan and match are kept in the handle.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_PATTERN_H
#define ENRICH_PATTERN_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define PATTERN_SECTIONS    3
#define PATTERN_RULES_MAX   20000
#define PATTERN_LEN_MAX     16384
#define PATTERN_GROUPS_MAX  10          /* $0..$9 */
#define PATTERN_MATCH_LIMIT 100000      /* real texts need under 20,000 (tests) */

struct pattern_set;

struct pattern_work {
	uint64_t scans;
	uint64_t runs;          /* of an expression */
	uint64_t limited;       /* of these, ended by the match limit */
};

MUST_CHECK int pattern_open(struct pattern_set **setp, uint32_t match_limit, struct err *err);
void pattern_close(struct pattern_set *set);

/* Sections are added one after the other, from 0; rules are numbered within theirs. The words of
 * err lack the place: the caller knows file and line. */
MUST_CHECK int pattern_add(struct pattern_set *set, int section, struct slice regex,
			   bool ignore_case, struct err *err);
/* After the last one. use_literals = false: every rule is always tried (tests). */
MUST_CHECK int pattern_build(struct pattern_set *set, bool use_literals, struct err *err);
int pattern_count(const struct pattern_set *set, int section);

/* Looks at a text, which must live until the last pattern_match and pattern_group of it. */
void pattern_scan(struct pattern_set *set, struct slice text);
/* The first rule of the section that matches the text scanned; -1: none. */
int pattern_match(struct pattern_set *set, int section);
/* Of the latest match: group 0..9 as a slice of the text; {NULL, 0} where it took no part. */
struct slice pattern_group(const struct pattern_set *set, int group);

const struct pattern_work *pattern_work(const struct pattern_set *set);

#endif
