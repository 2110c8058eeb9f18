// SPDX-License-Identifier: Apache-2.0
/*
 * Is it a bot: by our own list and those of the settings (bot_match.h), else where uap-core's
 * device is "Spider". `action` says what becomes of its events: mark (the default) only names it,
 * drop drops and counts them, divert sends them to the bad topic with the reason `bot`, with all
 * their bytes, from where they can be had again.
 */
#include "enrich/step.h"

#include <errno.h>
#include <stdlib.h>

#include "enrich/bot_match.h"
#include "enrich/enrich.h"
#include "enrich/memo.h"
#include "enrich/own_list.h"

#define MEMO_ENTRIES 8192

enum bot_action { BOT_MARK, BOT_DROP, BOT_DIVERT, BOT_ACTIONS };

struct bot_conf {
	const char *action;
	struct opt_list lists;
};

struct bot_state {
	struct bot_match *match;
	struct memo *memo;
	enum bot_action action;
};

static const struct opt opts[] = {
	{ "action", OPT_TEXT, offsetof(struct bot_conf, action), NULL, 0, 0, "ACTION",
	  "mark, drop or divert" },
	{ "lists", OPT_LIST, offsetof(struct bot_conf, lists), NULL, 0, 0, "FILE",
	  "patterns of more bots" },
	{ .name = NULL },
};

static void close_bot(void *ctx)
{
	struct bot_state *state = ctx;

	bot_match_close(state->match);
	memo_close(state->memo);
	free(state);
}

static int read_lists(const struct step_args *args, const struct opt_list *paths,
		      struct bot_list lists[BOT_LISTS_MAX], int *count, struct err *err)
{
	*count = 0;
	for (size_t i = 0; i < paths->count; i++) {
		struct bot_list *list = &lists[*count];
		int rc;

		if (*count + 1 == BOT_LISTS_MAX)
			return err_set(err, -EINVAL, "%s: over %d lists", args->where,
				       BOT_LISTS_MAX - 1);
		list->path = paths->items[i];
		rc = step_file_read(args, list->path, &list->text, err);
		if (rc < 0)
			return rc;
		(*count)++;
	}
	lists[(*count)++] = (struct bot_list){ own_list_bots(), "bots.yaml" };
	return 0;
}

static int parse_action(const struct step_args *args, const char *text, enum bot_action *action,
			struct err *err)
{
	static const char *const names[BOT_ACTIONS] = { "mark", "drop", "divert" };

	for (int i = 0; i < BOT_ACTIONS; i++) {
		if (strcmp(text, names[i]) == 0) {
			*action = (enum bot_action)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: bots: '%s' is none of mark, drop, divert", args->where,
		       text);
}

static int open_bot(void **statep, const struct step_args *args, struct err *err)
{
	const struct bot_conf *conf = args->conf;
	struct bot_state *state = calloc(1, sizeof(*state));
	struct bot_list lists[BOT_LISTS_MAX];
	const char *action = conf->action ? conf->action : args->flags->bots;
	int count, rc;

	if (!state)
		return err_set(err, -ENOMEM, "no memory");
	rc = parse_action(args, action ? action : "mark", &state->action, err);
	if (rc == 0)
		rc = read_lists(args, conf->lists.count ? &conf->lists : &args->flags->bot_lists,
				lists, &count, err);
	if (rc == 0)
		rc = bot_match_open(&state->match, lists, count, err);
	if (rc == 0)
		rc = memo_open(&state->memo, args->flags->use_cache ? MEMO_ENTRIES : 0, err);
	if (rc < 0) {
		close_bot(state);
		return rc;
	}
	*statep = state;
	return 0;
}

/* texts: name, category; {NULL, 0} for people. */
static void find(struct bot_state *state, struct slice agent, struct slice texts[MEMO_TEXTS])
{
	if (memo_get(state->memo, agent, texts))
		return;
	for (int i = 0; i < MEMO_TEXTS; i++)
		texts[i] = (struct slice){ NULL, 0 };
	bot_match(state->match, agent, &texts[0], &texts[1]);
	memo_put(state->memo, agent, texts);
}

static int apply(void *ctx, struct step_event *event)
{
	struct bot_state *state = ctx;
	struct value *out = event->out;
	struct slice texts[MEMO_TEXTS] = { { NULL, 0 } };

	if (out[ENRICHED_USER_AGENT].is_set)
		find(state, out[ENRICHED_USER_AGENT].text, texts);
	if (!texts[0].ptr && out[ENRICHED_AGENT_DEVICE].is_set &&
	    slice_eq(out[ENRICHED_AGENT_DEVICE].text, SLICE("Spider")))
		texts[0] = out[ENRICHED_AGENT_BROWSER].is_set ? out[ENRICHED_AGENT_BROWSER].text
							      : SLICE("Spider");
	if (!texts[0].ptr)
		return 0;
	out[ENRICHED_AGENT_BOT] = value_text(texts[0]);
	if (texts[1].ptr)
		out[ENRICHED_AGENT_BOT_CATEGORY] = value_text(texts[1]);
	if (state->action == BOT_DROP)
		return STEP_RESULT_DROP;
	if (state->action == BOT_MARK)
		return 0;
	event->bad.reason = "bot";
	event->bad.words = "a bot's event: the settings divert these";
	event->bad.at = "/context/userAgent";
	return -EBADMSG;
}

static void hash(const void *ctx, struct buf *text)
{
	const struct bot_state *state = ctx;

	buf_printf(text, "action %d, patterns %d\n", state->action, bot_match_count(state->match));
}

const struct step_kind step_bot = {
	.name = "bot", .version = 1, .after = "context agent",
	.opts = opts, .conf_size = sizeof(struct bot_conf),
	.open = open_bot, .close = close_bot, .apply = apply, .hash = hash,
};
