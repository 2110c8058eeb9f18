// SPDX-License-Identifier: Apache-2.0
#include "millrace/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "lib/json.h"
#include "millrace/client.h"
#include "millrace/up.h"

#define STATUS_MS 5000

static int take_status(struct progress *progress, yyjson_val *root)
{
	yyjson_val *item;
	int64_t p, next, rows;
	size_t i, n;

	yyjson_arr_foreach(json_get(root, "offsets"), i, n, item)
		if (json_num(json_get(item, "partition"), &p) == 0 && p >= 0 &&
		    p < BUS_PARTITIONS_MAX && json_num(json_get(item, "next"), &next) == 0)
			progress->next[p] = next;
	if (json_num(json_get(root, "events"), &rows) == 0)
		progress->events = (uint64_t)rows;
	return 0;
}

static int ask(const struct settings *settings, struct progress *progress)
{
	struct json_reader *json = NULL;
	struct client *client = NULL;
	struct buf answer = { 0 };
	yyjson_val *root = NULL;
	char address[80], url[120];
	int rc;

	up_address(settings, "aggregate", settings->http, address);
	snprintf(url, sizeof(url), "http://%s", address);
	rc = client_open(&client, url, NULL, STATUS_MS, NULL);
	if (rc == 0)
		rc = client_send(client, "/v1/status", (struct slice){ NULL, 0 }, &answer, NULL,
				 NULL);
	rc = rc == 200 && json_open(&json, NULL) == 0
	     ? json_parse(json, buf_slice(&answer), &root, NULL) : -EIO;
	if (rc == 0)
		rc = take_status(progress, root);
	json_close(json);
	buf_close(&answer);
	client_close(client);
	return rc;
}

/* `next PARTITION OFFSET`, a line each, of aggregate's state. */
static int read_manifest(const struct settings *settings, struct progress *progress)
{
	char path[PATH_MAX + 16], line[4096];
	int64_t next;
	int32_t p;
	FILE *file;

	snprintf(path, sizeof(path), "%s/manifest", settings->state);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "next %" SCNd32 " %" SCNd64, &p, &next) == 2 && p >= 0 &&
		    p < BUS_PARTITIONS_MAX)
			progress->next[p] = next;
	fclose(file);
	return 0;
}

void progress_read(const struct settings *settings, struct progress *progress)
{
	*progress = (struct progress){ .events = UINT64_MAX };
	progress->is_running = ask(settings, progress) == 0;
	progress->is_known = progress->is_running || read_manifest(settings, progress) == 0;
}
