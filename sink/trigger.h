/* trigger - triggers/NAME.yaml, read: what docs/messages.md says of it
 *
 * One table of fields for all (as sink's destinations have, field.h), and that of the channel's
 * kind (dest_email, ..). What the file does not say of email's fields, `smtp:` of millrace.yaml
 * may.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_TRIGGER_H
#define SINK_TRIGGER_H

#include "sink/dest.h"
#include "sink/schedule.h"

enum trigger_on { TRIGGER_ENTER, TRIGGER_EXIT, TRIGGER_SCHEDULE };
enum trigger_once { TRIGGER_PERSON, TRIGGER_PERIOD, TRIGGER_EVERY };

struct trigger {
	char name[65];
	bool is_enabled;
	const char *query, *channel;
	const struct dest_kind *kind;
	void *conf;                     /* the kind's, filled; NULL where it is off */
	enum trigger_on on;
	enum trigger_once once;
	bool current, recheck, dry_run, report;
	int64_t period_ms, delay_ms, holdout, max_age_ms;
	int64_t throttle_count, throttle_ms;    /* 0: none */
	int64_t retry_min_ms, retry_max_ms, retry_for_ms;
	const char *suppressed;         /* path */
	struct cron cron;
	struct quiet quiet;
	struct zone *zone;
	void *own;                      /* files and texts */
};

/* dir: of millrace.yaml, whose path is config. file: another one than dir/triggers/NAME.yaml, or
 * NULL. even_off: conf is filled also where it is switched off. -ENOENT; -EBADMSG: words with path
 * and line. */
MUST_CHECK int trigger_open(struct trigger **triggerp, const char *dir, const char *config,
			    const char *name, const char *file, bool even_off, struct err *err);
void trigger_close(struct trigger *trigger);
/* {"common":[..],"channels":[{"channel","summary","fields"}]} */
void trigger_print_fields(struct buf *out);

#endif
