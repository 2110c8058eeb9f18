// SPDX-License-Identifier: Apache-2.0
#include "sink/kinds.h"

#include "sink/dest.h"

static const struct dest_kind *const kinds[] = {
	&dest_webhook, &dest_mixpanel, &dest_segment, &dest_posthog,
	&dest_ga4, &dest_amplitude, &dest_customerio,
	&dest_postgres, &dest_clickhouse, &dest_s3, &dest_kafka,
	&dest_email, &dest_slack, &dest_discord,
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct dest_kind *dest_kind_at(size_t index)
{
	return index < KINDS ? kinds[index] : NULL;
}

const struct dest_kind *dest_kind_find(struct slice name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (slice_is(name, kinds[i]->name))
			return kinds[i];
	return NULL;
}
