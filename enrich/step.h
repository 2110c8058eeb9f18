/* step - one thing that can be known about an event
 *
 *      collected record --> body parsed, members picked --> step, step, step --> enriched record
 *
 * A step reads the event's members and the leaves that earlier steps have set, and sets its own
 * leaves. It is a pure function of (event, settings, data files): no clock, no random numbers;
 * its state holds what was made of settings and files, and caches that change no answer.
 *
 * Each kind of step is one file step_NAME.c with one `const struct step_kind`, and one row in
 * chain.c's tables; which steps run, in which order, is for the settings to say (chain.h). A kind
 * whose answers change gets a higher version, which changes the records' `logic`.
 *
 *      open    settings and data files -> state; built anew, whole, for each reload
 *      apply   event -> leaves; no memory from the system, only the event's arena
 *      hash    what else answers depend on: neither an option of its table nor a data file
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_STEP_H
#define ENRICH_STEP_H

#include "enrich/text.h"
#include "enrich/url.h"
#include "lib/datum.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/record.h"

/* Members that steps look at: X(SUFFIX, "name"). They are picked in one pass over the object,
 * the last of equal ones wins, JSON null is absent. */
#define STEP_BODY_KEYS(X) \
	X(EVENT, "event") \
	X(NAME, "name") \
	X(CATEGORY, "category") \
	X(USER_ID, "userId") \
	X(ANONYMOUS_ID, "anonymousId") \
	X(GROUP_ID, "groupId") \
	X(PREVIOUS_ID, "previousId") \
	X(TIMESTAMP, "timestamp") \
	X(ORIGINAL_TIMESTAMP, "originalTimestamp") \
	X(PROPERTIES, "properties") \
	X(TRAITS, "traits") \
	X(CONTEXT, "context") \
	X(INTEGRATIONS, "integrations")

#define STEP_CONTEXT_KEYS(X) \
	X(PAGE, "page") \
	X(CAMPAIGN, "campaign") \
	X(LIBRARY, "library") \
	X(LOCALE, "locale") \
	X(TIMEZONE, "timezone") \
	X(SCREEN, "screen") \
	X(IP, "ip") \
	X(USER_AGENT, "userAgent") \
	X(GROUP_ID, "groupId") \
	X(TRAITS, "traits") \
	X(USER_AGENT_DATA, "userAgentData") \
	X(OS, "os") \
	X(DEVICE, "device")

/* Of context.page, and of properties in page and screen calls. */
#define STEP_PAGE_KEYS(X) \
	X(URL, "url") \
	X(PATH, "path") \
	X(SEARCH, "search") \
	X(TITLE, "title") \
	X(REFERRER, "referrer") \
	X(NAME, "name") \
	X(CATEGORY, "category")

#define STEP_ENUM_BODY(suffix, name) STEP_BODY_##suffix,
enum step_body { STEP_BODY_KEYS(STEP_ENUM_BODY) STEP_BODY_COUNT };
#define STEP_ENUM_CONTEXT(suffix, name) STEP_CONTEXT_##suffix,
enum step_context { STEP_CONTEXT_KEYS(STEP_ENUM_CONTEXT) STEP_CONTEXT_COUNT };
#define STEP_ENUM_PAGE(suffix, name) STEP_PAGE_##suffix,
enum step_page { STEP_PAGE_KEYS(STEP_ENUM_PAGE) STEP_PAGE_COUNT };

enum step_type {
	STEP_TYPE_TRACK,
	STEP_TYPE_IDENTIFY,
	STEP_TYPE_PAGE,
	STEP_TYPE_SCREEN,
	STEP_TYPE_GROUP,
	STEP_TYPE_ALIAS,
	STEP_TYPE_COUNT,
};

/* A table of names with an index by length and first byte: looking through all names for each
 * member was 8 % of enrich's instructions. */
#define STEP_INDEX 32

struct step_names {
	const struct slice *names;              /* none empty */
	int8_t first[STEP_INDEX];               /* -1: none */
	int8_t next[STEP_BODY_COUNT];
};

/* The JSON leaves that steps behind `json` look into and change (leaf.h). */
enum leaf { LEAF_PROPERTIES, LEAF_TRAITS, LEAF_CONTEXT, LEAF_COUNT };

struct leaf_tree {
	yyjson_val *root;               /* of the leaf's text as it is; NULL: not parsed */
	struct json_reader *reader;     /* for texts that are not of the body; owned */
};

struct step_answer;

struct step_event {
	const struct value *in;                 /* COLLECTED_COUNT leaves */
	struct value *out;                      /* ENRICHED_COUNT leaves */
	enum step_type type;
	yyjson_val *body[STEP_BODY_COUNT];      /* NULL: absent */
	yyjson_val *context[STEP_CONTEXT_COUNT];
	yyjson_val *page[STEP_PAGE_COUNT];      /* of context.page */
	yyjson_val *properties[STEP_PAGE_COUNT];        /* page and screen calls only */
	struct step_names body_names, context_names, page_names;        /* by step_event_init */
	struct url url;                         /* of the page; set by step_page, else empty */
	struct json_reader *json;               /* that parsed the body */
	struct leaf_tree trees[LEAF_COUNT];     /* of JSON leaves; see leaf.h */
	const struct step_answer *answers;      /* of the steps that ask, in their order */
	int answer_count;
	int asked;                              /* which one of them is at it */
	struct arena *arena;
	struct buf *text;                       /* JSON text; emptied for each event */
	struct buf scratch;                     /* anybody's, until the step returns */
	struct {
		const char *reason, *words, *at;
	} bad;                                  /* why a step returned -EBADMSG; static text */
};

/* What open gets. All of it is borrowed and gone when open returns, but for conf, which lives as
 * long as the state. */
struct step_args {
	const void *conf;               /* conf_size bytes, filled by the kind's opts */
	const struct enrich_conf *flags;        /* the program's options (enrich.h): --geoip .. */
	struct step_files *files;
	const char *where;              /* "millrace.yaml:12: geo": begins what err says */
};

/* Data files are opened through these: their content is hashed into `logic`, and when one is
 * replaced (rename over it), or at SIGHUP, all steps are opened anew between two batches.
 * -ENOENT, ..: words name the file. */
#define STEP_FILE_MAX ((size_t)1 << 30)
/* The whole file; *bytes lives until open returns, and has a NUL after it. */
MUST_CHECK int step_file_read(const struct step_args *args, const char *path, struct slice *bytes,
			      struct err *err);
/* One that a library opens by itself: it is only hashed and watched. */
MUST_CHECK int step_file_watch(const struct step_args *args, const char *path, struct err *err);
/* In open: a step does without some data, which is logged once. Static words with the mend. */
void step_lack(const struct step_args *args, const char *words);

/* What open and apply return beside 0 and -errno. */
enum step_result {
	STEP_RESULT_NEXT = 0,
	STEP_RESULT_UNUSED = 1,         /* open: there is nothing to do (no data file given) */
	STEP_RESULT_DROP = 1,           /* apply: the event is dropped, counted as filtered */
	STEP_RESULT_ASK = 2,            /* apply: it needs an answer that is not there yet */
};

/* A step that is cheaper for many events at once (exec) asks: apply returns STEP_RESULT_ASK, the
 * event is held, its question is put, and when a batch of them has been answered the event goes
 * through all steps again, from the first on, with the answers that it has got so far. */
struct step_answer {
	enum { STEP_ANSWER_NONE, STEP_ANSWER_LINE, STEP_ANSWER_BAD } kind;
	struct slice text;              /* the line; or why it is bad, with NUL */
};

struct step_question {
	int64_t partition, offset;      /* src of the event */
	struct slice line;
	struct step_answer *answer;     /* to be filled; texts go to the arena */
};

/* A wait may take long. */
struct step_stop {
	bool (*is_due)(void *ctx);
	void *ctx;
	const struct log *log;
};

struct step_kind {
	const char *name;               /* in the settings' list, and in `logic` */
	int version;
	const char *after;              /* kinds that must not come later, as "ids page"; or NULL */
	/* The settings, offsets into a struct of conf_size bytes; may be NULL. Values are hashed
	 * into `logic`, but those whose `arg` is FILE: of these the content counts. A list's item
	 * is text. Keys `when` and `unless` are the chain's. */
	const struct opt *opts;
	size_t conf_size;
	/* NULL: no state. 0; STEP_RESULT_UNUSED (no state then); -errno with words. */
	int (*open)(void **statep, const struct step_args *args, struct err *err);
	void (*close)(void *state);     /* NULL: nothing to close */
	/* 0; STEP_RESULT_DROP; -EBADMSG: the event is bad and event->bad says why; -ENOMEM. */
	int (*apply)(void *state, struct step_event *event);
	void (*hash)(const void *state, struct buf *text);      /* appends lines; may be NULL */
	/* Of a step that asks; else NULL. question appends a line without its end. */
	void (*question)(void *state, const struct step_event *event, struct buf *line);
	/* 0; -EINTR: stop was due; -ENOMEM. */
	int (*answer)(void *state, const struct step_stop *stop, struct step_question *questions,
		      size_t count, struct arena *arena);
};

extern const struct step_kind step_ids;
extern const struct step_kind step_time;
extern const struct step_kind step_context;
extern const struct step_kind step_page;
extern const struct step_kind step_referrer;
extern const struct step_kind step_campaign;
extern const struct step_kind step_agent;
extern const struct step_kind step_bot;
extern const struct step_kind step_geo;
extern const struct step_kind step_asn;
extern const struct step_kind step_json;
extern const struct step_kind step_privacy;
extern const struct step_kind step_suppress;
extern const struct step_kind step_plan;
extern const struct step_kind step_exec;

/* -1: there is no such type. */
int step_type_of(struct slice name);

/* Once for an event that is used again and again. */
void step_event_init(struct step_event *event);
void step_event_close(struct step_event *event);
/* Picks `count` members by name out of an object (NULL or no object: all absent). */
void step_pick(yyjson_val *object, const struct slice *names, int count, yyjson_val **picked);
/* Fills event from a parsed body: its members, context's, page's. event->type is set already. */
void step_event_pick(struct step_event *event, yyjson_val *body);

/* A member by its name; else by a path with dots ("cart.total"). NULL: none, or JSON null. */
yyjson_val *step_find(yyjson_val *object, struct slice path);

/* Appends an option's value as a line for `logic`; see step_kind.opts. */
void step_hash_option(const struct opt *opt, const void *conf, struct buf *text);

/* A string that is not empty, cut at max bytes; else null. */
struct value step_text(yyjson_val *value, size_t max);
/* The same, and a number as its digits. */
struct value step_id(yyjson_val *value);
/* The first of the two that is set. */
static inline struct value step_either(struct value a, struct value b)
{
	return a.is_set ? a : b;
}

#endif
