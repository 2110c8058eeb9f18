/* target - what the options --in, --bus, --bad and --to come to
 *
 *      --in log:data/enriched  ->  topic `enriched`, its schema        (a pipe: topic `stdin`)
 *      --to file:DIR?format=F  ->  directory and format
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_TARGET_H
#define SINK_TARGET_H

#include <stdbool.h>

#include "lib/block.h"
#include "lib/err.h"
#include "sink/file_name.h"
#include "sink/options.h"

#define TARGET_URL_MAX 1024

struct target {
	char in[TARGET_URL_MAX];
	char bad[TARGET_URL_MAX];
	char dir[TARGET_URL_MAX];
	char topic[FILE_NAME_TOPIC_MAX + 1];
	const char *schema;             /* a name of schemas/ */
	enum file_format format;
	bool is_pipe;
	const char *name;               /* --to NAME: of destinations/NAME.yaml; else NULL */
};

/* -EINVAL: words name the option and the mend. */
MUST_CHECK int target_init(struct target *target, const struct sink_conf *conf, struct err *err);

/* Of a name that the options have checked. */
enum block_codec target_codec(const char *name);

#endif
