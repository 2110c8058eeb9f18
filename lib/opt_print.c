// SPDX-License-Identifier: Apache-2.0
#include "lib/opt_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/log.h"

#define OPT_COLUMN  30

static void print_row(struct buf *out, const char *flag, const char *arg, const char *help,
		      const char *fallback)
{
	char left[80];
	int n = snprintf(left, sizeof(left), "  --%s%s%s", flag, arg ? " " : "", arg ? arg : "");

	buf_printf(out, "%-*s", OPT_COLUMN, left);
	if (n >= OPT_COLUMN)
		buf_printf(out, "\n%*s", OPT_COLUMN, "");
	buf_append_text(out, help);
	if (fallback && fallback[0])
		buf_printf(out, " [%s]", fallback);
	buf_append_char(out, '\n');
}

void opt_print_help(const struct opt_program *program, struct buf *out)
{
	buf_printf(out, "%s - %s\n\nUsage:\n%s\n\nOptions (also keys of section `%s` in the file "
		   "of --config, with _ for -):\n", program->name, program->summary,
		   program->usage, program->name);
	for (const struct opt *opt = program->opts; opt->name; opt++)
		print_row(out, opt->name, opt->type == OPT_FLAG ? NULL : opt->arg, opt->help,
			  opt->fallback);
	print_row(out, "config", "FILE", "settings, as YAML", NULL);
	print_row(out, "check", NULL, "check the settings and end", NULL);
	print_row(out, "dump", NULL, "print the settings in force and end", NULL);
	print_row(out, "help", NULL, "this", NULL);
	print_row(out, "version", NULL, "the version", NULL);
}

static void print_time(int64_t ms, struct buf *out)
{
	buf_printf(out, "%" PRId64 "%s", ms % 1000 ? ms : ms / 1000, ms % 1000 ? "ms" : "s");
}

static void print_text(const char *text, struct buf *out)
{
	/* A JSON string is a YAML string. */
	json_write_text(slice_from(text), out);
}

static void print_list(const struct opt_list *list, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');

		buf_append_text(out, i ? ", " : "");
		/* name=value lists (librdkafka's properties) may hold passwords. */
		if (equals && (strstr(list->items[i], "password") ||
			       strstr(list->items[i], "secret") ||
			       strstr(list->items[i], ".pem") ||
			       strstr(list->items[i], "oauthbearer.config")))
			buf_printf(out, "\"%.*s=(hidden)\"", (int)(equals - list->items[i]),
				   list->items[i]);
		else
			print_text(list->items[i], out);
	}
	buf_append_char(out, ']');
}

static void print_value(const struct opt *opt, const void *field, struct buf *out)
{
	const char *text;

	switch (opt->type) {
	case OPT_TEXT:
		text = *(const char *const *)field;
		if (text)
			print_text(text, out);
		break;
	case OPT_SECRET:
		buf_append_text(out, *(const char *const *)field ? "(hidden)" : "");
		break;
	case OPT_FLAG:
		buf_append_text(out, *(const bool *)field ? "yes" : "no");
		break;
	case OPT_MS:
		print_time(*(const int64_t *)field, out);
		break;
	case OPT_COUNT:
	case OPT_BYTES:
		buf_printf(out, "%" PRId64, *(const int64_t *)field);
		break;
	case OPT_LIST:
		print_list(field, out);
		break;
	}
}

void opt_print_dump(const struct opt_program *program, const void *conf, struct buf *out)
{
	buf_printf(out, "%s:\n", program->name);
	for (const struct opt *opt = program->opts; opt->name; opt++) {
		const void *field = (const char *)conf + opt->offset;
		size_t at;

		if ((opt->type == OPT_TEXT || opt->type == OPT_SECRET) &&
		    !*(const char *const *)field)
			continue;       /* not set: an empty text would be something else */
		buf_append_text(out, "  ");
		at = out->len;
		buf_append_text(out, opt->name);
		for (size_t i = at; i < out->len; i++)
			if (out->ptr[i] == '-')
				out->ptr[i] = '_';
		buf_append_text(out, ": ");
		print_value(opt, field, out);
		buf_append_char(out, '\n');
	}
}

static void finish(struct buf *out, struct opt_set *set)
{
	if (out->len && fwrite(out->ptr, 1, out->len, stdout) != out->len)
		exit(EX_IOERR);
	buf_close(out);
	opt_close(set);
	exit(EX_OK);
}

struct opt_set *opt_main(const struct opt_program *program, void *conf, int argc, char **argv,
			 struct opt_list *operands)
{
	struct log log = { .program = program->name, .level = LOG_LEVEL_INFO, .fd = 2 };
	struct opt_set *set = NULL;
	struct buf out = { 0 };
	struct err err = { "" };
	int rc = opt_parse(program, conf, argc, argv, operands, &set, &err);

	if (rc) {
		log_words(&log, LOG_LEVEL_ERROR, "settings", "%s", err.text);
		exit(rc == -EINVAL ? EX_USAGE : EX_CONFIG);
	}
	switch (opt_asked(set)) {
	case OPT_ASK_HELP:
		opt_print_help(program, &out);
		finish(&out, set);
		break;
	case OPT_ASK_DUMP:
		opt_print_dump(program, conf, &out);
		finish(&out, set);
		break;
	case OPT_ASK_VERSION:
		buf_printf(&out, "millrace %s %s\n", program->name, OPT_VERSION);
		finish(&out, set);
		break;
	case OPT_ASK_CHECK:
		finish(&out, set);
		break;
	case OPT_ASK_NOTHING:
		break;
	}
	return set;
}
