// SPDX-License-Identifier: Apache-2.0
#include "aggregate/session.h"

int session_parse(struct session_rule *rule, yyjson_val *root, const struct zone *zone,
		  struct question_error *error)
{
	static const char *const known[] = { "timeout", "midnight", NULL };
	yyjson_val *node = json_get(root, "session");
	bool midnight = false;
	int rc;

	*rule = (struct session_rule){ .timeout_us = SESSION_TIMEOUT_US };
	if (!node)
		return 0;
	rc = question_known(node, "/session", known, error);
	if (rc == 0 && json_get(node, "timeout"))
		rc = question_duration(json_get(node, "timeout"), "/session/timeout",
				       &rule->timeout_us, error);
	if (rc == 0)
		rc = question_flag(node, "midnight", "/session", &midnight, error);
	if (rc == 0 && midnight)
		rule->midnight = zone;
	return rc;
}
