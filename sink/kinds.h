/* kinds - all kinds of destination but file
 *
 * One line here and one in kinds.c for each dest_KIND.c.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_KINDS_H
#define SINK_KINDS_H

#include "sink/dest.h"

extern const struct dest_kind dest_webhook, dest_mixpanel, dest_segment, dest_posthog,
	dest_ga4, dest_amplitude, dest_customerio;
extern const struct dest_kind dest_postgres, dest_clickhouse, dest_s3, dest_kafka;
extern const struct dest_kind dest_email, dest_slack, dest_discord;

#endif
