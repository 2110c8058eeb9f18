/* opt - one table of options per program
 *
 * The table produces parsing, --help, the keys of the config file, --dump and the list in the
 * man page (tests/docs.t compares). An option not in the table cannot exist. Defaults are
 * strings in the table and parse like user input. Order of what wins:
 *
 *      default  <  millrace.yaml, top level (common keys)  <  its section of the program's name
 *               <  flags
 *
 * At the top level stand sections, `sources`, the keys that programs share (opt.c has the list),
 * and those of the one program where a file is only its own; anything else is an error.
 *
 * An option `--segment-bytes` is the key `segment_bytes` in the file. Every program also has
 * --config FILE, --help, --dump (what is in force, as YAML, secrets hidden), --check, --version.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_OPT_H
#define LIB_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/yaml.h"

enum opt_type {
	OPT_TEXT,       /* const char *; NULL where neither default nor value */
	OPT_SECRET,     /* the same, never printed; `file:PATH` reads the file */
	OPT_COUNT,      /* int64_t, min..max */
	OPT_BYTES,      /* int64_t, with k, m, g (powers of 1024) */
	OPT_MS,         /* int64_t milliseconds, with ms, s, m, h, d; a bare number is seconds */
	OPT_FLAG,       /* bool: --x, --no-x, --x=yes|no */
	OPT_LIST,       /* struct opt_list; repeat the flag, or a YAML list */
};

struct opt_list {
	const char **items;     /* owned by the opt_set */
	size_t count;
};

struct opt {
	const char *name;       /* without dashes: "segment-bytes" */
	enum opt_type type;
	size_t offset;          /* offsetof(struct x_conf, field) */
	const char *fallback;   /* default as text, or NULL */
	int64_t min, max;       /* of numbers, in the type's unit; 0,0 = any >= 0 */
	const char *arg;        /* its name in --help: "FILE" */
	const char *help;       /* one line */
};

/* Checks the whole configuration after parsing. */
typedef int opt_check_fn(void *conf, struct err *err);

struct opt_program {
	const char *name;               /* "collect": also the section in the file */
	const char *summary;            /* one line */
	const char *usage;              /* lines of usage after the program's name */
	const struct opt *opts;         /* ends with name == NULL */
	opt_check_fn *check;            /* may be NULL */
	opt_check_fn *probe;            /* for --check: opens what is named; may be NULL */
	const char *const *trees;       /* keys of its section that are no options: trees that the
	                                   program reads itself; ends with NULL; may be NULL */
	const char *called;             /* "millrace query": what a user types; NULL: name */
	bool has_config;                /* conf begins with a const char *: the path of --config */
};

struct opt_set;                         /* owns all strings that a conf points to */

/* Fills conf from defaults, file and argv. operands (argv's rest without flags) may be NULL,
 * then an operand is an error. -EINVAL: a flag is wrong; -EBADMSG, -ENOENT: the file is. The words
 * name option or line, value and mend. */
MUST_CHECK int opt_parse(const struct opt_program *program, void *conf, int argc, char **argv,
			 struct opt_list *operands, struct opt_set **setp, struct err *err);
/* The file's whole tree (for parts that are not options: sources), or NULL without a file. */
const struct yaml *opt_file(const struct opt_set *set);
void opt_close(struct opt_set *set);

/* main()'s hand: opt_parse, and --help, --dump, --check, --version and errors end the program
 * (exit 0, or 64 usage, 78 config). The only function of lib, with filter_exit, that prints or
 * exits. */
struct opt_set *opt_main(const struct opt_program *program, void *conf, int argc, char **argv,
			 struct opt_list *operands);

/* Fills conf by a table as a program's section does, from a map of a YAML file at path, or a scalar
 * (the first option's value), or nothing (NULL, an empty value: the defaults). Keys in others (ends
 * with NULL; may be NULL) are passed over. *setp owns what conf points to.
 * -EINVAL: words with path and line. */
MUST_CHECK int opt_read(const struct opt *opts, void *conf, const struct yaml *node,
			const char *path, const char *const *others, struct opt_set **setp,
			struct err *err);

/* Parsers for others that read the same notation. */
MUST_CHECK int opt_parse_bytes(const char *text, int64_t *bytes);
MUST_CHECK int opt_parse_ms(const char *text, int64_t *ms);

#endif
