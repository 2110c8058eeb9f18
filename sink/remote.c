// SPDX-License-Identifier: Apache-2.0
#include "sink/remote.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/when.h"
#include "sink/courier.h"
#include "sink/guard.h"
#include "sink/rehearse.h"

struct remote {
	struct setup *setup;
	struct guard guard;
	struct courier_conf courier;
	char state_dir[PATH_MAX];
	char position[120];
};

bool remote_ends(const struct sink_conf *conf)
{
	return conf->from || conf->from_time || conf->to_time || conf->dry_run || conf->trace;
}

/* --state, else `sinks` beside the topics of a log, else here. */
static int set_state(struct remote *r, const struct sink_conf *conf, const struct target *target,
		     struct err *err)
{
	const char *in = target->in;
	size_t len = strcspn(in, "?");
	const char *slash = memrchr(in, '/', len);
	int n;

	if (conf->state && conf->state[0])
		n = snprintf(r->state_dir, PATH_MAX, "%s/%s", conf->state, target->name);
	else if (strncmp(in, "log:", 4) == 0 && slash)
		n = snprintf(r->state_dir, PATH_MAX, "%.*s/sinks/%s", (int)(slash - in - 4), in + 4,
			     target->name);
	else
		n = snprintf(r->state_dir, PATH_MAX, "sinks/%s", target->name);
	return n < PATH_MAX ? 0 : err_set(err, -ENAMETOOLONG, "--state: too long");
}

static int set_time(const char *name, const char *text, int64_t *us, struct err *err)
{
	if (!text || when_parse(slice_from(text), us) == 0)
		return 0;
	return err_set(err, -EINVAL, "--%s: '%.40s' is no instant such as 2026-11-01T00:00:00Z",
		       name, text);
}

/* A replay has a position of its own, so that one that was killed goes on when called again. */
static void set_position(struct remote *r, const struct sink_conf *conf)
{
	if (conf->from)
		snprintf(r->position, sizeof(r->position), "replay-%.40s", conf->from);
	else if (conf->from_time || conf->to_time)
		snprintf(r->position, sizeof(r->position), "replay-%lld-%lld",
			 (long long)r->courier.from_us, (long long)r->courier.to_us);
	else
		snprintf(r->position, sizeof(r->position), "position");
}

static int fill(struct remote *r, const struct sink_conf *conf, const struct target *target,
		const char *dir, const struct schema *schema, const struct log *log,
		struct err *err)
{
	int rc;

	r->guard.allowed = &conf->allow_hosts;
	r->courier = (struct courier_conf){
		.schema = schema, .topic = target->topic, .state_dir = r->state_dir,
		.position = r->position, .guard = &r->guard, .log = log,
		.ca_file = conf->ca_file && conf->ca_file[0] ? conf->ca_file : NULL,
		.until_end = conf->until_end || remote_ends(conf), .grace_ms = conf->grace_ms,
		.from_bad = conf->from != NULL,
	};
	if (conf->from && strcmp(conf->from, "bad") != 0)
		return err_set(err, -EINVAL, "--from: only bad is known; for a time: --from-time");
	if ((rc = set_state(r, conf, target, err)) < 0 ||
	    (rc = set_time("from-time", conf->from_time, &r->courier.from_us, err)) < 0 ||
	    (rc = set_time("to-time", conf->to_time, &r->courier.to_us, err)) < 0 ||
	    (rc = setup_open(&r->setup, dir, target->name, err)) < 0)
		return rc;
	r->courier.setup = r->setup;
	set_position(r, conf);
	return 0;
}

int remote_open(struct remote **remotep, const struct sink_conf *conf, const struct target *target,
		const char *dir, const struct schema *schema, const struct log *log,
		struct outlet **outletp, struct err *err)
{
	struct remote *r = calloc(1, sizeof(*r));
	bool is_enriched = strcmp(target->schema, "enriched") == 0 || conf->from;
	int rc = r ? fill(r, conf, target, dir, schema, log, err) : -ENOMEM;

	*remotep = r;
	*outletp = NULL;
	if (rc < 0)
		return err_set(err, rc, "%s: %s", target->name, strerror(-rc));
	if (!r->setup->is_enabled)
		return err_set(err, -ECANCELED, "destinations/%s.yaml says enabled: no",
			       target->name);
	if (!is_enriched && !(r->setup->kind->flags & DEST_ANY_TOPIC))
		return err_set(err, -EINVAL, "%s: type %s takes only enriched", target->name,
			       r->setup->kind->name);
	if (conf->dry_run || conf->trace)
		return rehearse_open(outletp, &r->courier, conf->trace, STDOUT_FILENO, err);
	return courier_open(outletp, &r->courier, err);
}

void remote_close(struct remote *r)
{
	if (r)
		setup_close(r->setup);
	free(r);
}

int remote_test(const struct sink_conf *conf, const struct target *target, const char *dir,
		const struct schema *schema, const struct log *log, struct err *err)
{
	struct remote *r = calloc(1, sizeof(*r));
	int rc = r ? fill(r, conf, target, dir, schema, log, err) : -ENOMEM;

	if (rc == 0 && !r->setup->is_enabled)
		rc = err_set(err, -EINVAL, "destinations/%s.yaml says enabled: no", target->name);
	if (rc == 0) {
		r->courier.topic = "enriched";
		rc = rehearse_test(&r->courier, STDOUT_FILENO, err);
	}
	remote_close(r);
	return rc;
}
