/* email - what lies in a part of dest_email: the address, LF, the mail
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_EMAIL_H
#define SINK_EMAIL_H

#include <stdbool.h>

#include "lib/slice.h"
#include "sink/dest.h"

struct slice email_to(struct slice payload);
struct slice email_mail(struct slice payload);
/* Of the conf of a dest_email: `to` becomes address, which is borrowed. false: another kind. */
bool dest_email_set_to(const struct dest_kind *kind, void *conf, const char *address);

#endif
