// SPDX-License-Identifier: Apache-2.0
#include "millrace/reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/yaml.h"

#define SLOTS       4
#define SLOT_BYTES  ((size_t)128 << 10)
#define HEADER_MAX  96
#define REACH_MAX   256

static int add_range(struct reach *reach, struct reach_range range)
{
	if (range.last < range.first || range.partition < 0 ||
	    range.partition >= BUS_PARTITIONS_MAX)
		return 0;
	if (reach->count % 64 == 0) {
		struct reach_range *ranges = reallocarray(reach->ranges, reach->count + 64,
							  sizeof(*ranges));

		if (!ranges)
			return -ENOMEM;
		reach->ranges = ranges;
	}
	reach->ranges[reach->count++] = range;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct reach_range *x = a, *y = b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static void sort_ranges(struct reach *reach)
{
	if (reach->count)
		qsort(reach->ranges, reach->count, sizeof(*reach->ranges), compare_ranges);
}

static struct reach_range *find_exact(struct reach *reach, const struct reach_range *key)
{
	return reach->count ? bsearch(key, reach->ranges, reach->count, sizeof(*key),
				      compare_ranges) : NULL;
}

/* Files */

/* TOPIC-PARTITION-FIRST-LAST.EXT: 1, and the range; 0: another file. */
static int parse_name(const struct reach *reach, const char *name, struct reach_range *range,
		      char ext[16])
{
	size_t len = strlen(reach->from);
	int n = 0;

	if (strncmp(name, reach->from, len) != 0 || name[len] != '-')
		return 0;
	*range = (struct reach_range){ .partition = -1 };
	if (sscanf(name + len, "-%" SCNd32 "-%20" SCNd64 "-%20" SCNd64 ".%15s%n", &range->partition,
		   &range->first, &range->last, ext, &n) != 4 || name[len + (size_t)n])
		return 0;
	return strcmp(ext, "jsonl") == 0 || strcmp(ext, "jsonl.gz") == 0 ||
	       strcmp(ext, "avro") == 0;
}

/* HASH BYTES RECORDS MARKERS DUPLICATES NAME: the last line of a name counts. */
static void read_sums(struct reach *reach, const char *name)
{
	char path[PATH_MAX + 300], line[1024], file[300], ext[16];
	struct reach_range *range, key;
	uint64_t records, markers, duplicates;
	FILE *sums;

	snprintf(path, sizeof(path), "%s/%s", reach->dir, name);
	sums = fopen(path, "re");
	while (sums && fgets(line, sizeof(line), sums)) {
		if (sscanf(line, "%*s %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %299s", &records,
			   &markers, &duplicates, file) != 4 ||
		    !parse_name(reach, file, &key, ext) || !(range = find_exact(reach, &key)))
			continue;
		range->has_sum = true;
		range->records = records;
		range->markers = markers;
		range->duplicates = duplicates;
	}
	if (sums)
		fclose(sums);
}

static int read_files(struct reach *reach)
{
	struct reach_range range;
	struct dirent *entry;
	char prefix[REACH_NAME_MAX + 4];
	DIR *dir = opendir(reach->dir);
	int rc = 0;

	if (!dir)
		return 0;               /* nothing was written yet */
	while (rc == 0 && (entry = readdir(dir)))
		if (parse_name(reach, entry->d_name, &range, reach->ext))
			rc = add_range(reach, range);
	sort_ranges(reach);
	/* What is before the first file was moved away: nobody can tell of it. */
	for (size_t i = 0; i < reach->count; i++)
		if (reach->begin[reach->ranges[i].partition] < 0)
			reach->begin[reach->ranges[i].partition] = reach->ranges[i].first;
	snprintf(prefix, sizeof(prefix), ".%s-", reach->from);
	rewinddir(dir);
	while (rc == 0 && (entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    strlen(entry->d_name) > 5 &&
		    strcmp(entry->d_name + strlen(entry->d_name) - 5, ".sums") == 0)
			read_sums(reach, entry->d_name);
	closedir(dir);
	return rc;
}

/* Positions */

/* The text of a valid slot, NUL-terminated in place, or NULL. */
static char *check_slot(char *bytes, size_t len, uint64_t *seq)
{
	const char *end = memchr(bytes, '\n', len < HEADER_MAX ? len : HEADER_MAX);
	char header[HEADER_MAX + 1];
	unsigned long text_len;
	unsigned int crc;
	size_t begin;

	if (!end)
		return NULL;
	begin = (size_t)(end - bytes) + 1;
	memcpy(header, bytes, begin);
	header[begin] = '\0';
	if (sscanf(header, "millrace position 1 %" SCNu64 " %lu %8x\n", seq, &text_len,
		   &crc) != 3 || text_len > len - begin ||
	    crc32(0, (const Bytef *)bytes + begin, (uInt)text_len) != crc)
		return NULL;
	bytes[begin + text_len] = '\0';
	return bytes + begin;
}

static int read_ranges(struct reach *reach, int32_t p, int64_t next, const char *at)
{
	struct reach_range range = { .partition = p };
	int n, rc;

	range.first = reach->begin[p] < 0 ? 0 : reach->begin[p];
	range.last = next - 1;
	rc = add_range(reach, range);
	while (rc == 0 && sscanf(at, " %" SCNd64 "-%" SCNd64 "%n", &range.first, &range.last,
				 &n) == 2) {
		at += n;
		rc = add_range(reach, range);
	}
	return rc;
}

/* KEY, then a line per partition: P NEXT SRC SRC SRC [FIRST-LAST ..] */
static int read_text(struct reach *reach, char *text)
{
	char *line, *rest = strchr(text, '\n');
	int rc = 0;

	rest = rest ? rest + 1 : NULL;
	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		int64_t next;
		int32_t p;
		int n;

		if (sscanf(line, "%" SCNd32 " %" SCNd64 " %*d %*d %*d%n", &p, &next, &n) == 2 &&
		    p >= 0 && p < BUS_PARTITIONS_MAX) {
			if (reach->begin[p] == INT64_MAX)
				reach->begin[p] = -1;
			rc = read_ranges(reach, p, next, line + n);
		}
	}
	return rc;
}

/* Where it began, as its sink wrote it down: PARTITION OFFSET, a line each. */
static void read_started(struct reach *reach)
{
	char path[PATH_MAX + 300], line[80];
	int64_t offset;
	FILE *file;
	int32_t p;

	snprintf(path, sizeof(path), "%s/started", reach->dir);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNd32 " %" SCNd64, &p, &offset) == 2 && p >= 0 &&
		    p < BUS_PARTITIONS_MAX)
			reach->begin[p] = offset;
	if (file)
		fclose(file);
}

static int read_position(struct reach *reach, const char *file)
{
	char path[PATH_MAX + 300], *bytes = NULL, *best = NULL, *text;
	uint64_t best_seq = 0, seq;
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", reach->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	bytes = malloc(SLOT_BYTES + 1);
	for (int i = 0; bytes && i < SLOTS; i++) {
		ssize_t n = pread(fd, bytes, SLOT_BYTES, (off_t)i * (off_t)SLOT_BYTES);

		text = n > 0 ? check_slot(bytes, (size_t)n, &seq) : NULL;
		if (!text || (best && seq <= best_seq))
			continue;
		free(best);
		best = strdup(text);
		best_seq = seq;
	}
	close(fd);
	if (best)
		rc = read_text(reach, best);
	sort_ranges(reach);
	free(bytes);
	free(best);
	return rc;
}

/* The list */

static int read_one(struct reach *reach, const char *dir, const char *data, const char *file)
{
	char path[PATH_MAX + 300];
	struct yaml_file *yaml = NULL;
	const struct yaml *root = NULL;
	struct err err = { "" };
	const char *text;
	int rc;

	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		reach->begin[p] = -1;
	snprintf(reach->name, sizeof(reach->name), "%.*s", (int)strlen(file) - 5, file);
	snprintf(path, sizeof(path), "%s/destinations/%s", dir, file);
	rc = yaml_open(&yaml, path, &root, &err);
	text = yaml_get_text(root, "type");
	if (rc < 0 || !text) {
		snprintf(reach->words, sizeof(reach->words), "%.190s",
			 err.text[0] ? err.text : "it has no type");
		yaml_close(yaml);
		return 0;
	}
	snprintf(reach->type, sizeof(reach->type), "%s", text);
	reach->is_file = strcmp(text, "file") == 0;
	text = yaml_get_text(root, "from");
	snprintf(reach->from, sizeof(reach->from), "%s", text && text[0] ? text : "enriched");
	text = yaml_get_text(root, "enabled");
	reach->is_on = !text || !(strcmp(text, "no") == 0 || strcmp(text, "false") == 0 ||
				  strcmp(text, "off") == 0 || strcmp(text, "0") == 0);
	text = yaml_get_text(root, "start");
	/* A new one gets what comes from when its sink starts: until then nothing is under way. */
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		reach->begin[p] = reach->is_file || (text && strcmp(text, "first") == 0)
			? -1 : INT64_MAX;
	text = yaml_get_text(root, "path");
	if (!reach->is_file)
		snprintf(reach->dir, sizeof(reach->dir), "%.3000s/sinks/%s", data, reach->name);
	else if (text && text[0] == '/')
		snprintf(reach->dir, sizeof(reach->dir), "%.3000s", text);
	else
		snprintf(reach->dir, sizeof(reach->dir), "%.2000s/%.1000s", dir, text ? text : "");
	yaml_close(yaml);
	if (reach->is_file)
		return read_files(reach);
	read_started(reach);
	return read_position(reach, "position");
}

int reach_read_replay(struct reach *reach, const char *data, const char *name)
{
	*reach = (struct reach){ .is_on = true };
	snprintf(reach->name, sizeof(reach->name), "%s", name);
	snprintf(reach->dir, sizeof(reach->dir), "%.3000s/sinks/%s", data, reach->name);
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		reach->begin[p] = -1;
	return read_position(reach, "replay-bad");
}

static int is_destination(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && len <= REACH_NAME_MAX + 5 &&
	       strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

int reach_read(struct reach_list *list, const char *dir, const char *data, struct err *err)
{
	struct dirent **entries = NULL;
	char path[PATH_MAX];
	int count, rc = 0;

	*list = (struct reach_list){ NULL, 0 };
	snprintf(path, sizeof(path), "%.4000s/destinations", dir);
	count = scandir(path, &entries, is_destination, alphasort);
	list->items = calloc(REACH_MAX, sizeof(*list->items));
	for (int i = 0; i < count; i++) {
		if (rc == 0 && list->items && i < REACH_MAX)
			rc = read_one(&list->items[list->count++], dir, data, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return rc < 0 || !list->items ? err_set(err, -ENOMEM, "no memory") : 0;
}

void reach_close(struct reach_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].ranges);
	free(list->items);
	*list = (struct reach_list){ NULL, 0 };
}

static bool has(const struct reach_range *range, int32_t partition, int64_t offset)
{
	return range->partition == partition && range->first <= offset && offset <= range->last;
}

struct reach_range *reach_find(const struct reach *reach, int32_t partition, int64_t offset,
			       size_t *hint)
{
	size_t low = 0, high = reach->count;

	if (*hint < reach->count && has(&reach->ranges[*hint], partition, offset))
		return &reach->ranges[*hint];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct reach_range *range = &reach->ranges[middle];

		if (range->partition < partition ||
		    (range->partition == partition && range->last < offset))
			low = middle + 1;
		else
			high = middle;
	}
	*hint = low;
	return low < reach->count && has(&reach->ranges[low], partition, offset)
	       ? &reach->ranges[low] : NULL;
}

int64_t reach_end(const struct reach *reach, int32_t partition)
{
	int64_t end = -1;

	for (size_t i = 0; i < reach->count; i++)
		if (reach->ranges[i].partition == partition && reach->ranges[i].last >= end)
			end = reach->ranges[i].last + 1;
	return end;
}
