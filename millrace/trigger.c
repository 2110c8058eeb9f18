// SPDX-License-Identifier: Apache-2.0
#include "millrace/trigger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/yaml.h"
#include "millrace/part_file.h"

#define LOG_READ_MAX ((off_t)4 << 20)   /* of the end of a log */

#define AT(field) offsetof(struct trigger_conf, field)

static const struct opt opts[] = {
	{ "data", OPT_TEXT, AT(data), NULL, 0, 0, "DIR", "data directory of the `up`" },
	{ "json", OPT_FLAG, AT(is_json), "no", 0, 0, NULL, "list as JSON lines" },
	{ "person", OPT_TEXT, AT(person), NULL, 0, 0, "ID",
	  "preview, test: with the profile of this person, who came to match" },
	{ "address", OPT_TEXT, AT(address), NULL, 0, 0, "ADDRESS",
	  "test: where the email goes instead" },
	{ "limit", OPT_COUNT, AT(limit), "200", 1, 100000, "N", "log: the latest lines, at most" },
	{ .name = NULL },
};

const struct opt_program trigger_program = {
	.name = "trigger",
	.summary = "messages to people: list, enable, disable, check, preview, test, log",
	.usage = "  millrace trigger list [--json]\n"
		 "  millrace trigger enable|disable NAME\n"
		 "  millrace trigger check NAME                     what is wrong with the file\n"
		 "  millrace trigger preview NAME [--person ID]     what would be sent\n"
		 "  millrace trigger test NAME [--address ADDR]     sends that, for real\n"
		 "  millrace trigger log NAME [--limit N]           what was sent",
	.opts = opts,
};

static void put_text(const char *name, const char *text, struct buf *out)
{
	buf_printf(out, ",\"%s\":", name);
	json_write_text(slice_from(text ? text : ""), out);
}

static int64_t count_of(yyjson_val *tree, const char *name)
{
	int64_t num;

	return json_num(json_get(tree, name), &num) < 0 ? 0 : num;
}

static void put_row(const char *name, const struct yaml *root, yyjson_val *tree, struct buf *out)
{
	bool on = part_file_is_on(root);
	struct slice state = on ? json_text(tree, "state") : SLICE("off");
	struct slice words = json_text(tree, "words");
	const char *channel = yaml_get_text(root, "channel"), *query = yaml_get_text(root, "query");

	buf_printf(out, "%-20s %-8s %-20s %-4s %-9.*s %8lld %8lld %8lld  %.*s\n", name,
		   channel ? channel : "?", query ? query : "?", on ? "on" : "off",
		   (int)state.len, state.len ? state.ptr : "", (long long)count_of(tree, "sent"),
		   (long long)count_of(tree, "failed"), (long long)count_of(tree, "queued"),
		   (int)words.len, words.len ? words.ptr : "");
}

static void list_one(const struct trigger_conf *conf, const struct settings *settings,
		     const char *name, const struct yaml *root, struct buf *out)
{
	struct json_reader *json = NULL;
	struct buf status = { 0 };
	yyjson_val *tree = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/messages/%s/status.json", settings->data, name);
	if (part_file_read(path, &status, NULL) < 0 || json_open(&json, NULL) < 0 ||
	    json_parse(json, buf_slice(&status), &tree, NULL) < 0)
		tree = NULL;
	if (conf->is_json) {
		buf_append_text(out, "{\"name\":");
		json_write_text(slice_from(name), out);
		put_text("channel", yaml_get_text(root, "channel"), out);
		put_text("query", yaml_get_text(root, "query"), out);
		buf_printf(out, ",\"enabled\":%s,\"status\":",
			   part_file_is_on(root) ? "true" : "false");
		if (tree)
			json_write(tree, out);
		else
			buf_append_text(out, "null");
		buf_append_text(out, "}\n");
	} else {
		put_row(name, root, tree, out);
	}
	json_close(json);
	buf_close(&status);
}

static int list(const struct trigger_conf *conf, const struct settings *settings, const char *dir,
		struct buf *out)
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, NULL, alphasort);

	if (!conf->is_json)
		buf_printf(out, "%-20s %-8s %-20s %-4s %-9s %8s %8s %8s  %s\n", "NAME", "CHANNEL",
			   "QUERY", "", "STATE", "SENT", "FAILED", "WAITING", "WORDS");
	for (int i = 0; i < count; i++) {
		size_t len = strlen(entries[i]->d_name);
		struct yaml_file *file = NULL;
		const struct yaml *root = NULL;
		char path[PATH_MAX], name[80] = "";

		if (len > 5 && len < 70 && strcmp(entries[i]->d_name + len - 5, ".yaml") == 0)
			snprintf(name, sizeof(name), "%.*s", (int)len - 5, entries[i]->d_name);
		snprintf(path, sizeof(path), "%.3000s/%.255s", dir, entries[i]->d_name);
		if (part_file_is_name(name) && yaml_open(&file, path, &root, NULL) == 0)
			list_one(conf, settings, name, root, out);
		yaml_close(file);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* Where the latest `limit` whole lines begin. */
static struct slice tail(struct slice text, int64_t limit)
{
	size_t at;

	while (text.len && text.ptr[text.len - 1] != '\n')
		text.len--;             /* is being written */
	for (at = text.len; at > 0; at--)
		if (text.ptr[at - 1] == '\n' && at < text.len && --limit == 0)
			break;
	return slice_skip(text, at);
}

static int print_log(const struct trigger_conf *conf, const struct settings *settings,
		     const char *name, struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	struct buf text = { 0 };
	struct stat st;
	struct slice lines;
	ssize_t n = -1;
	off_t from = 0;
	char *at;
	int fd;

	snprintf(path, sizeof(path), "%.3000s/messages/%s/log.jsonl", settings->data, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;               /* it never ran */
	if (fd >= 0 && fstat(fd, &st) == 0) {
		from = st.st_size > LOG_READ_MAX ? st.st_size - LOG_READ_MAX : 0;
		at = buf_reserve(&text, (size_t)(st.st_size - from) + 1);
		n = at ? pread(fd, at, (size_t)(st.st_size - from), from) : -1;
	}
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		buf_close(&text);
		return err_set(err, -EIO, "%s: cannot be read", path);
	}
	text.len += (size_t)n;
	lines = buf_slice(&text);
	if (from && (at = memchr(lines.ptr, '\n', lines.len)))
		lines = slice_skip(lines, (size_t)(at - lines.ptr) + 1);
	buf_append_slice(out, tail(lines, conf->limit));
	buf_close(&text);
	return out->failed ? -ENOMEM : 0;
}

static int add(struct trigger_call *call, int *count, const char *name, const char *value)
{
	char *text = NULL;

	if (!value)
		return 0;
	if (asprintf(&text, "%s%s", name, value) < 0)
		return -ENOMEM;
	call->args[(*count)++] = text;
	return 0;
}

/* sink trigger VERB NAME --config FILE --in BUS/members .. */
static int make_call(const struct trigger_conf *conf, const struct settings *settings,
		     const char *verb, const char *name, struct trigger_call *call)
{
	bool makes = strcmp(verb, "check") != 0;
	const char *const words[][2] = {
		{ "", "sink" }, { "", "trigger" }, { "", verb }, { "", name },
		{ "--config=", settings->config }, { "--person=", makes ? conf->person : NULL },
		{ "--address=", makes ? conf->address : NULL },
	};
	char members[PATH_MAX];
	int count = 0, rc = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && rc == 0; i++)
		rc = add(call, &count, words[i][0], words[i][1]);
	snprintf(members, sizeof(members), "%.3900s/members", settings->bus);
	/* A log without that topic: nobody ever came to match anything. */
	if (rc == 0 && makes &&
	    (strncmp(members, "log:", 4) != 0 || access(members + 4, F_OK) == 0))
		rc = add(call, &count, "--in=", members);
	return rc;
}

void trigger_call_close(struct trigger_call *call)
{
	for (int i = 0; i < TRIGGER_CALL_MAX; i++)
		free(call->args[i]);
	*call = (struct trigger_call){ { NULL } };
}

int trigger_run(const struct trigger_conf *conf, const struct settings *settings,
		const struct opt_list *args, struct trigger_call *call, struct buf *out,
		struct err *err)
{
	const char *verb = args->count ? args->items[0] : "list";
	const char *name = args->count > 1 ? args->items[1] : "";
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.3000s/triggers", settings->dir);
	if (strcmp(verb, "list") == 0)
		return list(conf, settings, dir, out);
	if (!part_file_is_name(name))
		return err_set(err, -EINVAL, "trigger %.20s NAME: a name has up to 64 letters, "
			       "digits, - and _", verb);
	if (strcmp(verb, "enable") == 0 || strcmp(verb, "disable") == 0)
		return part_file_switch(dir, name, verb[0] == 'e', err);
	if (strcmp(verb, "log") == 0)
		return print_log(conf, settings, name, out, err);
	if (strcmp(verb, "check") == 0 || strcmp(verb, "preview") == 0 || strcmp(verb, "test") == 0)
		return make_call(conf, settings, verb, name, call);
	return err_set(err, -EINVAL, "trigger wants one of: list, enable, disable, check, preview, "
		       "test, log");
}
