// SPDX-License-Identifier: Apache-2.0
/*
 * JSON Schema: places and rules that are told, undeclared members, bounds on time, refusals.
 *
 *      enrich_json_schema_test lines    checks lines of NAME TAB SCHEMA TAB DATA TAB yes|no of
 *      stdin
 *                                       (tests/enrich_plan.t): "pass", "fail", "refused WORDS" NAME
 */
#include "enrich/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static void check_line(char *line)
{
	char *save = NULL, *name = strtok_r(line, "\t", &save), *text = strtok_r(NULL, "\t", &save);
	char *data = strtok_r(NULL, "\t", &save), *wanted = strtok_r(NULL, "\t\n", &save);
	const struct schema_report report = { .found = NULL };
	struct json_schema *schema = NULL;
	struct json_reader *reader = NULL;
	struct schema_node *node;
	struct err err = { "" };
	yyjson_val *value;
	bool good;

	if (!wanted || json_open(&reader, &err) < 0) {
		printf("fail\tthe line: %s\n", name ? name : "");
		return;
	}
	if (json_schema_open(&schema, slice_from(text), &err) < 0 ||
	    json_schema_compile(schema, json_schema_root(schema), &node, &err) < 0) {
		printf("refused %s\t%s\n", err.text, name);
	} else if (json_parse(reader, slice_from(data), &value, &err) < 0) {
		printf("fail\t%s: %s\n", name, err.text);
	} else {
		good = json_schema_check(schema, node, value, &report);
		printf("%s\t%s\n", good == (strcmp(wanted, "yes") == 0) ? "pass" : "fail", name);
	}
	json_schema_close(schema);
	json_close(reader);
}

static int check_lines(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0)
		check_line(line);
	free(line);
	return 0;
}

static void found(void *ctx, const struct schema_place *place, const char *rule)
{
	struct buf *out = ctx;
	const struct schema_place *places[8];
	int depth = 0;

	for (; place && depth < 8; place = place->up)
		places[depth++] = place;
	while (depth--) {
		if (places[depth]->key)
			buf_printf(out, "/%s", yyjson_get_str(places[depth]->key));
		else
			buf_printf(out, "/%zu", places[depth]->index);
	}
	buf_printf(out, ":%s ", rule);
}

static void check_told(struct tap *tap)
{
	static const struct { const char *schema, *value, *told; bool declare; } cases[] = {
		{ "{\"type\":\"object\"}", "[]", ":type ", false },
		{ "{\"properties\":{\"a\":{\"items\":{\"type\":\"string\"}}}}",
		  "{\"a\":[\"x\",1,2],\"b\":3}", "/a/1:type /a/2:type ", false },
		{ "{\"properties\":{\"a\":{\"minimum\":3,\"multipleOf\":2}},\"required\":[\"b\"]}",
		  "{\"a\":1}", ":required /a:minimum /a:multipleOf ", false },
		{ "{\"properties\":{\"a\":{}}}", "{\"a\":1,\"b\":2}", "/b:undeclared ", true },
		{ "{\"properties\":{\"a\":{}},\"additionalProperties\":false}",
		  "{\"a\":1,\"b\":2}", "/b:undeclared ", true },
		{ "{\"properties\":{\"a\":{}},\"additionalProperties\":true}",
		  "{\"a\":1,\"b\":2}", "", true },
		{ "{\"properties\":{\"a\":{}},\"additionalProperties\":false}",
		  "{\"a\":1,\"b\":2}", "/b:additionalProperties ", false },
		{ "{\"properties\":{\"a\":{\"properties\":{\"x\":{}}},\"l\":{\"items\":{"
		  "\"properties\":{\"y\":{}}}}}}",
		  "{\"a\":{\"z\":1},\"l\":[{\"y\":1},{\"q\":1}]}",
		  "/a/z:undeclared /l/1/q:undeclared ", true },
		{ "{}", "{\"b\":2}", "", true },
		{ "{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", "3", ":anyOf ", false },
		{ "{\"$ref\":\"#\"}", "3", ":complex ", false },
		{ "{\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"",
		  ":pattern :complex ", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { .limit = 1000 };
		const struct schema_report report = { .found = found, .ctx = &out };
		struct json_schema *schema = NULL;
		struct json_reader *reader = NULL;
		struct schema_node *node;
		struct err err = { "" };
		yyjson_val *value;

		if (json_open(&reader, &err) < 0 ||
		    json_parse(reader, slice_from(cases[i].value), &value, &err) < 0 ||
		    json_schema_open(&schema, slice_from(cases[i].schema), &err) < 0 ||
		    json_schema_compile(schema, json_schema_root(schema), &node, &err) < 0) {
			OK(tap, false, "%s: %s", cases[i].schema, err.text);
			continue;
		}
		if (cases[i].declare)
			json_schema_declare(node);
		json_schema_check(schema, node, value, &report);
		OK(tap, slice_is(buf_slice(&out), cases[i].told), "%s of %s: %.*s",
		   cases[i].schema, cases[i].value, (int)out.len, out.ptr ? out.ptr : "");
		json_schema_close(schema);
		json_close(reader);
		buf_close(&out);
	}
}

static void check_refused(struct tap *tap)
{
	static const struct { const char *schema, *words; } cases[] = {
		{ "{\"maxLenght\":3}", "maxLenght: this keyword is not supported" },
		{ "{\"type\":\"text\"}", "type: must be null, boolean" },
		{ "{\"properties\":{\"a\":{\"minimum\":\"3\"}}}", "minimum: must be a number" },
		{ "{\"multipleOf\":0}", "multipleOf: must be over 0" },
		{ "{\"pattern\":\"(\"}", "pattern: missing" },
		{ "{\"$ref\":\"other.json\"}", "only references within" },
		{ "{\"$ref\":\"#/definitions/none\"}", "points to nothing" },
		{ "{\"items\":3}", "must be an object, true or false" },
		{ "{\"required\":\"a\"}", "required: must be a list" },
		{ "{\"properties\":{\"a\":{\"$id\":\"x\"}}}", "$id: is supported at the root" },
		{ "{", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_schema *schema = NULL;
		struct schema_node *node;
		struct err err = { "" };
		int rc = json_schema_open(&schema, slice_from(cases[i].schema), &err);

		if (rc == 0)
			rc = json_schema_compile(schema, json_schema_root(schema), &node, &err);
		OK(tap, rc < 0 && strstr(err.text, cases[i].words), "%s: %s", cases[i].schema,
		   err.text);
		json_schema_close(schema);
	}
}

int main(int argc, char **argv)
{
	struct tap tap = { 0 };

	if (argc > 1 && strcmp(argv[1], "lines") == 0)
		return check_lines();
	check_told(&tap);
	check_refused(&tap);
	return tap_end(&tap);
}
