// SPDX-License-Identifier: Apache-2.0
/*
 * Where the address is: country, region, city, district, point; and of an address that is nobody's
 * (private, documentation ..) its scope instead. Without settings and options the first of
 * Debian's usual places that is there: a GeoLite2 that geoipupdate keeps, else tor-geoipdb's two
 * files, which know the country.
 */
#include "enrich/place.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "enrich/enrich.h"

struct geo_conf {
	struct opt_list databases;
};

static const struct opt opts[] = {
	{ "databases", OPT_LIST, offsetof(struct geo_conf, databases), NULL, 0, 0, "FILE",
	  "places: .mmdb, or a text of ranges; the first that knows an address counts" },
	{ .name = NULL },
};

static int open_geo(void **statep, const struct step_args *args, struct err *err)
{
	static const char *const city[] = { "/var/lib/GeoIP/GeoLite2-City.mmdb", NULL };
	static const char *const countries[] = { "/usr/share/tor/geoip", "/usr/share/tor/geoip6",
						 NULL };
	const struct geo_conf *conf = args->conf;
	const struct opt_list *paths = conf->databases.count ? &conf->databases
							     : &args->flags->geoip;
	struct places *places = calloc(1, sizeof(*places));
	int rc;

	if (!places)
		return err_set(err, -ENOMEM, "no memory");
	rc = places_open(places, args, paths, access(city[0], R_OK) == 0 ? city : countries, err);
	if (rc < 0) {
		places_close(places);
		free(places);
		return rc;
	}
	if (places->count == 0)
		step_lack(args, "countries are unknown: install tor-geoipdb, or give --geoip");
	/* With none the scope of an address is still told. */
	*statep = places;
	return 0;
}

static void close_geo(void *state)
{
	places_close(state);
	free(state);
}

static struct value text(struct slice text)
{
	return text.ptr ? value_text(text) : (struct value){ .is_set = false };
}

static int apply(void *state, struct step_event *event)
{
	struct value *out = event->out;
	const struct place *place;
	const char *scope;
	struct ip ip;

	if (!out[ENRICHED_IP].is_set || !ip_parse(out[ENRICHED_IP].text, &ip))
		return 0;
	scope = ip_scope(&ip);
	if (scope) {
		out[ENRICHED_GEO_SCOPE] = value_text(slice_from(scope));
		return 0;
	}
	if (!places_find(state, &ip, &place))
		return 0;
	out[ENRICHED_GEO_COUNTRY] = text(place->country);
	out[ENRICHED_GEO_REGION] = text(place->region);
	out[ENRICHED_GEO_CITY] = text(place->city);
	out[ENRICHED_GEO_DISTRICT] = text(place->district);
	if (place->has_point) {
		out[ENRICHED_GEO_LAT] = value_real(place->lat);
		out[ENRICHED_GEO_LON] = value_real(place->lon);
	}
	return 0;
}

static void hash(const void *state, struct buf *out)
{
	buf_printf(out, "databases %d\n", ((const struct places *)state)->count);
}

const struct step_kind step_geo = {
	.name = "geo", .version = 1, .after = "context",
	.opts = opts, .conf_size = sizeof(struct geo_conf),
	.open = open_geo, .close = close_geo, .apply = apply, .hash = hash,
};
