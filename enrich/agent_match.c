// SPDX-License-Identifier: Apache-2.0
#include "enrich/agent_match.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/yaml.h"

#define SECTIONS    3
#define SECTION_PARTS 5         /* at most, of one section */
#define OUT_MAX     1024        /* bytes that the replacements of one section come to */

/* What a section's rules give: the key that replaces, the group without one (0: nothing). */
struct section {
	const char *name;
	int first;              /* enum agent_part */
	int count;
	struct {
		const char *key;
		int group;
	} parts[SECTION_PARTS];
};

struct rule {
	const char *replace[SECTION_PARTS];     /* NULL: the group */
};

struct agent_match {
	struct pattern_set *patterns;
	struct arena arena;                     /* of the replacements */
	struct rule *rules[SECTIONS];
	char out[SECTIONS][OUT_MAX];
};

static const struct section sections[SECTIONS] = {
	{ "user_agent_parsers", AGENT_BROWSER, 4,
	  { { "family_replacement", 1 }, { "v1_replacement", 2 }, { "v2_replacement", 3 },
	    { "v3_replacement", 4 } } },
	{ "os_parsers", AGENT_OS, 5,
	  { { "os_replacement", 1 }, { "os_v1_replacement", 2 }, { "os_v2_replacement", 3 },
	    { "os_v3_replacement", 4 }, { "os_v4_replacement", 5 } } },
	{ "device_parsers", AGENT_DEVICE, 3,
	  { { "device_replacement", 1 }, { "brand_replacement", 0 },
	    { "model_replacement", 1 } } },
};

static int add_rule(struct agent_match *match, int number, int at, const struct yaml *node,
		    const char *path, struct err *err)
{
	const struct section *section = &sections[number];
	const char *regex = yaml_get_text(node, "regex");
	const char *flag = yaml_get_text(node, "regex_flag");
	struct err words = { "" };
	int rc;

	if (!regex)
		return err_set(err, -EBADMSG, "%s:%d: a rule without regex", path, node->line);
	if (flag && strcmp(flag, "i") != 0)
		return err_set(err, -EBADMSG, "%s:%d: regex_flag '%s': only i is known", path,
			       node->line, flag);
	rc = pattern_add(match->patterns, number, slice_from(regex), flag != NULL, &words);
	if (rc < 0)
		return err_set(err, rc, "%s:%d: %s", path, node->line, words.text);
	for (int i = 0; i < section->count; i++) {
		const char *text = yaml_get_text(node, section->parts[i].key);

		if (!text)
			continue;
		text = arena_copy(&match->arena, slice_from(text)).ptr;
		if (!text)
			return err_set(err, -ENOMEM, "no memory");
		match->rules[number][at].replace[i] = text;
	}
	return 0;
}

static int add_section(struct agent_match *match, int number, const struct yaml *root,
		       const char *path, struct err *err)
{
	const struct yaml *list = yaml_get(root, sections[number].name);
	size_t count = 0;
	int at = 0, rc;

	if (!list || list->kind != YAML_KIND_LIST)
		return err_set(err, -EBADMSG, "%s: no list %s: is it uap-core's regexes.yaml?",
			       path, sections[number].name);
	for (const struct yaml *node = list->first; node; node = node->next)
		count++;
	match->rules[number] = calloc(count + 1, sizeof(*match->rules[number]));
	if (!match->rules[number])
		return err_set(err, -ENOMEM, "no memory");
	for (const struct yaml *node = list->first; node; node = node->next) {
		rc = add_rule(match, number, at++, node, path, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int agent_match_open(struct agent_match **matchp, struct slice text, const char *path,
		     const struct agent_match_conf *conf, struct err *err)
{
	struct agent_match *match = calloc(1, sizeof(*match));
	const struct agent_match_conf usual = { 0, false };
	const struct yaml *root;
	struct yaml_file *file = NULL;
	int rc;

	if (!match)
		return err_set(err, -ENOMEM, "no memory");
	conf = conf ? conf : &usual;
	match->arena.bytes_max = YAML_LIST_MAX;
	rc = pattern_open(&match->patterns,
			  conf->match_limit ? conf->match_limit : PATTERN_MATCH_LIMIT, err);
	if (rc == 0)
		rc = yaml_parse_list(&file, text, path, &root, err);
	for (int i = 0; i < SECTIONS && rc == 0; i++)
		rc = add_section(match, i, root, path, err);
	if (rc == 0)
		rc = pattern_build(match->patterns, !conf->use_no_literals, err);
	yaml_close(file);
	if (rc < 0) {
		agent_match_close(match);
		return rc;
	}
	*matchp = match;
	return 0;
}

void agent_match_close(struct agent_match *match)
{
	if (!match)
		return;
	pattern_close(match->patterns);
	for (int i = 0; i < SECTIONS; i++)
		free(match->rules[i]);
	arena_close(&match->arena);
	free(match);
}

static struct slice trim(struct slice text)
{
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = slice_skip(text, 1);
	while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* $1..$9 become their groups; what does not fit any more is cut. */
static struct slice expand(struct agent_match *match, const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text && n < size; text++) {
		if (text[0] == '$' && text[1] >= '1' && text[1] <= '9') {
			struct slice group = pattern_group(match->patterns, *++text - '0');
			size_t len = group.len < size - n ? group.len : size - n;

			if (len)
				memcpy(out + n, group.ptr, len);
			n += len;
		} else {
			out[n++] = *text;
		}
	}
	return trim((struct slice){ out, n });
}

static void match_section(struct agent_match *match, int number, struct slice *parts)
{
	const struct section *section = &sections[number];
	int at = pattern_match(match->patterns, number);
	size_t used = 0;

	for (int i = 0; i < section->count; i++) {
		struct slice *part = &parts[section->first + i];
		const char *text;

		*part = (struct slice){ NULL, 0 };
		if (at < 0)
			continue;
		text = match->rules[number][at].replace[i];
		if (!text && section->parts[i].group) {
			*part = trim(pattern_group(match->patterns, section->parts[i].group));
		} else if (text && !strchr(text, '$')) {
			*part = slice_from(text);
		} else if (text) {
			*part = expand(match, text, match->out[number] + used, OUT_MAX - used);
			used = (size_t)(part->ptr + part->len - match->out[number]);
		}
		if (part->len == 0)
			*part = (struct slice){ NULL, 0 };
	}
	if (!parts[section->first].ptr)
		parts[section->first] = SLICE("Other");
}

void agent_match(struct agent_match *match, struct slice user_agent, struct slice *parts)
{
	if (user_agent.len > AGENT_LEN_MAX)
		user_agent.len = AGENT_LEN_MAX;
	pattern_scan(match->patterns, user_agent);
	for (int i = 0; i < SECTIONS; i++)
		match_section(match, i, parts);
}

const struct pattern_work *agent_match_work(const struct agent_match *match)
{
	return pattern_work(match->patterns);
}
