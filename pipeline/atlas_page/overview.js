"use strict";
// The first view: every head as a point, the mosaic of runs by heads, and what is claimed of the study.

function seriesName(id) {
  const [metric, definition, evalSet, period] = id.split("/");
  return `${words(metric)}, ${words(definition)}`.concat(evalSet === "weights" ? "" : `, on ${words(evalSet)}`, period ? ` of period ${period}` : "");
}

function seriesOptions() {
  return [...study.series.keys()].map((id) => {
    const [metric, definition, evalSet, period] = id.split("/");
    return { value: id, group: words(metric), text: `${words(metric)}, ${words(definition)} \u00b7 ${words(evalSet)}${period ? ` ${period}` : ""}` };
  });
}

/** The first series whose name starts so, or any. */
function usual(...starts) {
  const all = [...study.series.keys()];
  for (const start of starts) {
    const found = all.find((id) => id.startsWith(start));
    if (found) return found;
  }
  return all[0];
}

function overview(main, params) {
  const view = {
    x: study.series.has(params.get("x")) ? params.get("x") : usual("previous_token/mean/text", "previous_token/"),
    y: study.series.has(params.get("y")) ? params.get("y") : usual("induction/mass/repeated_tokens", "induction/mass"),
    of: study.experiments.includes(params.get("of")) ? params.get("of") : "",
    role: params.get("role") ?? "",
    cells: params.get("cells") === "score" ? "score" : "role",
  };
  const counts = d3.rollup(study.heads, (each) => each.length, (head) => head.role);
  const present = ROLES.filter((role) => counts.has(role));
  const points = el("div");
  const tiles = el("div");
  const draw = () => {
    setParams(Object.fromEntries(Object.entries(view).filter(([name, value]) => value && !(name === "cells" && value === "role"))));
    points.replaceChildren(scatterFigure(view, draw));
    tiles.replaceChildren(mosaicFigure(view, draw));
    roles.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button.value === view.role)));
  };
  const roles = el(
    "div",
    { class: "roles", role: "group", "aria-label": "Show one role" },
    present.map((role) =>
      el("button", { type: "button", value: role, "aria-pressed": "false", onclick: () => ((view.role = view.role === role ? "" : role), draw()) }, roleMark(role), words(role), el("b", {}, counts.get(role))),
    ),
  );
  const several = study.experiments.length > 1;
  const intro = `${study.heads.length} heads of ${study.runs.length} ${study.runs.length === 1 ? "run" : "runs"}${several ? `, in ${study.experiments.length} experiments` : ""}. ` + "Choose any two scores; click a head for everything that is known of it.";
  main.append(
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, "What does each head do?"), el("p", { class: "intro" }, intro)),
    el("h2", { class: "unseen" }, "All heads"),
    roles,
    el("div", { class: "two" }, points, tiles),
    claimsSection(params),
  );
  draw();
}

function scatterFigure(view, draw) {
  const chosen = study.heads.filter((head) => (!view.of || head.experiment === view.of) && (!view.role || head.role === view.role));
  const rows = chosen.map((head) => ({ head, x: scoreOf(view.x, head.key), y: scoreOf(view.y, head.key) })).filter(({ x, y }) => x?.value != null && y?.value != null);
  const options = seriesOptions();
  const controls = [
    choice("Up", options, view.y, (value) => ((view.y = value), draw())),
    choice("Across", options, view.x, (value) => ((view.x = value), draw())),
    study.experiments.length > 1
      ? choice("Experiment", [{ value: "", text: "all" }, ...study.experiments.map((value) => ({ value, text: words(value) }))], view.of, (value) => ((view.of = value), draw()))
      : null,
  ];
  const hollow = `A point a head. Hollow: not beyond chance (q \u2265 ${study.significance}). `;
  const drawn = "Shaded: two standard deviations about what chance gives, of the median head; dashed: what even attention or random weights give. Bars: intervals over sentences.";
  return figure({
    title: `${rows.filter(({ y }) => y.q !== null && y.q < study.significance).length} of ${rows.length} heads lie beyond chance: ${seriesName(view.y)}`,
    say: hollow + drawn,
    controls,
    chart: scatter(rows, view),
    rows: () => rows.map(({ head, x, y }) => ({ experiment: head.experiment, seed: head.seed, head: head.name, role: head.role, up: y.value, up_lo: y.lo, up_hi: y.hi, up_chance: y.chance, up_z: y.z, up_q: y.q, across: x.value, across_chance: x.chance, across_q: x.q })),
    made: { table: "head_scores", query: queryOf(seriesParts(view.y)) },
  });
}

function seriesParts(id) {
  const [metric, definition, eval_set, period] = id.split("/");
  return { metric, definition, eval_set, ...(period ? { period: Number(period) } : {}) };
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** Two standard deviations about the mean of chance, of the median head; what chance is exactly, where that is known. */
function bandOf(scores) {
  const known = scores.filter((score) => score.null_mean !== null && score.null_sd !== null);
  const mean = d3.median(known, (score) => score.null_mean);
  const sd = d3.median(known, (score) => score.null_sd);
  return { range: known.length ? [mean - 2 * sd, mean + 2 * sd] : null, exact: d3.median(scores, (score) => score.chance) ?? null };
}

function scatter(rows, view) {
  const label = `${rows.length} heads: ${seriesName(view.y)} against ${seriesName(view.x)}. Arrow keys go from head to head, Enter opens one.`;
  return responsive((width) => {
    const height = Math.max(320, Math.min(560, width * 0.78));
    const margin = { left: 46, right: 12, top: 24, bottom: 42 };
    const [across, up] = [rows.map((row) => row.x), rows.map((row) => row.y)];
    const ends = (scores) => scores.flatMap((score) => [score.value, score.lo, score.hi, score.chance]);
    const x = d3.scaleLinear(domainOf(ends(across)), [margin.left, width - margin.right]);
    const y = d3.scaleLinear(domainOf(ends(up)), [height - margin.bottom, margin.top]);
    const clip = (scale, value) => Math.max(Math.min(...scale.range()), Math.min(Math.max(...scale.range()), scale(value)));
    const [bandX, bandY] = [bandOf(across), bandOf(up)];
    const bands = [
      bandX.range ? svg("rect", { class: "band", x: clip(x, bandX.range[0]), width: Math.max(2, clip(x, bandX.range[1]) - clip(x, bandX.range[0])), y: margin.top, height: height - margin.top - margin.bottom }) : null,
      bandY.range ? svg("rect", { class: "band", y: clip(y, bandY.range[1]), height: Math.max(2, clip(y, bandY.range[0]) - clip(y, bandY.range[1])), x: margin.left, width: width - margin.left - margin.right }) : null,
      bandX.exact !== null ? svg("line", { class: "chance", x1: x(bandX.exact), x2: x(bandX.exact), y1: margin.top, y2: height - margin.bottom }) : null,
      bandY.exact !== null ? svg("line", { class: "chance", x1: margin.left, x2: width - margin.right, y1: y(bandY.exact), y2: y(bandY.exact) }) : null,
    ];
    const size = rows.length > 250 ? 44 : 64;
    const whiskers = svg("g", { class: "faint" }, rows.flatMap(({ head, x: one, y: other }) => [
      one.lo !== null ? svg("line", { class: "whisker thin", x1: x(one.lo), x2: x(one.hi), y1: y(other.value), y2: y(other.value), stroke: roleColour(head.role) }) : null,
      other.lo !== null ? svg("line", { class: "whisker thin", x1: x(one.value), x2: x(one.value), y1: y(other.lo), y2: y(other.hi), stroke: roleColour(head.role) }) : null,
    ].filter(Boolean)));
    const marks = rows.map(({ head, x: one, y: other }) => {
      const significant = other.q === null || other.q < study.significance;
      return svg("path", { class: significant ? "point" : "point hollow", d: roleShape(head.role, size), transform: `translate(${x(one.value)},${y(other.value)})`, fill: significant ? roleColour(head.role) : "var(--paper)", stroke: significant ? "var(--paper)" : roleColour(head.role), "data-head": head.key });
    });
    const ring = svg("circle", { class: "ring", r: 9, visibility: "hidden" });
    const chart = canvas(width, height, label, bands, axes({ x, y, width, height, margin, xName: `${seriesName(view.x)} \u2192`, yName: `\u2191 ${seriesName(view.y)}` }), whiskers, marks, ring);
    chart.setAttribute("tabindex", 0);
    chart.classList.add("clickable");
    const places = rows.map((row) => [x(row.x.value), y(row.y.value)]);
    if (rows.length) walkable(chart, rows, places, ring, tellHead, ({ head }) => headAddress(head.experiment, head.seed, head.name));
    return chart;
  });
}

/** Let the pointer and the arrow keys go from point to point of a chart, and Enter or a click open one. */
function walkable(chart, rows, places, ring, told, addressOf) {
  const nearest = d3.Delaunay.from(places);
  let at = -1;
  const go = (to, event) => {
    at = to;
    const [cx, cy] = places[at];
    ring.setAttribute("cx", cx);
    ring.setAttribute("cy", cy);
    ring.setAttribute("visibility", "visible");
    const box = chart.getBoundingClientRect();
    tell(event ?? { x: box.left + cx, y: box.top + cy }, told(rows[at]));
    if (!event) say(tooltip().innerText.replaceAll("\n", ", "));
  };
  const leave = () => (ring.setAttribute("visibility", "hidden"), hush());
  const under = (event) => {
    const box = chart.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const found = nearest.find(x, y);
    return Math.hypot(places[found][0] - x, places[found][1] - y) < 28 ? found : -1;
  };
  chart.addEventListener("pointermove", (event) => (under(event) < 0 ? leave() : go(under(event), event)));
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("blur", leave);
  chart.addEventListener("click", (event) => under(event) >= 0 && (location.hash = addressOf(rows[under(event)])));
  const order = { x: d3.sort(d3.range(rows.length), (row) => places[row][0]), y: d3.sort(d3.range(rows.length), (row) => -places[row][1]) };
  chart.addEventListener("keydown", (event) => {
    const [axis, step] = { ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1] }[event.key] ?? [];
    if (event.key === "Enter" && at >= 0) location.hash = addressOf(rows[at]);
    if (!axis) return;
    event.preventDefault();
    const place = at < 0 ? (step > 0 ? -1 : rows.length) : order[axis].indexOf(at);
    go(order[axis][Math.max(0, Math.min(rows.length - 1, place + step))]);
  });
}

function tellHead({ head, x, y }) {
  const score = (name, each) => el("span", {}, `${name}: `, el("b", {}, number(each.value)), ` ${interval(each.lo, each.hi)} chance ${number(each.chance ?? each.null_mean)}`);
  return [el("strong", {}, roleMark(head.role), ` ${head.name} of ${runWords(head)}`), el("span", {}, words(head.named)), score("up", y), score("across", x)];
}

function mosaicFigure(view, draw) {
  const shownRuns = study.runs.filter((run) => !view.of || run.experiment === view.of);
  const byScore = view.cells === "score";
  const scores = new Map(study.heads.map((head) => [head.key, scoreOf(view.y, head.key)]));
  const scale = d3.max(scores.values(), (score) => Math.abs(score?.value ?? 0)) || 1;
  const controls = switches("Colour of cells", [{ value: "role", text: "Role" }, { value: "score", text: "Score up" }], view.cells, (value) => ((view.cells = value), draw()));
  return figure({
    title: byScore ? `Where ${words(view.y.split("/")[0])} is large` : howMany(shownRuns),
    say: byScore ? "A row a run, a cell a head. Darker: a larger score; the other hue: below 0." : "A row a run, a cell a head, layers apart. Heads have other numbers in each run.",
    controls,
    chart: mosaic(shownRuns, view, scores, scale),
    rows: () => shownRuns.flatMap((run) => headsOf(run.experiment, run.seed)).map((head) => ({ experiment: head.experiment, seed: head.seed, head: head.name, role: head.named, also: head.also, certainty: head.certainty, score_up: scores.get(head.key)?.value ?? null })),
    made: { table: "head_roles" },
  });
}

/** How many heads of the first role there is each run has: what one would see by counting cells. */
function howMany(runs) {
  const role = ROLES.find((each) => study.heads.some((head) => head.role === each));
  const [least, most] = d3.extent(runs, (run) => headsOf(run.experiment, run.seed).filter((head) => head.role === role).length);
  const heads = `${words(role)} ${most === 1 ? "head" : "heads"}`;
  return least === most ? `${most} ${heads} in every run` : `${least} to ${most} ${heads} in a run`;
}

function mosaic(runs, view, scores, scale) {
  return responsive((width) => {
    const left = 30;
    const cells = [];
    const labels = [];
    let y = 20;
    let last = null;
    for (const run of runs) {
      const heads = headsOf(run.experiment, run.seed);
      const layers = d3.groups(heads, (head) => head.layer);
      const gap = 8;
      const apart = heads.length > 40; // a row a layer, where all heads of a run in one row would be too narrow
      const across = apart ? d3.max(layers, ([, each]) => each.length) : heads.length;
      const side = Math.max(3, Math.min(apart ? 22 : 38, (width - left - (apart ? 0 : gap * (layers.length - 1))) / across));
      if (run.experiment !== last) {
        y += last === null ? 0 : 26;
        labels.push(svg("text", { class: "group", x: 0, y: y - 6 }, words(run.experiment)));
        last = run.experiment;
      }
      const label = (text) => labels.push(svg("text", { class: "label", x: left - 8, y: y + side / 2 - 1, dy: "0.32em", "text-anchor": "end" }, text));
      if (apart) labels.push(svg("text", { x: left, y: y + 8 }, `seed ${run.seed}, a row a layer`));
      if (apart) y += 14;
      else label(run.seed);
      let x = left;
      for (const [layer, each] of layers) {
        if (apart) label(layer);
        for (const head of each) {
          cells.push({ head, x, y, side });
          x += side;
        }
        if (apart) [x, y] = [left, y + side];
        else x += gap;
      }
      y += (apart ? 10 : side) + 3;
      if (!apart && side < 14) y += 2;
    }
    const rects = cells.map(({ head, x, y: top, side }) => {
      const value = scores.get(head.key)?.value ?? null;
      const faded = view.role && head.role !== view.role;
      const fill = view.cells === "score" ? (value < 0 ? "var(--minus)" : "var(--plus)") : roleColour(head.role);
      const opacity = faded ? 0.12 : view.cells === "score" ? Math.abs(value ?? 0) / scale : 1;
      return svg("rect", { class: "cell", x, y: top, width: Math.max(2, side - 2), height: Math.max(2, side - 2), rx: 2, fill, "fill-opacity": opacity.toFixed(3), "data-head": head.key });
    });
    const ring = svg("circle", { class: "ring", r: 12, visibility: "hidden" });
    const label = `${runs.length} runs by heads, coloured by ${view.cells}. Arrow keys go from head to head, Enter opens one.`;
    const chart = canvas(width, y + 4, label, rects, labels, ring);
    chart.setAttribute("tabindex", 0);
    chart.classList.add("clickable");
    const places = cells.map(({ x, y: top, side }) => [x + side / 2 - 1, top + side / 2 - 1]);
    const told = ({ head }) => [el("strong", {}, roleMark(head.role), ` ${head.name} of ${runWords(head)}`), el("span", {}, words(head.named)), el("span", {}, head.evidence), el("span", {}, `${seriesName(view.y)}: ${number(scores.get(head.key)?.value)}`)];
    if (cells.length) walkable(chart, cells, places, ring, told, ({ head }) => headAddress(head.experiment, head.seed, head.name));
    return chart;
  });
}

function claimsSection(params) {
  const experiments = [...new Set(study.claimRows.map((claim) => claim.experiment))].sort((a, b) => study.experiments.indexOf(a) - study.experiments.indexOf(b));
  const list = el("div", { class: "claims" });
  const draw = (experiment) => {
    const claims = study.claimRows.filter((claim) => claim.experiment === experiment);
    const order = ["reproduced", "undecided", "not reproduced", "not applicable", "not measured"];
    list.replaceChildren(...d3.sort(claims, (claim) => order.indexOf(claim.verdict)).map((claim) => claimRow(claim, params.get("claim") === claim.claim)));
  };
  const first = params.get("of") || experiments[0];
  draw(first);
  return el(
    "section",
    { class: "claims-of", id: "claims" },
    el("h2", {}, "What the study says"),
    el("p", { class: "say" }, "The dot is the mean over seeds, the bar its interval; the line is the threshold that was set beforehand, the dashed one chance. Open a claim for the heads it rests on."),
    experiments.length > 1 ? choice("Experiment", experiments.map((value) => ({ value, text: words(value) })), first, draw) : null,
    list,
  );
}

function claimRow(claim, open) {
  const parts = [claim.value, claim.lo, claim.hi, claim.threshold, claim.chance].filter((each) => each !== null);
  const domain = domainOf(parts, 0.15);
  const line = strip({ ...claim, domain, ideal: null }, 150);
  const x = d3.scaleLinear(domain, [4, 146]);
  line.append(svg("line", { class: "threshold", x1: x(claim.threshold), x2: x(claim.threshold), y1: 1, y2: 17 }));
  const beside = [`chance ${tickText(claim.chance)}`, `threshold ${tickText(claim.threshold)}`, `least shown ${tickText(claim.least_shown)}`];
  const numbers = el("span", { class: "numbers" }, el("span", {}, el("b", {}, number(claim.value)), ` ${interval(claim.lo, claim.hi)}`), el("small", {}, beside.join(" \u00b7 ")));
  const verdict = el("span", { class: `verdict ${claim.verdict.replaceAll(" ", "-")}` }, claim.verdict);
  const summary = el("summary", {}, el("span", { class: "statement" }, claim.statement), line, numbers, verdict);
  const details = el("details", { class: "claim", open, "data-claim": claim.claim }, summary);
  const fill = () => {
    if (details.dataset.filled) return;
    details.dataset.filled = "yes";
    details.append(
      el(
        "dl",
        { class: "facts" },
        pair("Measured", claim.statistic),
        pair("Chance", number(claim.chance)),
        pair("Threshold", `${number(claim.threshold)}, set ${claim.since}`),
        pair("Least that would be found", claim.least_shown === null ? "\u2013" : `${number(claim.least_shown)} beyond the threshold, in ${Math.round(100 * claim.power)} of 100 such studies`),
        pair("Of the drawing of sentences alone", claim.of_sentences === null ? "\u2013" : `\u00b1 ${number(claim.of_sentences)}`),
        pair("q", probability(claim.q)),
        pair("Seeds", claim.n_seeds),
        pair("Rule", claim.rule),
        pair("Evidence", evidence(claim)),
      ),
      howMade({ table: "claims", query: queryOf({ experiment: claim.experiment, claim: claim.claim }) }),
    );
  };
  details.addEventListener("toggle", () => details.open && fill());
  if (open) fill();
  return details;
}

/** A claim's evidence, seed by seed, its heads as links. */
function evidence(claim) {
  return claim.evidence.split("; ").map((piece) => {
    const seed = Number(/^seed (\d+):/.exec(piece)?.[1]);
    const parts = piece.split(/(?<![\d.+\-(])(\d+\.\d+)(?![\d.])/);
    const inside = parts.map((part, at) => {
      const known = at % 2 === 1 && study.byKey.has(keyOf(claim.experiment, seed, part));
      return known ? link(headAddress(claim.experiment, seed, part), part) : part;
    });
    return el("span", { class: "piece" }, inside);
  });
}
