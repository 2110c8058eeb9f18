/* hints - what SDKs say of browser, system and device beside the user agent
 *
 *      context.userAgentData   client hints: brands, fullVersionList, platform, platformVersion,
 *                              model. Browsers freeze these in the user agent ("Windows NT 10.0",
 *                              "Android 10; K"), so the hints win where they say more
 *      context.os, context.device      of mobile SDKs, which know: these win
 *
 * Names are uap-core's: "Google Chrome" is Chrome, macOS is Mac OS X.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_HINTS_H
#define ENRICH_HINTS_H

#include "enrich/step.h"

/* Changes the agent leaves of event->out that the user agent has set. */
void hints_apply(struct step_event *event);

#endif
