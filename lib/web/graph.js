// SPDX-License-Identifier: Apache-2.0
// The map: addresses, services, clusters and endpoints in columns, joined by curves whose width shows the rate. Nodes keep
// their positions and SVG elements as long as they exist, so that nothing jumps from one second to the next.

import { allServices, clusterName, count, duration, endpointKey, endpointTraffic, isForwarded, opaqueClusters, percent, serviceKey, traffic } from "./model.js";
import { toService } from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const HIGH = 48, GAP = 8, GROUP_GAP = 4, SERVICE_GAP = 10, TOP = 30, MORE = 18;
const NARROW = 700, DENSE = 1020;
const FONT = getComputedStyle(document.documentElement).fontFamily;

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  return element;
}

const pen = document.createElement("canvas").getContext("2d");
// Cuts the text to the width. Names of Java packages keep their end, which differs most; Kubernetes names keep their start.
function fit(text, width, font, keepEnd) {
  pen.font = font;
  if (pen.measureText(text).width <= width) return text;
  let short = text;
  while (short.length > 3 && pen.measureText("…" + short).width > width) short = keepEnd ? short.slice(1) : short.slice(0, -1);
  return keepEnd ? "…" + short : short + "…";
}

function flowWords(now, flow, trouble) {
  const words = [flow];
  if (now.p50 !== null) words.push(`${duration(now.p50)}`, `p99 ${duration(now.p99)}`);
  if (trouble) words.unshift(trouble);
  return words.join(" · ");
}

const failing = (now) => (now.failures > 0 ? `${percent(Math.min(1, now.failures / Math.max(now.requests, now.failures)))} fail` : "");

// ---- nodes and edges to draw ------------------------------------------------------------------------

function endpointNode(row, model, opaque) {
  const now = model.now("e " + endpointKey(row)), out = /^(ejected|silent)/.test(row.health), other = !out && row.health !== "ok";
  const trouble = out || other ? row.health : failing(now);
  return { key: "e " + endpointKey(row), column: "endpoint", name: row.endpoint, now, title: `${row.endpoint} of ${row.cluster}`,
    state: out || now.failures > 0 ? "bad" : other ? "warn" : now.requests || (opaque && row.connections) ? "" : "quiet",
    line: flowWords(now, endpointTraffic(now, row, opaque), trouble) };
}

function clusterNode(row, model, opaque) {
  const now = { ...model.now("c " + row.cluster), ...opaque.get(row.cluster) }, none = row.endpoints === 0;
  const ejected = row.ejected ? `${row.ejected} of ${row.endpoints} ejected` : "";
  return { key: "c " + row.cluster, column: "cluster", name: clusterName(row.cluster), now, title: row.cluster, more: row.left_out,
    state: none || (row.ejected && row.ejected === row.endpoints) ? "bad" : now.flow ? "" : "quiet",
    line: none ? "no server" : [ejected || (row.endpoints === 1 ? "1 server" : `${count(row.endpoints)} servers`), row.balancer].join(" · ") };
}

function serviceNode(row, model) {
  const key = "s " + serviceKey(row), now = model.now(key), stopped = isForwarded(row) && row.state !== "forwarded";
  return { key, column: "service", name: row.service, now, leads: isForwarded(row) ? null : toService(row), title: `${row.service} at ${row.listener}`,
    more: row.clusters_left_out ?? 0, state: stopped || now.failures > 0 ? "bad" : now.flow ? "" : "quiet",
    line: stopped ? row.state : flowWords(now, traffic(now, row), failing(now)) };
}

// Flow and open connections of the clusters of opaque services, whose endpoints have no counts of bytes.
function opaqueFlows(t, services, model) {
  const flows = new Map([...opaqueClusters(t)].map((name) => [name, { flow: 0, connections: 0 }]));
  for (const row of services)
    for (const link of t.links.filter((l) => l.service === row.service && l.listener === row.listener && flows.has(l.cluster)))
      flows.get(link.cluster).flow += model.now("s " + serviceKey(row)).flow;
  for (const row of t.endpoints) if (flows.has(row.cluster)) flows.get(row.cluster).connections += row.connections ?? 0;
  return flows;
}

function scene(model) {
  const t = model.data.topology, nodes = new Map(), edges = [];
  const add = (node) => nodes.set(node.key, { ...node, to: [], from: [] }).get(node.key);
  const join = (a, b, now) => { if (a && b) { edges.push({ a, b, now }); a.to.push(b); b.from.push(a); } };
  const services = allServices(t), opaque = opaqueFlows(t, services, model);
  for (const row of t.clusters) add(clusterNode(row, model, opaque));
  for (const row of t.endpoints) {
    if (row.endpoint.startsWith("none")) continue;
    const of = opaque.get(row.cluster), node = add(endpointNode(row, model, Boolean(of)));
    if (of) node.now.flow = of.connections ? (of.flow * (row.connections ?? 0)) / of.connections : 0;
    join(nodes.get("c " + row.cluster), node, node.now);
  }
  for (const row of services) {
    const node = add(serviceNode(row, model)), key = "l " + row.listener;
    const at = nodes.get(key) ?? add({ key, column: "listener", name: row.listener, title: row.listener, state: "", line: isForwarded(row) ? `${row.protocol} · ${row.mode}` : row.protocol || "bytes", now: {} });
    join(at, node, node.now);
    for (const link of t.links.filter((l) => l.service === row.service && l.listener === row.listener)) {
      const cluster = nodes.get("c " + link.cluster);
      join(node, cluster, cluster?.now);
    }
  }
  return { nodes, edges };
}

// ---- positions --------------------------------------------------------------------------------------

// Places leaves from top to bottom, and each other node at the middle of the nodes that it leads to first.
function place(nodes, columns) {
  let y = TOP;
  const visible = new Set(columns.map((c) => c.name));
  const visit = (node) => {
    if (node.y !== undefined) return;
    const own = node.to.filter((n) => n.y === undefined), start = y;
    node.y = start;
    own.forEach(visit);
    if (!visible.has(node.column)) return;
    const ends = own.filter((n) => visible.has(n.column)).map((n) => n.y);
    if (ends.length) node.y = (Math.min(...ends) + Math.max(...ends)) / 2;
    else if (y === start) y += HIGH + GAP;
    if (y < node.y + HIGH + GAP) y = node.y + HIGH + GAP;
    if (node.more > 0) { node.moreAt = y + 4; y += MORE; }
    if (node.column === "cluster") y += GROUP_GAP;
    if (node.column === "service") y += SERVICE_GAP;
  };
  for (const node of nodes.values()) if (node.column === "listener") visit(node);
  return y;
}

function columnsOf(width) {
  if (width < NARROW) {
    const gap = 24, w = (width - gap - 2) / 2;
    return [{ name: "service", title: "Services", x: 1, w: w - 8 }, { name: "endpoint", title: "Endpoints", x: 1 + w - 8 + gap, w: w + 8 }];
  }
  const gap = Math.max(28, width * 0.055 - 12), room = width - 3 * gap - 2;
  let x = 1;
  return [["listener", "Addresses", 0.195], ["service", "Services", 0.3], ["cluster", "Clusters", 0.225], ["endpoint", "Endpoints", 0.28]]
    .map(([name, title, share]) => { const c = { name, title, x, w: room * share }; x += c.w + gap; return c; });
}

// If the column of clusters is not drawn, edges join services to endpoints.
function bridged(edges, columns) {
  if (columns.length === 4) return edges;
  const out = [];
  for (const e of edges)
    if (e.b.column === "cluster") for (const end of e.b.to) out.push({ a: e.a, b: end, now: end.now });
  return out;
}

// ---- drawing --------------------------------------------------------------------------------------

export class Graph {
  constructor(root) {
    this.root = root;
    this.svg = root.appendChild(document.createElementNS(SVG, "svg"));
    set(this.svg, { role: "img" });
    this.edges = this.svg.appendChild(document.createElementNS(SVG, "g"));
    this.nodes = this.svg.appendChild(document.createElementNS(SVG, "g"));
    this.kept = new Map();
  }

  // The element of a key; makes a new one if there is none.
  element(key, name, parent) {
    let e = this.kept.get(key);
    if (!e) {
      e = parent.appendChild(document.createElementNS(SVG, name));
      this.kept.set(key, e);
    }
    this.used.add(key);
    return e;
  }

  text(key, parent, words, attributes) {
    const e = set(this.element(key, "text", parent), attributes);
    if (e.textContent !== words) e.textContent = words;
  }

  node(n, column) {
    const g = set(this.element(n.key, "g", this.nodes), { class: `node ${n.state}`, transform: `translate(${Math.round(column.x) + 0.5} ${Math.round(n.y) + 0.5})` });
    // For keyboards and screen readers the table has the same links.
    g.onclick = n.leads ? () => { location.hash = n.leads; } : null;
    g.classList.toggle("leads", Boolean(n.leads));
    const title = this.element(n.key + " t", "title", g), words = `${n.title}: ${n.line}`;
    if (title.textContent !== words) title.textContent = words;
    set(this.element(n.key + " b", "rect", g), { class: "box", width: Math.round(column.w), height: HIGH, rx: 9 });
    const [x, size] = this.dense ? [9, 12] : [12, 13], room = column.w - 2 * x, names = n.column === "service" || n.column === "cluster";
    const keepEnd = names && !/\.svc\.| · /.test(n.name);
    this.text(n.key + " n", g, fit(n.name, room, `560 ${size}px ${FONT}`, keepEnd), { class: "name", x, y: 20 });
    this.text(n.key + " l", g, fit(n.line, room, `${n.state ? 560 : 400} ${size - 1}px ${FONT}`), { class: "line2", x, y: 37 });
    if (n.moreAt) this.text(n.key + " m", this.nodes, `and ${count(n.more)} more`, { class: "more", x: this.last.x + 12, y: n.moreAt + 6 });
  }

  edge(e, from, to) {
    const x1 = from.x + from.w, y1 = e.a.y + HIGH / 2, x2 = to.x, y2 = e.b.y + HIGH / 2, bend = (x2 - x1) / 2;
    const key = `${e.a.key} > ${e.b.key}`, d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    const rate = e.now?.flow ?? 0, bad = e.b.state === "bad" ? " bad" : "";
    set(this.element(key, "path", this.edges), { class: `edge${bad}`, d, "stroke-width": (1.2 + Math.min(6, Math.log10(1 + rate) * 1.5)).toFixed(1) });
    if (rate > 0) set(this.element(key + " f", "path", this.edges), { class: `flow${bad}`, d });
  }

  draw(model) {
    const width = Math.max(280, this.root.clientWidth), columns = columnsOf(width), by = new Map(columns.map((c) => [c.name, c]));
    const { nodes, edges } = scene(model), height = place(nodes, columns);
    this.used = new Set();
    this.last = columns.at(-1);
    this.dense = width < DENSE;
    this.svg.classList.toggle("dense", this.dense);
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, height, "aria-label": `${model.data.topology.services_shown} services with their endpoints; the table has the same data` });
    for (const c of columns) this.text("h " + c.name, this.svg, c.title, { class: "heading", x: c.x + 12, y: 14 });
    for (const e of bridged(edges, columns)) this.edge(e, by.get(e.a.column), by.get(e.b.column));
    for (const n of nodes.values()) if (by.has(n.column) && n.y !== undefined) this.node(n, by.get(n.column));
    for (const [key, e] of this.kept) if (!this.used.has(key)) { e.remove(); this.kept.delete(key); }
  }
}
