// SPDX-License-Identifier: Apache-2.0
// Details of one service: routes, servers, slow calls and ejected servers. The rows are those of `meltemi show`. Text is set
// by textContent, as everywhere.

import { bitsPerSecond, count, clusterName, duration, endpointKey, isOpaque, perSecond, serviceKey } from "./model.js";
import { byId, fill, make } from "./parts.js";

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

// The last two answers, for the calls per second of each route.
export class Detail {
  constructor() { this.before = null; this.last = null; }

  take(data, at) {
    const service = data.services[0], who = service ? serviceKey(service) : "";
    if (this.last && this.last.who !== who) this.last = null;
    this.before = this.last;
    this.last = { who, at, data, hits: new Map(data.routes.map((row) => [row.place, row.hits])) };
  }

  hits(place) {
    if (!this.before || !this.before.hits.has(place)) return null;
    return Math.max(0, this.last.hits.get(place) - this.before.hits.get(place)) / ((this.last.at - this.before.at) / 1000);
  }
}

function part(title, heads, rows, none) {
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map(([name, kind]) => make("th", { class: kind, scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, i) => {
      const [words, bad] = Array.isArray(cell) ? cell : [cell, false];
      return make("td", { class: `${heads[i][1]}${bad ? " failing" : ""}`, "data-label": heads[i][0] }, make("span", {}, words ?? "–"));
    })))));
  return make("div", { class: "part" }, make("h3", {}, title), rows.length ? table : make("p", { class: "note" }, none));
}

function routes(detail, opaque) {
  const data = detail.last.data, left = data.routes_left_out;
  const rows = data.routes.map((row) => [row.route, row.match, perSecond(detail.hits(row.place)), row.destinations, row.origin]);
  return part(left ? `Routes, the first ${count(data.routes.length)} of ${count(data.routes.length + left)}` : "Routes",
    [["Route", "name"], ["Match", ""], [opaque ? "Connections/s" : "Calls/s", "number"], ["Destinations", ""], ["Origin", ""]], rows, "None: requests are refused.");
}

function servers(detail, model, opaque) {
  const rows = detail.last.data.endpoints.map((row) => {
    const now = model.now("e " + endpointKey(row)), bad = row.health && row.health !== "ok";
    return [clusterName(row.cluster), row.endpoint, [row.health ?? "–", bad], perSecond(now.requests), [perSecond(now.failures), now.failures > 0],
      count((opaque ? row.connections : row.outstanding) ?? 0), ...(opaque ? [] : [duration(row.p99_us || null)])];
  });
  return part("Servers", [["Cluster", ""], ["Server", "name"], ["Health", ""], [opaque ? "Connections/s" : "Calls/s", "number"], ["Failures/s", "number"],
    [opaque ? "Open" : "Under way", "number"], ...(opaque ? [] : [["p99", "number"]])], rows, "None.");
}

function slow(detail) {
  const rows = detail.last.data.slow.map((row) => [clock(row.ended_unix_ms), row.method, [row.status, row.status !== "ok"], duration(row.took_us),
    ...[row.queue_us, row.connect_us, row.server_us, row.reply_us].map(duration), row.endpoint, row.client]);
  return part("Slowest calls of the last two minutes", [["Ended", ""], ["Method", "name"], ["Outcome", ""], ["Took", "number"],
    ["In Meltemi", "number"], ["Connecting", "number"], ["At the server", "number"], ["Back", "number"], ["Server", ""], ["Client", ""]], rows, "No call of this service is among the recorded ones.");
}

function ejected(detail) {
  const rows = detail.last.data.outliers.map((row) => [row.when, row.endpoint, row.what, row.why ?? "announced by the server", duration(1000 * row.for_ms), [row.now, row.now !== "returned"]]);
  return part("Ejected servers", [["When", ""], ["Server", "name"], ["What", ""], ["Why", ""], ["For", "number"], ["Now", ""]], rows, "None.");
}

function totals(row, model) {
  const now = model.now("s " + serviceKey(row));
  const facts = isOpaque(row) ? [["Traffic", bitsPerSecond(now.bits)], ["Connections/s", perSecond(now.requests)], ["Failures/s", perSecond(now.failures)],
    ["Connections since start", count(row.requests ?? 0)], ["bytes of clients", count(row.bytes_in ?? 0)], ["bytes of servers", count(row.bytes_out ?? 0)],
    ["refused", count(row.local_replies ?? 0)], ["over a rate limit", count(row.limited ?? 0)], ["closed by their clients before they were connected", count(row.client_closed ?? 0)]]
    : [["Calls/s", perSecond(now.requests)], ["Failures/s", perSecond(now.failures)], ["Median", duration(now.p50)], ["p99", duration(now.p99)],
    ["Since start", count(row.requests ?? 0)], ["ok", count(row.ok ?? 0)], ["errors of servers", count((row.app_errors ?? 0) + (row.protocol_errors ?? 0))],
    ["local replies", count(row.local_replies ?? 0)], ["over a rate limit", count(row.limited ?? 0)], ["timed out", count(row.timeouts ?? 0)],
    ["closed by their clients", count(row.client_closed ?? 0)], ["reset by Meltemi", count(row.reset ?? 0)]];
  return make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

export function drawDetail(detail, model, chosen) {
  byId("detail").hidden = !chosen;
  if (!chosen) return;
  const title = byId("detail-title"), words = `${chosen.service} at ${chosen.at}`;
  if (title.textContent !== words) title.textContent = words;
  if (!detail.last) { fill("detail-body", [make("p", { class: "note" }, "loading")]); return; }
  const row = detail.last.data.services[0];
  const opaque = row && isOpaque(row);
  fill("detail-body", row ? [totals(row, model), routes(detail, opaque), servers(detail, model, opaque), ...(opaque ? [] : [slow(detail)]), ejected(detail)]
    : [make("p", { class: "note" }, "This service does not exist now.")]);
}
