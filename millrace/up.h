/* up - everything on one machine, from one millrace.yaml
 *
 *      settings --> plan --> supervise:   collect | enrich | aggregate, sink:NAME ..
 *      (stage of an orderly stop:             0        1          2         2        )
 *
 * One sink runs for each file in destinations/. collect and aggregate write the addresses that
 * they got into DATA/collect.port and DATA/aggregate.port.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef MILLRACE_UP_H
#define MILLRACE_UP_H

#include <sys/types.h>

#include "lib/log.h"
#include "millrace/options.h"
#include "millrace/settings.h"

/* Locks the data directory and runs until a signal. 0, or -errno with words. */
MUST_CHECK int up_run(const struct up_conf *conf, const char *config, const struct log *log,
		      struct err *err);

/* Stops the `up` of the settings' data directory and waits for its end. *pid: whom; 0: there was
 * none. -ETIMEDOUT: it still runs. */
MUST_CHECK int up_stop(const struct settings *settings, int64_t wait_ms, pid_t *pid,
		       struct err *err);

/* What a running up has written: HOST:PORT of DATA/NAME.port into text; else fallback. */
void up_address(const struct settings *settings, const char *name, const char *fallback,
		char text[80]);

/* Directory of our own executable. */
MUST_CHECK int up_bin(char *path, size_t size, struct err *err);

#endif
