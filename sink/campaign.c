// SPDX-License-Identifier: Apache-2.0
#include "sink/campaign.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/record.h"
#include "lib/when.h"
#include "sink/email.h"
#include "sink/guard.h"
#include "sink/kinds.h"
#include "sink/messenger.h"
#include "sink/teller.h"

static const char sample[] =
	"{\"email\":\"ann@example.com\",\"name\":\"Ann Example\",\"first_name\":\"Ann\","
	"\"last_name\":\"Example\",\"plan\":\"pro\",\"age\":36,\"gender\":\"female\","
	"\"city\":\"Stockholm\",\"country\":\"SE\",\"orders\":3}";

struct campaign {
	struct trigger *trigger;
	struct guard guard;
	struct messenger_conf messenger;
	char state_dir[PATH_MAX];
};

/* --state, else `messages` beside the topics of a log, else here. */
static int set_state(struct campaign *c, const struct sink_conf *conf, struct err *err)
{
	const char *in = conf->in, *slash = in ? strrchr(in, '/') : NULL;
	int n;

	if (conf->state && conf->state[0])
		n = snprintf(c->state_dir, PATH_MAX, "%s/%s", conf->state, conf->trigger);
	else if (slash && strncmp(in, "log:", 4) == 0)
		n = snprintf(c->state_dir, PATH_MAX, "%.*s/messages/%s", (int)(slash - in - 4),
			     in + 4, conf->trigger);
	else
		n = snprintf(c->state_dir, PATH_MAX, "messages/%s", conf->trigger);
	return n < PATH_MAX ? 0 : err_set(err, -ENAMETOOLONG, "--state: too long");
}

int campaign_open(struct campaign **campaignp, const struct sink_conf *conf, const char *dir,
		  const char *config, const struct schema *schema, const struct log *log,
		  struct outlet **outletp, struct err *err)
{
	struct campaign *c = calloc(1, sizeof(*c));
	int rc;

	*campaignp = c;
	*outletp = NULL;
	if (!c)
		return err_set(err, -ENOMEM, "no memory");
	if ((rc = set_state(c, conf, err)) < 0 ||
	    (rc = trigger_open(&c->trigger, dir, config, conf->trigger, NULL, false,
				err)) < 0)
		return rc;
	if (!c->trigger->is_enabled)
		return err_set(err, -ECANCELED, "triggers/%s.yaml says enabled: no",
			       conf->trigger);
	c->guard.allowed = &conf->allow_hosts;
	c->messenger = (struct messenger_conf){
		.trigger = c->trigger, .schema = schema, .state_dir = c->state_dir, .dir = dir,
		.guard = &c->guard, .log = log,
		.ca_file = conf->ca_file && conf->ca_file[0] ? conf->ca_file : NULL,
		.report_url = conf->report_key ? conf->report_url : NULL,
		.report_key = conf->report_key,
	};
	return messenger_open(outletp, &c->messenger, err);
}

void campaign_close(struct campaign *c)
{
	if (c)
		trigger_close(c->trigger);
	free(c);
}

int campaign_check(const char *dir, const char *config, const char *name, const char *file,
		   struct err *err)
{
	struct trigger *trigger;
	int rc = trigger_open(&trigger, dir, config, name, file, true, err);

	if (rc == 0)
		trigger_close(trigger);
	return rc == -EBADMSG ? -EINVAL : rc;   /* 78, as for a destination's file */
}

/* Preview and test */

static void make_up(const struct trigger *t, struct value *fields)
{
	int64_t now = when_now_us();

	for (int i = 0; i < MEMBERS_COUNT; i++)
		fields[i] = value_num(0);
	fields[MEMBERS_QUERY] = value_text(slice_from(t->query));
	fields[MEMBERS_PERSON] = value_text(SLICE("ann"));
	fields[MEMBERS_CHANGE] = value_text(SLICE("entered"));
	fields[MEMBERS_CAUSE] = value_text(SLICE("event"));
	fields[MEMBERS_PROFILE] = value_text(slice_from(sample));
	fields[MEMBERS_IDS] = value_text(SLICE("[\"ann\"]"));
	fields[MEMBERS_DEFINITION] = fields[MEMBERS_AS_OF] = value_text(SLICE(""));
	fields[MEMBERS_VERSION] = fields[MEMBERS_TOTAL] = value_num(1);
	fields[MEMBERS_AT] = fields[MEMBERS_COMPUTED_AT] = value_num(now);
}

static bool fits(const struct sink_conf *conf, const struct trigger *t, const struct value *fields)
{
	return fields && slice_is(value_slice(&fields[MEMBERS_QUERY]), t->query) &&
	       fields[MEMBERS_PROFILE].is_set &&
	       (!conf->person || slice_is(value_slice(&fields[MEMBERS_PERSON]), conf->person));
}

/* The newest record that fits into datum. 0 also where there is none. */
static int look_up(const struct sink_conf *conf, const struct trigger *t,
		   const struct schema *schema, const struct log *log, struct buf *datum,
		   struct err *err)
{
	struct bus_conf bus_conf = { .schema = schema, .log = log, .kafka = &conf->kafka,
				     .until_end = true, .open_ms = 5000 };
	struct bus_record record;
	struct bus *bus = NULL;
	int rc;

	if (!conf->in)
		return 0;
	rc = bus_open(&bus, conf->in, BUS_READ, &bus_conf, err);
	while (rc == 0 && (rc = bus_next(bus, &record, 1000)) >= 0) {
		if (rc == 1 && fits(conf, t, record.fields)) {
			buf_reset(datum);
			rc = datum_encode(schema, record.fields, datum);
		}
		rc = rc < 0 ? rc : 0;
	}
	bus_close(bus);
	return rc == -ENODATA ? 0 : rc;
}

static int send_it(struct teller *teller, struct buf *out, struct err *err)
{
	struct dest_result result;
	char key[40];

	snprintf(key, sizeof(key), "test-%lld", (long long)when_now_us());
	teller_send(teller, key, &result);
	buf_printf(out, "\n%s%s%s\n", dest_class_name(result.class), result.words[0] ? ": " : "",
		   result.words);
	return result.class == DEST_OK ? 0 : err_set(err, -EHOSTUNREACH, "it was not taken: %s",
						     result.words);
}

static int show(const struct sink_conf *conf, const struct trigger *t, const struct schema *schema,
		const struct log *log, bool sends, struct buf *out, struct err *err)
{
	struct value fields[MEMBERS_COUNT];
	struct guard guard = { .allowed = &conf->allow_hosts };
	struct teller_conf teller_conf = { .trigger = t, .schema = schema, .guard = &guard,
		.log = log, .state_dir = ".", .is_dry = !sends,
		.ca_file = conf->ca_file && conf->ca_file[0] ? conf->ca_file : NULL };
	struct datum_reader *reader = NULL;
	struct teller *teller = NULL;
	struct buf datum = { 0 };
	int rc;

	make_up(t, fields);
	if ((rc = datum_reader_open(&reader, schema, schema, err)) == 0 &&
	    (rc = look_up(conf, t, schema, log, &datum, err)) == 0 &&
	    (rc = teller_open(&teller, &teller_conf, err)) == 0) {
		if (datum.len)
			rc = datum_decode(reader, buf_slice(&datum), fields) < 0 ? -EBADMSG : 0;
		else if (conf->person)
			rc = err_set(err, -ENOENT, "%s: nobody of that id came to match %s",
				     conf->person, t->query);
	}
	if (rc == 0 && (rc = teller_make(teller, fields, err)) == 0) {
		buf_printf(out, "To person %.*s%s%.*s\n\n",
			   (int)value_slice(&fields[MEMBERS_PERSON]).len,
			   value_slice(&fields[MEMBERS_PERSON]).ptr,
			   teller_to(teller).len ? ", " : "", (int)teller_to(teller).len,
			   teller_to(teller).ptr);
		buf_append_slice(out, teller_text(teller));
		if (sends)
			rc = send_it(teller, out, err);
	}
	teller_close(teller);
	datum_reader_close(reader);
	buf_close(&datum);
	return rc;
}

int campaign_try(const struct sink_conf *conf, const char *dir, const char *config,
		 const char *name, bool sends, const struct log *log, struct buf *out,
		 struct err *err)
{
	struct schema *schema = record_schema("members");
	struct trigger *t = NULL;
	int rc = trigger_open(&t, dir, config, name, NULL, true, err);

	/* An empty one is the dashboard's of a channel that has none. */
	if (rc == 0 && sends && conf->address &&
	    (conf->address[0] || t->kind == &dest_email) &&
	    (!conf->address[0] || !dest_email_set_to(t->kind, t->conf, conf->address)))
		rc = err_set(err, -EINVAL, conf->address[0] ? "--address is for email"
							    : "--address: to whom?");
	if (rc == 0)
		rc = show(conf, t, schema, log, sends, out, err);
	trigger_close(t);
	schema_close(schema);
	return rc;
}
