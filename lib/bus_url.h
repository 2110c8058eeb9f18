/* bus_url - a topic's URL made of a bus's and a name: what --bus means in every program
 *
 *      "log:data/" + "bad" + "?partition=1"  ->  log:data/bad?partition=1
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_BUS_URL_H
#define LIB_BUS_URL_H

#include <stdbool.h>
#include <stddef.h>

/* false: it does not fit into size bytes with its end. */
bool bus_url_join(char *out, size_t size, const char *bus, const char *topic, const char *query);
/* A URL as it is. */
bool bus_url_copy(char *out, size_t size, const char *url);

#endif
