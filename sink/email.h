/* email - what lies in a part of dest_email: the address, LF, the mail
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_EMAIL_H
#define SINK_EMAIL_H

#include "lib/slice.h"

struct slice email_to(struct slice payload);
struct slice email_mail(struct slice payload);

#endif
