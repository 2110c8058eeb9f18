/* chain - the steps that run, in order, as the settings say
 *
 *      enrich:
 *        steps:                          # absent: the default list of chain.c
 *          - ids
 *          - time
 *          - geo: city.mmdb              # the first setting of geo
 *          - privacy:
 *              ip: truncate
 *              when: { source: web }     # condition.h
 *          - json
 *
 * and behind these the steps of --step. A chain is built whole: settings are checked, data files
 * read and hashed, or it fails with words and nothing changed. It is stale when a data file has
 * been replaced; then, or at SIGHUP, a new one is opened beside it. `ids` and `time` must be there,
 * as they set what a record cannot be without. At most CHAIN_MAX steps.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_CHAIN_H
#define ENRICH_CHAIN_H

#include "enrich/step.h"

#define CHAIN_MAX 64

struct chain;

/* conf is borrowed. -EINVAL, -EBADMSG, -ENOENT, ..: words name line, step or file. */
MUST_CHECK int chain_open(struct chain **chainp, const struct enrich_conf *conf, struct err *err);
void chain_close(struct chain *chain);

int chain_count(const struct chain *chain);
/* As step_kind.apply; runs all steps whose condition holds. */
MUST_CHECK int chain_apply(struct chain *chain, struct step_event *event);
/* Steps that ask (step.h): how many; what the event's asks, after STEP_RESULT_ASK; all answers for
 * one of them, see step_kind.answer. */
int chain_ask_count(const struct chain *chain);
void chain_question(struct chain *chain, const struct step_event *event, struct buf *line);
MUST_CHECK int chain_answer(struct chain *chain, int number, const struct step_stop *stop,
			    struct step_question *questions, size_t count, struct arena *arena);
/* All that the answers depend on, as lines. */
void chain_hash(const struct chain *chain, struct buf *text);
/* What steps do without, as words for the log; NULL behind the last. */
const char *chain_lack(const struct chain *chain, int index);
/* Names of the steps, "ids time ..". */
void chain_names(const struct chain *chain, struct buf *text);
/* Was a data file replaced? True once it has not changed between two calls, as one that is still
 * being written would be read by half. The path lives until chain_close. */
bool chain_is_stale(struct chain *chain, const char **path);
/* The file that it told of was no good: it is not told of again until it changes once more. */
void chain_refuse(struct chain *chain);

#endif
