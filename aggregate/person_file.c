// SPDX-License-Identifier: Apache-2.0
/* The file persons-N: "mrperso1", then blocks { u32 bytes, u32 0, u64 XXH3 of the payload,
 * payload }. A payload is a sequence of facts, each a tag byte and, little endian, unaligned:
 *
 *      1 actor    u8 kind, u8 flags, i64 last, u16 length, id     numbers rise from 1
 *      2 seen     u32 actor, u8 flags, i64 last
 *      3 links    u32 anonymous, u16 count, count x { u32 user, u8 kind, 32 bytes time }
 *      4 key      u16 length, name                                    numbers rise from 0
 *      5 profile  u32 actor, u32 bytes, blob (person_profile.c)
 *      6 delete   u32 actor, i64 until (of earlier versions: asked when it was until)
 *      7 mark     u32 actor, i64 until
 *      8 erase    u8 held, u32 actor, i64 until, i64 asked: a delete; held: not done yet
 *
 * 2, 3, 5 and 7 replace what was said of the actor before. A block is valid whole or not at all;
 * the manifest names the bytes that count, so that a block behind them was never said.
 */
#include <errno.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "aggregate/person_own.h"
#include "lib/dir.h"

#define MAGIC       "mrperso1"
#define BLOCK_BYTES ((size_t)1 << 20)
#define BLOCK_MAX   ((size_t)16 << 20)
/* A rewrite pays where the file is twice what it was after the last one, and more than this. */
#define REWRITE_MIN ((uint64_t)16 << 20)

enum { FACT_ACTOR = 1, FACT_SEEN, FACT_LINKS, FACT_KEY, FACT_PROFILE, FACT_DELETE, FACT_MARK,
       FACT_ERASE };

struct block_head {
	uint32_t bytes, zero;
	uint64_t sum;
};

static_assert(sizeof(struct block_head) == 16, "a block's head");

static void name_of(uint64_t number, char name[32])
{
	snprintf(name, 32, "persons-%" PRIu64, number);
}

static int path_of(const struct persons *persons, const char *name, char path[4096],
		   struct err *err)
{
	if (snprintf(path, 4096, "%s/%s", persons->dir, name) >= 4096)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", persons->dir);
	return 0;
}

/* Writing */

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static void put_u8(struct buf *out, unsigned value)
{
	buf_append_char(out, (char)value);
}

static void put(struct buf *out, const void *value, size_t size)
{
	buf_append(out, value, size);
}

static int end_block(struct persons *persons, size_t least)
{
	struct buf *out = &persons->out;
	struct block_head head = { 0 };
	int rc;

	if (out->failed)
		return -ENOMEM;
	if (out->len <= sizeof(head) || out->len < least)
		return 0;
	head.bytes = (uint32_t)(out->len - sizeof(head));
	head.sum = XXH3_64bits(out->ptr + sizeof(head), head.bytes);
	memcpy(out->ptr, &head, sizeof(head));
	rc = write_all(persons->fd, out->ptr, out->len);
	persons->file_bytes += out->len;
	out->len = sizeof(head);
	return rc;
}

static void put_actor(struct persons *persons, uint32_t actor)
{
	struct buf *out = &persons->out;
	char kind;
	struct slice id = persons_id(persons, actor, &kind);
	uint16_t len = (uint16_t)id.len;

	put_u8(out, FACT_ACTOR);
	put_u8(out, (unsigned char)kind);
	put_u8(out, persons->flags[actor] & (PERSON_SEEN | PERSON_KNOWN));
	put(out, &persons->last_us[actor], 8);
	put(out, &len, 2);
	buf_append_slice(out, id);
}

static void put_links(struct persons *persons, uint32_t actor)
{
	struct buf *out = &persons->out;
	uint16_t count = 0;

	for (uint32_t l = persons->link_of[actor]; l; l = persons->links[l].next)
		count++;
	put_u8(out, FACT_LINKS);
	put(out, &actor, 4);
	put(out, &count, 2);
	for (uint32_t l = persons->link_of[actor]; l; l = persons->links[l].next) {
		const struct person_link *link = &persons->links[l];

		put(out, &link->user, 4);
		put_u8(out, link->kind);
		put(out, &link->when, sizeof(link->when));
	}
}

/* All that was said of an actor but its id. */
static void put_rest(struct persons *persons, uint32_t actor, bool is_new)
{
	struct buf *out = &persons->out;
	struct slice blob = profiles_blob(persons, actor);
	uint32_t bytes = (uint32_t)blob.len;

	if (!is_new) {
		put_u8(out, FACT_SEEN);
		put(out, &actor, 4);
		put_u8(out, persons->flags[actor] & (PERSON_SEEN | PERSON_KNOWN));
		put(out, &persons->last_us[actor], 8);
	}
	if (persons->link_of[actor] || !is_new)
		put_links(persons, actor);
	if (bytes || !is_new) {
		put_u8(out, FACT_PROFILE);
		put(out, &actor, 4);
		put(out, &bytes, 4);
		buf_append_slice(out, blob);
	}
	if (persons_mark(persons, actor)) {
		put_u8(out, FACT_MARK);
		put(out, &actor, 4);
		put(out, &persons->marks[actor], 8);
	}
}

static int put_keys(struct persons *persons)
{
	int rc = 0;

	for (; persons->keys_written < persons->keys.count && rc == 0; persons->keys_written++) {
		struct slice name = name_table_text(&persons->keys, persons->keys_written);
		uint16_t len = (uint16_t)name.len;

		put_u8(&persons->out, FACT_KEY);
		put(&persons->out, &len, 2);
		buf_append(&persons->out, name.ptr, len);
		rc = end_block(persons, BLOCK_BYTES);
	}
	return rc;
}

static int put_deletes(struct persons *persons)
{
	for (; persons->deletes_written < persons->delete_count; persons->deletes_written++) {
		const struct person_delete *delete = &persons->deletes[persons->deletes_written];

		put_u8(&persons->out, FACT_ERASE);
		put_u8(&persons->out, delete->is_held);
		put(&persons->out, &delete->actor, 4);
		put(&persons->out, &delete->until_us, 8);
		put(&persons->out, &delete->asked_us, 8);
	}
	return end_block(persons, BLOCK_BYTES);
}

/* What was not written yet: links name actors, so all ids go first. */
static int put_new(struct persons *persons)
{
	uint32_t first = persons->actors_written;
	int rc = put_keys(persons);

	for (uint32_t a = first; a < persons->actor_count && rc == 0; a++) {
		put_actor(persons, a);
		rc = end_block(persons, BLOCK_BYTES);
	}
	for (uint32_t a = first; a < persons->actor_count && rc == 0; a++) {
		put_rest(persons, a, true);
		rc = end_block(persons, BLOCK_BYTES);
	}
	for (size_t i = 0; i < persons->to_write.count && rc == 0; i++) {
		if (persons->to_write.items[i] < first)
			put_rest(persons, persons->to_write.items[i], false);
		rc = end_block(persons, BLOCK_BYTES);
	}
	if (rc == 0)
		rc = put_deletes(persons);
	return rc == 0 ? end_block(persons, 0) : rc;
}

static void all_written(struct persons *persons)
{
	for (size_t i = 0; i < persons->to_write.count; i++)
		persons->flags[persons->to_write.items[i]] &= (uint8_t)~PERSON_TO_WRITE;
	persons->to_write.count = 0;
	persons->actors_written = persons->actor_count;
}

static int begin_file(struct persons *persons, struct err *err)
{
	char name[32], path[4096];
	int rc;

	if (persons->fd >= 0) {
		close(persons->fd);
		if (!persons->old_name[0])
			name_of(persons->number, persons->old_name);
	}
	persons->number++;
	name_of(persons->number, name);
	rc = path_of(persons, name, path, err);
	if (rc < 0)
		return rc;
	persons->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (persons->fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = write_all(persons->fd, MAGIC, 8);
	if (rc == 0)
		rc = dir_sync(persons->dir);
	persons->file_bytes = 8;
	persons->actors_written = 1;
	persons->keys_written = 0;
	persons->deletes_written = 1;
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

int persons_flush(struct persons *persons, struct person_mark *mark, struct err *err)
{
	uint64_t good = persons->file_bytes;
	bool is_rewrite = persons->fd < 0 || persons->is_broken ||
			  (good > REWRITE_MIN && good > 2 * persons->live_bytes);
	int rc = persons_settle(persons);

	if (rc < 0)
		return err_set(err, rc, "persons: no memory");
	buf_reset(&persons->out);
	buf_append(&persons->out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(struct block_head));
	if (is_rewrite) {
		persons->is_broken = true;      /* until it is whole */
		rc = begin_file(persons, err);
		if (rc < 0)
			return rc;
	}
	rc = put_new(persons);
	/* A failed fdatasync is not asked again: what it lost would be taken for safe. */
	if (rc == 0 && (is_rewrite || persons->file_bytes != good) && fdatasync(persons->fd) < 0)
		rc = -errno;
	persons->is_broken = rc < 0;
	if (rc < 0)
		return err_set(err, rc, "%s: persons-%" PRIu64 ": %s", persons->dir,
			       persons->number, strerror(-rc));
	all_written(persons);
	if (is_rewrite)
		persons->live_bytes = persons->file_bytes;
	name_of(persons->number, mark->name);
	mark->bytes = persons->file_bytes;
	return 0;
}

void persons_committed(struct persons *persons)
{
	char path[4096];

	if (persons->old_name[0] && path_of(persons, persons->old_name, path, NULL) == 0)
		unlink(path);
	persons->old_name[0] = '\0';
}

/* Reading */

struct reader {
	struct persons *persons;
	const char *at, *end;
	bool failed;
};

static const char *take(struct reader *reader, size_t len)
{
	const char *at = reader->at;

	if (reader->failed || (size_t)(reader->end - at) < len) {
		reader->failed = true;
		return NULL;
	}
	reader->at += len;
	return at;
}

static uint64_t take_num(struct reader *reader, size_t size)
{
	const char *at = take(reader, size);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, size);       /* little endian, as all that is supported is */
	return value;
}

/* An actor that was said before. */
static uint32_t take_actor(struct reader *reader)
{
	uint32_t actor = (uint32_t)take_num(reader, 4);

	if (actor == PERSON_NOBODY || actor >= reader->persons->actor_count)
		reader->failed = true;
	return reader->failed ? PERSON_NOBODY : actor;
}

static int read_actor(struct reader *reader)
{
	char kind = (char)take_num(reader, 1);
	uint8_t flags = (uint8_t)take_num(reader, 1);
	int64_t last_us = (int64_t)take_num(reader, 8);
	size_t len = take_num(reader, 2);
	const char *id = take(reader, len);
	uint32_t actor;

	if (!id || (kind != 'u' && kind != 'a') || len == 0 || len > PERSON_ID_MAX ||
	    (flags & ~(PERSON_SEEN | PERSON_KNOWN)))
		return -EBADMSG;
	return persons_add_actor(reader->persons, flags | (kind == 'u' ? PERSON_IS_USER : 0),
				 (struct slice){ id, len }, last_us, &actor);
}

static int read_seen(struct reader *reader)
{
	uint32_t actor = take_actor(reader);
	uint8_t flags = (uint8_t)take_num(reader, 1), all = PERSON_SEEN | PERSON_KNOWN;
	int64_t last_us = (int64_t)take_num(reader, 8);

	if (reader->failed || (flags & ~all))
		return -EBADMSG;
	reader->persons->flags[actor] = (reader->persons->flags[actor] & (uint8_t)~all) | flags;
	reader->persons->last_us[actor] = last_us;
	return 0;
}

static int read_links(struct reader *reader)
{
	struct persons *persons = reader->persons;
	uint32_t anonymous = take_actor(reader);
	size_t count = take_num(reader, 2);
	int rc = 0;

	if (reader->failed || count > PERSON_LINKS_MAX + 1)
		return -EBADMSG;
	for (uint32_t l = persons->link_of[anonymous]; l; l = persons->links[l].next) {
		persons->links[l].kind = PERSON_LINK_DEAD;
		persons->links_dead++;
	}
	persons->link_of[anonymous] = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		uint32_t user = take_actor(reader);
		unsigned kind = (unsigned)take_num(reader, 1);
		const char *bytes = take(reader, sizeof(struct person_when));
		struct person_when when;

		if (!bytes || kind >= PERSON_LINK_DEAD)
			return -EBADMSG;
		memcpy(&when, bytes, sizeof(when));
		rc = persons_add_link(persons, anonymous, user, kind, &when);
	}
	return rc == 0 ? persons_dirty(persons, anonymous) : rc;
}

static int read_key(struct reader *reader)
{
	size_t len = take_num(reader, 2);
	const char *name = take(reader, len);
	uint32_t key, next = reader->persons->keys.count;
	int rc = name ? profiles_add_key(reader->persons, (struct slice){ name, len }, &key)
		      : -EBADMSG;

	return rc == 0 && key != next ? -EBADMSG : rc;
}

static int read_profile(struct reader *reader)
{
	uint32_t actor = take_actor(reader);
	size_t len = take_num(reader, 4);
	const char *blob = take(reader, len);

	return blob ? profiles_take(reader->persons, actor, (struct slice){ blob, len }) : -EBADMSG;
}

static int read_delete(struct reader *reader, bool is_erase)
{
	struct person_delete delete = { .is_held = is_erase && take_num(reader, 1) };
	uint32_t actor = delete.actor = take_actor(reader);
	int rc;

	delete.until_us = (int64_t)take_num(reader, 8);
	delete.asked_us = is_erase ? (int64_t)take_num(reader, 8) : delete.until_us;

	if (reader->failed)
		return -EBADMSG;
	rc = persons_read_delete(reader->persons, &delete);
	return rc == 0 ? persons_dirty(reader->persons, actor) : rc;
}

static int read_mark(struct reader *reader)
{
	uint32_t actor = take_actor(reader);
	int64_t until_us = (int64_t)take_num(reader, 8);

	if (reader->failed)
		return -EBADMSG;
	if (persons_marks_open(reader->persons) < 0)
		return -ENOMEM;
	reader->persons->marks[actor] = until_us;
	return 0;
}

static int read_fact(struct reader *reader)
{
	switch (take_num(reader, 1)) {
	case FACT_ACTOR: return read_actor(reader);
	case FACT_SEEN: return read_seen(reader);
	case FACT_LINKS: return read_links(reader);
	case FACT_KEY: return read_key(reader);
	case FACT_PROFILE: return read_profile(reader);
	case FACT_DELETE: return read_delete(reader, false);
	case FACT_ERASE: return read_delete(reader, true);
	case FACT_MARK: return read_mark(reader);
	default: return -EBADMSG;
	}
}

static int read_blocks(struct persons *persons, const char *bytes, size_t len, size_t *at)
{
	int rc = len >= 8 && memcmp(bytes, MAGIC, 8) == 0 ? 0 : -EBADMSG;

	for (*at = 8; rc == 0 && *at < len;) {
		struct block_head head;
		struct reader reader = { .persons = persons };

		if (len - *at < sizeof(head))
			return -EBADMSG;
		memcpy(&head, bytes + *at, sizeof(head));
		if (head.zero || head.bytes > BLOCK_MAX || head.bytes > len - *at - sizeof(head))
			return -EBADMSG;
		reader.at = bytes + *at + sizeof(head);
		reader.end = reader.at + head.bytes;
		if (XXH3_64bits(reader.at, head.bytes) != head.sum)
			return -EBADMSG;
		while (reader.at < reader.end && rc == 0)
			rc = read_fact(&reader);
		if (rc == 0)
			*at += sizeof(head) + head.bytes;
	}
	return rc;
}

/* Persons are known by their leaders: what add_actor counted is not true yet. */
static int tie_all(struct persons *persons)
{
	int rc;

	persons->known = 0;
	for (uint32_t a = 1; a < persons->actor_count; a++)
		persons->known += !!(persons->flags[a] & PERSON_KNOWN);
	rc = persons_settle(persons);
	persons->changed.count = persons->forgotten.count = 0;
	all_written(persons);
	persons->keys_written = persons->keys.count;
	persons->deletes_written = persons->delete_count;
	return rc;
}

static int load(struct persons *persons, const char *path, uint64_t bytes, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	void *map = MAP_FAILED;
	struct stat st;
	size_t at = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_set(err, -errno, "%s: %s: restore it, or start with --rebuild", path,
			     strerror(errno));
	else if ((uint64_t)st.st_size < bytes || bytes < 8)
		rc = err_set(err, -EBADMSG, "%s: has %jd bytes, the manifest says %" PRIu64
			     ": restore it, or start with --rebuild", path, (intmax_t)st.st_size,
			     bytes);
	if (rc == 0) {
		map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
		if (map == MAP_FAILED)
			rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return rc;
	rc = read_blocks(persons, map, bytes, &at);
	munmap(map, bytes);
	if (rc == 0)
		rc = tie_all(persons);
	return rc < 0 ? err_set(err, rc, rc == -EBADMSG ? "%s: damaged in the block at byte %zu: "
				"restore it, or start with --rebuild" : "%s: byte %zu: no memory",
				path, at)
		      : 0;
}

static int number_of(const char *name, uint64_t *number)
{
	char *end;

	if (strncmp(name, "persons-", 8) != 0 || name[8] < '0' || name[8] > '9')
		return -EINVAL;
	*number = strtoull(name + 8, &end, 10);
	return *end == '\0' ? 0 : -EINVAL;
}

/* Files that no manifest names: of a flush that a crash cut short, or one that was replaced. */
static void remove_others(const struct persons *persons, const char *name)
{
	DIR *dir = opendir(persons->dir);
	struct dirent *entry;
	char path[4096];
	uint64_t number;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, name) != 0 && number_of(entry->d_name, &number) == 0 &&
		    path_of(persons, entry->d_name, path, NULL) == 0)
			unlink(path);
	if (dir)
		closedir(dir);
}

static int open_for_append(struct persons *persons, const char *path, uint64_t bytes,
			   struct err *err)
{
	persons->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (persons->fd < 0 || ftruncate(persons->fd, (off_t)bytes) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	persons->file_bytes = persons->live_bytes = bytes;
	return 0;
}

static int begin(struct persons *persons, const char *dir, struct err *err)
{
	persons->fd = -1;
	persons->actor_count = persons->link_count = persons->delete_count = 1;
	persons->actors_written = persons->deletes_written = 1;
	persons->ids.limit = (size_t)16 << 30;
	if (snprintf(persons->dir, sizeof(persons->dir), "%s", dir) >= (int)sizeof(persons->dir))
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", dir);
	if (persons_grow(persons) < 0)
		return err_set(err, -ENOMEM, "no memory");
	persons->links = calloc(1024, sizeof(*persons->links));
	persons->link_room = 1024;
	persons->deletes = calloc(64, sizeof(*persons->deletes));
	persons->delete_room = 64;
	if (!persons->links || !persons->deletes)
		return err_set(err, -ENOMEM, "no memory");
	persons->leader[0] = persons->ring[0] = 0;
	persons->flags[0] = 0;
	persons->profile[0] = persons->link_of[0] = persons->link_of_user[0] = 0;
	return 0;
}

static int open_what(struct persons **personsp, const char *dir, const struct person_mark *mark,
		     bool to_change, struct err *err)
{
	struct persons *persons = calloc(1, sizeof(*persons));
	char path[4096];
	int rc;

	*personsp = NULL;
	if (!persons)
		return err_set(err, -ENOMEM, "no memory");
	rc = begin(persons, dir, err);
	if (rc == 0 && mark->name[0]) {
		rc = number_of(mark->name, &persons->number);
		if (rc < 0)
			err_set(err, rc, "%s: not a file of persons: %s", dir, mark->name);
		if (rc == 0)
			rc = path_of(persons, mark->name, path, err);
		if (rc == 0)
			rc = load(persons, path, mark->bytes, err);
		if (rc == 0 && to_change)
			rc = open_for_append(persons, path, mark->bytes, err);
	}
	if (rc < 0) {
		persons_close(persons);
		return rc;
	}
	if (to_change)
		remove_others(persons, mark->name);
	*personsp = persons;
	return 0;
}

int persons_open(struct persons **personsp, const char *dir, const struct person_mark *mark,
		 struct err *err)
{
	return open_what(personsp, dir, mark, true, err);
}

int persons_verify(const char *dir, const struct person_mark *mark, struct err *err)
{
	struct persons *persons;
	int rc = open_what(&persons, dir, mark, false, err);

	if (rc == 0)
		persons_close(persons);
	return rc;
}

void person_file_close(struct persons *persons)
{
	if (persons->fd >= 0)
		close(persons->fd);
	persons->fd = -1;
	buf_close(&persons->out);
}
