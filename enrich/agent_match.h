/* agent_match - a user agent's browser, system and device, by the rules of uap-core
 *
 *      regexes.yaml --> three sections of rules --> pattern.h: the first that matches each
 *                                                     `--> names: groups, or replacements with $1
 *
 * What uap-core's specification says, whole: its own 31,105 test cases pass
 * (tests/enrich_agent_match_test.c). Text is bytes, UTF-8 or not. Of a user agent over
 * AGENT_LEN_MAX only so much is looked at: real ones have 100 to 300 bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_AGENT_MATCH_H
#define ENRICH_AGENT_MATCH_H

#include "enrich/pattern.h"

#define AGENT_LEN_MAX 1024

enum agent_part {
	AGENT_BROWSER,
	AGENT_MAJOR,
	AGENT_MINOR,
	AGENT_PATCH,
	AGENT_OS,
	AGENT_OS_MAJOR,
	AGENT_OS_MINOR,
	AGENT_OS_PATCH,
	AGENT_OS_PATCH_MINOR,
	AGENT_DEVICE,
	AGENT_BRAND,
	AGENT_MODEL,
	AGENT_PARTS,
};

struct agent_match;

struct agent_match_conf {
	uint32_t match_limit;           /* 0: PATTERN_MATCH_LIMIT */
	bool use_no_literals;           /* every rule is tried: the oracle of tests */
};

/* text is a regexes.yaml; path is for words. -EBADMSG: words with path and line. conf: NULL for
 * the usual. */
MUST_CHECK int agent_match_open(struct agent_match **matchp, struct slice text, const char *path,
				const struct agent_match_conf *conf, struct err *err);
void agent_match_close(struct agent_match *match);

/* parts[AGENT_PARTS]: {NULL, 0} where nothing is known; browser, os and device are "Other" then.
 * They live until the next call. */
void agent_match(struct agent_match *match, struct slice user_agent, struct slice *parts);

const struct pattern_work *agent_match_work(const struct agent_match *match);

#endif
