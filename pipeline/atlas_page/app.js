"use strict";
// The page around the views: addresses, search, theme, keyboard.

const VIEWS = [
  [/^$/, (main, parts, params) => overview(main, params)],
  [/^run\/([^/]+)\/([^/]+)\/head\/([^/]+)(?:\/([^/]+))?$/, headPage],
  [/^run\/([^/]+)\/([^/]+)$/, runPage],
  [/^compare$/, comparePage],
  [/^token\/(.+)$/, tokenPage],
  [/^how(?:\/([^/]+)\/([^/]+))?$/, howPage],
];

let shownAddress = null;

function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path, params: new URLSearchParams(query) };
}

/** Put what is chosen in a view into the address, so that it can be sent to somebody. */
function setParams(values) {
  const query = new URLSearchParams(values).toString();
  history.replaceState(null, "", `#/${here().path}${query ? `?${query}` : ""}`);
  shownAddress = location.hash;
}

async function show() {
  if (location.hash === shownAddress) return;
  shownAddress = location.hash;
  const { path, params } = here();
  const main = el("main", { id: "main" });
  const [pattern, view] = VIEWS.find(([each]) => each.test(path)) ?? [null, null];
  hush();
  if (view) await view(main, pattern.exec(path).slice(1).map((part) => part && decode(part)), params);
  else nothing(main, "There is no such page.");
  if (location.hash !== shownAddress) return; // somebody went on meanwhile
  document.getElementById("main").replaceWith(main);
  const section = /head\/[^/]+\/([^/]+)$/.exec(path)?.[1];
  const target = section && document.getElementById(section);
  if (target) await drawn().then(() => target.scrollIntoView());
  else scrollTo(0, 0);
  const title = main.querySelector("h1");
  document.title = `${title ? title.textContent.trim() : ""} \u00b7 ${study.study}`;
  title?.focus({ preventScroll: true });
  document.querySelectorAll(".bar-top nav a").forEach((each) => {
    const current = each.getAttribute("href") === `#/${path.split("/")[0]}`;
    if (current) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  });
}

/** Once charts have their sizes, two frames on. */
function drawn() {
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function say(text) {
  document.getElementById("said").textContent = text;
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

/** Heads and tokens that hold what was typed, best first. */
async function find(typed) {
  const sought = typed.trim().toLowerCase();
  if (!sought) return [];
  const heads = study.heads
    .filter((head) => head.name.startsWith(sought) || `${head.experiment} ${head.seed} ${head.name}`.includes(sought) || words(head.role).startsWith(sought))
    .slice(0, 12)
    .map((head) => ({ href: headAddress(head.experiment, head.seed, head.name), inside: [roleMark(head.role), ` ${head.name} of ${runWords(head)}`] }));
  const tokens = await block("tokens");
  const names = [...new Set(tokens.tokens.columns.token)];
  const plain = (text) => shown(text).replaceAll("\u2423", " ").toLowerCase();
  const wanted = typed.toLowerCase().replaceAll("\u2423", " ");
  const found = d3.sort(names.filter((name) => plain(name).includes(wanted)), (name) => name.length).slice(0, 12);
  return [...heads, ...found.map((name) => ({ href: address("token", name), inside: ["token ", token(name)] }))];
}

function searchBox() {
  const list = el("ul", { id: "found", role: "listbox", "aria-label": "Found", hidden: true });
  const input = el("input", { type: "search", placeholder: "Head, role or token  /", role: "combobox", "aria-label": "Search heads and tokens", "aria-expanded": "false", "aria-controls": "found", autocomplete: "off" });
  let results = [];
  let at = -1;
  const close = () => ((list.hidden = true), input.setAttribute("aria-expanded", "false"), input.removeAttribute("aria-activedescendant"));
  const mark = () => {
    [...list.children].forEach((each, place) => each.setAttribute("aria-selected", String(place === at)));
    if (at >= 0) input.setAttribute("aria-activedescendant", `found-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const go = ({ href }) => ((location.hash = href), (input.value = ""), close(), input.blur());
  input.addEventListener("input", async () => {
    const typed = input.value;
    const found = await find(typed);
    if (input.value !== typed) return;
    results = found;
    at = results.length ? 0 : -1;
    list.replaceChildren(...results.map((result, place) => el("li", { id: `found-${place}`, role: "option", "aria-selected": "false", onpointerdown: (event) => (event.preventDefault(), go(result)) }, result.inside)));
    if (!results.length && typed) list.replaceChildren(el("li", { role: "option", "aria-selected": "false", "aria-disabled": "true" }, "nothing found"));
    list.hidden = !typed;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && results.length) (event.preventDefault(), (at = (at + step + results.length) % results.length), mark());
    if (event.key === "Enter" && at >= 0) go(results[at]);
    if (event.key === "Escape") (close(), input.blur());
  });
  input.addEventListener("blur", close);
  return el("div", { class: "search" }, input, list);
}

function keys(event) {
  if (event.target.closest("input, select, textarea, svg, [role=button]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") (event.preventDefault(), document.querySelector(".search input").focus());
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const to = rel && document.querySelector(`.steps a[rel=${rel}]`);
  if (to && !event.target.closest(".scroll")) location.hash = to.getAttribute("href");
}

async function start() {
  await openStudy();
  const nav = el("nav", { "aria-label": "Views" }, link("#/", "Heads"), link("#/compare", "Compare"), link("#/how", "How it was made"));
  document.getElementById("atlas").replaceWith(
    el("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), document.querySelector("h1").focus()) }, "To the content"),
    el("header", { class: "bar-top" }, el("a", { class: "name", href: "#/" }, study.study), nav, searchBox(), el("button", { type: "button", class: "theme", "aria-label": "Dark or light", title: "Dark or light", onclick: theme }, "\u25d0")),
    el("main", { id: "main" }),
    el("div", { id: "tooltip", hidden: true }),
    el("div", { id: "said", class: "unseen", "aria-live": "polite" }),
  );
  addEventListener("hashchange", show);
  addEventListener("popstate", show);
  addEventListener("keydown", keys);
  await show();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
