/* plain - the handle of kinds that keep nothing but their settings and a reader of answers
 *
 * Most that speak HTTP are so. A kind with more has a struct dest of its own instead of this one.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_PLAIN_H
#define SINK_PLAIN_H

#include "sink/dest.h"

struct dest {
	const void *conf;               /* the kind's own */
	struct json_reader *json;       /* for judge */
	bool is_test;                   /* as in dest_env */
};

MUST_CHECK int plain_open(struct dest **destp, const struct dest_env *env, struct err *err);
void plain_close(struct dest *dest);

#endif
