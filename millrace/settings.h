/* settings - millrace.yaml as the supervisor sees it
 *
 *      bus: log:data                   sources: [..]  (collect's)
 *      collect:   { listen: 127.0.0.1:8080 }
 *      aggregate: { http: 127.0.0.1:8081, state: data/state }
 *      report:    { listen: 127.0.0.1:8082 }
 *      destinations/NAME.yaml          type: file, path: out, format: jsonl, enabled: yes
 *
 * Only what is needed to start the programs is looked at here; everything else in the file is the
 * programs' own, and they read it themselves. Relative paths in the file, and `log:` without a
 * slash in front, are relative to the file's directory, wherever `up` was called.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_SETTINGS_H
#define MILLRACE_SETTINGS_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/opt.h"

#define SETTINGS_FILE "millrace.yaml"
#define SETTINGS_DESTINATIONS_MAX 64
#define SETTINGS_ARGS_MAX 16

struct settings_destination {
	char *name;             /* of the file, without .yaml */
	char *to;               /* file:PATH?format=jsonl, or the name itself */
	char *from;             /* the topic */
	char revision[20];      /* of the file */
};

struct settings {
	char *config;           /* absolute path of the file */
	char *dir;              /* of the file: where the programs run */
	char *data;             /* pid file, state, and the log's topics where the bus is one */
	char *bus;              /* URL without topic */
	char *state;            /* of aggregate */
	char *listen, *http;    /* of collect, of aggregate */
	char *report;           /* of report; NULL: the file has no `report:`, so none runs */
	char sinks[20];         /* revision of what all sinks read in it: sink, smtp, kafka */
	char *write_key;        /* the first one; NULL where there is none */
	struct settings_destination destinations[SETTINGS_DESTINATIONS_MAX];
	int destination_count;  /* enabled ones of a known type */
	struct settings_destination triggers[SETTINGS_DESTINATIONS_MAX];        /* name, revision */
	int trigger_count;      /* those that are not switched off */
};

/* config: the file, which must be there. data: --data, or NULL. A destination that cannot be used
 * is logged and left out; the others go on. The caller closes. */
MUST_CHECK int settings_open(struct settings **settingsp, const char *config, const char *data,
			     const struct log *log, struct err *err);
void settings_close(struct settings *settings);

/* Writes a millrace.yaml with comments, a random write key and a file destination, into a
 * directory that has none. listen, http, report: HOST:PORT. -EEXIST: there is one. */
MUST_CHECK int settings_create(const char *dir, const char *listen, const char *http,
			       const char *report, struct err *err);

/* Whether HOST:PORT can be listened at. -EADDRINUSE; -errno: another reason why not; words in err.
 * A host that is no address is left to the program. */
MUST_CHECK int settings_check_port(const char *text, struct err *err);

/* HOST:PORT at 127.0.0.1: that port where it is free, else one that is. */
MUST_CHECK int settings_free_port(int port, char text[32], struct err *err);

#endif
