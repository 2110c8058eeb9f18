/* err - words for a failure, and exit statuses
 *
 * Functions return 0 or -errno. Three codes carry a meaning of our own:
 *   -EBADMSG  bytes are invalid          -EAGAIN  more bytes, or room, are needed
 *   -ENOSPC   a stated limit was reached
 * Words for people go into a struct err, which only open, parse and configure calls take; it
 * is filled once, where the detail is known, and names the place and the mend.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_ERR_H
#define LIB_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

struct err {
	char text[240];
};

/* Sets the words and returns code (< 0) as it was given. The first words win: a caller up the
 * stack cannot blur what the place of the failure said. err may be NULL. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The status of sysexits(3) for a negative errno; 0 for code >= 0. */
int err_exit_status(int code);

#endif
