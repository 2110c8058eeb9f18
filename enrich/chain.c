// SPDX-License-Identifier: Apache-2.0
#include "enrich/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "enrich/condition.h"
#include "enrich/enrich.h"
#include "enrich/step_file.h"

static const struct step_kind *const kinds[] = {
	&step_ids,
	&step_time,
	&step_context,
	&step_page,
	&step_referrer,
	&step_campaign,
	&step_agent,
	&step_bot,
	&step_geo,
	&step_asn,
	&step_json,
	&step_privacy,
	&step_suppress,
	&step_plan,
	&step_exec,
};

/* Where the settings have no list. A step without its data file is left out by its open. */
static const char *const defaults[] = {
	"ids",
	"time",
	"context",
	"page",
	"referrer",             /* needs the page's host */
	"campaign",             /* needs the page's query */
	"agent",
	"bot",                  /* needs the agent's device */
	"geo",
	"asn",
	"json",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct link {
	const struct step_kind *kind;
	void *state;
	struct condition *condition;    /* NULL: always */
	void *conf;                     /* owned; what state was made of */
	struct opt_set *set;            /* owns what conf points to */
	int asks;                       /* number among the steps that ask */
};

struct chain {
	struct link links[CHAIN_MAX];
	int count;
	struct step_files files;
	struct stat changed;            /* of the file that changed, when last looked at */
	struct stat refused;            /* of one that was no good */
	int changed_at;                 /* its index; -1: none */
	int ask_count;
};

static const struct step_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	}
	return NULL;
}

static int unknown_kind(const char *where, const char *name, struct err *err)
{
	struct buf names = { .limit = 400 };
	int rc;

	for (size_t i = 0; i < COUNT(kinds); i++)
		buf_printf(&names, "%s%s", i ? ", " : "", kinds[i]->name);
	rc = err_set(err, -EINVAL, "%s: there is no step '%.40s' (%.*s)", where, name,
		     (int)names.len, buf_slice(&names).ptr);
	buf_close(&names);
	return rc;
}

static void link_close(struct link *link)
{
	if (link->state && link->kind->close)
		link->kind->close(link->state);
	condition_close(link->condition);
	opt_close(link->set);
	free(link->conf);
	*link = (struct link){ .kind = NULL };
}

/* settings: a map, a scalar, or NULL. */
static int link_open(struct chain *chain, struct link *link, const struct enrich_conf *flags,
		     const struct yaml *settings, const char *path, const char *where,
		     struct err *err)
{
	static const char *const others[] = { "when", "unless", NULL };
	const struct step_kind *kind = link->kind;
	struct step_args args = { .flags = flags, .files = &chain->files, .where = where };
	int rc;

	link->conf = calloc(1, kind->conf_size + 1);
	if (!link->conf)
		return err_set(err, -ENOMEM, "no memory");
	rc = opt_read(kind->opts, link->conf, settings, path, others, &link->set, err);
	if (rc == 0)
		rc = condition_open(&link->condition, settings, path, err);
	args.conf = link->conf;
	if (rc == 0 && kind->open)
		rc = kind->open(&link->state, &args, err);
	step_files_settle(&chain->files);
	return rc;
}

static int chain_add(struct chain *chain, const struct enrich_conf *flags, const char *name,
		     const struct yaml *settings, const char *path, struct err *err)
{
	struct link *link = &chain->links[chain->count];
	char where[160];
	int rc;

	if (settings && settings->line)
		snprintf(where, sizeof(where), "%s:%d: %.40s", path, settings->line, name);
	else
		snprintf(where, sizeof(where), "step %.40s", name);
	if (chain->count == CHAIN_MAX)
		return err_set(err, -EINVAL, "%s: more than %d steps", where, CHAIN_MAX);
	*link = (struct link){ .kind = find_kind(name) };
	if (!link->kind)
		return unknown_kind(where, name, err);
	rc = link_open(chain, link, flags, settings, path, where, err);
	if (rc == 0) {
		chain->count++;
		link->asks = link->kind->answer ? chain->ask_count++ : -1;
	} else {
		link_close(link);
	}
	return rc == STEP_RESULT_UNUSED ? 0 : rc;
}

/* `- ids` or `- geo: {..}`. */
static int add_item(struct chain *chain, const struct enrich_conf *flags, const struct yaml *item,
		    const char *path, struct err *err)
{
	struct yaml plain = *item;

	if (item->kind == YAML_KIND_SCALAR) {
		plain.key = item->text;
		plain.text = "";
		return chain_add(chain, flags, item->text, &plain, path, err);
	}
	if (item->kind != YAML_KIND_MAP || !item->first || item->first->next)
		return err_set(err, -EINVAL, "%s:%d: a step is written `- NAME` or `- NAME: "
			       "{SETTING: VALUE, ..}`; its settings are indented deeper", path,
			       item->line);
	return chain_add(chain, flags, item->first->key, item->first, path, err);
}

static int add_file(struct chain *chain, const struct enrich_conf *flags, const struct yaml *root,
		    bool *given, struct err *err)
{
	const struct yaml *steps = yaml_get(yaml_get(root, "enrich"), "steps");
	int rc = 0;

	*given = steps;
	if (!steps)
		return 0;
	if (steps->kind != YAML_KIND_LIST)
		return err_set(err, -EINVAL, "%s:%d: steps must be a list", flags->config,
			       steps->line);
	for (const struct yaml *item = steps->first; item && rc == 0; item = item->next)
		rc = add_item(chain, flags, item, flags->config, err);
	return rc;
}

/* NAME, or NAME:VALUE of its first setting. */
static int add_flag(struct chain *chain, const struct enrich_conf *flags, const char *text,
		    struct err *err)
{
	size_t len = strcspn(text, ":");
	char name[48];
	struct yaml value = { .kind = YAML_KIND_SCALAR, .key = name,
			      .text = text[len] ? text + len + 1 : "" };

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	return chain_add(chain, flags, name, &value, "--step", err);
}

static int fill(struct chain *chain, const struct enrich_conf *flags, struct err *err)
{
	struct yaml_file *file = NULL;
	const struct yaml *root;
	bool given = false;
	int rc = 0;

	if (flags->config) {
		rc = yaml_open(&file, flags->config, &root, err);
		if (rc == 0)
			rc = add_file(chain, flags, root, &given, err);
		yaml_close(file);
	}
	for (size_t i = 0; !given && rc == 0 && i < COUNT(defaults); i++)
		rc = chain_add(chain, flags, defaults[i], NULL, "", err);
	for (size_t i = 0; rc == 0 && i < flags->steps.count; i++)
		rc = add_flag(chain, flags, flags->steps.items[i], err);
	return rc;
}

/* Order */

static int index_of(const struct chain *chain, struct slice name, int from)
{
	for (int i = from; i < chain->count; i++) {
		if (slice_is(name, chain->links[i].kind->name))
			return i;
	}
	return -1;
}

static int check_after(const struct chain *chain, int at, struct err *err)
{
	const struct link *link = &chain->links[at];
	const char *word = link->kind->after ? link->kind->after : "";

	if (condition_needs_ids(link->condition) && index_of(chain, SLICE("ids"), at) >= 0)
		return err_set(err, -EINVAL, "steps: %s has a condition on the event's name, so "
			       "ids must come before it", link->kind->name);
	while (*word) {
		struct slice name = { word, strcspn(word, " ") };

		if (index_of(chain, name, at + 1) >= 0 &&
		    !slice_is(name, link->kind->name))
			return err_set(err, -EINVAL, "steps: %.*s must come before %s",
				       (int)name.len, name.ptr, link->kind->name);
		word += name.len + strspn(word + name.len, " ");
	}
	return 0;
}

static int check_order(const struct chain *chain, struct err *err)
{
	static const char *const needed[] = { "ids", "time" };
	int rc = 0;

	for (size_t i = 0; i < COUNT(needed); i++) {
		int at = index_of(chain, slice_from(needed[i]), 0);

		if (at < 0 || chain->links[at].condition)
			return err_set(err, -EINVAL, "steps: %s must be among them, without a "
				       "condition", needed[i]);
	}
	for (int i = 0; i < chain->count && rc == 0; i++)
		rc = check_after(chain, i, err);
	return rc;
}

int chain_open(struct chain **chainp, const struct enrich_conf *conf, struct err *err)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	struct stat now;
	int rc, at;

	if (!chain)
		return err_set(err, -ENOMEM, "no memory");
	chain->changed_at = -1;
	rc = step_files_open(&chain->files, err);
	if (rc == 0)
		rc = fill(chain, conf, err);
	if (rc == 0)
		rc = check_order(chain, err);
	/* What was hashed is what was read. */
	at = rc == 0 ? step_files_changed(&chain->files, &now) : -1;
	if (at >= 0)
		rc = err_set(err, -EAGAIN, "%s changed while it was read",
			     chain->files.files[at].path);
	if (rc < 0) {
		chain_close(chain);
		return rc;
	}
	*chainp = chain;
	return 0;
}

void chain_close(struct chain *chain)
{
	if (!chain)
		return;
	for (int i = 0; i < chain->count; i++)
		link_close(&chain->links[i]);
	step_files_close(&chain->files);
	free(chain);
}

int chain_count(const struct chain *chain)
{
	return chain->count;
}

int chain_apply(struct chain *chain, struct step_event *event)
{
	for (int i = 0; i < chain->count; i++) {
		struct link *link = &chain->links[i];
		int rc;

		if (link->condition && !condition_holds(link->condition, event))
			continue;
		if (link->kind->answer)
			event->asked = link->asks;
		rc = link->kind->apply(link->state, event);
		if (rc != STEP_RESULT_NEXT)
			return rc;
	}
	return 0;
}

int chain_ask_count(const struct chain *chain)
{
	return chain->ask_count;
}

static struct link *asker(struct chain *chain, int number)
{
	int i = 0;

	while (chain->links[i].asks != number || !chain->links[i].kind->answer)
		i++;
	return &chain->links[i];
}

void chain_question(struct chain *chain, const struct step_event *event, struct buf *line)
{
	struct link *link = asker(chain, event->asked);

	link->kind->question(link->state, event, line);
}

int chain_answer(struct chain *chain, int number, const struct step_stop *stop,
		 struct step_question *questions, size_t count, struct arena *arena)
{
	struct link *link = asker(chain, number);

	return link->kind->answer(link->state, stop, questions, count, arena);
}

void chain_hash(const struct chain *chain, struct buf *text)
{
	for (int i = 0; i < chain->count; i++) {
		const struct link *link = &chain->links[i];

		buf_printf(text, "step %s %d\n", link->kind->name, link->kind->version);
		condition_hash(link->condition, text);
		for (const struct opt *opt = link->kind->opts; opt && opt->name; opt++)
			step_hash_option(opt, link->conf, text);
		if (link->kind->hash)
			link->kind->hash(link->state, text);
	}
	for (int i = 0; i < chain->files.count; i++)
		buf_printf(text, "file %016llx\n", (unsigned long long)chain->files.files[i].hash);
}

void chain_names(const struct chain *chain, struct buf *text)
{
	for (int i = 0; i < chain->count; i++)
		buf_printf(text, "%s%s", i ? " " : "", chain->links[i].kind->name);
}

bool chain_is_stale(struct chain *chain, const char **path)
{
	struct stat now;
	int at = step_files_changed(&chain->files, &now);
	bool settled = at >= 0 && at == chain->changed_at && now.st_ino &&
		       step_file_is_same(&now, &chain->changed) &&
		       !step_file_is_same(&now, &chain->refused);

	chain->changed_at = at;
	chain->changed = now;
	if (settled)
		*path = chain->files.files[at].path;
	return settled;
}

void chain_refuse(struct chain *chain)
{
	chain->refused = chain->changed;
}

const char *chain_lack(const struct chain *chain, int index)
{
	return index < chain->files.lack_count ? chain->files.lacks[index] : NULL;
}
