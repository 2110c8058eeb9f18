/* mime - an email's text
 *
 *      From, To, Reply-To, Subject      RFC 5322; words that are not ASCII by RFC 2047
 *      List-Unsubscribe(-Post)          RFC 2369, RFC 8058 (one click, for https)
 *      text, html                       quoted-printable; both: multipart/alternative
 *
 * Lines end with CRLF. Message-ID is put before it when it is sent (mime_message_id), so that it
 * derives from the idempotency key. No address or header can bring a line of its own.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_MIME_H
#define SINK_MIME_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

#define MIME_ADDRESS_MAX 254

struct mime_address {
	struct slice name;              /* may be empty; without quotes */
	struct slice address;           /* local@domain */
};

struct mime_mail {
	struct slice from, to, reply_to; /* one address each; reply_to may be empty */
	struct slice subject;
	struct slice text, html;        /* one may be empty */
	struct slice unsubscribe;       /* URL, or empty */
	struct slice unsubscribe_mailto; /* address, or empty */
	int64_t date_us;
};

/* `Name <a@b>`, `"Name" <a@b>` or `a@b`. -EBADMSG: words say what is wrong with it. */
MUST_CHECK int mime_address(struct slice text, struct mime_address *address, struct err *err);
/* Appends headers and body. -EBADMSG: an address that is none. */
MUST_CHECK int mime_write(const struct mime_mail *mail, struct buf *out, struct err *err);
/* Appends `Message-ID: <UUID@DOMAIN>` CRLF. */
void mime_message_id(struct slice key, struct slice from_address, struct buf *out);

#endif
