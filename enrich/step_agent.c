// SPDX-License-Identifier: Apache-2.0
/*
 * What the user agent is: browser, system, device, by uap-core's rules (agent_match.h) and the
 * hints that SDKs send beside it (hints.h). What is not known is null; uap-core's "Other" is such.
 * Answers for the latest 8,192 user agents are kept.
 */
#include "enrich/agent_match.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "enrich/enrich.h"
#include "enrich/hints.h"
#include "enrich/memo.h"

#define DEFAULT_RULES "/usr/share/uap-core/regexes.yaml"
#define MEMO_ENTRIES  8192

struct agent_conf {
	const char *rules;
};

struct agent_state {
	struct agent_match *match;      /* NULL: no rules; hints only */
	struct memo *memo;
};

static const struct opt opts[] = {
	{ "rules", OPT_TEXT, offsetof(struct agent_conf, rules), NULL, 0, 0, "FILE",
	  "uap-core's regexes.yaml" },
	{ .name = NULL },
};

static void close_agent(void *ctx)
{
	struct agent_state *state = ctx;

	agent_match_close(state->match);
	memo_close(state->memo);
	free(state);
}

static int open_agent(void **statep, const struct step_args *args, struct err *err)
{
	const struct agent_conf *conf = args->conf;
	const char *path = conf->rules ? conf->rules : args->flags->ua_regexes;
	struct agent_state *state = calloc(1, sizeof(*state));
	struct slice text;
	int rc = 0;

	if (!state)
		return err_set(err, -ENOMEM, "no memory");
	if (!path && access(DEFAULT_RULES, R_OK) == 0)
		path = DEFAULT_RULES;
	if (!path)
		step_lack(args, "browsers are unknown: install uap-core, or give --ua-regexes");
	if (path)
		rc = step_file_read(args, path, &text, err);
	if (path && rc == 0)
		rc = agent_match_open(&state->match, text, path, NULL, err);
	if (rc == 0)
		rc = memo_open(&state->memo, args->flags->use_cache ? MEMO_ENTRIES : 0, err);
	if (rc < 0) {
		close_agent(state);
		return rc;
	}
	*statep = state;
	return 0;
}

enum { KEPT_BROWSER, KEPT_VERSION, KEPT_OS, KEPT_OS_VERSION, KEPT_DEVICE, KEPT_BRAND, KEPT_MODEL,
       KEPT_COUNT };

static struct slice named(struct slice text)
{
	return slice_eq(text, SLICE("Other")) ? (struct slice){ NULL, 0 } : text;
}

/* The parts with dots between them, up to the first that is missing. */
static struct slice join(const struct slice *parts, int count, char *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < count && parts[i].ptr; i++) {
		if (n + parts[i].len + 1 > size)
			break;
		if (i)
			out[n++] = '.';
		memcpy(out + n, parts[i].ptr, parts[i].len);
		n += parts[i].len;
	}
	return n ? (struct slice){ out, n } : (struct slice){ NULL, 0 };
}

static bool is_same_utf8(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

/* texts live until the next call, or in the event's arena. */
static int find(struct agent_state *state, struct step_event *event, struct slice agent,
		struct slice texts[MEMO_TEXTS])
{
	struct slice parts[AGENT_PARTS];
	char *versions;

	if (memo_get(state->memo, agent, texts))
		return 0;
	versions = arena_alloc(event->arena, AGENT_LEN_MAX * 2);
	if (!versions)
		return -ENOMEM;
	agent_match(state->match, agent, parts);
	texts[KEPT_BROWSER] = named(parts[AGENT_BROWSER]);
	texts[KEPT_VERSION] = join(&parts[AGENT_MAJOR], 3, versions, AGENT_LEN_MAX);
	texts[KEPT_OS] = named(parts[AGENT_OS]);
	texts[KEPT_OS_VERSION] = join(&parts[AGENT_OS_MAJOR], 4, versions + AGENT_LEN_MAX,
				      AGENT_LEN_MAX);
	texts[KEPT_DEVICE] = named(parts[AGENT_DEVICE]);
	texts[KEPT_BRAND] = parts[AGENT_BRAND];
	texts[KEPT_MODEL] = parts[AGENT_MODEL];
	texts[KEPT_COUNT] = (struct slice){ NULL, 0 };
	for (int i = 0; i < KEPT_COUNT; i++) {
		/* a group may end inside a character */
		if (!texts[i].ptr || is_same_utf8(texts[i]))
			continue;
		texts[i] = text_utf8(event->arena, texts[i]);
		if (!texts[i].ptr)
			return -ENOMEM;
	}
	memo_put(state->memo, agent, texts);
	return 0;
}

static int apply(void *ctx, struct step_event *event)
{
	static const int leaves[KEPT_COUNT] = {
		ENRICHED_AGENT_BROWSER, ENRICHED_AGENT_VERSION, ENRICHED_AGENT_OS,
		ENRICHED_AGENT_OS_VERSION, ENRICHED_AGENT_DEVICE, ENRICHED_AGENT_BRAND,
		ENRICHED_AGENT_MODEL,
	};
	struct agent_state *state = ctx;
	struct value *out = event->out;
	struct slice texts[MEMO_TEXTS];

	if (state->match && out[ENRICHED_USER_AGENT].is_set) {
		int rc = find(state, event, out[ENRICHED_USER_AGENT].text, texts);

		if (rc < 0)
			return rc;
		for (int i = 0; i < KEPT_COUNT; i++) {
			if (texts[i].ptr)
				out[leaves[i]] = value_text(text_cut(texts[i], TEXT_ID_MAX));
		}
	}
	hints_apply(event);
	return 0;
}

static void hash(const void *ctx, struct buf *text)
{
	buf_printf(text, "rules %d\n", ((const struct agent_state *)ctx)->match != NULL);
}

const struct step_kind step_agent = {
	.name = "agent", .version = 1, .after = "context",
	.opts = opts, .conf_size = sizeof(struct agent_conf),
	.open = open_agent, .close = close_agent, .apply = apply, .hash = hash,
};
