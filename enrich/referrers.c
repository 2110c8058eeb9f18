// SPDX-License-Identifier: Apache-2.0
#include "enrich/referrers.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/yaml.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DOMAINS_MAX    (1u << 20)
#define PARAMETERS_MAX 32

/* One domain, or one path of it; those of a domain hang together. */
struct entry {
	struct slice host;
	struct slice path;              /* with its slash; empty: the whole host */
	struct referrer_hit hit;
	struct entry *next;             /* another path of the same host, the longer path first */
};

struct referrers {
	struct entry **places;          /* by hash of the host; mask + 1 */
	uint32_t mask;
	int count, host_count;
	struct arena arena;
};

int referrers_open(struct referrers **refsp, struct err *err)
{
	struct referrers *refs = calloc(1, sizeof(*refs));

	if (refs) {
		refs->arena.bytes_max = (size_t)256 << 20;
		refs->mask = 8191;
		refs->places = calloc(refs->mask + 1, sizeof(*refs->places));
	}
	if (!refs || !refs->places) {
		referrers_close(refs);
		return err_set(err, -ENOMEM, "no memory");
	}
	*refsp = refs;
	return 0;
}

void referrers_close(struct referrers *refs)
{
	if (!refs)
		return;
	free(refs->places);
	arena_close(&refs->arena);
	free(refs);
}

static struct entry **find(const struct referrers *refs, struct slice host)
{
	uint32_t at = (uint32_t)XXH3_64bits(host.ptr, host.len) & refs->mask;

	while (refs->places[at] && !slice_eq(refs->places[at]->host, host))
		at = (at + 1) & refs->mask;
	return &refs->places[at];
}

static int grow(struct referrers *refs)
{
	struct entry **old = refs->places;
	uint32_t old_size = refs->mask + 1;

	refs->places = calloc((size_t)old_size * 2, sizeof(*refs->places));
	if (!refs->places) {
		refs->places = old;
		return -ENOMEM;
	}
	refs->mask = old_size * 2 - 1;
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i])
			*find(refs, old[i]->host) = old[i];
	}
	free(old);
	return 0;
}

static struct slice copy_lower(struct referrers *refs, const char *text)
{
	struct slice copy = arena_copy(&refs->arena, slice_from(text));

	for (size_t i = 0; copy.ptr && i < copy.len; i++) {
		if (copy.ptr[i] >= 'A' && copy.ptr[i] <= 'Z')
			((char *)(uintptr_t)copy.ptr)[i] |= 0x20;
	}
	return copy;
}

/* Into the chain of its host, longer paths first; the same path again takes the place. */
static int insert(struct referrers *refs, struct slice host, struct slice path,
		  const struct referrer_hit *hit)
{
	struct entry **link, *entry;
	int rc;

	if ((uint32_t)refs->host_count * 2 >= refs->mask && (rc = grow(refs)) < 0)
		return rc;
	link = find(refs, host);
	refs->host_count += !*link;
	while (*link && ((*link)->path.len > path.len ||
			 ((*link)->path.len == path.len && !slice_eq((*link)->path, path))))
		link = &(*link)->next;
	if (*link && slice_eq((*link)->path, path)) {
		(*link)->hit = *hit;
		return 0;
	}
	entry = arena_alloc(&refs->arena, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ host, path, *hit, *link };
	*link = entry;
	refs->count++;
	return 0;
}

static int add_domain(struct referrers *refs, const char *text, const struct referrer_hit *hit)
{
	struct slice domain = copy_lower(refs, text), path = { "", 0 };
	const char *slash;

	if (!domain.ptr)
		return -ENOMEM;
	if (refs->count == DOMAINS_MAX)
		return -ENOSPC;
	slash = domain.len ? memchr(domain.ptr, '/', domain.len) : NULL;
	if (slash) {
		/* paths keep their case */
		path = arena_copy(&refs->arena, slice_from(strchr(text, '/')));
		domain.len = (size_t)(slash - domain.ptr);
	}
	if (domain.len == 0)
		return 0;
	return path.ptr ? insert(refs, domain, path, hit) : -ENOMEM;
}

static int take_parameters(struct referrers *refs, const struct yaml *list,
			   struct referrer_hit *hit)
{
	struct slice *names = arena_alloc(&refs->arena, PARAMETERS_MAX * sizeof(*names));

	if (!names)
		return -ENOMEM;
	hit->parameters = names;
	for (const struct yaml *node = list->first; node && hit->parameter_count < PARAMETERS_MAX;
	     node = node->next) {
		if (node->kind != YAML_KIND_SCALAR || !node->text[0])
			continue;
		names[hit->parameter_count] = arena_copy(&refs->arena, slice_from(node->text));
		if (!names[hit->parameter_count++].ptr)
			return -ENOMEM;
	}
	return 0;
}

static int add_source(struct referrers *refs, struct slice medium, const struct yaml *source,
		      const char *path, struct err *err)
{
	const struct yaml *domains = yaml_get(source, "domains");
	const struct yaml *parameters = yaml_get(source, "parameters");
	struct referrer_hit hit = { .medium = medium };
	int rc = 0;

	if (!domains || domains->kind != YAML_KIND_LIST)
		return err_set(err, -EBADMSG, "%s:%d: %s: no list of domains", path, source->line,
			       source->key);
	hit.source = arena_copy(&refs->arena, slice_from(source->key));
	if (!hit.source.ptr)
		rc = -ENOMEM;
	if (rc == 0 && parameters)
		rc = take_parameters(refs, parameters, &hit);
	for (const struct yaml *node = domains->first; node && rc == 0; node = node->next) {
		if (node->kind != YAML_KIND_SCALAR)
			return err_set(err, -EBADMSG, "%s:%d: a domain must be text", path,
				       node->line);
		rc = add_domain(refs, node->text, &hit);
	}
	return rc < 0 ? err_set(err, rc, "%s:%d: %s", path, source->line, strerror(-rc)) : 0;
}

int referrers_add(struct referrers *refs, struct slice text, const char *path, struct err *err)
{
	struct yaml_file *file = NULL;
	const struct yaml *root;
	int rc = yaml_parse_list(&file, text, path, &root, err);

	if (rc == 0 && root->kind != YAML_KIND_MAP)
		rc = err_set(err, -EBADMSG, "%s: no map of media: is it a list of "
			     "referrers?", path);
	for (const struct yaml *medium = rc == 0 ? root->first : NULL; medium && rc == 0;
	     medium = medium->next) {
		struct slice name = slice_is(slice_from(medium->key), "unknown")
					    ? SLICE("referral")
					    : arena_copy(&refs->arena, slice_from(medium->key));

		if (!name.ptr)
			rc = err_set(err, -ENOMEM, "no memory");
		if (rc == 0 && medium->kind != YAML_KIND_MAP)
			rc = err_set(err, -EBADMSG, "%s:%d: medium %s: no map of sources", path,
				     medium->line, medium->key);
		for (const struct yaml *source = rc == 0 ? medium->first : NULL; source && rc == 0;
		     source = source->next)
			rc = add_source(refs, name, source, path, err);
	}
	yaml_close(file);
	return rc;
}

bool referrers_find(const struct referrers *refs, struct slice host, struct slice path,
		    struct referrer_hit *hit)
{
	const struct referrer_hit *whole = NULL;

	/* Hosts have at most 127 labels, which are so many looks: 5 us. */
	while (host.len) {
		const char *dot;

		for (const struct entry *entry = *find(refs, host); entry; entry = entry->next) {
			if (entry->path.len && slice_starts(path, entry->path)) {
				*hit = entry->hit;
				return true;
			}
			if (entry->path.len == 0 && !whole)
				whole = &entry->hit;
		}
		dot = memchr(host.ptr, '.', host.len);
		if (!dot)
			break;
		host = slice_skip(host, (size_t)(dot - host.ptr) + 1);
	}
	if (whole)
		*hit = *whole;
	return whole != NULL;
}

int referrers_count(const struct referrers *refs)
{
	return refs->count;
}
