/* setup - destinations/NAME.yaml, read
 *
 *      type: mixpanel            which kind (kinds.c); `file` is no kind of these: target.h
 *      enabled: yes              no: sink ends, `millrace up` does not start it
 *      from: enriched            topic
 *      start: now                of a new destination: now, first, an instant, or a span (7d)
 *      token: env:MIXPANEL      the kind's own fields; secrets: file:PATH, env:NAME, text
 *
 *      types: [track, identify]  only these; events: [..] and not_events: [..] by name, * at the
 *      end where: .properties.price > 10                     jq: only where true (jq.h)
 *      map: .properties.plan |= ascii_downcase           jq: the event, changed
 *      rename: { properties.plan: properties.tier }      short for jq
 *      drop: [ context.ip ]                              short for jq
 *
 *      order: person             or none
 *      batch_size, batch_bytes, batch_wait, concurrency, rate, timeout
 *      retry_min: 10s, retry_max: 5m, retry_for: 4h
 *
 * Relative paths are relative to the directory of millrace.yaml. Everything is checked, and an
 * error says path, line, what is wrong and what would be right. A key that nobody knows is one.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SETUP_H
#define SINK_SETUP_H

#include <stdint.h>

#include "lib/yaml.h"
#include "sink/dest.h"

#define SETUP_NAME_MAX 64

enum setup_start { SETUP_NOW, SETUP_FIRST, SETUP_TIME };

struct setup {
	char name[SETUP_NAME_MAX + 1];
	const struct dest_kind *kind;
	void *conf;                     /* kind->conf_size bytes, filled */
	bool is_enabled;
	const char *from;
	enum setup_start start;
	int64_t start_us;               /* SETUP_TIME */
	/* which events, and what of them */
	unsigned types;                 /* enum dest_accept */
	struct dest_list events, not_events;
	const char *where;              /* jq; NULL: all */
	const char *map;                /* jq of drop, rename and map, in this order; NULL: as is */
	/* how */
	bool by_person;
	struct dest_limits limits;      /* the kind's, lowered */
	int64_t retry_min_ms, retry_max_ms, retry_for_ms;
	struct yaml_file *file;         /* own */
	void *texts;                    /* own */
};

/* Reads DIR/destinations/NAME.yaml. -ENOENT: no such file; -EBADMSG: words with path and line.
 * The caller closes. Secrets are resolved (and may fail with their place). */
MUST_CHECK int setup_open(struct setup **setupp, const char *dir, const char *name,
			  struct err *err);
/* The same from another file: one that is to become destinations/NAME.yaml. */
MUST_CHECK int setup_open_file(struct setup **setupp, const char *dir, const char *name,
			       const char *path, struct err *err);
void setup_close(struct setup *setup);

/* `sink check NAME [PATH]`: a file that `millrace up` could use, of any type, `file` too. 0, or
 * what setup_open says. */
MUST_CHECK int setup_check(const char *dir, const char *name, const char *path, struct err *err);

/* The kinds and their fields (`file` first), the frame's own last, as JSON: for `millrace
 * destination add` and for forms. */
void setup_print_kinds(struct buf *out);

#endif
