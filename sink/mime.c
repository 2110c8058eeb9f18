// SPDX-License-Identifier: Apache-2.0
#include "sink/mime.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>
#include <xxhash.h>

#include "sink/sheet.h"

#define LINE_MAX_LEN 76
#define WORD_BYTES   42         /* of a name or subject in one encoded word: 75 characters */

static struct slice trim(struct slice s)
{
	while (s.len && (unsigned char)s.ptr[0] <= ' ')
		s = slice_skip(s, 1);
	while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* What every server takes: no quotes, comments or routes. A domain may be one of other letters
 * (curl makes it ASCII), what is before the @ may not. */
static bool is_address(struct slice a)
{
	const char *at = a.len ? memrchr(a.ptr, '@', a.len) : NULL;
	size_t local = at ? (size_t)(at - a.ptr) : 0;

	if (!at || local == 0 || local > 64 || local + 1 == a.len || a.len > MIME_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned char c = (unsigned char)a.ptr[i];

		if (c <= 0x20 || c == 0x7f || (i < local && (c >= 0x80 || c == '@')) ||
		    strchr("<>()[]\\,;:\"", c))
			return false;
	}
	return a.ptr[local + 1] != '.' && a.ptr[a.len - 1] != '.' && a.ptr[local + 1] != '-';
}

int mime_address(struct slice text, struct mime_address *address, struct err *err)
{
	const char *open;

	text = trim(text);
	*address = (struct mime_address){ { "", 0 }, text };
	open = text.len && text.ptr[text.len - 1] == '>' ? memrchr(text.ptr, '<', text.len) : NULL;
	if (open) {
		address->name = trim((struct slice){ text.ptr, (size_t)(open - text.ptr) });
		address->address = (struct slice){ open + 1, text.len - 2 -
						   (size_t)(open - text.ptr) };
		if (address->name.len > 1 && address->name.ptr[0] == '"' &&
		    address->name.ptr[address->name.len - 1] == '"')
			address->name = (struct slice){ address->name.ptr + 1,
							address->name.len - 2 };
	}
	if (is_address(address->address))
		return 0;
	return err_set(err, -EBADMSG, "'%.*s' is no address such as ann@example.com",
		       (int)(text.len < 80 ? text.len : 80), text.len ? text.ptr : "");
}

/* Headers */

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] >= 0x7f)
			return false;
	return text.len < 600 && !(text.len > 1 && memmem(text.ptr, text.len, "=?", 2));
}

/* =?UTF-8?B?..?=, as many as it takes, never within a character. */
static void put_encoded(struct slice text, struct buf *out)
{
	unsigned char word[WORD_BYTES / 3 * 4 + 1];

	while (text.len) {
		size_t len = text.len < WORD_BYTES ? text.len : WORD_BYTES;

		while (len < text.len && len > 1 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
			len--;
		EVP_EncodeBlock(word, (const unsigned char *)text.ptr, (int)len);
		buf_printf(out, "=?UTF-8?B?%s?=", (const char *)word);
		text = slice_skip(text, len);
		if (text.len)
			buf_append_text(out, "\r\n ");
	}
}

static void put_words(struct slice text, struct buf *out)
{
	if (is_plain(text))
		buf_append_slice(out, text);
	else
		put_encoded(text, out);
}

static int put_address(const char *header, struct slice text, struct buf *out, struct err *err)
{
	struct mime_address address;
	int rc = mime_address(text, &address, err);

	if (rc < 0)
		return rc;
	buf_printf(out, "%s: ", header);
	if (address.name.len && is_plain(address.name) &&
	    !memchr(address.name.ptr, '"', address.name.len) &&
	    !memchr(address.name.ptr, '\\', address.name.len)) {
		buf_append_char(out, '"');
		buf_append_slice(out, address.name);
		buf_append_text(out, "\" ");
	} else if (address.name.len) {
		put_encoded(address.name, out);
		buf_append_char(out, ' ');
	}
	buf_append_char(out, '<');
	buf_append_slice(out, address.address);
	buf_append_text(out, ">\r\n");
	return 0;
}

static void put_date(int64_t us, struct buf *out)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
					      "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&s, &tm);
	buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday],
		   tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		   tm.tm_sec);
}

static int put_unsubscribe(const struct mime_mail *mail, struct buf *out, struct err *err)
{
	struct slice url = trim(mail->unsubscribe);
	struct mime_address address = { { "", 0 }, { "", 0 } };
	int rc = 0;

	for (size_t i = 0; i < url.len; i++)
		if ((unsigned char)url.ptr[i] <= 0x20 || strchr("<>\"", url.ptr[i]))
			return err_set(err, -EBADMSG, "unsubscribe: no URL (use url_encode)");
	if (mail->unsubscribe_mailto.len)
		rc = mime_address(mail->unsubscribe_mailto, &address, err);
	if (rc < 0 || (!url.len && !address.address.len))
		return rc;
	buf_append_text(out, "List-Unsubscribe: ");
	if (address.address.len)
		buf_printf(out, "<mailto:%.*s?subject=unsubscribe>%s",
			   (int)address.address.len, address.address.ptr,
			   url.len ? ",\r\n " : "\r\n");
	if (url.len)
		buf_printf(out, "<%.*s>\r\n", (int)url.len, url.ptr);
	if (slice_starts(url, SLICE("https://")))
		buf_append_text(out, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
	return 0;
}

/* Body */

/* Quoted-printable, RFC 2045 6.7. */
static void put_quoted(struct slice text, struct buf *out)
{
	size_t column = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool ends = i + 1 == text.len || text.ptr[i + 1] == '\n' ||
			    (text.ptr[i + 1] == '\r' && i + 2 < text.len &&
			     text.ptr[i + 2] == '\n');
		bool is_safe = (c > 0x20 && c < 0x7f && c != '=') ||
			       ((c == ' ' || c == '\t') && !ends);

		if (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n')
			continue;
		if (c == '\n') {
			buf_append_text(out, "\r\n");
			column = 0;
			continue;
		}
		if (column + (is_safe ? 1 : 3) > LINE_MAX_LEN - 1) {
			buf_append_text(out, "=\r\n");
			column = 0;
		}
		if (is_safe)
			buf_append_char(out, (char)c);
		else
			buf_printf(out, "=%02X", c);
		column += is_safe ? 1 : 3;
	}
	buf_append_text(out, "\r\n");
}

static void put_part(const char *type, struct slice text, struct buf *out)
{
	buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\n"
		   "Content-Transfer-Encoding: quoted-printable\r\n\r\n", type);
	put_quoted(text, out);
}

static void put_body(const struct mime_mail *mail, struct buf *out)
{
	XXH128_hash_t h;
	char boundary[48];

	if (!mail->html.len || !mail->text.len) {
		put_part(mail->html.len ? "html" : "plain",
			 mail->html.len ? mail->html : mail->text, out);
		return;
	}
	/* `=_` cannot stand in quoted-printable. */
	h = XXH3_128bits(mail->text.ptr, mail->text.len);
	snprintf(boundary, sizeof(boundary), "=_%016llx%016llx", (unsigned long long)h.high64,
		 (unsigned long long)h.low64);
	buf_printf(out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n--%s\r\n",
		   boundary, boundary);
	put_part("plain", mail->text, out);
	buf_printf(out, "--%s\r\n", boundary);
	put_part("html", mail->html, out);
	buf_printf(out, "--%s--\r\n", boundary);
}

int mime_write(const struct mime_mail *mail, struct buf *out, struct err *err)
{
	int rc;

	put_date(mail->date_us, out);
	if ((rc = put_address("From", mail->from, out, err)) < 0 ||
	    (rc = put_address("To", mail->to, out, err)) < 0 ||
	    (mail->reply_to.len &&
	     (rc = put_address("Reply-To", mail->reply_to, out, err)) < 0))
		return rc;
	buf_append_text(out, "Subject: ");
	put_words(mail->subject, out);
	buf_append_text(out, "\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n");
	if ((rc = put_unsubscribe(mail, out, err)) < 0)
		return rc;
	put_body(mail, out);
	return out->failed ? err_set(err, -ENOMEM, "no memory") : 0;
}

void mime_message_id(struct slice key, struct slice from, struct buf *out)
{
	const char *at = from.len ? memrchr(from.ptr, '@', from.len) : NULL;
	struct slice domain = at ? slice_skip(from, (size_t)(at - from.ptr) + 1)
				 : SLICE("millrace.invalid");
	char uuid[37];

	event_uuid(key, uuid);
	buf_printf(out, "Message-ID: <%s@%.*s>\r\n", uuid, (int)domain.len, domain.ptr);
}
