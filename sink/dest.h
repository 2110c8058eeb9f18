/* dest - a destination: what one dest_KIND.c must say of itself
 *
 *      event --map--> parts --frame: queue, batch--> put, or build/judge --> a class for each part
 *
 *      fields   table of the settings of this kind in destinations/NAME.yaml (setup.h)
 *      open     with those settings; no network yet
 *      map      one event to payload bytes: none (not for this destination), one, or several
 *               parts, each with a route; a batch holds parts of one route only
 *      build    a batch to one HTTP request, sent by the frame (post.h: keep-alive, HTTP/2, no
 *      judge    redirects, private addresses refused); its answer to a class for each part
 *      put      instead of these two where it is not HTTP (SMTP, SQL, Kafka): sends a batch and
 *               blocks for at most env->timeout_ms. *env->stop set: give up early
 *
 * What the frame does, so that no kind has to: filters and the expression language, the event's
 * `integrations`, batches by count, bytes and time, order per person, concurrency, rate limit,
 * back-off with full jitter and Retry-After, circuit breaker, dead letters, the durable position
 * (position.h), --dry-run, --trace, metrics, and the pause after a setup error.
 *
 * Threads: map is called on the filter's thread, build, judge and put on the carrier's; so a kind
 * keeps what map changes apart from what they change. open, close: nothing else runs.
 *
 * Delivery is at least once with the same key: item->message_id for each part, batch->key for a
 * request. The key of a batch stays the same on every retry of it; after kill -9 what was in
 * flight comes again, perhaps cut into other batches, with the same message ids.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_DEST_H
#define SINK_DEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "lib/schema.h"
#include "lib/yaml.h"
#include "sink/event.h"
#include "sink/post.h"

/* What became of a part. Only these five decide what the frame does with it. */
enum dest_class {
	DEST_OK,
	DEST_TRANSIENT,         /* 408, 425, 5xx, time-out, reset: again after the back-off */
	DEST_THROTTLED,         /* 429, 503 with Retry-After: the whole destination waits */
	DEST_INVALID,           /* this part can never be taken: to `bad`. A request of several
	                           parts that is judged so as a whole (judge gave the same words
	                           to all and DEST_WHOLE) is cut until the bad one is alone */
	DEST_SETUP,             /* key, address or rights are wrong: nothing is sent until mended */
};

#define DEST_WORDS_MAX 200

struct dest_result {
	enum dest_class class;
	int64_t retry_after_ms;         /* THROTTLED: -1 = not said */
	char words[DEST_WORDS_MAX];     /* for people; "" for DEST_OK. Never a secret */
	const char *bounce;             /* INVALID of an email: "hard", "soft", "block"; or NULL */
	bool is_unknown;                /* INVALID: no answer came, it may have been taken */
};

/* Flags of a kind. */
enum dest_flag {
	DEST_ATOMIC    = 1,     /* a batch is taken or refused whole, in order: a person's parts
	                           may share one. Else, where order is asked, they may not */
	DEST_WHOLE     = 2,     /* judge cannot tell parts of a refused batch apart: see INVALID */
	DEST_PARTITION = 4,     /* a batch holds parts of one partition, in the order of offsets */
	DEST_ANY_TOPIC = 8,     /* takes records of any topic; else only enriched */
	DEST_NO_BATCH_KEY = 16, /* nobody looks at batch->key: it is not made */
	DEST_RAW_MAP   = 32,    /* `map` of the settings makes the payload itself: event->mapped */
};

/* Which types of enriched records are given to map (DEST_ANY_TOPIC: other topics' all are). */
enum dest_accept {
	DEST_TRACK = 1, DEST_IDENTIFY = 2, DEST_PAGE = 4, DEST_SCREEN = 8, DEST_GROUP = 16,
	DEST_ALIAS = 32, DEST_ALL = 63,
};

enum dest_field_type {
	DEST_FIELD_TEXT,        /* const char *; NULL where neither set nor a default */
	DEST_FIELD_SECRET,      /* the same; file:PATH, env:NAME or the text; never printed */
	DEST_FIELD_URL,         /* const char *, http:// or https://, no user and password in it */
	DEST_FIELD_CHOICE,      /* const char *, one of choices ("us|eu") */
	DEST_FIELD_COUNT,       /* int64_t, min..max */
	DEST_FIELD_BYTES,       /* int64_t, with k, m, g */
	DEST_FIELD_MS,          /* int64_t, with ms, s, m, h, d */
	DEST_FIELD_FLAG,        /* bool */
	DEST_FIELD_LIST,        /* struct dest_list of texts */
	DEST_FIELD_MAP,         /* const struct yaml *: a subtree as it is, or NULL */
};

struct dest_list {
	const char **items;     /* owned by the setup, as all texts are; live until its close */
	size_t count;
};

struct dest_field {
	const char *name;               /* key in the file; ends the table where NULL */
	enum dest_field_type type;
	size_t offset;                  /* into the kind's conf */
	const char *fallback;           /* default as text, or NULL */
	bool is_required;
	int64_t min, max;               /* 0,0: any >= 0 */
	const char *choices;            /* CHOICE: "us|eu" */
	const char *help;               /* one line, for people who fill in a form */
};

struct dest_limits {
	size_t items;                   /* parts in a batch, at most; 1: no batches */
	size_t items_max;               /* batch_size may raise it up to here; 0: not at all */
	size_t bytes;                   /* of their payloads together; 0: no bound */
	size_t item_bytes;              /* of one payload; more is invalid; 0: = bytes */
	int64_t wait_ms;                /* a batch that is not full goes so long after its first */
	int concurrency;                /* requests at once; put: always 1 */
	int64_t per_second;             /* parts, where the vendor says so; 0: no bound */
	int64_t timeout_ms;             /* of one request; 0: 30 s */
};

struct dest;

/* What a kind gets from the frame; lives until dest_kind.close. */
struct dest_env {
	const char *name;               /* of the destination: destinations/NAME.yaml */
	const void *conf;               /* the kind's own conf, filled from fields */
	const struct schema *schema;    /* of the topic's records */
	const char *topic;
	const char *state_dir;          /* a directory of this destination's own, exists */
	const struct log *log;
	int64_t timeout_ms;
	bool is_test;                   /* `sink test`: a vendor's validation, where it has one */
	bool is_replay;                 /* dead letters, or a range of time: offsets go back */
	bool is_dry;                    /* --dry-run: nothing will be sent, connect to nothing */
	const atomic_bool *stop;        /* put: set where the program ends */
	const struct guard *guard;      /* guard_connect before a connect of one's own */
	const char *ca_file;            /* certificates to trust; NULL: the system's */
};

/* One mapped part, owned by the frame until it is settled. */
struct dest_item {
	struct slice payload;           /* what map appended */
	struct slice message_id;        /* the idempotency key */
	int route;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_us;           /* the event's time */
};

struct dest_batch {
	const struct dest_item *const *items;
	size_t count;
	int route;
	bool is_batch;                  /* limits.items > 1: the form for several, even of one */
	unsigned attempt;               /* from 1 */
	char key[72];                   /* the same on each retry; of one item that is all of its
	                                   event: its message id, else a hash; "": NO_BATCH_KEY */
};

/* Collects map's parts. */
struct dest_out {
	struct buf *buf;                /* append one payload here, then dest_out_end */
	char words[DEST_WORDS_MAX];     /* with -EBADMSG: why this event cannot be sent */
	size_t begin;                   /* the frame's own from here on */
	struct dest_part *parts;
	size_t count, cap;
};

/* What was appended since the last call is one part. -ENOMEM. */
MUST_CHECK int dest_out_end(struct dest_out *out, int route);
/* Forgets what was appended since the last dest_out_end. */
void dest_out_drop(struct dest_out *out);

struct dest_kind {
	const char *name;               /* `type:` in the file */
	const char *summary;            /* one line */
	const struct dest_field *fields;
	size_t conf_size;
	unsigned flags;                 /* enum dest_flag */
	unsigned accepts;               /* enum dest_accept */
	struct dest_limits limits;      /* defaults and upper bounds of the file's own */
	/* After fields were read: what one field cannot tell. NULL: nothing. */
	int (*check)(const void *conf, struct err *err);
	int (*open)(struct dest **destp, const struct dest_env *env, struct err *err);
	/* 0; -EBADMSG: invalid, with out->words; other -errno is fatal. */
	int (*map)(struct dest *dest, const struct event *event, struct dest_out *out);
	/* HTTP: fills what post_request has; 0, or -errno: fatal (a bug or memory). */
	int (*build)(struct dest *dest, const struct dest_batch *batch,
		     struct post_request *request);
	/* results[batch->count] come as DEST_OK with "". Network errors never come here (they are
	 * transient). NULL: dest_judge_status. */
	void (*judge)(struct dest *dest, const struct dest_batch *batch,
		      const struct post_answer *answer, struct dest_result *results);
	/* Not HTTP: instead of build and judge. Fills results. */
	void (*put)(struct dest *dest, const struct dest_batch *batch,
		    struct dest_result *results);
	/* Optional. Where to go on, where the destination itself knows: *next in: by our own
	 * position; out: at least that. */
	int (*resume)(struct dest *dest, int32_t partition, int64_t *next, struct err *err);
	/* Optional: an end is near, nothing more will be put. Flush. */
	int (*finish)(struct dest *dest, struct err *err);
	void (*close)(struct dest *dest);       /* NULL is fine */
};

/* Sets all results of a batch. words may be NULL; cut at DEST_WORDS_MAX, control bytes blanked. */
void dest_result_all(const struct dest_batch *batch, struct dest_result *results,
		     enum dest_class class, struct slice words);
void dest_result_set(struct dest_result *result, enum dest_class class, struct slice words);

/* By status alone: 2xx ok; 408, 425, 500.. transient; 429, and 503 with Retry-After, throttled;
 * 401, 403, 404, 405, 410 and 3xx setup; other 4xx invalid. Words: status and the body's begin. */
void dest_judge_status(const struct dest_batch *batch, const struct post_answer *answer,
		       struct dest_result *results);
enum dest_class dest_class_of_status(int status, bool has_retry_after);
const char *dest_class_name(enum dest_class class);

/* All kinds (kinds.c); NULL: no such one. Adding one is a line there. */
const struct dest_kind *dest_kind_find(struct slice name);
const struct dest_kind *dest_kind_at(size_t index);

#endif
