/* select - whether an event is for a destination: types, names, and its own `integrations`
 *
 * An event's integrations object (as Segment's SDKs send it): {"All": false, "Mixpanel": true}.
 * The destination's name in the settings, or its kind's, decides, else All, else yes; names are
 * compared without case, blanks, - and _. false means no; true, an object or text mean yes.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_SELECT_H
#define SINK_SELECT_H

#include "sink/event.h"
#include "sink/setup.h"

/* NULL: yes. Else why not, a literal for people. */
const char *select_refuses(const struct setup *setup, const struct event *event);
/* NAME or NAME* */
bool select_matches(const char *pattern, struct slice name);
/* The rule of integrations alone. */
bool select_is_wanted(yyjson_val *integrations, const char *name, const char *kind);

#endif
