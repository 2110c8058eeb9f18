// SPDX-License-Identifier: Apache-2.0
/*
 * Whose network the address is of: number and organisation of its autonomous system.
 */
#include "enrich/place.h"

#include <errno.h>
#include <stdlib.h>

#include "enrich/enrich.h"

struct asn_conf {
	struct opt_list databases;
};

static const struct opt opts[] = {
	{ "databases", OPT_LIST, offsetof(struct asn_conf, databases), NULL, 0, 0, "FILE",
	  "networks: .mmdb, or a text of ranges; the first that knows an address counts" },
	{ .name = NULL },
};

static int open_asn(void **statep, const struct step_args *args, struct err *err)
{
	static const char *const defaults[] = { "/var/lib/GeoIP/GeoLite2-ASN.mmdb", NULL };
	const struct asn_conf *conf = args->conf;
	struct places *places = calloc(1, sizeof(*places));
	int rc;

	if (!places)
		return err_set(err, -ENOMEM, "no memory");
	rc = places_open(places, args, conf->databases.count ? &conf->databases : &args->flags->asn,
			 defaults, err);
	if (rc == 0 && places->count) {
		*statep = places;
		return 0;
	}
	if (rc == 0)
		step_lack(args, "networks are unknown: give --asn");
	places_close(places);
	free(places);
	return rc < 0 ? rc : STEP_RESULT_UNUSED;
}

static void close_asn(void *state)
{
	places_close(state);
	free(state);
}

static int apply(void *state, struct step_event *event)
{
	struct value *out = event->out;
	const struct place *place;
	struct ip ip;

	if (!out[ENRICHED_IP].is_set || !ip_parse(out[ENRICHED_IP].text, &ip) || ip_scope(&ip) ||
	    !places_find(state, &ip, &place))
		return 0;
	if (place->asn)
		out[ENRICHED_GEO_ASN] = value_num(place->asn);
	if (place->as_org.ptr)
		out[ENRICHED_GEO_AS_ORG] = value_text(place->as_org);
	return 0;
}

const struct step_kind step_asn = {
	.name = "asn", .version = 1, .after = "context",
	.opts = opts, .conf_size = sizeof(struct asn_conf),
	.open = open_asn, .close = close_asn, .apply = apply,
};
