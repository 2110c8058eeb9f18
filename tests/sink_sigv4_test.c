// SPDX-License-Identifier: Apache-2.0
#include "sink/sigv4.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

/* 2013-05-24T00:00:00Z, keys and answers of Amazon's own examples ("Authenticating Requests: Using
 * the Authorization Header"). */
#define WHEN_US INT64_C(1369353600000000)

static const struct sigv4 keys = {
	.access_key = "AKIAIOSFODNN7EXAMPLE",
	.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.region = "us-east-1", .service = "s3",
};

static const struct {
	const char *method, *url, *header, *value, *header2, *value2, *body, *signature;
} table[] = {
	{ "GET", "https://examplebucket.s3.amazonaws.com/test.txt", "Range", "bytes=0-9", NULL,
	  NULL, "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
	{ "PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text", "Date",
	  "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class", "REDUCED_REDUNDANCY",
	  "Welcome to Amazon S3.",
	  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
	{ "GET", "https://examplebucket.s3.amazonaws.com/?lifecycle=", NULL, NULL, NULL, NULL, "",
	  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
	{ "GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", NULL, NULL, NULL,
	  NULL, "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};

int main(void)
{
	struct post_request *request = calloc(1, sizeof(*request));
	struct buf out = { 0 };
	struct tap tap = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice auth;
		int rc = 0;

		post_request_reset(request);
		request->method = table[i].method;
		snprintf(request->url, sizeof(request->url), "%s", table[i].url);
		buf_append_text(&request->body, table[i].body);
		if (table[i].header)
			rc = post_header(request, table[i].header, slice_from(table[i].value));
		if (rc == 0 && table[i].header2)
			rc = post_header(request, table[i].header2, slice_from(table[i].value2));
		if (rc == 0)
			rc = sigv4_sign(&keys, WHEN_US, request);
		auth = request->headers[request->header_count - 1];
		OK(&tap, rc == 0 && auth.len > 64 &&
		   memcmp(auth.ptr + auth.len - 64, table[i].signature, 64) == 0, "%s %s",
		   table[i].method, table[i].url);
	}
	post_request_reset(request);
	snprintf(request->url, sizeof(request->url), "no url");
	OK(&tap, sigv4_sign(&keys, WHEN_US, request) < 0, "what is no URL is refused");
	sigv4_encode(SLICE("a/b c~\xc3\xa4"), true, &out);
	sigv4_encode(SLICE("/+"), false, &out);
	buf_append_char(&out, '\0');
	OK(&tap, strcmp(out.ptr, "a/b%20c~%C3%A4%2F%2B") == 0, "encoding: %s", out.ptr);
	buf_close(&out);
	post_request_close(request);
	free(request);
	return tap_end(&tap);
}
