/* audit - adds up the ledgers of all stages, from what stands in the topics and on the disk
 *
 *      collect     out: records of collected; bad: those of bad with its name
 *      enrich      each collected record is in enriched (by src), in bad, or was dropped
 *      aggregate   enriched below the offset that it has come to
 *      sink:NAME   enriched that lies in a file, or below the position of what was delivered
 *
 * in = out + bad + duplicate + filtered + pending, for each. No program is asked for what it
 * believes it did: `in` is counted where the stage before wrote, the rest where it wrote itself,
 * so that an event which vanished is one that is missing here. A dropped record is a duplicate
 * where an earlier one that passed has its id; else it was filtered: `enrich --verify` proves it.
 *
 * The stages are read last to first, so that events which arrive meanwhile are not missed: they
 * are pending. Memory: two bits a record, and 24 bytes a dropped one.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_AUDIT_H
#define MILLRACE_AUDIT_H

#include "lib/buf.h"
#include "lib/opt.h"
#include "millrace/settings.h"

struct audit_conf {
	const char *data, *bus;
	struct opt_list kafka;
	const char *last;
	bool is_json, is_verify;
};

extern const struct opt_program audit_program;

/* Appends the table, or JSON. 0: it holds; -EBADMSG: it does not (out says where); other: words. */
MUST_CHECK int audit_run(const struct audit_conf *conf, const struct settings *settings,
			 struct buf *out, struct err *err);

#endif
