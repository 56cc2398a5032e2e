/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/web: the files of the web page below /ui/, embedded in the program by embed.py at build time.
 * Constant; any thread. lib/ctl/http/http_ui.c serves them unchanged, and their data as JSON.
 *
 * Data: /ui/data/now?find=TEXT returns the --json answers of `show version`, `show health`, `show
 * workers`, `show capacity`, `show ports` and `show topology TEXT`. Rows of the topology also have
 * `latency`: [microseconds, count] of each non-empty bucket of the histogram since the start; the
 * page subtracts an older answer to get the percentiles of the last 30 s.
 * /ui/data/service?name=NAME&at=ADDRESS:PORT returns one service: its row, links, clusters and
 * endpoints, its `show routes` (at most 50; `routes_left_out`), `show slow` and `show outliers` (16
 * each). An answer to one query is computed at most twice a second. A different query within 100 ms
 * of the last one gets 204, and its page tries again.
 *
 * Invariants of the page:
 * - Content-Security-Policy: default-src 'self'. No inline script or style, and no request to other
 *   hosts. Code sets styles by element.style.
 * - Names come from documents of other people. The page inserts them by textContent and attributes,
 *   never as HTML.
 * - Colour is never the only sign: a red element also has text about the problem.
 * - A node on the map keeps its place: services are ordered by address and name, not by traffic.
 *
 * tests/smoke/web_page.py shows the page in a headless Chromium.
 */
#pragma once

#include <stddef.h>

struct mt_web_file {
	const char *name; /* "style.css" */
	const char *type; /* value of Content-Type */
	const char *etag; /* including its quotes; changes whenever a byte of the body changes */
	size_t len;
	const char *body; /* [len] */
};

/* Returns the file of this name; NULL: there is none. */
const struct mt_web_file *mt_web_find(const char *name);
