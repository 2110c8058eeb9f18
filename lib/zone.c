// SPDX-License-Identifier: Apache-2.0
#include "lib/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_DIR        "/usr/share/zoneinfo/"
#define ZONE_FILE_MAX   (256 << 10)
#define ZONE_NAME_MAX   64
#define ZONE_CHANGES_MAX 4096
/* The footer's rule is written out as far as that; from then on the last offset stays. */
#define ZONE_YEAR_LAST  2200

#define SECOND  INT64_C(1000000)
#define DAY_S   INT64_C(86400)

struct zone {
	int count;                      /* of changes */
	int week;                       /* weeks begin so many days after Monday */
	int64_t *times;                 /* [count], seconds UTC, rising; owned */
	int32_t *offsets;               /* [count + 1]: offsets[i] holds before times[i]; owned */
};

/* Calendar: days since 1970 <-> date, proleptic Gregorian. */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2);
}

static int month_days(int64_t year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

/* The POSIX rule of the footer: "CET-1CEST,M3.5.0,M10.5.0/3" */

struct rule_day {
	char kind;                      /* 'M', 'J' or 'n' */
	int month, week, day;
	int seconds;                    /* local time of the change */
};

struct rule {
	int32_t standard, summer;       /* offsets, east of Greenwich */
	bool has_summer;
	struct rule_day start, end;
};

static bool take_number(const char **at, int max, int *number)
{
	int n = 0, digits = 0;

	for (; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
		n = n * 10 + (**at - '0');
	*number = n;
	return digits > 0 && n <= max;
}

static bool take_name(const char **at)
{
	const char *from = *at;

	if (**at == '<') {
		while (**at && **at != '>')
			(*at)++;
		return *(*at)++ == '>';
	}
	while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
		(*at)++;
	return *at - from >= 3;
}

static bool take_time(const char **at, int *seconds)
{
	int sign = **at == '-' ? -1 : 1, h, m = 0, s = 0;

	if (**at == '-' || **at == '+')
		(*at)++;
	if (!take_number(at, 167, &h))
		return false;
	if (**at == ':' && ((*at)++, !take_number(at, 59, &m)))
		return false;
	if (**at == ':' && ((*at)++, !take_number(at, 59, &s)))
		return false;
	*seconds = sign * (h * 3600 + m * 60 + s);
	return true;
}

static bool take_day(const char **at, struct rule_day *day)
{
	bool good;

	if (*(*at)++ != ',')
		return false;
	*day = (struct rule_day){ .kind = **at, .seconds = 7200 };
	if (**at == 'M') {
		(*at)++;
		good = take_number(at, 12, &day->month) && day->month >= 1 && *(*at)++ == '.' &&
		       take_number(at, 5, &day->week) && day->week >= 1 && *(*at)++ == '.' &&
		       take_number(at, 6, &day->day);
	} else if (**at == 'J') {
		(*at)++;
		good = take_number(at, 365, &day->day) && day->day >= 1;
	} else {
		day->kind = 'n';
		good = take_number(at, 365, &day->day);
	}
	if (good && **at == '/')
		good = ((*at)++, take_time(at, &day->seconds));
	return good;
}

static bool parse_rule(const char *text, struct rule *rule)
{
	int west;

	*rule = (struct rule){ 0 };
	if (!take_name(&text) || !take_time(&text, &west))
		return false;
	rule->standard = -west;
	if (!*text)
		return true;
	rule->has_summer = true;
	rule->summer = rule->standard + 3600;
	if (!take_name(&text))
		return false;
	if (*text && *text != ',') {
		if (!take_time(&text, &west))
			return false;
		rule->summer = -west;
	}
	return take_day(&text, &rule->start) && take_day(&text, &rule->end) && !*text;
}

/* Seconds UTC of the change in a year; offset is what holds before it. */
static int64_t rule_time(const struct rule_day *rule, int64_t year, int32_t offset)
{
	int64_t day;
	int week_day;

	if (rule->kind == 'M') {
		day = days_of(year, rule->month, 1);
		week_day = (int)((day + 4) % 7);        /* 1970-01-01 was a Thursday; 0 = Sunday */
		day += (rule->day - week_day + 7) % 7 + 7 * (rule->week - 1);
		if (day >= days_of(year, rule->month, 1) + month_days(year, rule->month))
			day -= 7;
	} else {
		day = days_of(year, 1, 1) + rule->day - (rule->kind == 'J');
		/* J60 is always the first of March. */
		if (rule->kind == 'J' && rule->day >= 60 && month_days(year, 2) == 29)
			day++;
	}
	return day * DAY_S + rule->seconds - offset;
}

static void add_change(struct zone *zone, int64_t time_s, int32_t offset)
{
	if (zone->count == ZONE_CHANGES_MAX ||
	    (zone->count && time_s <= zone->times[zone->count - 1]))
		return;
	zone->times[zone->count++] = time_s;
	zone->offsets[zone->count] = offset;
}

static void write_out_rule(struct zone *zone, const struct rule *rule)
{
	int64_t year = 1970;
	int month, day;

	if (zone->count)
		date_of(floor_div(zone->times[zone->count - 1], DAY_S), &year, &month, &day);
	else
		zone->offsets[0] = rule->standard;
	for (; rule->has_summer && year <= ZONE_YEAR_LAST; year++) {
		int64_t start = rule_time(&rule->start, year, rule->standard);
		int64_t end = rule_time(&rule->end, year, rule->summer);

		if (start < end) {
			add_change(zone, start, rule->summer);
			add_change(zone, end, rule->standard);
		} else {
			add_change(zone, end, rule->standard);
			add_change(zone, start, rule->summer);
		}
	}
}

/* TZif */

struct tzif {
	uint32_t utc, standard, leaps, times, types, chars;
};

static uint32_t load_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t load_be64(const char *p)
{
	return (int64_t)((uint64_t)load_be32(p) << 32 | load_be32(p + 4));
}

static bool read_head(struct slice file, struct tzif *head)
{
	const char *p = file.ptr;

	if (file.len < 44 || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	*head = (struct tzif){ load_be32(p + 20), load_be32(p + 24), load_be32(p + 28),
			       load_be32(p + 32), load_be32(p + 36), load_be32(p + 40) };
	return head->times <= ZONE_CHANGES_MAX && head->types >= 1 && head->types <= 256 &&
	       head->chars <= 4096 && head->utc <= 256 && head->standard <= 256 &&
	       head->leaps == 0;
}

static size_t body_size(const struct tzif *head, size_t width)
{
	return head->times * (width + 1) + head->types * 6 + head->chars + head->standard +
	       head->utc;
}

static int read_body(struct zone *zone, struct slice file, const struct tzif *head)
{
	const char *times = file.ptr, *indexes = times + head->times * 8,
		   *types = indexes + head->times;
	size_t size = body_size(head, 8);
	struct rule rule;
	char text[128];
	const char *end;

	if (file.len < size + 2 || file.ptr[size] != '\n')
		return -EBADMSG;
	/* Before the first change: the first type, as RFC 8536 says. */
	zone->offsets[0] = (int32_t)load_be32(types);
	for (uint32_t i = 0; i < head->times; i++) {
		unsigned char type = (unsigned char)indexes[i];

		if (type >= head->types)
			return -EBADMSG;
		add_change(zone, load_be64(times + i * 8), (int32_t)load_be32(types + type * 6));
	}
	file = slice_skip(file, size + 1);
	end = memchr(file.ptr, '\n', file.len);
	if (!end || (size_t)(end - file.ptr) >= sizeof(text))
		return -EBADMSG;
	memcpy(text, file.ptr, (size_t)(end - file.ptr));
	text[end - file.ptr] = '\0';
	if (!text[0])
		return 0;
	if (!parse_rule(text, &rule))
		return -EBADMSG;
	write_out_rule(zone, &rule);
	return 0;
}

static int parse_file(struct zone *zone, struct slice file)
{
	struct tzif head;

	/* The first block is for readers of the last century; its size must be right, though. */
	if (!read_head(file, &head))
		return -EBADMSG;
	file = slice_skip(file, 44 + body_size(&head, 4));
	if (!read_head(file, &head))
		return -EBADMSG;
	return read_body(zone, slice_skip(file, 44), &head);
}

static bool is_name(struct slice name)
{
	bool dotted = false;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '+' || c == '-' || c == '/'))
			dotted = true;
	}
	return name.len > 0 && name.len < ZONE_NAME_MAX && !dotted && name.ptr[0] != '/';
}

static int read_file(struct slice name, struct buf *out)
{
	char path[sizeof(ZONE_DIR) + ZONE_NAME_MAX];
	struct stat stat;
	ssize_t n = 0;
	int fd, rc = 0;

	snprintf(path, sizeof(path), ZONE_DIR "%.*s", (int)name.len, name.ptr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &stat) < 0)
		rc = -errno;
	else if (!S_ISREG(stat.st_mode) || stat.st_size > ZONE_FILE_MAX)
		rc = -ENOENT;
	else if (!buf_reserve(out, (size_t)stat.st_size + 1))
		rc = -ENOMEM;
	else
		n = read(fd, out->ptr, (size_t)stat.st_size);
	if (rc == 0 && n < 0)
		rc = -errno;
	out->len = n > 0 ? (size_t)n : 0;
	close(fd);
	return rc;
}

int zone_open(struct zone **zonep, struct slice name, struct err *err)
{
	struct zone *zone = calloc(1, sizeof(*zone));
	struct buf file = { 0 };
	int rc = zone ? 0 : -ENOMEM;

	*zonep = NULL;
	if (zone) {
		zone->times = calloc(ZONE_CHANGES_MAX, sizeof(*zone->times));
		zone->offsets = calloc(ZONE_CHANGES_MAX + 1, sizeof(*zone->offsets));
		rc = zone->times && zone->offsets ? 0 : -ENOMEM;
	}
	if (rc < 0)
		err_set(err, rc, "no memory");
	/* UTC needs no file. */
	if (rc == 0 && !slice_is(name, "UTC")) {
		rc = is_name(name) ? read_file(name, &file) : -ENOENT;
		if (rc == 0)
			rc = parse_file(zone, buf_slice(&file));
		if (rc == -EBADMSG)
			err_set(err, rc, "%.*s: the zone's file is damaged", (int)name.len,
				name.ptr);
		else if (rc < 0)
			err_set(err, rc, "'%.*s' is no time zone, such as Europe/Stockholm",
				(int)(name.len > 64 ? 64 : name.len), name.ptr ? name.ptr : "");
	}
	buf_close(&file);
	if (rc < 0) {
		zone_close(zone);
		return rc;
	}
	*zonep = zone;
	return 0;
}

void zone_close(struct zone *zone)
{
	if (!zone)
		return;
	free(zone->times);
	free(zone->offsets);
	free(zone);
}

void zone_week(struct zone *zone, int days)
{
	zone->week = days;
}

/* How many changes are at or before a second: the index of the offset that holds then. */
static int index_at(const struct zone *zone, int64_t second)
{
	int low = 0, high = zone->count;

	while (low < high) {
		int mid = (low + high) / 2;

		if (zone->times[mid] <= second)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int32_t offset_at(const struct zone *zone, int64_t second)
{
	return zone->offsets[index_at(zone, second)];
}

/* The first instant that shows this local time, or, where clocks jump over it, the jump. */
static int64_t from_local(const struct zone *zone, int64_t local)
{
	int32_t before = offset_at(zone, local - DAY_S), after = offset_at(zone, local + DAY_S);
	int at;

	if (offset_at(zone, local - before) == before)
		return local - before;
	if (offset_at(zone, local - after) == after)
		return local - after;
	at = index_at(zone, local - before);
	/* Two changes within two days: whatever holds there is as good. */
	return at > 0 && zone->times[at - 1] > local - after ? zone->times[at - 1]
							    : local - offset_at(zone, local);
}

static int64_t local_days(const struct zone *zone, int64_t us)
{
	int64_t second = floor_div(us, SECOND);

	return floor_div(second + offset_at(zone, second), DAY_S);
}

/* Minutes and hours: cut at a change, where one of half an hour begins a unit anew. */
static int64_t short_start(const struct zone *zone, int64_t size, int64_t us)
{
	int64_t second = floor_div(us, SECOND), start;
	int at = index_at(zone, second);
	int32_t offset = zone->offsets[at];

	start = floor_div(second + offset, size) * size - offset;
	if (at > 0 && start < zone->times[at - 1])
		start = zone->times[at - 1];
	return start * SECOND;
}

/* The day that begins the unit which day is in. */
static int64_t first_day(const struct zone *zone, enum zone_unit unit, int64_t days)
{
	int64_t of_week = days + 3 - zone->week;        /* 1970-01-01 was a Thursday */
	int64_t year;
	int month, day;

	if (unit == ZONE_DAY)
		return days;
	if (unit == ZONE_WEEK)
		return days - (of_week - 7 * floor_div(of_week, 7));
	date_of(days, &year, &month, &day);
	if (unit == ZONE_QUARTER)
		month = (month - 1) / 3 * 3 + 1;
	return days_of(year, unit == ZONE_YEAR ? 1 : month, 1);
}

int64_t zone_start(const struct zone *zone, enum zone_unit unit, int64_t time_us)
{
	if (unit == ZONE_MINUTE || unit == ZONE_HOUR)
		return short_start(zone, unit == ZONE_HOUR ? 3600 : 60, time_us);
	return from_local(zone, first_day(zone, unit, local_days(zone, time_us)) * DAY_S) * SECOND;
}

int64_t zone_add(const struct zone *zone, enum zone_unit unit, int64_t start_us, int64_t n)
{
	int64_t days, year, months;
	int month, day;

	if (unit == ZONE_MINUTE || unit == ZONE_HOUR)
		return start_us + n * (unit == ZONE_HOUR ? 3600 : 60) * SECOND;
	days = local_days(zone, start_us);
	if (unit == ZONE_DAY || unit == ZONE_WEEK)
		return from_local(zone, (days + n * (unit == ZONE_DAY ? 1 : 7)) * DAY_S) * SECOND;
	date_of(days, &year, &month, &day);
	months = year * 12 + month - 1 +
		 n * (unit == ZONE_MONTH ? 1 : unit == ZONE_QUARTER ? 3 : 12);
	year = floor_div(months, 12);
	month = (int)(months - year * 12) + 1;
	/* A shift from the 31st ends on the month's last day. */
	if (day > month_days(year, month))
		day = month_days(year, month);
	return from_local(zone, days_of(year, month, day) * DAY_S) * SECOND;
}

int64_t zone_shift(const struct zone *zone, enum zone_unit unit, int64_t us, int64_t n)
{
	int64_t midnight, second, moved;

	if (unit == ZONE_MINUTE || unit == ZONE_HOUR)
		return zone_add(zone, unit, us, n);
	second = floor_div(us, SECOND);
	midnight = local_days(zone, us) * DAY_S;
	moved = zone_add(zone, unit, us, n);
	/* The same time of the clock on another day. */
	return from_local(zone, local_days(zone, moved) * DAY_S +
			  (second + offset_at(zone, second) - midnight)) * SECOND +
	       (us - second * SECOND);
}

int zone_bounds(const struct zone *zone, enum zone_unit unit, int64_t from_us, int64_t to_us,
		int64_t *bounds, int max)
{
	int64_t at = zone_start(zone, unit, from_us), next;
	int n = 0;

	while (at < to_us && from_us < to_us) {
		if (n == max)
			return -ENOSPC;
		bounds[n++] = at;
		next = zone_add(zone, unit, at, 1);
		/* A change in between may have begun a unit earlier. */
		if (unit == ZONE_MINUTE || unit == ZONE_HOUR) {
			int64_t start = zone_start(zone, unit, next);

			next = start > at ? start : next;
		}
		at = next;
	}
	bounds[n] = at;
	return n;
}

int zone_date(const struct zone *zone, int year, int month, int day, int64_t *us)
{
	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return -EINVAL;
	*us = from_local(zone, days_of(year, month, day) * DAY_S) * SECOND;
	return 0;
}

void zone_print(const struct zone *zone, enum zone_unit unit, int64_t us, struct buf *out)
{
	int64_t second = floor_div(us, SECOND), year;
	int32_t offset = offset_at(zone, second);
	int64_t local = second + offset, days = floor_div(local, DAY_S);
	int month, day, left = (int)(local - days * DAY_S);
	int minutes = (offset < 0 ? -offset : offset) / 60;

	date_of(days, &year, &month, &day);
	buf_printf(out, "%04d-%02d-%02d", (int)year, month, day);
	if (unit != ZONE_MINUTE && unit != ZONE_HOUR)
		return;
	buf_printf(out, "T%02d:%02d:%02d", left / 3600, left / 60 % 60, left % 60);
	if (offset == 0)
		buf_append_char(out, 'Z');
	else
		buf_printf(out, "%c%02d:%02d", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
