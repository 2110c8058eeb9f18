// SPDX-License-Identifier: Apache-2.0
#include "sink/plain.h"

#include <errno.h>
#include <stdlib.h>

int plain_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	int rc = dest ? json_open(&dest->json, err) : err_set(err, -ENOMEM, "no memory");

	*destp = NULL;
	if (rc < 0) {
		free(dest);
		return rc;
	}
	dest->conf = env->conf;
	dest->is_test = env->is_test;
	*destp = dest;
	return 0;
}

void plain_close(struct dest *dest)
{
	if (dest)
		json_close(dest->json);
	free(dest);
}
