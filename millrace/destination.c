// SPDX-License-Identifier: Apache-2.0
#include "millrace/destination.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/yaml.h"
#include "millrace/audit.h"
#include "millrace/letters.h"
#include "millrace/part_file.h"

#define AT(field) offsetof(struct destination_conf, field)

static const struct opt opts[] = {
	{ "type", OPT_TEXT, AT(type), NULL, 0, 0, "TYPE", "add: what kind (see `sink kinds`)" },
	{ "set", OPT_LIST, AT(sets), NULL, 0, 0, "KEY=VALUE",
	  "add: a setting; secrets as env:NAME or file:PATH" },
	{ "secret", OPT_TEXT, AT(secret), NULL, 0, 0, "KEY",
	  "add: read this setting from stdin and keep it in a file of its own" },
	{ "data", OPT_TEXT, AT(data), NULL, 0, 0, "DIR", "data directory of the `up`" },
	{ "json", OPT_FLAG, AT(is_json), "no", 0, 0, NULL, "list as JSON lines; letters as JSON" },
	{ "topics", OPT_TEXT, AT(bus), NULL, 0, 0, "PREFIX",
	  "list, letters: where the topics are [from the settings]" },
	{ "kafka", OPT_LIST, AT(kafka), NULL, 0, 0, "NAME=VALUE",
	  "list, letters: a librdkafka property" },
	{ "limit", OPT_COUNT, AT(limit), "200", 1, 10000, "N",
	  "letters: the latest ones, at most" },
	{ .name = NULL },
};

const struct opt_program destination_program = {
	.name = "destination",
	.summary = "where events go: list, add, enable, disable, test, remove, letters",
	.usage = "  millrace destination list [--json]\n"
		 "  millrace destination add NAME --type TYPE --set KEY=VALUE..\n"
		 "  millrace destination enable|disable|test|remove NAME\n"
		 "  millrace destination letters NAME [--json]      what it did not take",
	.opts = opts,
};

static void put_quoted(struct buf *out, const char *text)
{
	buf_append_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_append_char(out, '\'');
		buf_append_char(out, *text);
	}
	buf_append_text(out, "'\n");
}

static int put_secret(const struct destination_conf *conf, const char *dir, const char *name,
		      struct slice secret, struct buf *out, struct err *err)
{
	char secrets[PATH_MAX], file[200];

	if (!part_file_is_name(conf->secret))
		return err_set(err, -EINVAL, "--secret: '%.40s' is no setting's name",
			       conf->secret);
	snprintf(secrets, sizeof(secrets), "%.3000s/.secrets", dir);
	if (mkdir(secrets, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", secrets, strerror(errno));
	snprintf(file, sizeof(file), "%s.%s", name, conf->secret);
	buf_printf(out, "%s: file:destinations/.secrets/%s\n", conf->secret, file);
	return part_file_write(secrets, file, secret, false, err);
}

static int add(const struct destination_conf *conf, const char *dir, const char *name,
	       struct slice secret, struct err *err)
{
	struct buf out = { 0 };
	bool switched = false;
	char file[80];
	int rc = 0;

	if (!conf->type)
		return err_set(err, -EINVAL, "add: --type says what kind it is (see `sink kinds`)");
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	buf_append_text(&out, "type: ");
	put_quoted(&out, conf->type);
	for (size_t i = 0; i < conf->sets.count; i++)
		switched |= strncmp(conf->sets.items[i], "enabled=", 8) == 0;
	if (!switched)
		buf_append_text(&out, "enabled: yes\n");
	for (size_t i = 0; i < conf->sets.count && rc == 0; i++) {
		const char *item = conf->sets.items[i];
		size_t len = strcspn(item, "=");

		if (!item[len] || len == 0 || strcspn(item, ": \n") < len ||
		    strchr(item, '\n')) {
			rc = err_set(err, -EINVAL, "--set: '%.60s' is not KEY=VALUE", item);
			break;
		}
		buf_printf(&out, "%.*s: ", (int)len, item);
		if (item[len + 1] == '[')       /* a list as YAML writes it */
			buf_printf(&out, "%s\n", item + len + 1);
		else
			put_quoted(&out, item + len + 1);
	}
	if (rc == 0 && conf->secret)
		rc = put_secret(conf, dir, name, secret, &out, err);
	snprintf(file, sizeof(file), "%s.yaml", name);
	if (rc == 0)
		rc = part_file_write(dir, file, buf_slice(&out), true, err);
	buf_close(&out);
	return rc;
}

static int remove_it(const char *dir, const char *name, struct err *err)
{
	char path[PATH_MAX], secrets[PATH_MAX];
	size_t len = strlen(name);
	struct dirent *entry;
	DIR *open_dir;

	snprintf(path, sizeof(path), "%.3000s/%s.yaml", dir, name);
	if (unlink(path) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	snprintf(secrets, sizeof(secrets), "%.3000s/.secrets", dir);
	open_dir = opendir(secrets);
	while (open_dir && (entry = readdir(open_dir)))
		if (strncmp(entry->d_name, name, len) == 0 && entry->d_name[len] == '.')
			unlinkat(dirfd(open_dir), entry->d_name, 0);
	if (open_dir)
		closedir(open_dir);
	return 0;
}

/* What an audit of a day says of a destination: the dashboard's source. NULL: it is not known. */
static yyjson_val *find_day(yyjson_val *audit, const char *name)
{
	char stage[90];
	yyjson_val *each;
	size_t i, count;

	snprintf(stage, sizeof(stage), "sink:%s", name);
	yyjson_arr_foreach(json_get(audit, "stages"), i, count, each)
		if (slice_is(json_text(each, "stage"), stage))
			return each;
	return NULL;
}

static void list_day(yyjson_val *day, struct buf *out)
{
	static const char *const names[] = { "out", "pending" };
	int64_t n;

	for (size_t i = 0; i < 2; i++) {
		if (json_num(json_get(day, names[i]), &n) == 0)
			buf_printf(out, " %10lld", (long long)n);
		else
			buf_printf(out, " %10s", "-");
	}
}

static void list_one(const struct destination_conf *conf, const struct settings *settings,
		     const char *name, const struct yaml *root, yyjson_val *day,
		     struct buf *out)
{
	const char *type = yaml_get_text(root, "type");
	bool on = part_file_is_on(root);
	struct json_reader *json = NULL;
	struct buf status = { 0 };
	yyjson_val *tree = NULL;
	char path[PATH_MAX];
	struct slice state, words;

	snprintf(path, sizeof(path), "%.3000s/sinks/%s/status.json", settings->data, name);
	if (part_file_read(path, &status, NULL) < 0 || json_open(&json, NULL) < 0 ||
	    json_parse(json, buf_slice(&status), &tree, NULL) < 0)
		tree = NULL;
	state = on ? json_text(tree, "state") : SLICE("off");
	words = json_text(tree, "words");
	if (conf->is_json) {
		buf_append_text(out, "{\"name\":");
		json_write_text(slice_from(name), out);
		buf_append_text(out, ",\"type\":");
		json_write_text(slice_from(type ? type : ""), out);
		buf_printf(out, ",\"enabled\":%s,\"status\":", on ? "true" : "false");
		if (tree)
			json_write(tree, out);
		else
			buf_append_text(out, "null");
		buf_append_text(out, ",\"last_day\":");
		if (day)
			json_write(day, out);
		else
			buf_append_text(out, "null");
		buf_append_text(out, "}\n");
	} else {
		buf_printf(out, "%-20s %-12s %-4s %-11.*s", name, type ? type : "?",
			   on ? "on" : "off", (int)state.len, state.len ? state.ptr : "");
		list_day(day, out);
		buf_printf(out, "  %.*s\n", (int)words.len, words.len ? words.ptr : "");
	}
	json_close(json);
	buf_close(&status);
}

/* *audit: NULL where the topics cannot be read; the list goes without it. */
static void read_day(const struct destination_conf *conf, const struct settings *settings,
		     struct json_reader *json, yyjson_val **audit)
{
	struct audit_conf day = { .bus = conf->bus, .kafka = conf->kafka, .last = "1d",
				  .is_json = true };
	struct buf text = { 0 };
	struct err err = { "" };
	int rc = audit_run(&day, settings, &text, &err);

	*audit = NULL;
	if ((rc < 0 && rc != -EBADMSG) || json_parse(json, buf_slice(&text), audit, NULL) < 0)
		*audit = NULL;
	buf_close(&text);
}

static int list(const struct destination_conf *conf, const struct settings *settings,
		const char *dir, struct buf *out, struct err *err)
{
	struct dirent **entries = NULL;
	struct json_reader *json = NULL;
	yyjson_val *audit = NULL;
	int count = json_open(&json, err);

	if (count < 0)
		return count;
	read_day(conf, settings, json, &audit);
	count = scandir(dir, &entries, NULL, alphasort);
	if (!conf->is_json)
		buf_printf(out, "%-20s %-12s %-4s %-11s %10s %10s  %s\n", "NAME", "TYPE", "",
			   "STATE", "TODAY", "UNDER WAY", "LAST ERROR");
	for (int i = 0; i < count; i++) {
		size_t len = strlen(entries[i]->d_name);
		struct yaml_file *file = NULL;
		const struct yaml *root = NULL;
		char path[PATH_MAX], name[80];

		snprintf(path, sizeof(path), "%.3000s/%.255s", dir, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && len > 5 && len < 70 &&
		    strcmp(entries[i]->d_name + len - 5, ".yaml") == 0 &&
		    yaml_open(&file, path, &root, NULL) == 0) {
			snprintf(name, sizeof(name), "%.*s", (int)len - 5, entries[i]->d_name);
			list_one(conf, settings, name, root, find_day(audit, name),
				 out);
		}
		yaml_close(file);
		free(entries[i]);
	}
	free(entries);
	json_close(json);
	return 0;
}

int destination_run(const struct destination_conf *conf, const struct settings *settings,
		    const struct opt_list *args, struct slice secret, struct buf *out,
		    struct err *err)
{
	const char *verb = args->count ? args->items[0] : "list";
	const char *name = args->count > 1 ? args->items[1] : "";
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.3000s/destinations", settings->dir);
	if (strcmp(verb, "list") == 0)
		return list(conf, settings, dir, out, err);
	if (!part_file_is_name(name))
		return err_set(err, -EINVAL, "destination %.20s NAME: a name has up to 64 letters, "
			       "digits, - and _", verb);
	if (strcmp(verb, "add") == 0)
		return add(conf, dir, name, secret, err);
	if (strcmp(verb, "enable") == 0 || strcmp(verb, "disable") == 0)
		return part_file_switch(dir, name, verb[0] == 'e', err);
	if (strcmp(verb, "remove") == 0)
		return remove_it(dir, name, err);
	if (strcmp(verb, "letters") == 0)
		return letters_print(&(struct letters_conf){ conf->bus, &conf->kafka, conf->limit,
							     conf->is_json },
				     settings, name, out, err);
	return err_set(err, -EINVAL, "destination wants one of: list, add, enable, disable, test, "
		       "remove, letters");
}
