// SPDX-License-Identifier: Apache-2.0
#include "enrich/place.h"

#include <errno.h>
#include <maxminddb.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "enrich/range.h"

#define KEPT_MAX 32768          /* records of an .mmdb that are kept taken apart */

struct kept {
	uint32_t offset;                /* + 1; 0: empty */
	struct place place;
};

struct place_base {
	struct range_table *ranges;     /* or an .mmdb: */
	MMDB_s mmdb;
	bool is_mmdb;
	struct kept *kept;              /* by offset */
	struct place place;             /* of the latest range */
};

static bool is_mmdb_name(const char *path)
{
	size_t len = strlen(path);

	return len > 5 && strcmp(path + len - 5, ".mmdb") == 0;
}

static int open_mmdb(struct place_base *base, const struct step_args *args, const char *path,
		     struct err *err)
{
	int rc = step_file_watch(args, path, err);

	if (rc < 0)
		return rc;
	rc = MMDB_open(path, MMDB_MODE_MMAP, &base->mmdb);
	if (rc != MMDB_SUCCESS)
		return err_set(err, -EBADMSG, "%s: %s: no MaxMind DB: %s", args->where, path,
			       MMDB_strerror(rc));
	base->is_mmdb = true;
	base->kept = calloc(KEPT_MAX, sizeof(*base->kept));
	return base->kept ? 0 : err_set(err, -ENOMEM, "no memory");
}

int place_open(struct place_base **basep, const struct step_args *args, const char *path,
	       struct err *err)
{
	struct place_base *base = calloc(1, sizeof(*base));
	struct slice text;
	int rc;

	if (!base)
		return err_set(err, -ENOMEM, "no memory");
	if (is_mmdb_name(path)) {
		rc = open_mmdb(base, args, path, err);
	} else {
		rc = step_file_read(args, path, &text, err);
		if (rc == 0)
			rc = range_open(&base->ranges, text, path, err);
	}
	if (rc < 0) {
		place_close(base);
		return rc;
	}
	*basep = base;
	return 0;
}

void place_close(struct place_base *base)
{
	if (!base)
		return;
	range_close(base->ranges);
	if (base->is_mmdb)
		MMDB_close(&base->mmdb);
	free(base->kept);
	free(base);
}

/* A member by its path (NULL-terminated); false: there is none. */
static bool get(MMDB_entry_s *entry, MMDB_entry_data_s *data, const char *const *path)
{
	return MMDB_aget_value(entry, data, path) == MMDB_SUCCESS && data->has_data;
}

#define PATH(...) ((const char *const[]){ __VA_ARGS__, NULL })

static bool is_utf8(struct slice text)
{
	struct buf clean = { .limit = text.len * 3 + 1 };
	bool same;

	json_clean_utf8(text, &clean);
	same = !clean.failed && slice_eq(text, buf_slice(&clean));
	buf_close(&clean);
	return same;
}

static struct slice get_text(MMDB_entry_s *entry, const char *const *path)
{
	MMDB_entry_data_s data;
	struct slice text;

	if (!get(entry, &data, path) || data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return (struct slice){ NULL, 0 };
	text = text_cut((struct slice){ data.utf8_string, data.data_size }, TEXT_ID_MAX);
	return text.len && is_utf8(text) ? text : (struct slice){ NULL, 0 };
}

static struct slice either(struct slice a, struct slice b)
{
	return a.ptr ? a : b;
}

/* Degrees with 4 digits (11 m), as floats of a flat file are none of ours to make up digits for. */
static bool get_degrees(MMDB_entry_s *entry, const char *const *path, double *degrees)
{
	MMDB_entry_data_s data;
	double value;

	if (!get(entry, &data, path))
		return false;
	if (data.type == MMDB_DATA_TYPE_DOUBLE)
		value = data.double_value;
	else if (data.type == MMDB_DATA_TYPE_FLOAT)
		value = (double)data.float_value;
	else
		return false;
	*degrees = round(value * 1e4) / 1e4;
	return value >= -360 && value <= 360;
}

static int64_t get_asn(MMDB_entry_s *entry, const char *const *path)
{
	MMDB_entry_data_s data;
	int64_t asn = 0;

	if (!get(entry, &data, path))
		return 0;
	if (data.type == MMDB_DATA_TYPE_UINT32)
		return data.uint32;
	if (data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return 0;
	for (uint32_t i = 0; i < data.data_size && asn < UINT32_MAX; i++) {     /* "AS1653" */
		char c = data.utf8_string[i];

		if (c >= '0' && c <= '9')
			asn = asn * 10 + (c - '0');
		else if (i > 1 || c != "AS"[i])
			return 0;
	}
	return asn <= UINT32_MAX ? asn : 0;
}

static void split_district(struct place *place)
{
	const char *bracket = place->city.len ? memmem(place->city.ptr, place->city.len, " (", 2)
					      : NULL;
	size_t at;

	if (!bracket || place->city.ptr[place->city.len - 1] != ')')
		return;
	at = (size_t)(bracket - place->city.ptr);
	place->district = slice_skip(place->city, at + 2);
	place->district.len--;
	place->city.len = at;
	if (place->district.len == 0)
		place->district = (struct slice){ NULL, 0 };
}

static void take_nested(MMDB_entry_s *entry, struct place *place)
{
	place->country = either(get_text(entry, PATH("country", "iso_code")),
				get_text(entry, PATH("registered_country", "iso_code")));
	place->region = either(get_text(entry, PATH("subdivisions", "0", "names", "en")),
			       get_text(entry, PATH("subdivisions", "0", "iso_code")));
	place->city = get_text(entry, PATH("city", "names", "en"));
	place->has_point = get_degrees(entry, PATH("location", "latitude"), &place->lat) &&
			   get_degrees(entry, PATH("location", "longitude"), &place->lon);
}

static void take_flat(MMDB_entry_s *entry, struct place *place)
{
	place->country = either(get_text(entry, PATH("country_code")),
				get_text(entry, PATH("country")));
	place->region = either(get_text(entry, PATH("state1")), get_text(entry, PATH("region")));
	place->city = get_text(entry, PATH("city"));
	place->has_point = get_degrees(entry, PATH("latitude"), &place->lat) &&
			   get_degrees(entry, PATH("longitude"), &place->lon);
}

static void take(MMDB_entry_s *entry, struct place *place)
{
	MMDB_entry_data_s data;

	*place = (struct place){ .asn = 0 };
	if ((get(entry, &data, PATH("country")) && data.type == MMDB_DATA_TYPE_MAP) ||
	    (get(entry, &data, PATH("registered_country")) && data.type == MMDB_DATA_TYPE_MAP))
		take_nested(entry, place);
	else
		take_flat(entry, place);
	if (place->country.len != 2)
		place->country = (struct slice){ NULL, 0 };
	split_district(place);
	place->asn = get_asn(entry, PATH("autonomous_system_number"));
	if (!place->asn)
		place->asn = get_asn(entry, PATH("asn"));
	place->as_org = either(get_text(entry, PATH("autonomous_system_organization")),
			       either(get_text(entry, PATH("as_name")),
				      get_text(entry, PATH("as_organization"))));
}

static bool find_mmdb(struct place_base *base, const struct ip *ip, const struct place **placep)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const void *address = ip->is_v6 ? (const void *)&v6 : (const void *)&v4;
	MMDB_lookup_result_s result;
	struct kept *kept;
	int rc;

	if (ip->is_v6) {
		for (int i = 0; i < 8; i++) {
			v6.sin6_addr.s6_addr[i] = (uint8_t)(ip->high >> (56 - 8 * i));
			v6.sin6_addr.s6_addr[8 + i] = (uint8_t)(ip->low >> (56 - 8 * i));
		}
	} else {
		v4.sin_addr.s_addr = htonl(ip->v4);
	}
	result = MMDB_lookup_sockaddr(&base->mmdb, address, &rc);
	if (rc != MMDB_SUCCESS || !result.found_entry)
		return false;
	kept = &base->kept[(result.entry.offset * 2654435761u) >> 17];
	if (kept->offset != result.entry.offset + 1) {
		take(&result.entry, &kept->place);
		kept->offset = result.entry.offset + 1;
	}
	*placep = &kept->place;
	return true;
}

bool place_find(struct place_base *base, const struct ip *ip, const struct place **placep)
{
	const struct range_value *value;

	if (base->is_mmdb)
		return find_mmdb(base, ip, placep);
	value = range_find(base->ranges, ip);
	if (!value)
		return false;
	base->place = (struct place){ .asn = value->asn };
	if (value->country[0])
		base->place.country = (struct slice){ value->country, 2 };
	if (value->org.len)
		base->place.as_org = value->org;
	*placep = &base->place;
	return true;
}

int places_open(struct places *places, const struct step_args *args, const struct opt_list *paths,
		const char *const *defaults, struct err *err)
{
	bool are_given = paths->count != 0;

	places->count = 0;
	for (size_t i = 0; are_given ? i < paths->count : defaults[i] != NULL; i++) {
		const char *path = are_given ? paths->items[i] : defaults[i];
		int rc;

		if (!are_given && access(path, R_OK) < 0)
			continue;
		if (places->count == PLACE_BASES_MAX)
			return err_set(err, -EINVAL, "%s: over %d databases", args->where,
				       PLACE_BASES_MAX);
		rc = place_open(&places->bases[places->count], args, path, err);
		if (rc < 0)
			return rc;
		places->count++;
	}
	return 0;
}

void places_close(struct places *places)
{
	while (places->count)
		place_close(places->bases[--places->count]);
}

bool places_find(struct places *places, const struct ip *ip, const struct place **placep)
{
	for (int i = 0; i < places->count; i++) {
		if (place_find(places->bases[i], ip, placep))
			return true;
	}
	return false;
}
