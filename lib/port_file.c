// SPDX-License-Identifier: Apache-2.0
#include "lib/port_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int port_file_write(const char *path, const char *address, struct err *err)
{
	char temp[4096];
	FILE *file;
	int rc = 0;

	if (!path || !path[0])
		return 0;
	if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "--port-file: the path is too long");
	file = fopen(temp, "we");
	if (!file || fprintf(file, "%s\n", address) < 0)
		rc = -errno;
	if (file && fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	return rc < 0 ? err_set(err, rc, "--port-file %s: %s", path, strerror(-rc)) : 0;
}
