// SPDX-License-Identifier: Apache-2.0
// The parts of the page around the map. All text is set by textContent, because names may contain markup.

import { allServices, bitsPerSecond, clusterName, count, duration, endpointKey, endpointTraffic, isForwarded, opaqueClusters, perSecond, percent, serviceKey, traffic, uptime } from "./model.js";

export const byId = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...inside) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...inside.filter((x) => x !== null));
  return e;
}

function say(id, words) {
  const e = byId(id);
  if (e.textContent !== words) e.textContent = words;
}

// Replaces elements only if they changed, so that text selections and screen readers are not disturbed each second.
export function fill(id, elements) {
  const e = byId(id), fresh = make(e.tagName, {}, ...elements);
  if (fresh.innerHTML !== e.innerHTML) e.replaceChildren(...elements);
}

export function head(data) {
  const v = data.version;
  const facts = [["Node", v.node], ["State", v.state], ["Version", v.version], ["Up", uptime(v.uptime_s)], ["Configuration", count(v.configuration)]];
  fill("node", facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  document.title = v.node ? `${v.node} · Meltemi` : "Meltemi";
}

const ORDER = { fault: 0, warning: 1, note: 2 }, FINDINGS = 5, FINDINGS_NARROW = 2;

// Text between backquotes, such as `show clusters`, is a command.
function withCode(words) {
  return words.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

// What a counter counts comes first: "12 in the last 60 s: connects refused" is "Connects refused (12 in the last 60 s)".
function counterFinding(f) {
  const at = f.words.indexOf(": "), what = f.words.slice(at + 2);
  return make("li", { class: `is-${f.state}` }, make("span", { class: "kind" }, f.state),
    make("span", {}, ...withCode(`${what.charAt(0).toUpperCase()}${what.slice(1)} (${f.words.slice(0, at)})`)),
    f.remedy ? make("span", { class: "remedy" }, ...withCode(f.remedy)) : null, make("span", { class: "counter" }, "counter ", make("code", {}, f.about)));
}

function finding(f) {
  if (f.check === "errors" && f.about) return counterFinding(f);
  return make("li", { class: `is-${f.state}` }, make("span", { class: "kind" }, f.state),
    make("span", {}, f.about ? make("b", {}, clusterName(f.about)) : null, ...withCode(`${f.about ? ": " : ""}${f.words}`)),
    f.remedy ? make("span", { class: "remedy" }, ...withCode(f.remedy)) : null);
}

export function health(data) {
  const all = data.health.health, found = all.filter((f) => f.state in ORDER).sort((a, b) => ORDER[a.state] - ORDER[b.state]);
  const wrong = found.filter((f) => f.state !== "note"), room = matchMedia("(max-width: 720px)").matches ? FINDINGS_NARROW : FINDINGS;
  const first = wrong.slice(0, room), rest = found.slice(first.length), more = wrong.length - first.length, notes = rest.length - more;
  const well = make("li", { class: "is-ok" }, make("span", { class: "kind" }, "ok"), make("span", {}, `No problems: ${count(all.length - found.length)} checks passed.`));
  fill("findings", wrong.length ? first.map(finding) : [well]);
  byId("notes-box").hidden = !rest.length;
  say("notes-count", [more ? `${count(more)} more` : "", notes === 1 ? "1 note" : notes ? `${count(notes)} notes` : ""].filter(Boolean).join(", "));
  fill("notes", rest.map(finding));
}

function spark(id, values, name) {
  const svg = byId(id), most = Math.max(1, ...values), n = 60;
  const points = values.slice(-n).map((v, i, a) => [((n - a.length + i) * 240) / (n - 1), 46 - (v / most) * 42]);
  const line = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  svg.setAttribute("aria-label", `${name} in the last minute: now ${perSecond(values.at(-1) ?? null)}, at most ${perSecond(values.length ? Math.max(...values) : null)} per second`);
  if (!svg.firstChild) for (const kind of ["area", "line"]) svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path")).setAttribute("class", kind);
  svg.firstChild.setAttribute("d", points.length > 1 ? `${line}L240 48L${points[0][0].toFixed(1)} 48Z` : "");
  svg.lastChild.setAttribute("d", points.length > 1 ? line : "");
}

export function tiles(model) {
  const now = model.now_all, latency = model.latency(model.data.topology.services.map((row) => "s " + serviceKey(row)));
  const lately = model.history.some((h) => h.failures > 0);
  say("requests", perSecond(now?.requests));
  say("failures", perSecond(now?.failures));
  byId("failures-big").classList.toggle("failing", (now?.failures ?? 0) > 0);
  byId("failures-line").classList.toggle("failing", lately);
  say("failures-note", now?.failures > 0 ? `${percent(Math.min(1, now.failures / Math.max(now.requests, now.failures)))} of all, the last minute` : "the last minute");
  say("requests-note", now?.bits > 0 ? `the last minute; opaque TCP ${bitsPerSecond(now.bits)}` : "the last minute");
  say("p50", duration(latency.p50));
  say("p99", duration(latency.p99));
  spark("requests-line", model.history.map((h) => h.requests), "Requests");
  spark("failures-line", model.history.map((h) => h.failures), "Failures");
}

export function workers(model) {
  const rows = model.data.workers.workers.map((row) => {
    const load = model.load(row.worker), width = Math.round(100 * (load ?? 0));
    const bar = make("div", { class: `fill${width >= 90 ? " high" : ""}` });
    bar.style.width = `${width}%`;
    return make("li", {}, make("div", { class: "row" }, make("span", {}, `Worker ${row.worker} `, make("span", { class: "core" }, "core" in row ? `core ${row.core}` : "")),
      make("span", {}, load === null ? "–" : `${width} %`)), make("div", { class: "track", "aria-hidden": "true" }, bar));
  });
  fill("workers", rows);
  const first = [...model.data.capacity.capacity].sort((a, b) => Math.max(b.busy_percent, b.fullest_percent) - Math.max(a.busy_percent, a.fullest_percent))[0];
  say("capacity", first ? `first limit: ${first.first_limit === "time of the worker" ? `time of worker ${first.worker}` : `${first.first_limit}, worker ${first.worker}`}` : "");
}

export function ports(model) {
  fill("ports", model.data.ports.ports.map((row) => {
    const bits = model.bits(row.name), down = row.link !== "up";
    return make("li", {}, make("div", { class: `row${down ? " down" : ""}` }, make("span", {}, row.name), make("span", {}, down ? "link down" : "up")),
      make("div", { class: "row flows" }, make("span", { class: "soft" }, bits ? `in ${bitsPerSecond(bits.rx)}` : "–"), make("span", { class: "soft" }, bits ? `out ${bitsPerSecond(bits.tx)}` : "")));
  }));
}

export function cutWords(data, find) {
  const t = data.topology, shown = count(t.services_shown), match = count(t.services_match);
  const order = "failing ones first, then the busiest";
  if (find && t.services_match === 0) return `None of ${count(t.services_there)} has “${find}” in its name.`;
  if (t.services_shown < t.services_match) return `${shown} of ${match}${find ? ` that have “${find}” in their names` : ""}: ${order}. Find the others by name.`;
  return find ? `${match} of ${count(t.services_there)} have “${find}” in their names.` : t.services_there === 1 ? "1 service" : `All ${count(t.services_there)}.`;
}

const HEADS = [["Service", ""], ["Address", ""], ["Traffic", "number"], ["Failures/s", "number"], ["Median", "number"], ["p99", "number"], ["Endpoints", ""]];

function endpointItem(row, model, opaque) {
  const now = model.now("e " + endpointKey(row)), bad = row.health !== undefined && row.health !== "ok";
  const words = bad ? ` ${row.health}` : "";
  return make("li", {}, `${row.endpoint}${row.health === undefined ? "" : ` · ${endpointTraffic(now, row, opaque)}`}`, words ? make("span", { class: "failing" }, words) : null,
    now.failures > 0 ? make("span", { class: "failing" }, ` ${perSecond(now.failures)} fail/s`) : null);
}

function targets(row, t, model, opaque) {
  return t.links.filter((l) => l.service === row.service && l.listener === row.listener).map((link) => {
    const rows = t.endpoints.filter((e) => e.cluster === link.cluster), c = t.clusters.find((x) => x.cluster === link.cluster);
    const items = rows.map((e) => endpointItem(e, model, opaque.has(e.cluster)));
    if (!rows.length) items.push(make("li", {}, make("span", { class: "failing" }, "no server")));
    if (c?.left_out) items.push(make("li", {}, `and ${count(c.left_out)} more`));
    return make("div", { class: "target" }, make("span", { class: "note" }, clusterName(link.cluster)), make("ul", {}, ...items));
  });
}

// Address of a service's details.
export const toService = (row) => `#${new URLSearchParams({ service: row.service, at: row.listener })}`;

export function table(model) {
  const t = model.data.topology, opaque = opaqueClusters(t);
  const rows = allServices(t).map((row) => {
    const now = model.now("s " + serviceKey(row));
    const cells = [row.service, row.listener, traffic(now, row), perSecond(now.failures), duration(now.p50), duration(now.p99)];
    if (!isForwarded(row)) cells[0] = make("a", { href: `${toService(row)}&table=` }, row.service);
    const tr = make("tr", {}, ...cells.map((words, i) => make("td", { class: `${HEADS[i][1]}${i === 0 ? " name" : ""}${i === 3 && now.failures > 0 ? " failing" : ""}`, "data-label": HEADS[i][0] }, words)));
    tr.append(make("td", { "data-label": "Endpoints" }, make("div", {}, ...targets(row, t, model, opaque))));
    return tr;
  });
  fill("table", [make("table", {}, make("thead", {}, make("tr", {}, ...HEADS.map(([name, kind]) => make("th", { class: kind, scope: "col" }, name)))), make("tbody", {}, ...rows))]);
}
