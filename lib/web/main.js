// SPDX-License-Identifier: Apache-2.0
// Polls the daemon once a second and draws its answer; polls more slowly while the page is hidden or the daemon does not answer.

import { Detail, drawDetail } from "./detail.js";
import { Graph } from "./graph.js";
import { Model } from "./model.js";
import { byId, cutWords, head, health, ports, table, tiles, workers } from "./parts.js";

const EVERY_MS = 1000, HIDDEN_MS = 15000, LIMIT_MS = 5000, BACK_OFF_MS = [1000, 2000, 4000, 8000, 15000], NOT_NOW = 204;

const model = new Model(), graph = new Graph(byId("map")), detail = new Detail();
let timer = 0, failed = 0, find = "", lastAnswer = null, asking = null;

const clock = (date) => date.toLocaleTimeString([], { hour12: false });
// The parameters after the # of the address: the view, and the service with details.
const said = () => new URLSearchParams(location.hash.slice(1));
const asTable = () => said().has("table");
const chosen = () => (said().has("service") ? { service: said().get("service"), at: said().get("at") ?? "" } : null);
const go = (hash) => { location.hash = hash; };

function draw() {
  if (!model.data) return;
  model.now_all = model.rate("all");
  head(model.data);
  health(model.data);
  tiles(model);
  workers(model);
  ports(model);
  byId("cut").textContent = cutWords(model.data, find);
  byId("map").hidden = asTable();
  byId("table").hidden = !asTable();
  byId("as-map").setAttribute("aria-pressed", String(!asTable()));
  byId("as-table").setAttribute("aria-pressed", String(asTable()));
  drawDetail(detail, model, chosen());
  if (asTable()) table(model);
  else graph.draw(model);
}

function tellLive(state, words) {
  byId("live").dataset.state = state;
  byId("live-words").textContent = words;
}

function answered(data) {
  failed = 0;
  lastAnswer = new Date();
  model.take(data, performance.now());
  byId("gone").hidden = true;
  document.body.classList.remove("stale");
  tellLive("live", `live, ${clock(lastAnswer)}`);
  draw();
}

function unanswered(why) {
  const wait = BACK_OFF_MS[Math.min(failed++, BACK_OFF_MS.length - 1)];
  // A single failure is not shown.
  if (failed < 2) return wait;
  byId("gone").textContent = `The daemon does not answer (${why}). ${lastAnswer ? `The data are from ${clock(lastAnswer)}. ` : ""}Next attempt in ${wait / 1000} s.`;
  byId("gone").hidden = false;
  document.body.classList.add("stale");
  tellLive("gone", lastAnswer ? `gone since ${clock(lastAnswer)}` : "no answer");
  return wait;
}

// The daemon's answer, or a text with the reason why there is none; null: status 204, because another page polled just before; try again soon.
async function fetched(path, asked) {
  asking = new AbortController();
  const limit = setTimeout(() => asking.abort(), LIMIT_MS);
  try {
    const answer = await fetch(`data/${path}?${new URLSearchParams(asked)}`, { signal: asking.signal, cache: "no-store", credentials: "omit" });
    if (answer.status === NOT_NOW) return null;
    return answer.ok ? await answer.json() : `status ${answer.status}`;
  } catch (e) {
    return e.name === "AbortError" ? "too slow" : "no connection";
  } finally {
    clearTimeout(limit);
    asking = null;
  }
}

// Polls the details of the chosen service. Without an answer the former details stay.
async function askMore() {
  const who = chosen();
  if (!who) return;
  const data = await fetched("service", { name: who.service, at: who.at });
  if (data === null || typeof data === "string" || JSON.stringify(who) !== JSON.stringify(chosen())) return;
  detail.take(data, performance.now());
  drawDetail(detail, model, who);
}

// Polls once; returns the time until the next poll, ms.
async function ask() {
  const asked = find, data = await fetched("now", { find: asked });
  if (data === null || asked !== find) return EVERY_MS / 4;
  if (typeof data === "string") return unanswered(data);
  answered(data);
  await askMore();
  return document.hidden ? HIDDEN_MS : EVERY_MS;
}

async function turn() {
  clearTimeout(timer);
  // One request at a time.
  if (asking) return;
  const wait = await ask();
  clearTimeout(timer);
  timer = setTimeout(turn, wait);
}

function soon(ms) {
  clearTimeout(timer);
  timer = setTimeout(turn, ms);
}

byId("find").addEventListener("input", () => { find = byId("find").value.trim(); soon(250); });
function view(name, on) {
  const words = said();
  if (on) words.set(name, "");
  else words.delete(name);
  return words;
}

let looked = "";
function turned() {
  const who = JSON.stringify(chosen());
  if (who !== looked) detail.last = detail.before = null;
  draw();
  if (chosen() && who !== looked) { byId("detail-title").focus(); soon(0); }
  looked = who;
}

byId("as-map").addEventListener("click", () => go(view("table", false)));
byId("as-table").addEventListener("click", () => go(view("table", true)));
byId("detail-close").addEventListener("click", () => { const words = view("service", false); words.delete("at"); go(words); });
addEventListener("hashchange", turned);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
new ResizeObserver(draw).observe(byId("map").parentElement);
turn();
