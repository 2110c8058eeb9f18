/* verify - is the output what the input and the settings make?
 *
 *      input p --> all steps, deduplication --> bytes --.
 *                                                       |--> equal, changed, missing, extra
 *      output p (version.h) ----------------------------'
 *
 * Every record of the output up to its last stamp is computed anew and compared byte for byte.
 * Records of other settings (another `logic`) cannot be compared and are counted apart. Where
 * retention has taken the start of the input or output away, the part that is left is compared;
 * what may have been a duplicate of something gone is `unsure`.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_VERIFY_H
#define ENRICH_VERIFY_H

#include "enrich/enrich.h"

struct verify_counts {
	int64_t equal, changed, missing, extra, other_logic, unsure, gone;
};

/* in_base, out_base: schema, log, Kafka properties. The first `show` differences are logged. 0;
 * -EBADMSG: there are some, or nothing could be compared. */
MUST_CHECK int verify_run(struct enrich *enrich, const struct enrich_conf *conf, const char *in_url,
			  const struct bus_conf *in_base, const char *out_url,
			  const struct bus_conf *out_base, struct verify_counts *counts,
			  struct err *err);

#endif
