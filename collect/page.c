// SPDX-License-Identifier: Apache-2.0
#include "collect/page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect/source.h"
#include "lib/httpd.h"
#include "lib/json.h"

/* prefix KEY suffix */
static bool split(struct slice path, struct slice prefix, struct slice suffix, struct slice *key)
{
	if (path.len <= prefix.len + suffix.len || !slice_starts(path, prefix) ||
	    memcmp(path.ptr + path.len - suffix.len, suffix.ptr, suffix.len) != 0)
		return false;
	*key = (struct slice){ path.ptr + prefix.len, path.len - prefix.len - suffix.len };
	return !memchr(key->ptr, '/', key->len);
}

enum page_kind page_of(struct slice path, struct slice *key)
{
	if (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	if (split(path, SLICE("/v1/projects/"), SLICE("/settings"), key))
		return PAGE_SETTINGS;
	if (split(path, SLICE("/analytics.js/v1/"), SLICE("/analytics.min.js"), key) ||
	    split(path, SLICE("/analytics.js/v1/"), SLICE("/analytics.js"), key))
		return PAGE_BUNDLE;
	return PAGE_NONE;
}

bool page_host_is_valid(struct slice host)
{
	if (host.len == 0 || host.len > 255)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == ':' || c == '_' || c == '[' || c == ']'))
			return false;
	}
	return true;
}

int page_settings(struct slice key, struct slice protocol, struct slice host, struct buf *out)
{
	struct buf plain = { .limit = SOURCE_KEY_MAX };
	int rc = http_unescape(key, &plain);

	if (!rc && (plain.failed || !plain.len))
		rc = -EBADMSG;
	if (!rc) {
		buf_append_text(out, "{\"integrations\":{\"Segment.io\":{\"apiKey\":");
		json_write_text(buf_slice(&plain), out);
		buf_append_text(out, ",\"apiHost\":\"");
		buf_append_slice(out, host);
		buf_append_text(out, "/v1\",\"protocol\":\"");
		buf_append_slice(out, protocol);
		buf_append_text(out,
				"\",\"unbundledIntegrations\":[],\"addBundledMetadata\":true}},"
				"\"plan\":{\"track\":{\"__default\":{\"enabled\":true}},"
				"\"identify\":{\"__default\":{\"enabled\":true}},"
				"\"group\":{\"__default\":{\"enabled\":true}}}}");
	}
	buf_close(&plain);
	return rc;
}

int page_bundle(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return err_set(err, -errno, "--analytics-js %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > PAGE_BUNDLE_MAX)
		rc = err_set(err, -EINVAL, "--analytics-js %s: not a file of at most %zu bytes",
			     path, PAGE_BUNDLE_MAX);
	while (!rc && out->len < (size_t)st.st_size) {
		char *at = buf_reserve(out, (size_t)st.st_size - out->len);
		ssize_t n = at ? read(fd, at, (size_t)st.st_size - out->len) : -1;

		if (n <= 0)
			rc = err_set(err, -EIO, "--analytics-js %s: cannot be read", path);
		else
			out->len += (size_t)n;
	}
	close(fd);
	return rc;
}
