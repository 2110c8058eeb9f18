/* record - the leaves of each topic's schema, by name
 *
 * One X-macro per schema in schemas/, in its order: X(ENUM_SUFFIX, "dotted.name"). The enum
 * constants index the struct value array of a record. record_schema() makes sure once, at
 * start, that list and .avsc agree; tests/lib_record_test.c does too. A new field: add it to the
 * .avsc with a default, and here.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_RECORD_H
#define LIB_RECORD_H

#include "lib/schema.h"

#define COLLECTED_LEAVES(X) \
	X(MESSAGE_ID, "message_id") \
	X(TYPE, "type") \
	X(SOURCE, "source") \
	X(RECEIVED_AT, "received_at") \
	X(SENT_AT, "sent_at") \
	X(IP, "ip") \
	X(USER_AGENT, "user_agent") \
	X(DOOR, "door") \
	X(BODY, "body") \
	X(OPT_OUT, "opt_out")

#define ENRICHED_LEAVES(X) \
	X(MESSAGE_ID, "message_id") \
	X(TYPE, "type") \
	X(EVENT, "event") \
	X(NAME, "name") \
	X(CATEGORY, "category") \
	X(SOURCE, "source") \
	X(USER_ID, "user_id") \
	X(ANONYMOUS_ID, "anonymous_id") \
	X(GROUP_ID, "group_id") \
	X(PREVIOUS_ID, "previous_id") \
	X(TIMESTAMP, "timestamp") \
	X(ORIGINAL_TIMESTAMP, "original_timestamp") \
	X(SENT_AT, "sent_at") \
	X(RECEIVED_AT, "received_at") \
	X(IP, "ip") \
	X(USER_AGENT, "user_agent") \
	X(DOOR, "door") \
	X(GEO_COUNTRY, "geo.country") \
	X(GEO_REGION, "geo.region") \
	X(GEO_CITY, "geo.city") \
	X(GEO_DISTRICT, "geo.district") \
	X(GEO_LAT, "geo.lat") \
	X(GEO_LON, "geo.lon") \
	X(GEO_ASN, "geo.asn") \
	X(GEO_AS_ORG, "geo.as_org") \
	X(GEO_SCOPE, "geo.scope") \
	X(AGENT_BROWSER, "agent.browser") \
	X(AGENT_VERSION, "agent.version") \
	X(AGENT_OS, "agent.os") \
	X(AGENT_OS_VERSION, "agent.os_version") \
	X(AGENT_DEVICE, "agent.device") \
	X(AGENT_BRAND, "agent.brand") \
	X(AGENT_MODEL, "agent.model") \
	X(AGENT_BOT, "agent.bot") \
	X(AGENT_BOT_CATEGORY, "agent.bot_category") \
	X(PAGE_URL, "page.url") \
	X(PAGE_HOST, "page.host") \
	X(PAGE_PATH, "page.path") \
	X(PAGE_SEARCH, "page.search") \
	X(PAGE_TITLE, "page.title") \
	X(PAGE_REFERRER, "page.referrer") \
	X(PAGE_REFERRING_DOMAIN, "page.referring_domain") \
	X(CAMPAIGN_SOURCE, "campaign.source") \
	X(CAMPAIGN_MEDIUM, "campaign.medium") \
	X(CAMPAIGN_NAME, "campaign.name") \
	X(CAMPAIGN_TERM, "campaign.term") \
	X(CAMPAIGN_CONTENT, "campaign.content") \
	X(CAMPAIGN_CLICK_ID, "campaign.click_id") \
	X(REFERRER_MEDIUM, "referrer.medium") \
	X(REFERRER_SOURCE, "referrer.source") \
	X(REFERRER_TERM, "referrer.term") \
	X(REFERRER_DOMAIN, "referrer.domain") \
	X(LIBRARY_NAME, "library.name") \
	X(LIBRARY_VERSION, "library.version") \
	X(LOCALE, "locale") \
	X(TIMEZONE, "timezone") \
	X(SCREEN, "screen") \
	X(PROPERTIES, "properties") \
	X(TRAITS, "traits") \
	X(CONTEXT, "context") \
	X(INTEGRATIONS, "integrations") \
	X(VIOLATIONS, "violations") \
	X(SRC_PARTITION, "src.partition") \
	X(SRC_OFFSET, "src.offset") \
	X(SRC_INDEX, "src.index") \
	X(LOGIC, "logic")

#define BAD_LEAVES(X) \
	X(STAGE, "stage") \
	X(REASON, "reason") \
	X(WORDS, "words") \
	X(AT, "at") \
	X(FAILED_AT, "failed_at") \
	X(RECEIVED_AT, "received_at") \
	X(SOURCE, "source") \
	X(IP, "ip") \
	X(USER_AGENT, "user_agent") \
	X(ORIGINAL, "original") \
	X(FORMAT, "format") \
	X(SRC_PARTITION, "src.partition") \
	X(SRC_OFFSET, "src.offset") \
	X(SRC_COUNT, "src.count") \
	X(DESTINATION, "destination") \
	X(ATTEMPTS, "attempts") \
	X(FIRST_AT, "first_at")

#define COUNTED_LEAVES(X) \
	X(EVENT, "event") \
	X(UNIT, "unit") \
	X(BUCKET, "bucket") \
	X(BREAKDOWN, "breakdown") \
	X(SEGMENT, "segment") \
	X(TOTAL, "total") \
	X(UNIQUE, "unique") \
	X(COMPUTED_AT, "computed_at") \
	X(AS_OF, "as_of")

#define MEMBERS_LEAVES(X) \
	X(QUERY, "query") \
	X(PERSON, "person") \
	X(CHANGE, "change") \
	X(VERSION, "version") \
	X(CAUSE, "cause") \
	X(AT, "at") \
	X(PROFILE, "profile") \
	X(IDS, "ids") \
	X(DEFINITION, "definition") \
	X(TOTAL, "total") \
	X(COMPUTED_AT, "computed_at") \
	X(AS_OF, "as_of")

#define FUNNELS_LEAVES(X) \
	X(FUNNEL, "funnel") \
	X(COUNTS, "counts") \
	X(STEPS, "steps") \
	X(DEFINITION, "definition") \
	X(COMPUTED_AT, "computed_at") \
	X(AS_OF, "as_of")

#define DELETED_LEAVES(X) \
	X(ID, "id") \
	X(KIND, "kind") \
	X(RECEIVED_AT, "received_at") \
	X(COMPUTED_AT, "computed_at")

#define RECORD_ENUM_COLLECTED(suffix, name) COLLECTED_##suffix,
enum collected_leaf { COLLECTED_LEAVES(RECORD_ENUM_COLLECTED) COLLECTED_COUNT };
#define RECORD_ENUM_ENRICHED(suffix, name) ENRICHED_##suffix,
enum enriched_leaf { ENRICHED_LEAVES(RECORD_ENUM_ENRICHED) ENRICHED_COUNT };
#define RECORD_ENUM_BAD(suffix, name) BAD_##suffix,
enum bad_leaf { BAD_LEAVES(RECORD_ENUM_BAD) BAD_COUNT };
#define RECORD_ENUM_COUNTED(suffix, name) COUNTED_##suffix,
enum counted_leaf { COUNTED_LEAVES(RECORD_ENUM_COUNTED) COUNTED_COUNT };
#define RECORD_ENUM_MEMBERS(suffix, name) MEMBERS_##suffix,
enum members_leaf { MEMBERS_LEAVES(RECORD_ENUM_MEMBERS) MEMBERS_COUNT };
#define RECORD_ENUM_FUNNELS(suffix, name) FUNNELS_##suffix,
enum funnels_leaf { FUNNELS_LEAVES(RECORD_ENUM_FUNNELS) FUNNELS_COUNT };
#define RECORD_ENUM_DELETED(suffix, name) DELETED_##suffix,
enum deleted_leaf { DELETED_LEAVES(RECORD_ENUM_DELETED) DELETED_COUNT };

/* The `type` of a record in `enriched` that is no event: its src tells that all input up to it
 * was read, though the records just before it were dropped (duplicates, bad ones). Readers count
 * it as `marker` and pass on. */
#define RECORD_TYPE_MARKER "$marker"

/* schema_own(name), checked against the list above. The caller closes it. */
struct schema *record_schema(const char *name);

#endif
