// SPDX-License-Identifier: Apache-2.0
#include "enrich/bot_match.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "enrich/agent_match.h"
#include "lib/arena.h"
#include "lib/yaml.h"

struct bot {
	struct slice name, category;    /* {NULL, 0}: not known */
};

struct bot_match {
	struct pattern_set *patterns;
	struct bot *bots;
	size_t count, cap;
	struct arena arena;
};

static int keep_text(struct bot_match *match, const char *text, struct slice *out)
{
	*out = (struct slice){ NULL, 0 };
	if (!text || !text[0])
		return 0;
	*out = arena_copy(&match->arena, slice_from(text));
	return out->ptr ? 0 : -ENOMEM;
}

static const char *category_of(const struct yaml *node)
{
	const struct yaml *tags = yaml_get(node, "tags");
	const char *category = yaml_get_text(node, "category");

	if (!category && tags && tags->kind == YAML_KIND_LIST && tags->first &&
	    tags->first->kind == YAML_KIND_SCALAR)
		category = tags->first->text;
	return category;
}

static int add_entry(struct bot_match *match, const struct yaml *node, const char *path,
		     struct err *err)
{
	const char *pattern = node->kind == YAML_KIND_SCALAR ? node->text
							     : yaml_get_text(node, "pattern");
	struct err words = { "" };
	struct bot *bots;
	int rc;

	if (!pattern || !pattern[0])
		return err_set(err, -EBADMSG, "%s:%d: a bot without pattern", path, node->line);
	rc = pattern_add(match->patterns, 0, slice_from(pattern), true, &words);
	if (rc < 0)
		return err_set(err, rc, "%s:%d: %s", path, node->line, words.text);
	if (match->count == match->cap) {
		match->cap = match->cap ? match->cap * 2 : 256;
		bots = reallocarray(match->bots, match->cap, sizeof(*bots));
		if (!bots)
			return err_set(err, -ENOMEM, "no memory");
		match->bots = bots;
	}
	bots = &match->bots[match->count++];
	if (keep_text(match, yaml_get_text(node, "name"), &bots->name) < 0 ||
	    keep_text(match, category_of(node), &bots->category) < 0)
		return err_set(err, -ENOMEM, "no memory");
	return 0;
}

static int add_list(struct bot_match *match, const struct yaml *list, bool named,
		    const char *path, struct err *err)
{
	int rc = 0;

	if (list && list->kind != YAML_KIND_LIST)
		return err_set(err, -EBADMSG, "%s:%d: no list of bots", path, list->line);
	for (const struct yaml *node = list ? list->first : NULL; node && rc == 0;
	     node = node->next) {
		if ((yaml_get_text(node, "name") != NULL) == named)
			rc = add_entry(match, node, path, err);
	}
	return rc;
}

/* Of one file: what has a name, or what has none. */
static int add_some(struct bot_match *match, const struct yaml *root, bool named,
		    const char *path, struct err *err)
{
	int rc;

	if (root->kind != YAML_KIND_MAP)
		return add_list(match, root, named, path, err);
	rc = add_list(match, yaml_get(root, "named"), named, path, err);
	return rc < 0 ? rc : add_list(match, yaml_get(root, "nameless"), named, path, err);
}

int bot_match_open(struct bot_match **matchp, const struct bot_list *lists, int count,
		   struct err *err)
{
	struct bot_match *match = calloc(1, sizeof(*match));
	struct yaml_file *files[BOT_LISTS_MAX] = { NULL };
	const struct yaml *roots[BOT_LISTS_MAX];
	size_t before = 0;
	int rc;

	assert(count <= BOT_LISTS_MAX);
	if (!match)
		return err_set(err, -ENOMEM, "no memory");
	match->arena.bytes_max = (size_t)64 << 20;
	rc = pattern_open(&match->patterns, PATTERN_MATCH_LIMIT, err);
	for (int i = 0; i < count && rc == 0; i++)
		rc = yaml_parse_list(&files[i], lists[i].text, lists[i].path, &roots[i], err);
	for (int i = 0; i < count && rc == 0; i++)
		rc = add_some(match, roots[i], true, lists[i].path, err);
	for (int i = 0; i < count && rc == 0; i++) {
		before = match->count;
		rc = add_some(match, roots[i], false, lists[i].path, err);
		if (rc == 0 && match->count == 0 && before == 0)
			rc = err_set(err, -EBADMSG, "%s: no bots in it", lists[i].path);
	}
	if (rc == 0)
		rc = pattern_build(match->patterns, true, err);
	for (int i = 0; i < count; i++)
		yaml_close(files[i]);
	if (rc < 0) {
		bot_match_close(match);
		return rc;
	}
	*matchp = match;
	return 0;
}

void bot_match_close(struct bot_match *match)
{
	if (!match)
		return;
	pattern_close(match->patterns);
	arena_close(&match->arena);
	free(match->bots);
	free(match);
}

/* What was matched is the name: without blanks around it, and printable. */
static struct slice name_of(struct slice text)
{
	while (text.len && (unsigned char)text.ptr[0] <= ' ')
		text = slice_skip(text, 1);
	if (text.len > BOT_NAME_MAX)
		text.len = BOT_NAME_MAX;
	while (text.len && ((unsigned char)text.ptr[text.len - 1] <= ' ' ||
			    (unsigned char)text.ptr[text.len - 1] >= 0x80))
		text.len--;
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] >= 0x80)
			return SLICE("bot");
	}
	return text.len ? text : SLICE("bot");
}

bool bot_match(struct bot_match *match, struct slice user_agent, struct slice *name,
	       struct slice *category)
{
	int at;

	if (user_agent.len > AGENT_LEN_MAX)
		user_agent.len = AGENT_LEN_MAX;
	pattern_scan(match->patterns, user_agent);
	at = pattern_match(match->patterns, 0);
	if (at < 0)
		return false;
	*name = match->bots[at].name;
	*category = match->bots[at].category;
	if (!name->ptr)
		*name = name_of(pattern_group(match->patterns, 0));
	return true;
}

int bot_match_count(const struct bot_match *match)
{
	return (int)match->count;
}
