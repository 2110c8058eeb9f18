/* letter - one event under way, and its parts
 *
 * Made by the courier (courier.h) with everything in one piece of a crate's memory, handed to the
 * carrier, and back when the last part is settled. While the carrier has it, it is the carrier's.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_LETTER_H
#define SINK_LETTER_H

#include "sink/dest.h"

struct crate;                           /* courier.c */
struct letter;

struct part {
	struct dest_item item;          /* first: a kind sees only this */
	struct letter *letter;
	struct part *next;
	uint64_t order;                 /* hash of whom it must not overtake; 0: nobody */
	int64_t arrived_ms;
	unsigned index;                 /* among its letter's parts */
};

struct letter {
	struct letter *next;
	struct crate *crate;
	int32_t partition;
	int64_t offset;
	size_t bytes;                   /* all of it, for the bound of the queue */
	struct slice datum;             /* the record, by the topic's schema of today */
	struct slice message_id;
	int64_t first_us;               /* wall clock of its first try; 0: none */
	unsigned attempts;              /* of the part that was tried most */
	bool is_dead;
	enum dest_class why;            /* is_dead */
	char words[DEST_WORDS_MAX];     /* is_dead */
	unsigned parts_left;
	unsigned part_count;
	struct part parts[];
};

#endif
