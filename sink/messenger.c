// SPDX-License-Identifier: Apache-2.0
#include "sink/messenger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/dir.h"
#include "lib/record.h"
#include "lib/when.h"
#include "sink/journal.h"
#include "sink/kinds.h"
#include "sink/teller.h"
#include "sink/who.h"

#define WORK_MS   200           /* of sending between two looks at the topic */
#define STATUS_MS 1000
#define REPORTS_MAX 10000
#define RETELL_US INT64_C(86400000000)  /* an outcome is told so long after it, at most */

struct waiting {
	int64_t due_us, first_us, version;
	struct who *who;
	unsigned attempt;
	bool has_waited;
	char *datum;
	size_t len;
};

struct report {
	char *body, key[33];
};

/* Of a message: what its event tells. */
struct outcome {
	const char *event;
	struct slice key, person, bounce, words;
	int64_t version, at_us;
};

enum tally { TALLY_SENT, TALLY_FAILED, TALLY_SKIPPED, TALLY_HELD, TALLY_UNKNOWN, TALLY_DRY,
	     TALLY_COUNT };

struct messenger {
	struct outlet base;
	const struct messenger_conf *conf;
	const struct trigger *trigger;
	struct journal *journal;
	struct teller *teller;
	struct datum_reader *reader;
	struct value *fields;
	struct json_reader *json;
	struct who_table table;
	struct waiting *waiting;
	size_t waiting_count, waiting_cap;
	struct report *reports;
	size_t report_count;
	int64_t report_ms;              /* no report before */
	int64_t begun_us, tick_us, noted_us, pause_us, status_ms, members;
	int64_t fresh;                  /* records since the last commit; 0: all is read */
	int64_t *sends;                 /* throttle: times of the latest ones, a ring */
	size_t send_at;
	int64_t tally[TALLY_COUNT];
	char open_key[33];              /* `sending` without an outcome, while loading */
	struct buf line, text, datum;
	char words[DEST_WORDS_MAX];
	const char *state;
	atomic_bool stop;
};

static int64_t now_us(const struct messenger *m)
{
	return m->conf->now_us ? m->conf->now_us(m->conf->clock) : when_now_us();
}

/* Keys */

static void make_key(const struct messenger *m, struct slice person, int64_t version, char key[33])
{
	char text[900];
	XXH128_hash_t h;
	int len = snprintf(text, sizeof(text), "%s\n%.*s\n%lld", m->trigger->name,
			   (int)(person.len < 700 ? person.len : 700), person.ptr,
			   m->trigger->once == TRIGGER_PERSON ? 0LL : (long long)version);

	h = XXH3_128bits(text, (size_t)len);
	snprintf(key, 33, "%016llx%016llx", (unsigned long long)h.high64,
		 (unsigned long long)h.low64);
}

static bool is_held_out(const struct messenger *m, struct slice person)
{
	uint64_t seed = XXH3_64bits(m->trigger->name, strlen(m->trigger->name));

	return (int64_t)(XXH3_64bits_withSeed(person.ptr, person.len, seed) % 100) <
	       m->trigger->holdout;
}

/* Calls for the person and his other ids. */
static int64_t newest_sent(struct messenger *m, struct slice person, struct slice ids, int64_t set)
{
	struct who *who = who_at(&m->table, person);
	int64_t newest = who ? who->sent_us : 0;
	yyjson_val *root, *id;
	yyjson_arr_iter iter;

	if (who && set)
		who->sent_us = set;
	if (!ids.len || json_parse(m->json, ids, &root, NULL) < 0 ||
	    !yyjson_arr_iter_init(root, &iter))
		return newest;
	while ((id = yyjson_arr_iter_next(&iter))) {
		who = json_string(id).len ? who_at(&m->table, json_string(id)) : NULL;
		if (who && set)
			who->sent_us = set;
		if (who && who->sent_us > newest)
			newest = who->sent_us;
	}
	return newest;
}

/* Events */

static void put_text(struct buf *out, const char *name, struct slice text)
{
	buf_printf(out, ",\"%s\":", name);
	json_write_text(text, out);
}

static int add_report(struct messenger *m, const struct outcome *o)
{
	struct report *reports;
	struct buf *out = &m->text;
	char at[WHEN_TEXT_MAX];

	if (!m->trigger->report || !m->conf->report_url || m->report_count == REPORTS_MAX)
		return 0;
	when_print(o->at_us, 3, at);
	buf_reset(out);
	buf_printf(out, "{\"batch\":[{\"type\":\"track\",\"event\":\"%s\",", o->event);
	buf_printf(out, "\"messageId\":\"%s-%.*s\",\"timestamp\":\"%s\"", o->event,
		   (int)o->key.len, o->key.ptr, at);
	put_text(out, "userId", o->person);
	buf_append_text(out, ",\"properties\":{\"channel\":");
	json_write_text(slice_from(m->trigger->channel), out);
	put_text(out, "trigger", slice_from(m->trigger->name));
	put_text(out, "query", slice_from(m->trigger->query));
	put_text(out, "key", o->key);
	buf_printf(out, ",\"version\":%lld", (long long)o->version);
	if (o->bounce.len)
		put_text(out, "bounce", o->bounce);
	if (o->words.len)
		put_text(out, "words", o->words);
	buf_append_text(out, "}}]}");
	buf_append_char(out, '\0');
	reports = reallocarray(m->reports, m->report_count + 1, sizeof(*reports));
	if (!reports || out->failed)
		return -ENOMEM;
	m->reports = reports;
	reports[m->report_count].body = strdup(out->ptr);
	snprintf(reports[m->report_count].key, 33, "%.*s", (int)o->key.len, o->key.ptr);
	return reports[m->report_count++].body ? 0 : -ENOMEM;
}

static void drop_report(struct messenger *m, size_t i)
{
	free(m->reports[i].body);
	m->report_count--;
	memmove(&m->reports[i], &m->reports[i + 1], (m->report_count - i) * sizeof(*m->reports));
}

/* The journal */

static void begin_line(struct messenger *m, const char *what, const char *key)
{
	char at[WHEN_TEXT_MAX];

	when_print(now_us(m), 3, at);
	buf_reset(&m->line);
	buf_printf(&m->line, "{\"at\":\"%s\",\"what\":\"%s\"", at, what);
	if (key)
		put_text(&m->line, "key", slice_from(key));
}

static void put_person(struct messenger *m, const struct value *fields, int64_t version)
{
	struct slice ids = value_slice(&fields[MEMBERS_IDS]);

	put_text(&m->line, "person", value_slice(&fields[MEMBERS_PERSON]));
	buf_printf(&m->line, ",\"version\":%lld", (long long)version);
	if (ids.len)
		buf_printf(&m->line, ",\"ids\":%.*s", (int)ids.len, ids.ptr);
}

static int end_line(struct messenger *m, bool sync)
{
	buf_append_char(&m->line, '}');
	return m->line.failed ? -ENOMEM : journal_add(m->journal, buf_slice(&m->line), sync);
}

static int simple_line(struct messenger *m, const char *what, const struct value *fields,
		       int64_t version, const char *words)
{
	char key[33];

	make_key(m, value_slice(&fields[MEMBERS_PERSON]), version, key);
	begin_line(m, what, key);
	put_person(m, fields, version);
	if (words)
		put_text(&m->line, "words", slice_from(words));
	return end_line(m, false);
}

/* The answer was no: nothing was sent to him. */
static void forget(struct messenger *m, struct slice person, yyjson_val *ids)
{
	struct who *who = who_at(&m->table, person);
	yyjson_arr_iter iter;
	yyjson_val *id;

	if (who)
		who->done = who->sent_us = 0;
	if (!ids || !yyjson_arr_iter_init(ids, &iter))
		return;
	while ((id = yyjson_arr_iter_next(&iter)))
		if (json_string(id).len && (who = who_at(&m->table, json_string(id))))
			who->sent_us = 0;
}

static void mark(struct messenger *m, yyjson_val *line, bool was_sent)
{
	struct slice person = json_text(line, "person");
	struct who *who = person.len ? who_at(&m->table, person) : NULL;
	yyjson_val *ids = json_get(line, "ids"), *id;
	yyjson_arr_iter iter;
	int64_t version = 0, at = 0;

	if (!who || json_num(json_get(line, "version"), &version) < 0 ||
	    when_parse(json_text(line, "at"), &at) < 0)
		return;
	if (version > who->done)
		who->done = version;
	if (!was_sent)
		return;
	who->sent_us = at;
	if (!ids || !yyjson_arr_iter_init(ids, &iter))
		return;
	while ((id = yyjson_arr_iter_next(&iter)))
		if (json_string(id).len && (who = who_at(&m->table, json_string(id))))
			who->sent_us = at;
}

static void note_send(struct messenger *m, int64_t at)
{
	if (!m->sends)
		return;
	m->sends[m->send_at] = at;
	m->send_at = (m->send_at + 1) % (size_t)m->trigger->throttle_count;
}

/* Outcomes whose event was not told (kill -9) are told now: their messageId is the same. */
static int take_report(struct messenger *m, yyjson_val *line, struct slice what, struct slice key)
{
	struct outcome o = { .key = key, .person = json_text(line, "person"),
			     .bounce = json_text(line, "bounce"),
			     .words = json_text(line, "words") };

	if (slice_is(what, "reported")) {
		for (size_t i = 0; i < m->report_count; i++)
			if (slice_is(key, m->reports[i].key)) {
				drop_report(m, i);
				break;
			}
		return 0;
	}
	if ((!slice_is(what, "sent") && !slice_is(what, "failed") && !slice_is(what, "unknown")) ||
	    key.len != 32 || !o.person.len ||
	    json_num(json_get(line, "version"), &o.version) < 0 ||
	    when_parse(json_text(line, "at"), &o.at_us) < 0 ||
	    now_us(m) - o.at_us > RETELL_US)
		return 0;
	o.event = slice_is(what, "sent") ? "message_sent" : "message_failed";
	return add_report(m, &o);
}

static int take_line(void *ctx, yyjson_val *line)
{
	struct messenger *m = ctx;
	struct slice what = json_text(line, "what"), words = json_text(line, "words");
	struct slice key = json_text(line, "key");
	bool has_keys = m->trigger->kind == &dest_webhook;
	int64_t at;
	int rc = take_report(m, line, what, key);

	if (rc < 0)
		return rc;
	if ((slice_is(what, "sending") || slice_is(what, "dry")) &&
	    when_parse(json_text(line, "at"), &at) == 0)
		note_send(m, at);
	if (slice_is(what, "begin") && when_parse(json_text(line, "at"), &m->begun_us) < 0)
		m->begun_us = 0;
	if (slice_is(what, "tick") && when_parse(json_text(line, "due"), &m->tick_us) == 0)
		m->noted_us = m->tick_us;
	if (slice_is(what, "reported") || slice_is(what, "begin") || slice_is(what, "tick"))
		return 0;
	m->open_key[0] = '\0';
	if (slice_is(what, "sending")) {
		if (!has_keys && json_get(line, "person") && json_get(line, "version")) {
			mark(m, line, true);
			snprintf(m->open_key, sizeof(m->open_key), "%.*s", (int)key.len, key.ptr);
			buf_reset(&m->datum);
			json_write(json_get(line, "person"), &m->datum);
			buf_append_text(&m->datum, ",\"version\":");
			json_write(json_get(line, "version"), &m->datum);
		}
		return 0;
	}
	if (slice_is(what, "retry")) {  /* the answer was no: it may go again */
		mark(m, line, true);
		forget(m, json_text(line, "person"), json_get(line, "ids"));
		return 0;
	}
	mark(m, line, slice_is(what, "sent") || slice_is(what, "dry") || slice_is(what, "unknown"));
	m->tally[TALLY_SENT] += slice_is(what, "sent");
	m->tally[TALLY_FAILED] += slice_is(what, "failed");
	m->tally[TALLY_UNKNOWN] += slice_is(what, "unknown");
	m->tally[TALLY_DRY] += slice_is(what, "dry");
	m->tally[TALLY_HELD] += slice_is(words, "holdout");
	m->tally[TALLY_SKIPPED] += slice_is(what, "skipped") && !slice_is(words, "holdout");
	return 0;
}

/* What was under way when the program was killed: nobody knows. */
static int settle_open(struct messenger *m)
{
	if (!m->open_key[0])
		return 0;
	begin_line(m, "unknown", m->open_key);
	buf_append_text(&m->line, ",\"person\":");
	buf_append_slice(&m->line, buf_slice(&m->datum));
	put_text(&m->line, "words", SLICE("the program ended while it was sent"));
	m->tally[TALLY_UNKNOWN]++;
	return end_line(m, true);
}

static int begin_trigger(struct messenger *m)
{
	if (m->begun_us)
		return 0;
	begin_line(m, "begin", NULL);
	m->begun_us = now_us(m);
	return end_line(m, true);
}

/* Records */

static int await(struct messenger *m, struct who *who, struct slice datum, int64_t version,
		 int64_t due)
{
	struct waiting *w;

	if (m->waiting_count == m->waiting_cap) {
		size_t cap = m->waiting_cap ? m->waiting_cap * 2 : 64;
		struct waiting *more = reallocarray(m->waiting, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->waiting = more;
		m->waiting_cap = cap;
	}
	w = &m->waiting[m->waiting_count];
	*w = (struct waiting){ .due_us = due, .version = version, .who = who, .len = datum.len };
	w->has_waited = m->trigger->delay_ms > 0;
	w->datum = malloc(datum.len + 1);
	if (!w->datum)
		return -ENOMEM;
	memcpy(w->datum, datum.ptr, datum.len);
	m->waiting_count++;
	return 0;
}

static bool is_cause(const struct value *fields, const char *cause)
{
	return slice_is(value_slice(&fields[MEMBERS_CAUSE]), cause);
}

/* Is it one that the trigger speaks of? 1, 0; < 0: error. A skip is noted once. */
static int wants(struct messenger *m, const struct value *fields, struct who *who, bool entered)
{
	const struct trigger *t = m->trigger;
	int64_t computed = fields[MEMBERS_COMPUTED_AT].num, version = fields[MEMBERS_VERSION].num;
	struct slice person = value_slice(&fields[MEMBERS_PERSON]);
	int64_t sent, now = now_us(m);
	const char *why = NULL;

	if (t->on == TRIGGER_SCHEDULE || entered != (t->on == TRIGGER_ENTER) ||
	    who->done >= version || is_cause(fields, "merged") || is_cause(fields, "deleted"))
		return 0;
	if (!t->current && (is_cause(fields, "defined") || computed < m->begun_us))
		return 0;
	sent = newest_sent(m, person, value_slice(&fields[MEMBERS_IDS]), 0);
	if (sent && t->once == TRIGGER_PERSON)
		return 0;
	if (sent && t->once == TRIGGER_PERIOD && sent + t->period_ms * 1000 > now)
		why = "once a period";
	else if (now - computed > t->max_age_ms * 1000 && !is_cause(fields, "defined"))
		why = "too old";
	else if (is_held_out(m, person))
		why = "holdout";
	if (!why)
		return 1;
	who->done = version;
	m->tally[strcmp(why, "holdout") == 0 ? TALLY_HELD : TALLY_SKIPPED]++;
	return simple_line(m, "skipped", fields, version, why);
}

/* The newest record of a person with a profile: for exits and schedules. */
static int keep(struct messenger *m, struct who *who)
{
	char *copy;

	if (m->trigger->on == TRIGGER_ENTER)
		return 0;
	copy = malloc(m->datum.len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, m->datum.ptr, m->datum.len);
	free(who->datum);
	who->datum = copy;
	who->datum_len = m->datum.len;
	return 0;
}

/* An exit has no profile of its own: that of before. */
static int with_profile(struct messenger *m, const struct value *exit, struct who *who)
{
	if (!who->datum)
		return 0;
	if (datum_decode(m->reader, (struct slice){ who->datum, who->datum_len }, m->fields) < 0)
		return -EBADMSG;
	m->fields[MEMBERS_CHANGE] = exit[MEMBERS_CHANGE];
	m->fields[MEMBERS_VERSION] = exit[MEMBERS_VERSION];
	m->fields[MEMBERS_AT] = exit[MEMBERS_AT];
	m->fields[MEMBERS_TOTAL] = exit[MEMBERS_TOTAL];
	buf_reset(&m->datum);
	return datum_encode(m->conf->schema, m->fields, &m->datum);
}

static int take_record(struct messenger *m, const struct value *fields)
{
	struct slice person = value_slice(&fields[MEMBERS_PERSON]);
	int64_t version = fields[MEMBERS_VERSION].num;
	bool entered = slice_is(value_slice(&fields[MEMBERS_CHANGE]), "entered");
	struct who *who;
	int rc;

	if (!slice_is(value_slice(&fields[MEMBERS_QUERY]), m->trigger->query) || !person.len ||
	    slice_is(value_slice(&fields[MEMBERS_CHANGE]), "defined"))
		return FILTER_FILTERED;
	who = who_at(&m->table, person);
	if (!who)
		return -ENOMEM;
	if (version <= who->version)
		return FILTER_DUPLICATE;
	who->version = version;
	m->members += entered - who->is_member;
	who->is_member = entered;
	buf_reset(&m->datum);
	rc = datum_encode(m->conf->schema, fields, &m->datum);
	if (rc == 0)
		rc = entered ? keep(m, who) : with_profile(m, fields, who);
	if (rc == 0)
		rc = wants(m, fields, who, entered);
	if (rc <= 0)
		return rc < 0 ? rc : FILTER_FILTERED;
	rc = await(m, who, buf_slice(&m->datum), version,
		   fields[MEMBERS_COMPUTED_AT].num + m->trigger->delay_ms * 1000);
	return rc < 0 ? rc : FILTER_OUT;
}

static int messenger_put(struct outlet *base, struct filter *filter,
			 const struct bus_record *record, int64_t offset, struct outlet_src src,
			 struct err *err)
{
	struct messenger *m = (struct messenger *)base;
	int rc = take_record(m, record->fields);

	m->fresh++;
	(void)filter;
	(void)offset;
	(void)src;
	return rc < 0 ? err_set(err, rc, "%s: %s", m->trigger->name, strerror(-rc)) : rc;
}

/* Outcomes */

static bool is_suppressed(struct messenger *m, struct slice person, struct slice to)
{
	char path[PATH_MAX], line[400];
	const char *name = m->trigger->suppressed;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : m->conf->dir,
		 name[0] == '/' ? "" : "/", name);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\r\n");

		while (len && strchr(" \t", line[len - 1]))
			len--;
		found = len && ((to.len == len && strncasecmp(line, to.ptr, len) == 0) ||
				(person.len == len && memcmp(line, person.ptr, len) == 0));
	}
	if (file)
		fclose(file);
	return found;
}

static void suppress(struct messenger *m, struct slice to)
{
	char path[PATH_MAX], *slash;
	const char *name = m->trigger->suppressed;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : m->conf->dir,
		 name[0] == '/' ? "" : "/", name);
	slash = strrchr(path, '/');
	if (slash) {
		*slash = '\0';
		(void)!dir_make(path);
		*slash = '/';
	}
	file = fopen(path, "ae");
	if (!file || fprintf(file, "%.*s\n", (int)to.len, to.ptr) < 0)
		log_words(m->conf->log, LOG_LEVEL_ERROR, "suppress", "%s: %s", path,
			  strerror(errno));
	if (file)
		fclose(file);
}

static int send_reports(struct messenger *m)
{
	struct err err = { "" };
	int rc;

	while (m->report_count && when_monotonic_ms() >= m->report_ms) {
		struct report *first = &m->reports[0];

		rc = teller_report(m->teller, m->conf->report_url, m->conf->report_key,
				   slice_from(first->body), &err);
		if (rc < 0) {
			m->report_ms = when_monotonic_ms() + 3000;
			log_words(m->conf->log, LOG_LEVEL_WARN, "report", "%s", err.text);
			return 0;
		}
		begin_line(m, "reported", first->key);
		if ((rc = end_line(m, false)) < 0)
			return rc;
		drop_report(m, 0);
	}
	return 0;
}

static int outcome(struct messenger *m, const char *what, const char *key, struct waiting *w,
		   const struct dest_result *result)
{
	begin_line(m, what, key);
	put_person(m, m->fields, w->version);
	if (teller_to(m->teller).len)
		put_text(&m->line, "to", teller_to(m->teller));
	if (result->words[0])
		put_text(&m->line, "words", slice_from(result->words));
	if (result->bounce)
		put_text(&m->line, "bounce", slice_from(result->bounce));
	buf_printf(&m->line, ",\"attempt\":%u", w->attempt);
	return end_line(m, true);
}

static int tell(struct messenger *m, const char *event, const char *key, int64_t version,
		const struct dest_result *result)
{
	const struct outcome o = {
		.event = event, .key = slice_from(key), .version = version, .at_us = now_us(m),
		.person = value_slice(&m->fields[MEMBERS_PERSON]),
		.bounce = slice_from(result->bounce ? result->bounce : ""),
		.words = slice_from(result->words),
	};

	return add_report(m, &o);
}

/* 1: it is over; 0: it stays. */
static int judge(struct messenger *m, struct waiting *w, const char *key,
		 const struct dest_result *result, int64_t now)
{
	const struct trigger *t = m->trigger;
	bool is_last = now - w->first_us >= t->retry_for_ms * 1000;
	int64_t wait_ms = t->retry_min_ms << (w->attempt < 12 ? w->attempt - 1 : 11);
	yyjson_val *ids;
	int rc;

	m->state = result->class == DEST_SETUP ? "setup" : result->class == DEST_OK ||
		   result->class == DEST_INVALID ? "watching" : "waiting";
	snprintf(m->words, sizeof(m->words), "%s", result->words);
	if (result->class == DEST_OK || result->is_unknown) {
		m->tally[result->is_unknown ? TALLY_UNKNOWN : TALLY_SENT]++;
		rc = outcome(m, result->is_unknown ? "unknown" : "sent", key, w, result);
		if (rc == 0)
			rc = tell(m, result->is_unknown ? "message_failed" : "message_sent", key,
				  w->version, result);
		return rc < 0 ? rc : 1;
	}
	if (result->class == DEST_INVALID || (is_last && result->class != DEST_SETUP)) {
		m->tally[TALLY_FAILED]++;
		if (result->bounce && strcmp(result->bounce, "hard") == 0)
			suppress(m, teller_to(m->teller));
		rc = outcome(m, "failed", key, w, result);
		if (rc == 0)
			rc = tell(m, "message_failed", key, w->version, result);
		return rc < 0 ? rc : 1;
	}
	if (json_parse(m->json, value_slice(&m->fields[MEMBERS_IDS]), &ids, NULL) < 0)
		ids = NULL;
	forget(m, value_slice(&m->fields[MEMBERS_PERSON]), ids);
	if (wait_ms > t->retry_max_ms || result->class == DEST_SETUP)
		wait_ms = t->retry_max_ms;
	if (result->retry_after_ms > wait_ms)
		wait_ms = result->retry_after_ms;
	w->due_us = now + wait_ms * 1000;
	if (result->class == DEST_SETUP)
		m->pause_us = w->due_us;
	return outcome(m, "retry", key, w, result);
}

static int skip(struct messenger *m, struct waiting *w, const char *words)
{
	int rc = simple_line(m, "skipped", m->fields, w->version, words);

	w->who->done = w->version;
	m->tally[TALLY_SKIPPED]++;
	return rc < 0 ? rc : 1;
}

/* 1: over; 0: it waits for something; < 0. */
static int deal(struct messenger *m, struct waiting *w, int64_t now)
{
	const struct trigger *t = m->trigger;
	int64_t end = quiet_end(&t->quiet, t->zone, now);
	struct slice person, ids;
	struct dest_result result = { .class = DEST_OK };
	struct err err = { "" };
	char key[33];
	int rc;

	if (end > now || (m->sends && m->sends[m->send_at] + t->throttle_ms * 1000 > now)) {
		w->due_us = end > now ? end : m->sends[m->send_at] + t->throttle_ms * 1000;
		w->has_waited = true;
		return 0;
	}
	if (datum_decode(m->reader, (struct slice){ w->datum, w->len }, m->fields) < 0)
		return 1;
	person = value_slice(&m->fields[MEMBERS_PERSON]);
	ids = value_slice(&m->fields[MEMBERS_IDS]);
	if (w->who->done >= w->version ||
	    (t->once == TRIGGER_PERSON && newest_sent(m, person, ids, 0)))
		return 1;               /* another id of the same person was quicker */
	if (t->recheck && w->has_waited && w->who->is_member != (t->on != TRIGGER_EXIT))
		return skip(m, w, t->on == TRIGGER_EXIT ? "came back" : "left");
	rc = teller_make(m->teller, m->fields, &err);
	if (rc < 0)
		return rc == -EBADMSG ? skip(m, w, err.text) : rc;
	if (is_suppressed(m, person, teller_to(m->teller)))
		return skip(m, w, "suppressed");
	make_key(m, person, w->version, key);
	w->attempt++;
	if (!w->first_us)
		w->first_us = now;
	w->who->done = w->version;
	newest_sent(m, person, ids, now);
	note_send(m, now);
	if (t->dry_run) {
		m->tally[TALLY_DRY]++;
		rc = outcome(m, "dry", key, w, &result);
		return rc < 0 ? rc : 1;
	}
	rc = outcome(m, "sending", key, w, &result);
	if (rc < 0)
		return rc;
	teller_send(m->teller, key, &result);
	return judge(m, w, key, &result, now_us(m));
}

static int work(struct messenger *m, struct filter *filter)
{
	int64_t now = now_us(m), end_ms = when_monotonic_ms() + WORK_MS;
	size_t kept = 0, i = 0;
	int rc = 0;

	for (; i < m->waiting_count; i++) {
		struct waiting *w = &m->waiting[i];

		rc = 0;
		if (w->due_us <= now && m->pause_us <= now && when_monotonic_ms() < end_ms &&
		    !filter_is_stopping(filter))
			rc = deal(m, w, now);
		if (rc < 0)
			break;
		if (rc == 1)
			free(w->datum);
		else
			m->waiting[kept++] = *w;
	}
	/* An error ends the program: what is behind it stays as it is. */
	for (; rc < 0 && i < m->waiting_count; i++)
		m->waiting[kept++] = m->waiting[i];
	m->waiting_count = kept;
	return rc < 0 ? rc : 0;
}

/* A tick: everybody who matches now. It is noted when it was worked off; begun again, the journal
 * knows who had his. */
static int tick(struct messenger *m, bool is_all)
{
	int64_t now = now_us(m), due;
	int rc = 0;

	if (m->trigger->on != TRIGGER_SCHEDULE || !is_all)
		return 0;
	due = cron_next(&m->trigger->cron, m->trigger->zone, m->tick_us ? m->tick_us
								  : m->begun_us);
	if (due > now)
		return 0;
	for (size_t i = 0; i < m->table.cap && rc == 0; i++) {
		struct who *who = m->table.slots[i];
		struct slice datum = { who ? who->datum : NULL, who ? who->datum_len : 0 };

		if (!who || !who->is_member || !who->datum || who->done >= due ||
		    now - due > m->trigger->max_age_ms * 1000 ||
		    datum_decode(m->reader, datum, m->fields) < 0 ||
		    is_held_out(m, value_slice(&m->fields[MEMBERS_PERSON])) ||
		    (who->sent_us && m->trigger->once == TRIGGER_PERIOD &&
		     who->sent_us + m->trigger->period_ms * 1000 > now))
			continue;
		rc = await(m, who, datum, due, due + m->trigger->delay_ms * 1000);
	}
	m->tick_us = due;
	return rc;
}

static int note_tick(struct messenger *m)
{
	char text[WHEN_TEXT_MAX];

	for (size_t i = 0; i < m->waiting_count; i++)
		if (m->waiting[i].version == m->tick_us)
			return 0;
	if (m->tick_us == m->noted_us)
		return 0;
	m->noted_us = m->tick_us;
	when_print(m->tick_us, 3, text);
	begin_line(m, "tick", NULL);
	put_text(&m->line, "due", slice_from(text));
	return end_line(m, true);
}

static bool is_due(const struct messenger *m)
{
	int64_t now = now_us(m);

	for (size_t i = 0; i < m->waiting_count && m->pause_us <= now; i++)
		if (m->waiting[i].due_us <= now)
			return true;
	return false;
}

static void write_status(struct messenger *m, const char *state)
{
	static const char *const names[TALLY_COUNT] = { "sent", "failed", "skipped", "held_out",
							"unknown", "dry" };
	const struct trigger *t = m->trigger;
	char path[PATH_MAX], tmp[PATH_MAX + 8], at[WHEN_TEXT_MAX];
	struct buf *out = &m->text;
	int64_t next = INT64_MAX;
	int fd;

	for (size_t i = 0; i < m->waiting_count; i++)
		if (m->waiting[i].due_us < next)
			next = m->waiting[i].due_us;
	when_print(now_us(m), 3, at);
	buf_reset(out);
	buf_printf(out, "{\"name\":\"%s\",\"channel\":\"%s\",\"on\":\"%s\",\"pid\":%d,"
		   "\"state\":\"%s\",\"at\":\"%s\",\"members\":%lld,\"queued\":%zu", t->name,
		   t->channel, t->on == TRIGGER_ENTER ? "enter" : t->on == TRIGGER_EXIT ? "exit"
		   : "schedule", (int)getpid(), state, at, (long long)m->members,
		   m->waiting_count);
	put_text(out, "query", slice_from(t->query));
	put_text(out, "words", slice_from(m->words));
	for (int i = 0; i < TALLY_COUNT; i++)
		buf_printf(out, ",\"%s\":%lld", names[i], (long long)m->tally[i]);
	if (next != INT64_MAX) {
		when_print(next, 3, at);
		put_text(out, "next_due", slice_from(at));
	}
	buf_append_text(out, "}\n");
	snprintf(path, sizeof(path), "%.3900s/status.json", m->conf->state_dir);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, out->ptr, out->len) == (ssize_t)out->len)
		(void)!rename(tmp, path);
	close(fd);
}

static int messenger_commit(struct outlet *base, struct filter *filter, struct err *err)
{
	struct messenger *m = (struct messenger *)base;
	int rc;

	atomic_store(&m->stop, filter_is_stopping(filter));
	rc = tick(m, !m->fresh || (filter_is_ending(filter) && !filter_is_stopping(filter)));
	m->fresh = 0;
	do {
		if (rc == 0)
			rc = work(m, filter);
	} while (rc == 0 && filter_is_ending(filter) && !filter_is_stopping(filter) && is_due(m));
	if (rc == 0)
		rc = note_tick(m);
	if (rc == 0)
		rc = send_reports(m);
	if (rc < 0 || filter_is_ending(filter) || when_monotonic_ms() - m->status_ms >= STATUS_MS) {
		m->status_ms = when_monotonic_ms();
		write_status(m, rc == 0 && filter_is_ending(filter) ? "ended" : m->state);
	}
	return rc < 0 ? err_set(err, rc, "%s: %s", m->trigger->name, strerror(-rc)) : 0;
}

/* The rest of an outlet */

static int messenger_resume(struct outlet *base, struct bus *in, int32_t partition,
			    struct stamp_seen *seen, int64_t *next, struct err *err)
{
	(void)base, (void)in, (void)partition, (void)seen, (void)err;
	*next = BUS_OFFSET_FIRST;
	return 0;
}

static int messenger_lost(struct outlet *base, int32_t partition, int64_t first, struct err *err)
{
	(void)base, (void)partition, (void)first, (void)err;
	return 0;
}

static int messenger_skip(struct outlet *base, int32_t partition, int64_t offset,
			  struct outlet_src src, enum outlet_skip why, struct err *err)
{
	(void)base, (void)partition, (void)offset, (void)src, (void)why, (void)err;
	return 0;
}

static int messenger_begin(struct outlet *base, struct filter *filter, struct err *err)
{
	(void)base, (void)filter, (void)err;
	return 0;
}

static void messenger_close(struct outlet *base)
{
	struct messenger *m = (struct messenger *)base;

	if (!m)
		return;
	for (size_t i = 0; i < m->waiting_count; i++)
		free(m->waiting[i].datum);
	for (size_t i = 0; i < m->report_count; i++)
		free(m->reports[i].body);
	free(m->waiting);
	free(m->reports);
	free(m->sends);
	free(m->fields);
	who_reset(&m->table);
	teller_close(m->teller);
	journal_close(m->journal);
	datum_reader_close(m->reader);
	json_close(m->json);
	buf_close(&m->line);
	buf_close(&m->text);
	buf_close(&m->datum);
	free(m);
}

static int open_all(struct messenger *m, struct err *err)
{
	const struct messenger_conf *conf = m->conf;
	struct teller_conf teller = {
		.trigger = m->trigger, .schema = conf->schema, .guard = conf->guard,
		.log = conf->log, .state_dir = conf->state_dir, .ca_file = conf->ca_file,
		.stop = &m->stop,
	};
	char path[PATH_MAX];
	int rc;

	m->fields = calloc(MEMBERS_COUNT, sizeof(*m->fields));
	if (m->trigger->throttle_count)
		m->sends = calloc((size_t)m->trigger->throttle_count, sizeof(*m->sends));
	if (!m->fields || (m->trigger->throttle_count && !m->sends))
		return err_set(err, -ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%.3900s/log.jsonl", conf->state_dir);
	if ((rc = json_open(&m->json, err)) < 0 ||
	    (rc = datum_reader_open(&m->reader, conf->schema, conf->schema, err)) < 0)
		return rc;
	if ((rc = dir_make(conf->state_dir)) < 0)
		return err_set(err, rc, "%s: %s", conf->state_dir, strerror(-rc));
	if ((rc = journal_open(&m->journal, path, take_line, m, err)) < 0 ||
	    (rc = settle_open(m)) < 0 || (rc = begin_trigger(m)) < 0)
		return rc;
	return teller_open(&m->teller, &teller, err);
}

static const struct outlet_ops ops = {
	messenger_resume, messenger_lost, messenger_put, messenger_skip, messenger_commit,
	messenger_begin, messenger_close,
};

int messenger_open(struct outlet **outletp, const struct messenger_conf *conf, struct err *err)
{
	struct messenger *m = calloc(1, sizeof(*m));
	int rc;

	*outletp = NULL;
	if (!m)
		return err_set(err, -ENOMEM, "no memory");
	m->base.ops = &ops;
	m->conf = conf;
	m->trigger = conf->trigger;
	m->state = "watching";
	rc = open_all(m, err);
	if (rc < 0) {
		messenger_close(&m->base);
		return err_set(err, rc, "%s: %s", conf->trigger->name, strerror(-rc));
	}
	*outletp = &m->base;
	return 0;
}
