/* own_list - the lists that are part of the program: enrich/bots.yaml, enrich/referrers.yaml
 *
 * Facts of our own, put into the program by the assembler. Others come from files at run time and
 * are joined with these.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_OWN_LIST_H
#define ENRICH_OWN_LIST_H

#include "lib/slice.h"

struct slice own_list_bots(void);
struct slice own_list_referrers(void);

#endif
