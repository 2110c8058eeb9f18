// SPDX-License-Identifier: Apache-2.0
#include "enrich/pattern.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "enrich/literal.h"
#include "enrich/scan.h"

#define JIT_STACK_MIN 32768
#define JIT_STACK_MAX (1 << 20)

struct rule {
	pcre2_code *code;
	bool has_jit;
	int need_count;                 /* sets that must be seen; 0: always tried */
	int need[LITERAL_SETS];
	struct literals literals;       /* until pattern_build */
};

/* A set of literals, shared by the rules that need the same. */
struct need {
	struct literal_set literals;
	int first, count;               /* of `triggered`: the rules that it makes candidates */
};

struct pattern_set {
	struct rule *rules;
	int rule_count, rule_cap;
	int section_first[PATTERN_SECTIONS + 1];        /* rules before it; until the last added */
	int section;                    /* the one being added */
	struct need *needs;
	int need_count;
	int *triggered;                 /* rule numbers, by need */
	struct scan *scan;
	struct arena arena;             /* of the literals, until they are built in */
	uint64_t *always, *candidates;  /* a bit per rule */
	int words;
	uint64_t *seen;                 /* a bit per need */
	int *ids;                       /* room for what a scan finds */
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
	struct slice text;
	int group_count;
	struct pattern_work work;
};

int pattern_open(struct pattern_set **setp, uint32_t match_limit, struct err *err)
{
	struct pattern_set *set = calloc(1, sizeof(*set));

	if (!set)
		return err_set(err, -ENOMEM, "no memory");
	set->arena.bytes_max = (size_t)256 << 20;
	set->match = pcre2_match_data_create(PATTERN_GROUPS_MAX, NULL);
	set->context = pcre2_match_context_create(NULL);
	set->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (!set->match || !set->context) {
		pattern_close(set);
		return err_set(err, -ENOMEM, "no memory");
	}
	pcre2_set_match_limit(set->context, match_limit);
	if (set->stack)
		pcre2_jit_stack_assign(set->context, NULL, set->stack);
	*setp = set;
	return 0;
}

void pattern_close(struct pattern_set *set)
{
	if (!set)
		return;
	for (int i = 0; i < set->rule_count; i++)
		pcre2_code_free(set->rules[i].code);
	pcre2_match_data_free(set->match);
	pcre2_match_context_free(set->context);
	pcre2_jit_stack_free(set->stack);
	scan_close(set->scan);
	arena_close(&set->arena);
	free(set->rules);
	free(set->needs);
	free(set->triggered);
	free(set->always);
	free(set->candidates);
	free(set->seen);
	free(set->ids);
	free(set);
}

static int rule_compile(struct rule *rule, struct slice regex, bool ignore_case, struct err *err)
{
	uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C |
			   (ignore_case ? PCRE2_CASELESS : 0);
	PCRE2_UCHAR words[120] = "";
	PCRE2_SIZE at = 0;
	int code = 0;

	rule->code = pcre2_compile((PCRE2_SPTR)regex.ptr, regex.len, options, &code, &at, NULL);
	if (!rule->code) {
		pcre2_get_error_message(code, words, sizeof(words));
		return err_set(err, -EBADMSG, "no regular expression, at byte %zu: %s", at,
			       (const char *)words);
	}
	rule->has_jit = pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE) == 0;
	return 0;
}

int pattern_add(struct pattern_set *set, int section, struct slice regex, bool ignore_case,
		struct err *err)
{
	struct rule *rule;
	int rc;

	assert(section >= set->section && section < PATTERN_SECTIONS && !set->scan);
	if (set->rule_count == PATTERN_RULES_MAX)
		return err_set(err, -ENOSPC, "over %d rules", PATTERN_RULES_MAX);
	if (regex.len > PATTERN_LEN_MAX)
		return err_set(err, -ENOSPC, "an expression over %d bytes", PATTERN_LEN_MAX);
	if (set->rule_count == set->rule_cap) {
		int cap = set->rule_cap ? set->rule_cap * 2 : 256;
		struct rule *rules = reallocarray(set->rules, (size_t)cap, sizeof(*rules));

		if (!rules)
			return err_set(err, -ENOMEM, "no memory");
		set->rules = rules;
		set->rule_cap = cap;
	}
	rule = &set->rules[set->rule_count];
	*rule = (struct rule){ .code = NULL };
	rc = rule_compile(rule, regex, ignore_case, err);
	if (rc < 0)
		return rc;
	set->rule_count++;
	while (set->section < section)
		set->section_first[++set->section] = set->rule_count - 1;
	rc = literal_find(&set->arena, regex, &rule->literals);
	return rc < 0 ? err_set(err, rc, "no memory") : 0;
}

static uint64_t hash_of(const struct literal_set *set)
{
	uint64_t hash = 14695981039346656037u;

	for (int i = 0; i < set->count; i++) {
		for (size_t k = 0; k < set->items[i].len; k++)
			hash = (hash ^ (unsigned char)set->items[i].ptr[k]) * 1099511628211u;
		hash = (hash ^ 0x100) * 1099511628211u;
	}
	return hash;
}

static bool is_same(const struct literal_set *a, const struct literal_set *b)
{
	bool same = a->count == b->count;

	for (int i = 0; same && i < a->count; i++)
		same = slice_eq(a->items[i], b->items[i]);
	return same;
}

/* table: need numbers + 1 by hash, mask + 1 places. */
static int need_find(struct pattern_set *set, const struct literal_set *literals, int *table,
		     uint64_t mask)
{
	uint64_t at = hash_of(literals) & mask;

	for (; table[at]; at = (at + 1) & mask) {
		if (is_same(&set->needs[table[at] - 1].literals, literals))
			return table[at] - 1;
	}
	set->needs[set->need_count].literals = *literals;
	table[at] = ++set->need_count;
	return set->need_count - 1;
}

static int number_needs(struct pattern_set *set)
{
	uint64_t size = 64;
	int *table;

	while (size < (uint64_t)set->rule_count * LITERAL_SETS * 2)
		size *= 2;
	table = calloc(size, sizeof(*table));
	set->needs = calloc((size_t)set->rule_count * LITERAL_SETS + 1, sizeof(*set->needs));
	if (!table || !set->needs) {
		free(table);
		return -ENOMEM;
	}
	for (int i = 0; i < set->rule_count; i++) {
		struct rule *rule = &set->rules[i];

		rule->need_count = rule->literals.count;
		for (int k = 0; k < rule->need_count; k++)
			rule->need[k] = need_find(set, &rule->literals.sets[k], table, size - 1);
	}
	free(table);
	return 0;
}

/* Which rules the rarest need of each makes candidates. */
static void set_triggers(struct pattern_set *set)
{
	int at = 0;

	for (int i = 0; i < set->rule_count; i++) {
		if (set->rules[i].need_count)
			set->needs[set->rules[i].need[0]].count++;
		else
			set->always[i >> 6] |= (uint64_t)1 << (i & 63);
	}
	for (int i = 0; i < set->need_count; i++) {
		set->needs[i].first = at;
		at += set->needs[i].count;
		set->needs[i].count = 0;
	}
	for (int i = 0; i < set->rule_count; i++) {
		struct need *need;

		if (!set->rules[i].need_count)
			continue;
		need = &set->needs[set->rules[i].need[0]];
		set->triggered[need->first + need->count++] = i;
	}
}

static int build_scan(struct pattern_set *set, struct err *err)
{
	int rc = scan_open(&set->scan, err);

	for (int i = 0; i < set->need_count && rc == 0; i++) {
		const struct literal_set *literals = &set->needs[i].literals;

		for (int k = 0; k < literals->count && rc == 0; k++)
			rc = scan_add(set->scan, literals->items[k], i);
	}
	if (rc == 0)
		rc = scan_build(set->scan);
	return rc == -ENOSPC ? err_set(err, rc, "the rules have too many different words")
	       : rc < 0	     ? err_set(err, rc, "no memory")
			     : 0;
}

int pattern_build(struct pattern_set *set, bool use_literals, struct err *err)
{
	int rc;

	while (set->section < PATTERN_SECTIONS)
		set->section_first[++set->section] = set->rule_count;
	for (int i = 0; i < set->rule_count && !use_literals; i++)
		set->rules[i].literals.count = 0;
	rc = number_needs(set);
	if (rc < 0)
		return err_set(err, rc, "no memory");
	set->words = set->rule_count / 64 + 1;
	set->always = calloc((size_t)set->words, sizeof(uint64_t));
	set->candidates = calloc((size_t)set->words, sizeof(uint64_t));
	set->seen = calloc((size_t)set->need_count / 64 + 1, sizeof(uint64_t));
	set->ids = calloc((size_t)set->need_count + 1, sizeof(int));
	set->triggered = calloc((size_t)set->rule_count + 1, sizeof(int));
	if (!set->always || !set->candidates || !set->seen || !set->ids || !set->triggered)
		return err_set(err, -ENOMEM, "no memory");
	set_triggers(set);
	rc = build_scan(set, err);
	for (int i = 0; i < set->need_count; i++)
		set->needs[i].literals = (struct literal_set){ NULL, 0 };
	for (int i = 0; i < set->rule_count; i++)
		set->rules[i].literals.count = 0;
	arena_close(&set->arena);
	return rc;
}

int pattern_count(const struct pattern_set *set, int section)
{
	return set->section_first[section + 1] - set->section_first[section];
}

void pattern_scan(struct pattern_set *set, struct slice text)
{
	int count;

	set->text = text;
	set->work.scans++;
	memset(set->seen, 0, ((size_t)set->need_count / 64 + 1) * sizeof(uint64_t));
	memcpy(set->candidates, set->always, (size_t)set->words * sizeof(uint64_t));
	count = scan_run(set->scan, text, set->seen, set->ids);
	for (int i = 0; i < count; i++) {
		const struct need *need = &set->needs[set->ids[i]];

		for (int k = need->first; k < need->first + need->count; k++) {
			int rule = set->triggered[k];

			set->candidates[rule >> 6] |= (uint64_t)1 << (rule & 63);
		}
	}
}

static bool has_needs(const struct pattern_set *set, const struct rule *rule)
{
	for (int i = 1; i < rule->need_count; i++) {
		if (!(set->seen[rule->need[i] >> 6] >> (rule->need[i] & 63) & 1))
			return false;
	}
	return true;
}

static bool rule_matches(struct pattern_set *set, const struct rule *rule)
{
	PCRE2_SPTR text = (PCRE2_SPTR)set->text.ptr;
	int rc;

	set->work.runs++;
	if (rule->has_jit)
		rc = pcre2_jit_match(rule->code, text, set->text.len, 0, 0, set->match,
				     set->context);
	else
		rc = pcre2_match(rule->code, text, set->text.len, 0, 0, set->match, set->context);
	if (rc < 0) {
		set->work.limited += rc != PCRE2_ERROR_NOMATCH;
		return false;
	}
	set->group_count = rc ? rc : PATTERN_GROUPS_MAX;
	return true;
}

int pattern_match(struct pattern_set *set, int section)
{
	int first = set->section_first[section], end = set->section_first[section + 1];

	for (int word = first >> 6; word << 6 < end; word++) {
		uint64_t bits = set->candidates[word];

		if (word == first >> 6)
			bits &= ~(uint64_t)0 << (first & 63);
		for (; bits; bits &= bits - 1) {
			int rule = word << 6 | __builtin_ctzll(bits);

			if (rule >= end)
				break;
			if (has_needs(set, &set->rules[rule]) &&
			    rule_matches(set, &set->rules[rule]))
				return rule - first;
		}
	}
	set->group_count = 0;
	return -1;
}

struct slice pattern_group(const struct pattern_set *set, int group)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(set->match);

	if (group >= set->group_count || at[group * 2] == PCRE2_UNSET)
		return (struct slice){ NULL, 0 };
	return (struct slice){ set->text.ptr + at[group * 2], at[group * 2 + 1] - at[group * 2] };
}

const struct pattern_work *pattern_work(const struct pattern_set *set)
{
	return &set->work;
}
