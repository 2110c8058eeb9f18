/* saved_out - the topics members and funnels: what was said, and saying it
 *
 * One writer per topic, that waits where it is full. What is not durable when we crash is said
 * again after the next start, from what then differs, by the same version.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef AGGREGATE_SAVED_OUT_H
#define AGGREGATE_SAVED_OUT_H

#include "lib/bus.h"
#include "lib/record.h"

struct saved_out {
	struct bus *bus;                /* NULL: nothing is emitted */
	struct schema *schema;
	struct bus_conf conf;
	struct buf datum;
};

/* Opens url for writing and hands every record that it holds to take. "": stays closed. */
typedef int saved_take_fn(void *ctx, const struct value *fields, struct err *err);
MUST_CHECK int saved_out_open(struct saved_out *out, const char *url, const char *schema,
			      int time_field, const struct bus_conf *conf, saved_take_fn *take,
			      void *ctx, struct err *err);
void saved_out_close(struct saved_out *out);
MUST_CHECK int saved_out_write(struct saved_out *out, struct slice key,
			       const struct value *fields, struct err *err);
/* All that was written goes out; flush: and is durable. */
MUST_CHECK int saved_out_release(struct saved_out *out, bool flush, struct err *err);

#endif
