// SPDX-License-Identifier: Apache-2.0
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (!err || err->text[0])
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int err_exit_status(int code)
{
	if (code >= 0)
		return EX_OK;
	switch (-code) {
	case EINVAL:
		return EX_CONFIG;
	case EBADMSG:
		return EX_DATAERR;
	case ENOENT:
	case ENOTDIR:
	case ENODATA:
		return EX_NOINPUT;
	case EHOSTUNREACH:
	case ECONNREFUSED:
	case ENOTCONN:
	case ETIMEDOUT:
	case EADDRINUSE:
		return EX_UNAVAILABLE;
	case EAGAIN:
	case EBUSY:
	case ENOMEM:
		return EX_TEMPFAIL;
	case ENOTRECOVERABLE:
	case EPROTO:
		return EX_SOFTWARE;
	default:
		return EX_IOERR;
	}
}
