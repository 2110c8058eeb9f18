/* version - the records of one partition of an enriched topic, in the order of their src
 *
 * What readers of a topic do (stamp.h): markers are passed over, and records whose src is not above
 * the highest one seen (a zombie's repeats). And where two versions of a record differ.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_VERSION_H
#define ENRICH_VERSION_H

#include "lib/bus.h"
#include "lib/record.h"

struct version {
	struct bus *bus;
	struct bus_conf conf;
	char assign[16];
	struct bus_record record;       /* the one in hand, where has is set */
	bool has;
	int64_t offset, index;          /* its src */
	int64_t last;                   /* highest src.offset seen, markers too; -1: none */
	int64_t last_index;
};

/* base: schema, log, Kafka properties. */
MUST_CHECK int version_open(struct version *version, const char *url, const struct bus_conf *base,
			    int32_t partition, struct err *err);
void version_close(struct version *version);
/* The next one; has is unset at the end. */
MUST_CHECK int version_next(struct version *version, struct err *err);
/* How many partitions the topic has now. */
MUST_CHECK int version_partitions(const char *url, const struct bus_conf *base, struct err *err);

/* Appends the names of leaves that differ, " a b"; logic where that is wanted. How many. */
int version_compare(const struct schema *schema, const struct value *a, const struct value *b,
		    bool with_logic, struct buf *names);

#endif
