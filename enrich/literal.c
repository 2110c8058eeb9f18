// SPDX-License-Identifier: Apache-2.0
#include "enrich/literal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define EXACT_MAX  64           /* texts that an exact part may come to */
#define UNION_MAX  600          /* of an alternation: lists of device models are long */
#define CLASS_MAX  4            /* bytes of a class that is expanded; digits, too, would make the
				   rules four times slower to open and 10 % faster */
#define REPEAT_MAX 3            /* x{0,3} is expanded */
#define CONJ_MAX   20           /* sets kept until the best are chosen */
#define DEPTH_MAX  64

/* What is known of a part of the expression. Every match begins with a text of head and ends with
 * one of tail, so that `; (?:AN\d.*|ARCH.*)` needs "; an" or "; arch", not ";" and "an" or "arch".
 * An exact part's head and tail are the texts themselves. */
struct part {
	bool is_exact;                  /* it matches exactly the texts of head */
	struct literal_set head, tail;  /* may hold the empty text */
	struct literal_set conj[CONJ_MAX];
	int conj_count;
};

struct parse {
	struct arena *arena;
	const char *at, *end;
	int depth;
	bool is_lost;                   /* something not understood: nothing is known */
	bool is_out_of_memory;
};

static int compare(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len ? memcmp(x->ptr, y->ptr, len) : 0;

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static struct slice *alloc_items(struct parse *p, int count)
{
	struct slice *items = arena_alloc(p->arena, (size_t)count * sizeof(*items));

	if (!items)
		p->is_out_of_memory = true;
	return items;
}

static void set_sort(struct literal_set *set)
{
	int n = 0;

	qsort(set->items, (size_t)set->count, sizeof(*set->items), compare);
	for (int i = 0; i < set->count; i++) {
		if (n == 0 || !slice_eq(set->items[n - 1], set->items[i]))
			set->items[n++] = set->items[i];
	}
	set->count = n;
}

static struct literal_set set_of(struct parse *p, struct slice text)
{
	struct literal_set set = { alloc_items(p, 1), 0 };

	if (set.items)
		set.items[set.count++] = text;
	return set;
}

static struct part part_exact(struct parse *p, struct slice text)
{
	struct literal_set set = set_of(p, text);

	return (struct part){ .is_exact = true, .head = set, .tail = set };
}

/* Of which nothing is known. */
static struct part part_any(struct parse *p)
{
	struct literal_set empty = set_of(p, SLICE(""));

	return (struct part){ .is_exact = false, .head = empty, .tail = empty };
}

static struct part part_empty(struct parse *p)
{
	return part_exact(p, SLICE(""));
}

static bool set_has_empty(const struct literal_set *set)
{
	for (int i = 0; i < set->count; i++) {
		if (set->items[i].len == 0)
			return true;
	}
	return false;
}

static bool is_empty_only(const struct part *part)
{
	return part->is_exact && part->head.count == 1 && part->head.items[0].len == 0;
}

static void add_conj(struct part *part, const struct literal_set *set)
{
	if (set->count && !set_has_empty(set) && part->conj_count < CONJ_MAX)
		part->conj[part->conj_count++] = *set;
}

static struct literal_set set_join(struct parse *p, const struct literal_set *a,
				   const struct literal_set *b)
{
	struct literal_set set = { alloc_items(p, a->count + b->count), 0 };

	if (!set.items)
		return set;
	for (int i = 0; i < a->count; i++)
		set.items[set.count++] = a->items[i];
	for (int i = 0; i < b->count; i++)
		set.items[set.count++] = b->items[i];
	set_sort(&set);
	return set;
}

/* Each text of a followed by each of b; false where that is too many or too long. */
static bool set_cross(struct parse *p, const struct literal_set *a, const struct literal_set *b,
		      int max, struct literal_set *out)
{
	if (a->count * b->count > max)
		return false;
	for (int i = 0; i < a->count; i++) {
		for (int k = 0; k < b->count; k++) {
			if (a->items[i].len + b->items[k].len > LITERAL_LEN_MAX)
				return false;
		}
	}
	*out = (struct literal_set){ alloc_items(p, a->count * b->count), 0 };
	for (int i = 0; i < a->count && out->items; i++) {
		for (int k = 0; k < b->count; k++) {
			struct slice x = a->items[i], y = b->items[k];
			char *text = arena_alloc(p->arena, x.len + y.len + 1);

			if (!text) {
				p->is_out_of_memory = true;
				return false;
			}
			memcpy(text, x.ptr, x.len);
			memcpy(text + x.len, y.ptr, y.len);
			out->items[out->count++] = (struct slice){ text, x.len + y.len };
		}
	}
	if (out->items)
		set_sort(out);
	return out->items != NULL;
}

/* How rare a literal is, by a guess: its length, but nearly every user agent has those that stand
 * in these. Right or wrong, only speed depends on it. */
static int rarity(struct slice text)
{
	static const char common[] = "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 "
		"(khtml, like gecko) chrome/1 mobile safari/537.36 (linux; u; android 1; "
		"(macintosh; intel mac os x 10_15_7) version/1 (iphone; cpu iphone os 1_ like "
		"build/ compatible; http://www. .com +http bot/";

	if (memmem(common, sizeof(common) - 1, text.ptr, text.len))
		return 1;
	return text.len > 10 ? 30 : (int)text.len * 3;
}

static int score(const struct literal_set *set)
{
	int least = INT32_MAX, many = 0;

	for (int i = 0; i < set->count; i++) {
		int one = rarity(set->items[i]);

		least = one < least ? one : least;
	}
	for (int n = set->count; n > 1; n /= 2)
		many++;
	return least * 2 - many;
}

static const struct literal_set *best_of(const struct part *part)
{
	const struct literal_set *best = NULL;

	if (part->is_exact)
		return set_has_empty(&part->head) ? NULL : &part->head;
	for (int i = 0; i < part->conj_count; i++) {
		if (!best || score(&part->conj[i]) > score(best))
			best = &part->conj[i];
	}
	return best;
}

static struct part parse_alternatives(struct parse *p);

/* Behind the opening bracket of (?...: up to where the expression inside begins. */
static bool skip_group_head(struct parse *p, bool *is_look, bool *is_closed)
{
	const char *at = p->at;
	char c;

	*is_look = *is_closed = false;
	if (at == p->end || *at != '?')
		return at < p->end && *at != '*';
	if (++at == p->end)
		return false;
	c = *at++;
	if (c == 'P' && at < p->end && *at == '<')
		c = *at++;
	if (c == '=' || c == '!') {
		*is_look = true;
	} else if (c == '<' && at < p->end && (*at == '=' || *at == '!')) {
		*is_look = true;
		at++;
	} else if (c == '<' || c == '\'') {
		at = memchr(at, c == '<' ? '>' : '\'', (size_t)(p->end - at));
		if (!at)
			return false;
		at++;
	} else if (c != ':' && c != '>' && c != '|') {
		for (at--; at < p->end && strchr("imsJU-", *at) && *at; at++)
			;
		if (at == p->end || (*at != ':' && *at != ')'))
			return false;
		*is_closed = *at == ')';
		at++;
	}
	p->at = at;
	return true;
}

static struct part parse_group(struct parse *p)
{
	struct part part = part_any(p);
	bool is_look, is_closed;

	if (++p->depth > DEPTH_MAX || !skip_group_head(p, &is_look, &is_closed)) {
		p->is_lost = true;
		return part;
	}
	if (!is_closed) {
		part = parse_alternatives(p);
		if (p->at == p->end || *p->at != ')')
			p->is_lost = true;
		else
			p->at++;
	}
	p->depth--;
	return is_look || is_closed ? part_empty(p) : part;
}

static struct slice byte_text(struct parse *p, char c)
{
	char *copy = arena_alloc(p->arena, 1);

	if (!copy) {
		p->is_out_of_memory = true;
		return SLICE("");
	}
	*copy = lower(c);
	return (struct slice){ copy, 1 };
}

static int hex_digit(char c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum escape { ESCAPE_BYTE, ESCAPE_ANY, ESCAPE_NOTHING, ESCAPE_LOST };

/* Behind a backslash. in_class: \b is a backspace there, and assertions do not exist. */
static enum escape parse_escape(struct parse *p, bool in_class, char *byte)
{
	static const char names[] = "ntrfea", bytes[] = "\n\t\r\f\x1b\a";
	const char *found;
	char c;

	if (p->at == p->end)
		return ESCAPE_LOST;
	c = *byte = *p->at++;
	if (c == 'x') {
		if (p->end - p->at < 2 || hex_digit(p->at[0]) < 0 || hex_digit(p->at[1]) < 0)
			return ESCAPE_LOST;
		*byte = (char)(hex_digit(p->at[0]) * 16 + hex_digit(p->at[1]));
		p->at += 2;
		return ESCAPE_BYTE;
	}
	found = memchr(names, c, sizeof(names) - 1);
	if (found) {
		*byte = bytes[found - names];
		return ESCAPE_BYTE;
	}
	if (memchr("dDwWsShHvV", c, 10))
		return ESCAPE_ANY;
	if (!in_class && memchr("NR", c, 2))
		return ESCAPE_ANY;
	if (!in_class && memchr("bBAzZG", c, 6))
		return ESCAPE_NOTHING;
	if ((c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'))
		return ESCAPE_LOST;
	return ESCAPE_BYTE;
}

/* One member of a class; false: its bytes are many or unknown. */
static bool class_byte(struct parse *p, char *byte)
{
	*byte = *p->at++;
	if (*byte == '[' && p->at < p->end && (*p->at == ':' || *p->at == '.' || *p->at == '=')) {
		const char *close = memmem(p->at, (size_t)(p->end - p->at), ":]", 2);

		if (!close)
			p->is_lost = true;
		else
			p->at = close + 2;
		return false;
	}
	if (*byte != '\\')
		return true;
	switch (parse_escape(p, true, byte)) {
	case ESCAPE_BYTE:
		return true;
	case ESCAPE_ANY:
		return false;
	default:
		p->is_lost = true;
		return false;
	}
}

/* Behind [ up to behind ]. */
static struct part parse_class(struct parse *p)
{
	struct part part = { .is_exact = true, .head = { alloc_items(p, 256), 0 } };
	bool is_any = p->at < p->end && *p->at == '^';
	bool is_first = true;
	char low, high;

	if (!part.head.items)
		return part;
	p->at += is_any;
	for (; p->at < p->end && (is_first || *p->at != ']') && !p->is_lost; is_first = false) {
		bool known = class_byte(p, &low);

		high = low;
		if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
			p->at++;
			known &= class_byte(p, &high);
		}
		is_any |= !known || (unsigned char)high - (unsigned char)low >= CLASS_MAX ||
			  part.head.count + CLASS_MAX > 256;
		for (int c = (unsigned char)low; !is_any && c <= (unsigned char)high; c++)
			part.head.items[part.head.count++] = byte_text(p, (char)c);
	}
	if (p->at == p->end)
		p->is_lost = true;
	else
		p->at++;
	set_sort(&part.head);
	part.tail = part.head;
	if (is_any || part.head.count > CLASS_MAX || part.head.count == 0)
		return part_any(p);
	return part;
}

static struct part parse_atom(struct parse *p)
{
	char c = *p->at++;
	char byte;

	switch (c) {
	case '(':
		return parse_group(p);
	case '[':
		return parse_class(p);
	case '.':
		return part_any(p);
	case '^':
	case '$':
		return part_empty(p);
	case '\\':
		switch (parse_escape(p, false, &byte)) {
		case ESCAPE_BYTE:
			return part_exact(p, byte_text(p, byte));
		case ESCAPE_ANY:
			return part_any(p);
		case ESCAPE_NOTHING:
			return part_empty(p);
		default:
			p->is_lost = true;
			return part_empty(p);
		}
	case '*':
	case '+':
	case '?':
		p->is_lost = true;      /* PCRE refuses it, too */
		return part_empty(p);
	default:
		return part_exact(p, byte_text(p, c));
	}
}

static bool parse_count(const char **at, const char *end, int *count)
{
	const char *from = *at;

	for (*count = 0; *at < end && **at >= '0' && **at <= '9' && *count < 100000; (*at)++)
		*count = *count * 10 + (**at - '0');
	return *at > from;
}

/* *, +, ?, {m}, {m,}, {m,n}, each with ? or + behind it. false: there is none. */
static bool parse_repeat(struct parse *p, int *min, int *max)
{
	const char *at = p->at;

	if (at == p->end)
		return false;
	*min = *at == '+';
	*max = *at == '?' ? 1 : INT32_MAX;
	if (*at == '{') {
		at++;
		if (!parse_count(&at, p->end, min))
			return false;           /* a brace is only a brace */
		*max = *min;
		if (at < p->end && *at == ',') {
			at++;
			if (!parse_count(&at, p->end, max))
				*max = INT32_MAX;
		}
		if (at == p->end || *at != '}')
			return false;
	} else if (*at != '*' && *at != '+' && *at != '?') {
		return false;
	}
	at++;
	if (at < p->end && (*at == '?' || *at == '+'))
		at++;
	p->at = at;
	return true;
}

/* An exact part min to max times, whole; false: too many texts. */
static bool repeat_exact(struct parse *p, const struct part *part, int min, int max,
			 struct part *out)
{
	struct literal_set all = { NULL, 0 }, power = set_of(p, SLICE(""));

	if (max > REPEAT_MAX || !power.items)
		return false;
	for (int n = 0; n <= max; n++) {
		struct literal_set more;

		if (n >= min)
			all = all.items ? set_join(p, &all, &power) : power;
		if (n == max || p->is_out_of_memory)
			break;
		if (!set_cross(p, &power, &part->head, EXACT_MAX, &more))
			return false;
		power = more;
	}
	if (all.count > EXACT_MAX || !all.items)
		return false;
	*out = (struct part){ .is_exact = true, .head = all, .tail = all };
	return true;
}

static struct part repeat(struct parse *p, const struct part *part, int min, int max)
{
	struct part out;

	if ((min == 1 && max == 1) || is_empty_only(part))
		return *part;
	if (part->is_exact && repeat_exact(p, part, min, max, &out))
		return out;
	if (min == 0)
		return part_any(p);
	out = *part;
	out.is_exact = false;
	if (part->is_exact)
		add_conj(&out, &part->head);
	return out;
}

/* The last byte of each: what is left of a run that became too much. */
static struct literal_set last_bytes(struct parse *p, const struct literal_set *set)
{
	struct literal_set out = { alloc_items(p, set->count), 0 };

	for (int i = 0; i < set->count && out.items; i++) {
		struct slice text = set->items[i];

		out.items[out.count++] = slice_skip(text, text.len > 1 ? text.len - 1 : 0);
	}
	if (out.items)
		set_sort(&out);
	return out;
}

/* What run and the head behind it come to is needed; where it is too much, each alone is, and the
 * run's end with the head. */
static void need_joint(struct parse *p, struct part *out, const struct literal_set *run,
		       const struct literal_set *head)
{
	struct literal_set joined, ends;

	if (set_cross(p, run, head, UNION_MAX, &joined)) {
		add_conj(out, &joined);
		return;
	}
	add_conj(out, run);
	ends = last_bytes(p, run);
	if (ends.items && set_cross(p, &ends, head, UNION_MAX, &joined))
		add_conj(out, &joined);
	else
		add_conj(out, head);
}

static struct part parse_sequence(struct parse *p)
{
	struct part out = { .is_exact = true };
	struct literal_set run = set_of(p, SLICE(""));  /* the texts of the latest exact parts */

	out.head = run;
	while (p->at < p->end && *p->at != '|' && *p->at != ')') {
		struct part part = parse_atom(p);
		struct literal_set joined;
		int min, max;

		if (!p->is_lost && parse_repeat(p, &min, &max))
			part = repeat(p, &part, min, max);
		if (p->is_lost || p->is_out_of_memory)
			return out;
		if (part.is_exact && set_cross(p, &run, &part.head, EXACT_MAX, &joined)) {
			run = joined;
			continue;
		}
		if (out.is_exact && !set_cross(p, &run, &part.head, EXACT_MAX, &out.head))
			out.head = run;
		out.is_exact = false;
		need_joint(p, &out, &run, &part.head);
		for (int i = 0; i < part.conj_count; i++)
			add_conj(&out, &part.conj[i]);
		run = part.tail;
	}
	out.tail = run;
	if (out.is_exact)
		out.head = run;
	else
		add_conj(&out, &run);
	return out;
}

/* One behind the other, joined where they are not too many; else nothing is known of the ends. */
static struct literal_set join_ends(struct parse *p, const struct literal_set *a,
				    const struct literal_set *b)
{
	return a->count + b->count <= EXACT_MAX ? set_join(p, a, b) : set_of(p, SLICE(""));
}

static struct part parse_alternatives(struct parse *p)
{
	struct part out = parse_sequence(p);

	while (p->at < p->end && *p->at == '|' && !p->is_lost && !p->is_out_of_memory) {
		struct part part, joined = { .is_exact = out.is_exact };
		const struct literal_set *a, *b;

		p->at++;
		part = parse_sequence(p);
		if (p->is_lost || p->is_out_of_memory)
			return out;
		joined.is_exact &= part.is_exact && out.head.count + part.head.count <= UNION_MAX;
		if (joined.is_exact) {
			joined.head = joined.tail = set_join(p, &out.head, &part.head);
			out = joined;
			continue;
		}
		a = best_of(&out);
		b = best_of(&part);
		if (a && b && a->count + b->count <= UNION_MAX) {
			struct literal_set set = set_join(p, a, b);

			add_conj(&joined, &set);
		}
		joined.head = join_ends(p, &out.head, &part.head);
		joined.tail = join_ends(p, &out.tail, &part.tail);
		out = joined;
	}
	return out;
}

static bool set_is_same(const struct literal_set *a, const struct literal_set *b)
{
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++) {
		if (!slice_eq(a->items[i], b->items[i]))
			return false;
	}
	return true;
}

static void choose(struct part *part, struct literals *out)
{
	while (out->count < LITERAL_SETS) {
		int best = -1;
		bool is_new = true;

		for (int i = 0; i < part->conj_count; i++) {
			if (part->conj[i].count &&
			    (best < 0 || score(&part->conj[i]) > score(&part->conj[best])))
				best = i;
		}
		if (best < 0)
			return;
		for (int i = 0; i < out->count; i++)
			is_new &= !set_is_same(&out->sets[i], &part->conj[best]);
		/* A single byte is in nearly every text: only where nothing else is known. */
		is_new &= score(&part->conj[best]) > 6 || out->count == 0;
		if (is_new)
			out->sets[out->count++] = part->conj[best];
		part->conj[best].count = 0;
	}
}

int literal_find(struct arena *arena, struct slice pattern, struct literals *out)
{
	struct parse p = { .arena = arena, .at = pattern.ptr, .end = pattern.ptr + pattern.len };
	struct part part = parse_alternatives(&p);

	out->count = 0;
	if (p.is_out_of_memory)
		return -ENOMEM;
	if (p.is_lost || p.at != p.end)
		return 0;
	if (part.is_exact) {
		struct literal_set exact = part.head;

		part = part_any(&p);
		add_conj(&part, &exact);
	}
	choose(&part, out);
	return 0;
}
