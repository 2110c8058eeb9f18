// SPDX-License-Identifier: Apache-2.0
#include "lib/opt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/opt_print.h"

#define OPT_LIST_MAX   256
#define OPT_SECRET_MAX 4096
#define WORD_MAX       40

struct opt_set {
	struct arena arena;
	struct yaml_file *file;
	const struct yaml *root;
	enum opt_ask ask;
};

/* Digits, then a unit of the table; the whole text must be used. */
struct opt_unit {
	const char *name;
	int64_t factor;
};

static int parse_units(const char *text, const struct opt_unit *units, int64_t *out)
{
	char *end;
	int64_t n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno)
		return -EINVAL;
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0)
			return __builtin_mul_overflow(n, units->factor, out) ? -EINVAL : 0;
	return -EINVAL;
}

int opt_parse_bytes(const char *text, int64_t *bytes)
{
	static const struct opt_unit units[] = {
		{ "", 1 }, { "k", 1 << 10 }, { "m", 1 << 20 }, { "g", 1 << 30 },
		{ "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 },
	};

	return parse_units(text, units, bytes);
}

int opt_parse_ms(const char *text, int64_t *ms)
{
	static const struct opt_unit units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 },
		{ "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 }, { NULL, 0 },
	};

	return parse_units(text, units, ms);
}

static int parse_flag(const char *text, bool *flag)
{
	static const struct { const char *word; bool value; } words[] = {
		{ "yes", true }, { "true", true }, { "on", true }, { "1", true },
		{ "no", false }, { "false", false }, { "off", false }, { "0", false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].word) == 0) {
			*flag = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

/* `file:PATH` stands for the first line of that file. */
static int read_secret(struct opt_set *set, const char *text, const char **out, struct err *err)
{
	char bytes[OPT_SECRET_MAX];
	const char *path;
	ssize_t n;
	int fd;

	if (strncmp(text, "file:", 5) != 0) {
		*out = arena_copy(&set->arena, slice_from(text)).ptr;
		return *out ? 0 : -ENOMEM;
	}
	path = text + 5;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -EINVAL, "secret file %s: %s", path, strerror(errno));
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (n < 0 || n == (ssize_t)sizeof(bytes))
		return err_set(err, -EINVAL, "secret file %s: cannot be read, or over %d bytes",
			       path, OPT_SECRET_MAX - 1);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] == '\n' || bytes[i] == '\r')
			n = i;
	*out = arena_copy(&set->arena, (struct slice){ bytes, (size_t)n }).ptr;
	return *out ? 0 : -ENOMEM;
}

static int list_add(struct opt_set *set, struct opt_list *list, const char *text)
{
	const char **items = arena_alloc(&set->arena, (list->count + 1) * sizeof(*items));
	const char *copy = arena_copy(&set->arena, slice_from(text)).ptr;

	if (!items || !copy)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count] = copy;
	*list = (struct opt_list){ items, list->count + 1 };
	return 0;
}

static const char *kind_words(enum opt_type type)
{
	switch (type) {
	case OPT_COUNT:
		return "a whole number";
	case OPT_BYTES:
		return "a size such as 64k, 10m, 1g";
	case OPT_MS:
		return "a time such as 500ms, 10s, 5m, 1h, 30d";
	case OPT_FLAG:
		return "yes or no";
	default:
		return "text";
	}
}

static int set_number(const struct opt *opt, int64_t *field, const char *text)
{
	static const struct opt_unit plain[] = { { "", 1 }, { NULL, 0 } };
	int64_t n;
	int rc;

	if (opt->type == OPT_BYTES)
		rc = opt_parse_bytes(text, &n);
	else if (opt->type == OPT_MS)
		rc = opt_parse_ms(text, &n);
	else
		rc = parse_units(text, plain, &n);
	if (rc)
		return rc;
	if ((opt->min || opt->max) && (n < opt->min || n > opt->max))
		return -ERANGE;
	*field = n;
	return 0;
}

/* where: "--name", or "millrace.yaml:12: name". */
static int set_value(struct opt_set *set, const struct opt *opt, void *conf, const char *text,
		     const char *where, struct err *err)
{
	void *field = (char *)conf + opt->offset;
	const char *copy;
	int rc;

	switch (opt->type) {
	case OPT_TEXT:
		copy = arena_copy(&set->arena, slice_from(text)).ptr;
		if (!copy)
			return -ENOMEM;
		*(const char **)field = copy;
		return 0;
	case OPT_SECRET:
		return read_secret(set, text, field, err);
	case OPT_LIST:
		if (((struct opt_list *)field)->count >= OPT_LIST_MAX)
			return err_set(err, -EINVAL, "%s: more than %d values", where,
				       OPT_LIST_MAX);
		return list_add(set, field, text);
	case OPT_FLAG:
		rc = parse_flag(text, field);
		break;
	default:
		rc = set_number(opt, field, text);
	}
	if (rc == -ERANGE)
		return err_set(err, -EINVAL, "%s: %s is not between %" PRId64 " and %" PRId64,
			       where, text, opt->min, opt->max);
	if (rc)
		return err_set(err, -EINVAL, "%s: '%.60s' is not %s", where, text,
			       kind_words(opt->type));
	return 0;
}

static const struct opt *find_opt(const struct opt *opts, const char *name, size_t len,
				  bool in_file)
{
	for (const struct opt *opt = opts; opt && opt->name; opt++) {
		size_t i;

		if (strlen(opt->name) != len)
			continue;
		for (i = 0; i < len; i++)
			if (opt->name[i] != (in_file && name[i] == '_' ? '-' : name[i]))
				break;
		if (i == len)
			return opt;
	}
	return NULL;
}

static int file_value(struct opt_set *set, const struct opt *opt, void *conf,
		      const struct yaml *node, const char *path, struct err *err)
{
	char where[120];
	int rc = 0;

	snprintf(where, sizeof(where), "%s:%d: %s", path, node->line,
		 node->key ? node->key : opt->name);
	if (opt->type == OPT_LIST)
		*(struct opt_list *)((char *)conf + opt->offset) = (struct opt_list){ NULL, 0 };
	if (node->kind == YAML_KIND_SCALAR)
		return set_value(set, opt, conf, node->text, where, err);
	if (node->kind != YAML_KIND_LIST || opt->type != OPT_LIST)
		return err_set(err, -EINVAL, "%s: must be %s", where, kind_words(opt->type));
	for (const struct yaml *item = node->first; item && !rc; item = item->next) {
		if (item->kind != YAML_KIND_SCALAR)
			return err_set(err, -EINVAL, "%s: items must be text", where);
		rc = set_value(set, opt, conf, item->text, where, err);
	}
	return rc;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; names && *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static const char *called(const struct opt_program *program)
{
	return program->called ? program->called : program->name;
}

/* Names that a program meets in a file which is everybody's: sections, and options of several. */
static const char *const shared_keys[] = {
	"collect", "enrich", "aggregate", "sink", "report", "millrace", "up", "query", "demo",
	"sources", "smtp", "data", "bus", "bad", "partitions", "kafka", "metrics", "open_time",
	"retain", "retain_bytes", "segment_bytes", NULL,
};

/* How many letters must change to make b of a; 99: too long to look. */
static int distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	int row[WORD_MAX + 1];

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return 99;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		int corner = row[0];

		row[0] = (int)i;
		for (size_t j = 1; j <= b_len; j++) {
			char b_char = b[j - 1] == '-' ? '_' : b[j - 1];
			int best = corner + (a[i - 1] != b_char);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

/* The known name that key may have been meant to be; "" where none is near. */
static const char *nearest(const char *key, const struct opt *opts, const char *const *others,
			   char name[WORD_MAX + 1])
{
	int best = strlen(key) < 5 ? 2 : 3, now;

	name[0] = '\0';
	for (; others && *others; others++) {
		if ((now = distance(key, *others)) >= best)
			continue;
		best = now;
		snprintf(name, WORD_MAX + 1, "%s", *others);
	}
	for (; opts && opts->name; opts++) {
		if ((now = distance(key, opts->name)) >= best)
			continue;
		best = now;
		snprintf(name, WORD_MAX + 1, "%s", opts->name);
	}
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	return name;
}

static int unknown_key(const struct opt_program *program, const struct yaml *node, const char *path,
		       bool at_top, struct err *err)
{
	char name[WORD_MAX + 1];
	const char *near = nearest(node->key, program->opts, at_top ? shared_keys : program->trees,
				   name);
	const char *mean = near[0] ? ": did you mean " : "";

	if (at_top)
		return err_set(err, -EINVAL, "%s:%d: unknown key '%.60s'%s%s (an option of one "
			       "program stands in that program's section)", path, node->line,
			       node->key, mean, near);
	return err_set(err, -EINVAL, "%s:%d: %s has no option '%.60s'%s%s (see %s --help)", path,
		       node->line, called(program), node->key, mean, near, called(program));
}

/* In the program's own section every key must be an option. */
static int read_file(struct opt_set *set, const struct opt_program *program, void *conf,
		     const char *path, struct err *err)
{
	const struct yaml *section;
	int rc = yaml_open(&set->file, path, &set->root, err);

	if (rc)
		return rc;
	if (set->root->kind != YAML_KIND_MAP)
		return err_set(err, -EINVAL, "%s: must be a map of keys", path);
	for (const struct yaml *node = set->root->first; node && !rc; node = node->next) {
		const struct opt *opt = find_opt(program->opts, node->key, strlen(node->key), true);

		if (opt && node->kind != YAML_KIND_MAP)
			rc = file_value(set, opt, conf, node, path, err);
		else if (!opt && !is_one_of(node->key, shared_keys) &&
			 strcmp(node->key, program->name) != 0)
			rc = unknown_key(program, node, path, true, err);
	}
	section = yaml_get(set->root, program->name);
	if (rc || !section)
		return rc;
	if (section->kind != YAML_KIND_MAP && !(section->text && !section->text[0]))
		return err_set(err, -EINVAL, "%s:%d: %s must be a map of options", path,
			       section->line, program->name);
	for (const struct yaml *node = section->first; node && !rc; node = node->next) {
		const struct opt *opt = find_opt(program->opts, node->key, strlen(node->key), true);

		if (is_one_of(node->key, program->trees))
			continue;
		if (!opt)
			return unknown_key(program, node, path, false, err);
		rc = file_value(set, opt, conf, node, path, err);
	}
	return rc;
}

static int fallback_values(struct opt_set *set, const struct opt *opts, void *conf,
			   struct err *err)
{
	for (const struct opt *opt = opts; opt && opt->name; opt++) {
		int rc;

		if (opt->type == OPT_FLAG)
			*(bool *)((char *)conf + opt->offset) = false;
		if (!opt->fallback)
			continue;
		rc = set_value(set, opt, conf, opt->fallback, opt->name, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* One flag of argv: `--name=value`, `--name value`, `--flag`, `--no-flag`, or an alias of the
 * five that every program has. Returns how many arguments it took. */
struct opt_flag {
	const struct opt *opt;  /* NULL: one of the five */
	const char *name;
	size_t name_len;
	const char *value;      /* NULL: none given */
	bool negated;
};

static int split_flag(const struct opt_program *program, const char *arg, struct opt_flag *flag,
		      struct err *err)
{
	const char *equals = strchr(arg, '=');

	*flag = (struct opt_flag){ .name = arg + 2 };
	flag->name_len = equals ? (size_t)(equals - flag->name) : strlen(flag->name);
	flag->value = equals ? equals + 1 : NULL;
	flag->opt = find_opt(program->opts, flag->name, flag->name_len, false);
	if (!flag->opt && flag->name_len > 3 && strncmp(flag->name, "no-", 3) == 0) {
		flag->opt = find_opt(program->opts, flag->name + 3, flag->name_len - 3, false);
		flag->negated = true;
		if (!flag->opt || flag->opt->type != OPT_FLAG || flag->value)
			flag->opt = NULL;
	}
	if (!flag->opt)
		return err_set(err, -EINVAL, "unknown option --%.*s (see %s --help)",
			       (int)(flag->name_len > 60 ? 60 : flag->name_len), flag->name,
			       called(program));
	return 0;
}

static bool is_ask(struct opt_set *set, const char *arg)
{
	static const struct { const char *name; enum opt_ask ask; } asks[] = {
		{ "--help", OPT_ASK_HELP }, { "-h", OPT_ASK_HELP }, { "--dump", OPT_ASK_DUMP },
		{ "--check", OPT_ASK_CHECK }, { "--version", OPT_ASK_VERSION },
	};

	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		if (strcmp(arg, asks[i].name) == 0) {
			set->ask = asks[i].ask;
			return true;
		}
	}
	return false;
}

static bool is_config(const char *arg)
{
	return strcmp(arg, "--config") == 0 || strncmp(arg, "--config=", 9) == 0;
}

static int read_argument(struct opt_set *set, const struct opt_program *program, void *conf,
			 char **argv, int *at, struct err *err)
{
	struct opt_flag flag;
	char where[80];
	const char *value;
	int rc;

	if (is_ask(set, argv[*at]))
		return 0;
	if (is_config(argv[*at])) {
		if (!strchr(argv[*at], '='))
			(*at)++;
		return 0;
	}
	rc = split_flag(program, argv[*at], &flag, err);
	if (rc)
		return rc;
	value = flag.value;
	if (flag.opt->type == OPT_FLAG && !value)
		value = flag.negated ? "no" : "yes";
	if (!value)
		value = argv[++*at];
	snprintf(where, sizeof(where), "--%s", flag.opt->name);
	if (!value)
		return err_set(err, -EINVAL, "%s wants %s", where, kind_words(flag.opt->type));
	return set_value(set, flag.opt, conf, value, where, err);
}

static int read_arguments(struct opt_set *set, const struct opt_program *program, void *conf,
			  int argc, char **argv, struct opt_list *operands, struct err *err)
{
	bool flags_end = false;
	int rc = 0;

	for (int i = 1; i < argc && !rc; i++) {
		if (!flags_end && strcmp(argv[i], "--") == 0) {
			flags_end = true;
		} else if (!flags_end && argv[i][0] == '-' && argv[i][1]) {
			if (argv[i][1] != '-' && !is_ask(set, argv[i]))
				return err_set(err, -EINVAL, "unknown option %.60s (see %s --help)",
					       argv[i], called(program));
			rc = read_argument(set, program, conf, argv, &i, err);
		} else if (!operands) {
			return err_set(err, -EINVAL, "unexpected argument '%.60s' (see %s --help)",
				       argv[i], called(program));
		} else {
			rc = list_add(set, operands, argv[i]);
		}
	}
	return rc;
}

/* The last --config wins; "" is no file. */
static int config_path(int argc, char **argv, const char **path, struct err *err)
{
	*path = NULL;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!is_config(argv[i]))
			continue;
		if (argv[i][8] == '=')
			*path = argv[i] + 9;
		else if (i + 1 < argc)
			*path = argv[++i];
		else
			return err_set(err, -EINVAL, "--config wants a file");
	}
	return 0;
}

/* A list on the command line replaces the file's: the first flag for it empties it. */
static void clear_given_lists(const struct opt_program *program, void *conf, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		struct opt_flag flag;

		if (strncmp(argv[i], "--", 2) != 0 || split_flag(program, argv[i], &flag, NULL))
			continue;
		if (flag.opt->type == OPT_LIST)
			*(struct opt_list *)((char *)conf + flag.opt->offset) =
				(struct opt_list){ NULL, 0 };
	}
}

int opt_parse(const struct opt_program *program, void *conf, int argc, char **argv,
	      struct opt_list *operands, struct opt_set **setp, struct err *err)
{
	struct opt_set *set = calloc(1, sizeof(*set));
	const char *path;
	int rc;

	if (!set)
		return -ENOMEM;
	if (operands)
		*operands = (struct opt_list){ NULL, 0 };
	rc = fallback_values(set, program->opts, conf, err);
	if (!rc)
		rc = config_path(argc, argv, &path, err);
	if (!rc && program->has_config)
		*(const char **)conf = path && path[0] ? path : NULL;
	if (!rc && path && path[0]) {
		rc = read_file(set, program, conf, path, err);
		if (rc == -EINVAL)
			rc = -EBADMSG;
	}
	if (!rc) {
		clear_given_lists(program, conf, argc, argv);
		rc = read_arguments(set, program, conf, argc, argv, operands, err);
	}
	if (!rc && program->check && set->ask != OPT_ASK_HELP && set->ask != OPT_ASK_VERSION)
		rc = program->check(conf, err);
	if (!rc && program->probe && set->ask == OPT_ASK_CHECK)
		rc = program->probe(conf, err);
	if (rc) {
		opt_close(set);
		return rc;
	}
	*setp = set;
	return 0;
}

static int read_keys(struct opt_set *set, const struct opt *opts, void *conf,
		     const struct yaml *node, const char *path, const char *const *others,
		     struct err *err)
{
	int rc = 0;

	for (const struct yaml *child = node->first; child && !rc; child = child->next) {
		const struct opt *opt = find_opt(opts, child->key, strlen(child->key), true);

		if (is_one_of(child->key, others))
			continue;
		if (!opt)
			return err_set(err, -EINVAL, "%s:%d: %s has no setting '%.60s'", path,
				       child->line, node->key ? node->key : "this", child->key);
		rc = file_value(set, opt, conf, child, path, err);
	}
	return rc;
}

int opt_read(const struct opt *opts, void *conf, const struct yaml *node, const char *path,
	     const char *const *others, struct opt_set **setp, struct err *err)
{
	struct opt_set *set = calloc(1, sizeof(*set));
	int rc;

	if (!set)
		return -ENOMEM;
	rc = fallback_values(set, opts, conf, err);
	if (!rc && node && node->kind == YAML_KIND_MAP)
		rc = read_keys(set, opts, conf, node, path, others, err);
	else if (!rc && node && (node->kind == YAML_KIND_LIST || node->text[0]))
		rc = opts && opts->name
			     ? file_value(set, opts, conf, node, path, err)
			     : err_set(err, -EINVAL, "%s:%d: %s has no settings", path, node->line,
				       node->key ? node->key : "this");
	if (rc) {
		opt_close(set);
		return rc;
	}
	*setp = set;
	return 0;
}

const struct yaml *opt_file(const struct opt_set *set)
{
	return set ? set->root : NULL;
}

enum opt_ask opt_asked(const struct opt_set *set)
{
	return set->ask;
}

void opt_close(struct opt_set *set)
{
	if (!set)
		return;
	yaml_close(set->file);
	arena_close(&set->arena);
	free(set);
}
