// SPDX-License-Identifier: Apache-2.0
#include "enrich/pseudonym.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "lib/when.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEYS_MAX     64
#define KEY_BYTES_MAX 256
#define KEY_BYTES_MIN 16
#define MEMO_SLOTS   4096

struct key {
	int64_t since_us;
	uint64_t seed;
	size_t len;
	unsigned char bytes[KEY_BYTES_MAX];
};

struct memo {
	uint64_t high, low;             /* both 0: free */
	char hex[PSEUDONYM_LEN];
};

struct pseudonym {
	struct key keys[KEYS_MAX];
	int count;
	struct memo memos[MEMO_SLOTS];
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	     : c >= 'a' && c <= 'f' ? c - 'a' + 10
	     : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -EINVAL: not hexadecimal, or too long or short. */
static int key_bytes(struct key *key, struct slice text)
{
	if (!slice_starts(text, SLICE("hex:"))) {
		if (text.len < KEY_BYTES_MIN || text.len > KEY_BYTES_MAX)
			return -EINVAL;
		memcpy(key->bytes, text.ptr, text.len);
		key->len = text.len;
		return 0;
	}
	text = slice_skip(text, 4);
	if (text.len % 2 || text.len < 2 * KEY_BYTES_MIN || text.len > 2 * KEY_BYTES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_digit(text.ptr[i]), low = hex_digit(text.ptr[i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key->bytes[i / 2] = (unsigned char)(high * 16 + low);
	}
	key->len = text.len / 2;
	return 0;
}

static struct slice trim(struct slice text)
{
	while (text.len && memchr(" \t\r", text.ptr[text.len - 1], 3))
		text.len--;
	while (text.len && memchr(" \t", text.ptr[0], 2))
		text = slice_skip(text, 1);
	return text;
}

static int add_key(struct pseudonym *p, struct slice line, int number, const char *where,
		   struct err *err)
{
	const char *space = memchr(line.ptr, ' ', line.len);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct key *key = &p->keys[p->count];
	int64_t since = INT64_MIN;

	if (p->count == KEYS_MAX)
		return err_set(err, -EINVAL, "%s: key file: more than %d keys", where, KEYS_MAX);
	if (space) {
		struct slice first = { line.ptr, (size_t)(space - line.ptr) };

		if (when_parse(first, &since) < 0)
			return err_set(err, -EINVAL, "%s: key file, line %d: write KEY, or "
				       "2026-11-01T00:00:00Z KEY", where, number);
		line = trim(slice_skip(line, first.len));
	}
	if (p->count && since <= p->keys[p->count - 1].since_us)
		return err_set(err, -EINVAL, "%s: key file, line %d: keys are in the order of "
			       "their times, and only the first has none", where, number);
	if (key_bytes(key, line) < 0)
		return err_set(err, -EINVAL, "%s: key file, line %d: a key has %d to %d bytes; "
			       "behind hex: two digits each", where, number, KEY_BYTES_MIN,
			       KEY_BYTES_MAX);
	SHA256(key->bytes, key->len, digest);
	memcpy(&key->seed, digest, sizeof(key->seed));
	key->since_us = since;
	p->count++;
	return 0;
}

int pseudonym_open(struct pseudonym **pseudonymp, struct slice text, const char *where,
		   struct err *err)
{
	struct pseudonym *p = calloc(1, sizeof(*p));
	int number = 0, rc = 0;

	if (!p)
		return err_set(err, -ENOMEM, "%s: no memory", where);
	while (text.len && rc == 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };

		text = slice_skip(text, line.len + 1);
		line = trim(line);
		number++;
		if (line.len && line.ptr[0] != '#')
			rc = add_key(p, line, number, where, err);
	}
	if (rc == 0 && p->count == 0)
		rc = err_set(err, -EINVAL, "%s: the key file has no key", where);
	if (rc < 0) {
		pseudonym_close(p);
		return rc;
	}
	*pseudonymp = p;
	return 0;
}

void pseudonym_close(struct pseudonym *p)
{
	if (!p)
		return;
	OPENSSL_cleanse(p, sizeof(*p));
	free(p);
}

static const struct key *key_at(const struct pseudonym *p, int64_t received_us)
{
	int i = p->count - 1;

	while (i > 0 && p->keys[i].since_us > received_us)
		i--;
	return &p->keys[i];
}

int pseudonym_make(struct pseudonym *p, int64_t received_us, struct slice id,
		   char hex[PSEUDONYM_LEN])
{
	static const char digits[] = "0123456789abcdef";
	const struct key *key = key_at(p, received_us);
	XXH128_hash_t hash = XXH3_128bits_withSeed(id.ptr, id.len, key->seed);
	struct memo *memo = &p->memos[hash.low64 % MEMO_SLOTS];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (memo->high != hash.high64 || memo->low != hash.low64 ||
	    (memo->high == 0 && memo->low == 0)) {
		if (!HMAC(EVP_sha256(), key->bytes, (int)key->len,
			  (const unsigned char *)id.ptr, id.len, digest, &len))
			return -ENOMEM;
		for (size_t i = 0; i < PSEUDONYM_LEN / 2; i++) {
			memo->hex[2 * i] = digits[digest[i] >> 4];
			memo->hex[2 * i + 1] = digits[digest[i] & 15];
		}
		memo->high = hash.high64;
		memo->low = hash.low64;
	}
	memcpy(hex, memo->hex, PSEUDONYM_LEN);
	return 0;
}
