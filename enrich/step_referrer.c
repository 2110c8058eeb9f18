// SPDX-License-Identifier: Apache-2.0
/*
 * What led here.
 *
 * page.referring_domain is the referrer's host, lower case and without www., unless it is the
 * page's own (the same rule applied to both; shop.example and www.shop.example are one site,
 * help.shop.example is another). referrer.domain is the part of it that one owner registered
 * (suffix.h). The medium is internal where that is the page's too or one of the settings' domains,
 * else what a list says (referrers.h), else referral with the domain as its source.
 */
#include "enrich/referrers.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "enrich/enrich.h"
#include "enrich/own_list.h"
#include "enrich/step.h"
#include "enrich/suffix.h"

#define DEFAULT_SUFFIXES "/usr/share/publicsuffix/public_suffix_list.dat"
/* The JSON, as its YAML says the same of less. */
#define DEFAULT_LIST \
	"/usr/share/rubygems-integration/all/gems/referer-parser-0.3.0/data/referers.json"

struct referrer_conf {
	struct opt_list lists, internal;
	const char *suffixes;
};

struct referrer_state {
	struct referrers *lists;
	struct suffix_list *suffixes;   /* NULL: no list of them */
	const struct opt_list *internal;
};

static const struct opt opts[] = {
	{ "lists", OPT_LIST, offsetof(struct referrer_conf, lists), NULL, 0, 0, "FILE",
	  "sites in Snowplow's format" },
	{ "internal", OPT_LIST, offsetof(struct referrer_conf, internal), NULL, 0, 0, "DOMAIN",
	  "domains of one's own" },
	{ "suffixes", OPT_TEXT, offsetof(struct referrer_conf, suffixes), NULL, 0, 0, "FILE",
	  "a public_suffix_list.dat" },
	{ .name = NULL },
};

static void close_referrer(void *ctx)
{
	struct referrer_state *state = ctx;

	referrers_close(state->lists);
	suffix_close(state->suffixes);
	free(state);
}

static int add_file(struct referrer_state *state, const struct step_args *args, const char *path,
		    struct err *err)
{
	struct slice text;
	int rc = step_file_read(args, path, &text, err);

	return rc < 0 ? rc : referrers_add(state->lists, text, path, err);
}

/* Debian's list and ours over it; those that are given instead of Debian's, over ours. */
static int open_lists(struct referrer_state *state, const struct step_args *args, struct err *err)
{
	const struct referrer_conf *conf = args->conf;
	const struct opt_list *paths = conf->lists.count ? &conf->lists : &args->flags->referrers;
	int rc = referrers_open(&state->lists, err);

	if (rc == 0 && paths->count == 0 && access(DEFAULT_LIST, R_OK) == 0)
		rc = add_file(state, args, DEFAULT_LIST, err);
	else if (rc == 0 && paths->count == 0)
		step_lack(args, "few referrers are known: install ruby-referer-parser, or give "
			  "--referrers");
	if (rc == 0)
		rc = referrers_add(state->lists, own_list_referrers(), "referrers.yaml", err);
	for (size_t i = 0; i < paths->count && rc == 0; i++)
		rc = add_file(state, args, paths->items[i], err);
	return rc;
}

static int open_suffixes(struct referrer_state *state, const struct step_args *args,
			 struct err *err)
{
	const struct referrer_conf *conf = args->conf;
	const char *path = conf->suffixes ? conf->suffixes : args->flags->suffixes;
	struct slice text;
	int rc;

	if (!path && access(DEFAULT_SUFFIXES, R_OK) < 0) {
		step_lack(args, "registered domains are unknown: install publicsuffix, or give "
			  "--public-suffixes");
		return 0;
	}
	path = path ? path : DEFAULT_SUFFIXES;
	rc = step_file_read(args, path, &text, err);
	return rc < 0 ? rc : suffix_open(&state->suffixes, text, path, err);
}

static int open_referrer(void **statep, const struct step_args *args, struct err *err)
{
	const struct referrer_conf *conf = args->conf;
	struct referrer_state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state)
		return err_set(err, -ENOMEM, "no memory");
	state->internal = conf->internal.count ? &conf->internal : &args->flags->internal_domains;
	rc = open_lists(state, args, err);
	if (rc == 0)
		rc = open_suffixes(state, args, err);
	if (rc < 0) {
		close_referrer(state);
		return rc;
	}
	*statep = state;
	return 0;
}

static struct slice without_www(struct slice host)
{
	return slice_starts(host, SLICE("www.")) && host.len > 4 ? slice_skip(host, 4) : host;
}

/* Where no list of suffixes tells, the host itself. */
static struct slice domain_of(const struct referrer_state *state, struct slice host)
{
	struct slice domain = { NULL, 0 };

	if (state->suffixes)
		domain = suffix_registrable(state->suffixes, host);
	return domain.ptr ? domain : without_www(host);
}

static bool is_below(struct slice host, struct slice domain)
{
	struct slice end;

	if (host.len < domain.len || domain.len == 0)
		return false;
	end = slice_skip(host, host.len - domain.len);
	return slice_eq(end, domain) &&
	       (host.len == domain.len || host.ptr[host.len - domain.len - 1] == '.');
}

static bool is_internal(const struct referrer_state *state, struct slice host)
{
	for (size_t i = 0; i < state->internal->count; i++) {
		if (is_below(host, slice_from(state->internal->items[i])))
			return true;
	}
	return false;
}

/* The first parameter that holds search words. */
static int set_term(struct step_event *event, const struct referrer_hit *hit, struct slice query)
{
	struct slice name, value;
	size_t at = 0;

	while (hit->parameter_count && url_param(query, &at, &name, &value)) {
		for (int i = 0; i < hit->parameter_count && value.len; i++) {
			struct slice text;

			if (!slice_eq(name, hit->parameters[i]))
				continue;
			text = url_unescape(event->arena, text_cut(value, TEXT_ID_MAX * 3));
			if (!text.ptr)
				return -ENOMEM;
			event->out[ENRICHED_REFERRER_TERM] =
				value_text(text_cut(text, TEXT_ID_MAX));
			return 0;
		}
	}
	return 0;
}

static int set_medium(const struct referrer_state *state, struct step_event *event,
		      struct slice host, const struct url *url)
{
	struct value *out = event->out;
	struct slice domain = domain_of(state, host);
	struct slice page = value_slice(&out[ENRICHED_PAGE_HOST]);
	struct referrer_hit hit;

	out[ENRICHED_REFERRER_DOMAIN] = value_text(domain);
	if ((page.len && slice_eq(domain, domain_of(state, page))) || is_internal(state, host)) {
		out[ENRICHED_REFERRER_MEDIUM] = value_text(SLICE("internal"));
		return 0;
	}
	if (!referrers_find(state->lists, host, url->path, &hit)) {
		out[ENRICHED_REFERRER_MEDIUM] = value_text(SLICE("referral"));
		out[ENRICHED_REFERRER_SOURCE] = value_text(domain);
		return 0;
	}
	out[ENRICHED_REFERRER_MEDIUM] = value_text(hit.medium);
	out[ENRICHED_REFERRER_SOURCE] = value_text(hit.source);
	return set_term(event, &hit, url->query);
}

static int apply(void *ctx, struct step_event *event)
{
	struct value *out = event->out;
	struct slice host, page;
	struct url url;

	if (!out[ENRICHED_PAGE_REFERRER].is_set ||
	    url_split(out[ENRICHED_PAGE_REFERRER].text, &url) < 0 || url.host.len == 0)
		return 0;
	host = text_lower(event->arena, url.host);
	if (host.len != url.host.len)
		return -ENOMEM;
	page = without_www(value_slice(&out[ENRICHED_PAGE_HOST]));
	if (!slice_eq(without_www(host), page))
		out[ENRICHED_PAGE_REFERRING_DOMAIN] = value_text(without_www(host));
	return set_medium(ctx, event, host, &url);
}

static void hash(const void *ctx, struct buf *text)
{
	const struct referrer_state *state = ctx;

	buf_printf(text, "domains %d, suffixes %d\n", referrers_count(state->lists),
		   state->suffixes != NULL);
	for (size_t i = 0; i < state->internal->count; i++)
		buf_printf(text, "internal %s\n", state->internal->items[i]);
}

const struct step_kind step_referrer = {
	.name = "referrer", .version = 2, .after = "page",
	.opts = opts, .conf_size = sizeof(struct referrer_conf),
	.open = open_referrer, .close = close_referrer, .apply = apply, .hash = hash,
};
