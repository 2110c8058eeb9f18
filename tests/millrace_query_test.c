// SPDX-License-Identifier: Apache-2.0
#include "millrace/query.h"

#include <string.h>

#include "millrace/table.h"
#include "tests/tap.h"

#define HALF_BAR "████████████████████"
#define FULL_BAR HALF_BAR HALF_BAR

struct print_case {
	const char *answer;
	bool is_csv;
	const char *wanted;     /* NULL: refused */
	const char *said;
};

static const struct print_case trends[] = {
	{ "{\"buckets\":[\"2026-11-01\",\"2026-11-02\"],\"series\":[{\"measure\":0,\"event\":\"A\","
	  "\"values\":[1,2],\"overall\":3,\"incomplete\":[false,true]}]}", false,
	  "             A\n"
	  "2026-11-01   1  " HALF_BAR "\n"
	  "2026-11-02*  2  " FULL_BAR "\n"
	  "overall      3\n", "one series is a line per bucket; one that is not over has a star" },
	{ "{\"buckets\":[\"a\",\"b\",\"c\"],\"series\":[{\"event\":\"A\",\"values\":[0,1,8],"
	  "\"overall\":9},{\"event\":\"Bé\",\"segment\":[\"Chrome\",7],\"values\":[1,1,1],"
	  "\"overall\":30}]}", false,
	  "event           overall  a .. c\n"
	  "A                     9  ▁▁█\n"
	  "Bé: Chrome / 7       30  ███\n", "several are a line per series" },
	{ "{\"buckets\":[\"a\",\"b\"],\"series\":[{\"event\":"
	  "\"A, \\\"B\\\"\",\"values\":[1.50,null],"
	  "\"overall\":1.5},{\"event\":\"C\",\"values\":[3]}]}", true,
	  "bucket,\"A, \"\"B\"\"\",C\r\na,1.50,3\r\nb,,\r\n",
	  "CSV is quoted, digits stay as they were" },
	{ "{\"buckets\":[],\"series\":[]}", false, "no events in that time\n", "nothing" },
	{ "{\"buckets\":[\"a\"],\"series\":[{\"event\":\"\\u001b[31mred\\u009b\",\"values\":[1],"
	  "\"overall\":1}]}", false,
	  "         ?[31mred?\na                1  " FULL_BAR "\n"
	  "overall          1\n", "a name cannot talk to the terminal" },
	{ "{\"series\":[]}", false, NULL, "an answer without buckets" },
	{ "<html>", false, NULL, "an answer that is no JSON" },
};

static const struct {
	struct query_conf conf;
	const char *event;
	const char *wanted;
	const char *said;
} questions[] = {
	{ { .unit = "day", .measure = "total" }, NULL,
	  "{\"unit\":\"day\",\"last\":{\"n\":7,\"unit\":\"day\"}}", "seven days, all events" },
	{ { .unit = "hour", .measure = "unique", .last = "24h", .zone = "Europe/Berlin",
	    .week_start = "sunday",
	    .source = "web" }, "Order \"x\"",
	  "{\"unit\":\"hour\",\"measures\":[{\"event\":"
	  "\"Order \\\"x\\\"\",\"measure\":\"unique\"}],"
	  "\"zone\":\"Europe/Berlin\",\"week_start\":\"sunday\","
	  "\"source\":\"web\",\"last\":{\"n\":24,\"unit\":\"hour\"}}",
	  "an event, its zone and source" },
	{ { .unit = "day", .measure = "total", .from = "2026-11-01", .to = "2026-11-02" }, NULL,
	  "{\"unit\":\"day\",\"from\":\"2026-11-01\",\"to\":\"2026-11-02\"}", "from and to" },
	{ { .unit = "day", .measure = "total", .last = "7" }, NULL, NULL, "a span without a unit" },
	{ { .unit = "day", .measure = "total", .last = "0d" }, NULL, NULL, "no days" },
	{ { .unit = "day", .measure = "total", .last = "7dd" }, NULL, NULL, "7dd" },
	{ { .unit = "day", .measure = "total", .last = "99999999999999999999d" }, NULL, NULL,
	  "a number over all bounds" },
};

static bool is_text(const struct buf *out, const char *wanted)
{
	bool same = slice_eq(buf_slice(out), slice_from(wanted));

	if (!same)
		printf("# got:\n%.*s# wanted:\n%s\n", (int)out->len,
		       out->ptr ? out->ptr : "", wanted);
	return same;
}

static void test_print(struct tap *tap)
{
	static const char names[] =
		"[{\"name\":\"Page\",\"count\":12345},{\"name\":\"A\",\"count\":7}]";
	struct query_conf conf = { 0 };
	struct buf out = { 0 };
	struct err err;

	for (size_t i = 0; i < sizeof(trends) / sizeof(trends[0]); i++) {
		int rc;

		buf_reset(&out);
		err = (struct err){ "" };
		conf.is_csv = trends[i].is_csv;
		rc = query_print_trend(&conf, slice_from(trends[i].answer), &out, &err);
		OK(tap, trends[i].wanted ? rc == 0 && is_text(&out, trends[i].wanted)
					 : rc < 0 && err.text[0], "%s", trends[i].said);
	}
	buf_reset(&out);
	conf.is_csv = false;
	OK(tap, query_print_names(&conf, slice_from(names), &out, &err) == 0 &&
	   is_text(&out, "Page  12345\nA         7\n"), "names and counts");
	buf_reset(&out);
	OK(tap, query_print_names(&conf, SLICE("[]"), &out, &err) == 0 &&
	   is_text(&out, "no events yet\n"), "no names");
	OK(tap, query_print_names(&conf, SLICE("{}"), &out, &err) < 0, "names that are none");
	buf_close(&out);
}

static void test_write(struct tap *tap)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		struct query_conf conf = questions[i].conf;
		const char *event = questions[i].event;
		struct err err = { "" };
		int rc;

		conf.events = (struct opt_list){ &event, event ? 1 : 0 };
		buf_reset(&out);
		rc = query_write_trend(&conf, &out, &err);
		OK(tap, questions[i].wanted ? rc == 0 && is_text(&out, questions[i].wanted)
					    : rc < 0 && err.text[0], "%s", questions[i].said);
	}
	buf_close(&out);
}

static void test_table(struct tap *tap)
{
	static const double values[] = { 1, 1, 2, 2, 4, 4, 8 };
	struct buf out = { 0 };

	table_bar(0, 10, 4, &out);
	OK(tap, is_text(&out, ""), "nothing has no bar");
	table_bar(0.001, 10, 4, &out);
	OK(tap, is_text(&out, "▏"), "little has some");
	buf_reset(&out);
	table_bar(5, 10, 4, &out);
	OK(tap, is_text(&out, "██"), "half is half");
	buf_reset(&out);
	table_bar(99, 10, 2, &out);
	OK(tap, is_text(&out, "██"), "more than all is all");
	buf_reset(&out);
	table_spark(values, 7, 4, &out);
	OK(tap, is_text(&out, "▂▄██"), "values are added up where there is no room");
	buf_close(&out);
}

int main(void)
{
	struct tap tap = { 0 };

	test_print(&tap);
	test_write(&tap);
	test_table(&tap);
	return tap_end(&tap);
}
