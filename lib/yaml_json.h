/* yaml_json - between YAML that people read and JSON that programs ask with
 *
 * Saved reports, triggers and destinations are small YAML files which the dashboard and people
 * both edit. As JSON, plain scalars become what YAML 1.2's core schema says: null and ~, true and
 * false, numbers as JSON writes them; all else, and all that is in quotes, is text. As YAML,
 * values are block style with one key a line, text that a plain scalar would change is quoted.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_YAML_JSON_H
#define LIB_YAML_JSON_H

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/yaml.h"

/* Appends node (NULL: null) as compact JSON. */
void yaml_write_json(const struct yaml *node, struct buf *out);
/* Appends a JSON object or array as YAML; depth is that of json.h at most. */
void json_write_yaml(yyjson_val *value, struct buf *out);

#endif
