/* remote - a destination by name: its settings, and the outlet that serves it
 *
 *      destinations/NAME.yaml --setup--> courier, or rehearse (--dry-run, --trace)
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_REMOTE_H
#define SINK_REMOTE_H

#include "sink/options.h"
#include "sink/outlet.h"
#include "sink/target.h"

struct remote;

/* All is borrowed. *outletp is closed before remote_close. -ECANCELED: `enabled: no`. */
MUST_CHECK int remote_open(struct remote **remotep, const struct sink_conf *conf,
			   const struct target *target, const char *dir,
			   const struct schema *schema, const struct log *log,
			   struct outlet **outletp, struct err *err);
void remote_close(struct remote *remote);
/* `sink test NAME` */
MUST_CHECK int remote_test(const struct sink_conf *conf, const struct target *target,
			   const char *dir, const struct schema *schema, const struct log *log,
			   struct err *err);
/* The options are of a run that has an end: replay, dry run. */
bool remote_ends(const struct sink_conf *conf);

#endif
