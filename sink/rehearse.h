/* rehearse - what would be sent, said instead of sent: --dry-run and --trace
 *
 *      record --mapper--> parts --kind->build--> text on fd
 *
 * Values of secret settings are shown as ***.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_REHEARSE_H
#define SINK_REHEARSE_H

#include "sink/courier.h"

/* trace: only that message id, with where it stands; NULL: all. conf is courier's. */
MUST_CHECK int rehearse_open(struct outlet **outletp, const struct courier_conf *conf,
			     const char *trace, int fd, struct err *err);

/* Sends one made-up event for real, and says what came of it: `sink test NAME`. 0: it was taken. */
MUST_CHECK int rehearse_test(const struct courier_conf *conf, int fd, struct err *err);

#endif
