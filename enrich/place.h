/* place - where an address is and whose network it is of, from one database file
 *
 *      x.mmdb     MaxMind's format (libmaxminddb), nested as GeoLite2 and DB-IP have it
 *                 (country.iso_code, city.names.en ..), or flat as ip-location-db has it
 *                 (country_code, city, state1 ..); mapped, not read
 *      others     a text of ranges (range.h)
 *
 * Records of an .mmdb are taken apart once and kept by their offset in the file: eight members cost
 * 4.8 us each time, 1 us so, as 80 % of addresses share a record with another one seen. A city
 * such as "Stockholm (Ostermalm)" is city and district. A file may know version 4, 6 or both.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_PLACE_H
#define ENRICH_PLACE_H

#include "enrich/ip.h"
#include "enrich/step.h"

/* Texts live as long as the base; {NULL, 0}: not known. */
struct place {
	struct slice country, region, city, district;
	struct slice as_org;
	double lat, lon;
	bool has_point;
	int64_t asn;                    /* 0: not known */
};

struct place_base;

/* The file is read and watched by step_file_read or step_file_watch with args. */
MUST_CHECK int place_open(struct place_base **basep, const struct step_args *args,
			  const char *path, struct err *err);
void place_close(struct place_base *base);
/* false: the file does not know it. *placep lives until the next call. */
bool place_find(struct place_base *base, const struct ip *ip, const struct place **placep);

/* Several files as one: the first that knows an address counts. */
#define PLACE_BASES_MAX 8

struct places {
	struct place_base *bases[PLACE_BASES_MAX];
	int count;
};

/* paths; where there are none, those of defaults (NULL-terminated) that can be read. After a
 * failure too it is to be closed. */
MUST_CHECK int places_open(struct places *places, const struct step_args *args,
			   const struct opt_list *paths, const char *const *defaults,
			   struct err *err);
void places_close(struct places *places);
bool places_find(struct places *places, const struct ip *ip, const struct place **placep);

#endif
