/* step - one thing that can be known about an event
 *
 *      collected record --> body parsed, members picked --> step, step, step --> enriched record
 *
 * A step reads the event's members and the leaves that earlier steps have set, and sets its own
 * leaves. It is a pure function: no clock, no state that outlives the event. Whatever it points
 * to lives in the event's texts or its arena, which are emptied after the record was written.
 * Each step is one file with one `const struct step`, and one row in enrich.c's table; a step
 * whose answers change gets a higher version, which changes the records' `logic`.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_STEP_H
#define ENRICH_STEP_H

#include "enrich/text.h"
#include "enrich/url.h"
#include "lib/datum.h"
#include "lib/json.h"
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
	X(TRAITS, "traits")

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
	struct arena *arena;
	struct buf *text;                       /* JSON text; emptied for each event */
	struct {
		const char *reason, *words, *at;
	} bad;                                  /* why a step returned -EBADMSG */
};

struct step {
	const char *name;
	int version;
	/* 0; -EBADMSG: the event is bad and event->bad says why; -ENOMEM. */
	int (*run)(struct step_event *event);
};

extern const struct step step_ids;
extern const struct step step_time;
extern const struct step step_context;
extern const struct step step_page;
extern const struct step step_referrer;
extern const struct step step_campaign;
extern const struct step step_json;

/* Once for an event that is used again and again. */
void step_event_init(struct step_event *event);
/* Picks `count` members by name out of an object (NULL or no object: all absent). */
void step_pick(yyjson_val *object, const struct slice *names, int count, yyjson_val **picked);
/* Fills event from a parsed body: its members, context's, page's. event->type is set already. */
void step_event_pick(struct step_event *event, yyjson_val *body);

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
