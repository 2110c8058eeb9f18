/* door - the entrance of one family of SDKs
 *
 *      path --call--> which call of which door;   body --read--> events, bad ones in a parcel
 *
 * A door knows paths and bodies, and nothing of HTTP, limits by time, or where events go. What a
 * message is wrong in is a verdict on that message (parcel_bad), not a failure: read fails only
 * where nothing of the body can be told apart. door_segment.c is the first; another family is one
 * more file with one more row in receive.c.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_DOOR_H
#define COLLECT_DOOR_H

#include "collect/parcel.h"
#include "collect/source.h"
#include "lib/json.h"

#define DOOR_RANDOM 1024

/* One body to be read. A job is kept between bodies; whoever owns it sets what stands under "in"
 * anew each time. */
struct door_job {
	/* kept */
	struct json_reader *json;       /* borrowed */
	struct parcel *parcel;          /* borrowed; begun by the caller */
	size_t message_max, batch_max;
	bool keep_unknown;              /* messages with unknown keys go to bad */
	/* in */
	int call;                       /* what door.call said */
	struct slice body;              /* inflated; empty is an error */
	struct source_set *sources;
	struct source *source;          /* known already; NULL: by the body's keys */
	struct slice query_key;         /* the last resort for a key; may be empty */
	int64_t line;                   /* of a file of lines; 0: none. For words */
	/* out */
	const char *reason;             /* of a failure */
	size_t rejected;                /* messages that were not taken: bad, or of unknown key */
	size_t unknown;                 /* those of unknown key that are not kept */
	/* a door's own scratch memory */
	struct buf text, context, original;
	struct slice *extents;
	size_t extent_count, extent_cap;
	bool extents_known;
	unsigned char random[DOOR_RANDOM];
	size_t random_left;
};

void door_job_close(struct door_job *job);

struct door {
	const char *name;               /* the field `door` of events */
	/* > 0: a call of this door; 0: not of this door. */
	int (*call)(struct slice path);
	/* 0: the parcel has what came. -EBADMSG: malformed as a whole. -EMSGSIZE: more messages
	 * than batch_max. -EACCES: no key, or only unknown ones. -ENOSPC: no room in the parcel.
	 * Words in err, a code in job->reason. */
	int (*read)(struct door_job *job, struct err *err);
};

extern const struct door door_segment;
/* The partition key of a stored event, from its body; valid until json's next text. */
struct slice door_segment_key(struct json_reader *json, struct slice body);
/* For lines of a file: one message, or one envelope with a batch, a line. */
#define DOOR_SEGMENT_LINE 100

#endif
