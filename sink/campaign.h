/* campaign - `sink --trigger NAME` and `sink trigger check|preview|test NAME`
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_CAMPAIGN_H
#define SINK_CAMPAIGN_H

#include "sink/options.h"
#include "sink/outlet.h"

struct campaign;

/* dir, config: of millrace.yaml. -ECANCELED: it is switched off. */
MUST_CHECK int campaign_open(struct campaign **campaignp, const struct sink_conf *conf,
			     const char *dir, const char *config, const struct schema *schema,
			     const struct log *log, struct outlet **outletp, struct err *err);
void campaign_close(struct campaign *campaign);

MUST_CHECK int campaign_check(const char *dir, const char *config, const char *name,
			      const char *file, struct err *err);
/* Appends what would be sent to conf->person (or whoever entered last, or a made-up person). sends:
 * and sends it, to conf->address where that is set. */
MUST_CHECK int campaign_try(const struct sink_conf *conf, const char *dir, const char *config,
			    const char *name, bool sends, const struct log *log, struct buf *out,
			    struct err *err);

#endif
