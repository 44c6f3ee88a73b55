"use strict";
// Runs side by side: which head is which, what differs, and what experiments change.

function runPage(main, [experiment, seedText]) {
  const seed = Number(seedText);
  const heads = headsOf(experiment, seed);
  if (!heads.length) return nothing(main, `There is no run ${experiment}, seed ${seedText}.`);
  const shows = (name) => ({ name, text: words(name), align: "right" });
  const columns = [
    { name: "head", get: (head) => head.layer * 1e4 + head.head, show: (head) => link(headAddress(experiment, seed, head.name), head.name) },
    { name: "role", show: (head) => roleChip(head.role) },
    { name: "also", show: (head) => words(head.also) },
    ...["certainty", "previous_token", "prefix_worst", "duplicate_token", "current_token", "first_token", "copying"].map(shows),
    { name: "repeated", text: "loss added, copies", align: "right", show: (head) => `${number(head.repeated)} ${interval(head.repeated_lo, head.repeated_hi)}` },
  ];
  const run = study.runs.find((each) => each.experiment === experiment && each.seed === seed);
  main.append(
    el("nav", { class: "crumbs", "aria-label": "Where this is" }, link("#/", study.study), " / "),
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, `${capital(words(experiment))}, seed ${seed}`), el("p", { class: "intro" }, study.questions[experiment])),
    el("h2", { class: "unseen" }, "Heads"),
    figure({ title: `Its ${heads.length} heads`, say: "Sort by any column; a head opens its page.", chart: dataTable(heads, columns, { limit: 400, filter: true, caption: "Heads of the run" }), made: { table: "head_roles", query: queryOf({ experiment, seed }) }, wide: true }),
    el("section", {}, el("h2", {}, "How this run was made"), el("p", { class: "say" }, "Every stage's job, and the settings it was given."), settingsOf(run)),
  );
}

function settingsOf(run) {
  return Object.entries(run.ids).map(([stage, id]) =>
    el("details", { class: "behind" }, el("summary", {}, `${stage}: results/store/${stage}/${id}/`), el("pre", {}, JSON.stringify(study.settings[`${stage}/${id}`], null, 2))),
  );
}

/** The counterpart of each head of one run in another: by weights within an experiment, else by scores. */
function counterparts(one, other) {
  const found = new Map();
  if (one.experiment === other.experiment) {
    const forth = one.seed < other.seed;
    const [a, b] = forth ? ["a", "b"] : ["b", "a"];
    const rows = rowsOf(study.alignment, (row) => row.experiment === one.experiment && row.matrix === "OV" && row[`seed_${a}`] === one.seed && row[`seed_${b}`] === other.seed);
    for (const row of rows) found.set(`${row[`layer_${a}`]}.${row[`head_${a}`]}`, { name: `${row[`layer_${b}`]}.${row[`head_${b}`]}`, likeness: row.correlation, chance: row.chance, by: "OV circuit" });
    if (found.size) return found;
  }
  const toReference = (run) => rowsOf(study.head_matches, (row) => row.experiment === run.experiment && row.seed === run.seed && row.reference_head !== null);
  const back = new Map(toReference(other).map((row) => [`${row.layer}.${row.reference_head}`, row]));
  for (const row of toReference(one)) {
    const partner = back.get(`${row.layer}.${row.reference_head}`);
    if (partner) found.set(`${row.layer}.${row.head}`, { name: `${partner.layer}.${partner.head}`, likeness: Math.min(row.similarity, partner.similarity), chance: partner.at_random, by: "scores" });
  }
  return found;
}

function comparePage(main, parts, params) {
  const runs = study.runs.map((run) => ({ value: `${run.experiment}/${run.seed}`, text: runWords(run) }));
  const known = (value, usualOne) => (study.runNames.includes(value) ? value : usualOne);
  const view = {
    a: known(params.get("a"), study.runNames[0]),
    b: known(params.get("b"), study.runNames[1] ?? study.runNames[0]),
    score: study.series.has(params.get("score")) ? params.get("score") : usual("induction/mass/repeated_tokens", "induction/mass"),
  };
  const holder = el("div");
  let asked = 0;
  const draw = async () => {
    setParams(view);
    const turn = ++asked;
    const read = await influencesOf(view);
    if (turn === asked) holder.replaceChildren(...compared(view, read));
  };
  main.append(
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, "Runs side by side"), el("p", { class: "intro" }, "A head's counterpart in another run is the one whose OV circuit goes with its own (within an experiment), or that scores most like it (between experiments).")),
    el("div", { class: "controls" }, choice("Run", runs, view.a, (value) => ((view.a = value), draw())), choice("beside", runs, view.b, (value) => ((view.b = value), draw())), choice("by", seriesOptions(), view.score, (value) => ((view.score = value), draw()))),
    el("h2", { class: "unseen" }, "Two runs"),
    holder,
    effectsSection(),
  );
  draw();
}

function runWords({ experiment, seed }) {
  return `${words(experiment)}, seed ${seed}`;
}

function runOf(name) {
  return study.runs[study.runNames.indexOf(name)];
}

/** Of two runs that read the same sentences: what each sentence adds to each score, by head and series; else of none. */
async function influencesOf({ a, b }) {
  const runs = [runOf(a), runOf(b)];
  if (runs[0].ids.probe !== runs[1].ids.probe) return [new Map(), new Map()];
  const read = await Promise.all(runs.map(({ experiment, seed }) => block(`sentences/${experiment}/${seed}`)));
  return read.map((tables) =>
    d3.rollup(
      rowsOf(tables?.influences),
      (rows) => new Map(rows.map((row) => [row.sentence, row.influence])),
      (row) => `${row.layer}.${row.head}/${seriesId(row.metric, row.definition, row.eval_set, row.period)}`,
    ),
  );
}

function compared({ a, b, score }, read) {
  const [one, other] = [runOf(a), runOf(b)];
  const matched = counterparts(one, other);
  const rows = [...matched].map(([name, partner]) => {
    const [keyA, keyB] = [keyOf(one.experiment, one.seed, name), keyOf(other.experiment, other.seed, partner.name)];
    const [x, y] = [scoreOf(score, keyA), scoreOf(score, keyB)];
    const changed = difference(x, y, read[0].get(`${name}/${score}`), read[1].get(`${partner.name}/${score}`));
    return { name, partner: partner.name, likeness: partner.likeness, chance: partner.chance, head: study.byKey.get(keyA), mate: study.byKey.get(keyB), keyA, keyB, x, y, difference: changed.value, lo: changed.lo, hi: changed.hi, apart: changed.value === null ? null : Math.abs(changed.value) };
  });
  if (!rows.length) return [el("p", { class: "say" }, "No heads of these two runs are matched: choose others.")];
  const complete = rows.filter((row) => row.difference !== null);
  const changed = d3.greatest(complete, (row) => row.apart);
  const columns = [
    { name: "head", get: (row) => row.name, show: (row) => [link(headAddress(one.experiment, one.seed, row.name), row.name), " ", roleChip(row.head?.role ?? "none")] },
    { name: "counterpart", get: (row) => row.partner, show: (row) => [link(headAddress(other.experiment, other.seed, row.partner), row.partner), " ", roleChip(row.mate?.role ?? "none")] },
    { name: "likeness", align: "right", show: (row) => [el("b", {}, number(row.likeness)), el("small", {}, `chance ${number(row.chance)}`)] },
    { name: "one", text: "score", align: "right", get: (row) => row.x?.value ?? null, show: (row) => [number(row.x?.value), el("small", {}, interval(row.x?.lo, row.x?.hi))] },
    { name: "other", text: "its score", align: "right", get: (row) => row.y?.value ?? null, show: (row) => [number(row.y?.value), el("small", {}, interval(row.y?.lo, row.y?.hi))] },
    { name: "difference", align: "right", get: (row) => row.apart, show: (row) => [el("b", {}, number(row.difference)), el("small", {}, interval(row.lo, row.hi))] },
  ];
  return [
    el(
      "div",
      { class: "two even" },
      figure({
        title: changed ? `${changed.name} and its counterpart ${changed.partner} differ most` : "Nothing to compare",
        say: `${capital(seriesName(score))}: across ${runWords(one)}, up ${runWords(other)}. On the line both are equal.`,
        chart: sideBySide(complete, one, other, score),
        rows: () => complete.map((row) => ({ head: row.name, counterpart: row.partner, likeness: row.likeness, chance: row.chance, score: row.x.value, counterparts: row.y.value, difference: row.difference })),
        made: { table: one.experiment === other.experiment ? "alignment" : "head_matches", query: queryOf({ experiment: one.experiment }) },
      }),
      figure({ title: "Which head is which, and how far apart", say: `Sorted by the size of the difference. ${OF_DIFFERENCES}`, chart: dataTable(rows, columns, { limit: 24, sort: { at: 5, down: true }, caption: "Matched heads" }), made: { table: one.experiment === other.experiment ? "alignment" : "head_matches" } }),
    ),
    el("section", {}, el("h2", {}, "What changed most"), changesFigure(rows, one, other, read)),
  ];
}

const OF_DIFFERENCES = "Of a score kept sentence by sentence, its interval is over the sentences that both runs read; else both are taken as drawn apart, which is rather too wide.";

/**
 * One score less another, with an interval: over the sentences behind both, from what each adds to either (`weighted_mean`
 * of pipeline/claims/crossed.py), or from both scores' own (Zou and Donner 2008); null where either is not there.
 */
function difference(x, y, own, others) {
  if (x?.value == null || y?.value == null) return { value: null, lo: null, hi: null };
  const value = y.value - x.value;
  if (own && others) {
    const sentences = [...new Set([...own.keys(), ...others.keys()])];
    const half = study.quantiles[sentences.length] * Math.hypot(...sentences.map((each) => (others.get(each) ?? 0) - (own.get(each) ?? 0)));
    return { value, lo: value - half, hi: value + half };
  }
  if (x.lo === null || y.lo === null) return { value, lo: null, hi: null };
  return { value, lo: value - Math.hypot(y.value - y.lo, x.hi - x.value), hi: value + Math.hypot(y.hi - y.value, x.value - x.lo) };
}

/** Over all scores of all matched heads: the differences that lie furthest from 0, in widths of their intervals. */
function changesFigure(rows, one, other, read) {
  const all = rows.flatMap((row) =>
    [...study.series.keys()].map((series) => {
      const sides = [read[0].get(`${row.name}/${series}`), read[1].get(`${row.partner}/${series}`)];
      const found = difference(scoreOf(series, row.keyA), scoreOf(series, row.keyB), ...sides);
      return { head: row.name, counterpart: row.partner, series, ...found, size: found.lo === null || found.hi === found.lo ? null : Math.abs(found.value) / (found.hi - found.lo) };
    }),
  );
  const sized = d3.sort(all.filter((row) => row.size !== null), (row) => -row.size);
  if (!sized.length) return el("p", { class: "say" }, "No score of both runs has an interval.");
  const sure = sized.filter((row) => row.lo > 0 || row.hi < 0);
  const domains = d3.rollup(sized, (each) => domainOf([0, ...each.flatMap((row) => [row.lo, row.hi])]), (row) => row.series);
  const columns = [
    { name: "head", show: (row) => link(headAddress(one.experiment, one.seed, row.head), row.head) },
    { name: "counterpart", show: (row) => link(headAddress(other.experiment, other.seed, row.counterpart), row.counterpart) },
    { name: "series", text: "score", get: (row) => seriesName(row.series) },
    { name: "difference", align: "right", get: (row) => Math.abs(row.value), show: (row) => [el("b", {}, number(row.value)), el("small", {}, interval(row.lo, row.hi))] },
    { name: "seen", text: "0 \u2192 difference", get: (row) => row.size, show: (row) => strip({ value: row.value, lo: row.lo, hi: row.hi, chance: 0, ideal: null, domain: domains.get(row.series) }) },
    { name: "size", text: "in widths", align: "right" },
  ];
  return figure({
    title: sure.length ? `What changed most: ${sure[0].head}, ${seriesName(sure[0].series)}` : "Nothing surely changed",
    say: `All scores of all matched heads, the surest differences first; ${sure.length} of ${sized.length} intervals leave out 0. ${OF_DIFFERENCES}`,
    chart: dataTable(sized, columns, { limit: 16, filter: true, caption: "What changed most" }),
    made: { table: "head_scores" },
    wide: true,
  });
}

function sideBySide(rows, one, other, score) {
  return responsive((width) => {
    const height = Math.min(width, 460);
    const margin = { left: 46, right: 12, top: 24, bottom: 42 };
    const domain = domainOf(rows.flatMap((row) => [row.x.value, row.x.lo, row.x.hi, row.y.value, row.y.lo, row.y.hi]));
    const x = d3.scaleLinear(domain, [margin.left, width - margin.right]);
    const y = d3.scaleLinear(domain, [height - margin.bottom, margin.top]);
    const whiskers = rows.flatMap((row) => [
      row.x.lo !== null ? svg("line", { class: "whisker thin", x1: x(row.x.lo), x2: x(row.x.hi), y1: y(row.y.value), y2: y(row.y.value), stroke: roleColour(row.head.role) }) : null,
      row.y.lo !== null ? svg("line", { class: "whisker thin", x1: x(row.x.value), x2: x(row.x.value), y1: y(row.y.lo), y2: y(row.y.hi), stroke: roleColour(row.head.role) }) : null,
    ]).filter(Boolean);
    const marks = rows.map((row) => svg("path", { class: "point", d: roleShape(row.head.role, 64), transform: `translate(${x(row.x.value)},${y(row.y.value)})`, fill: roleColour(row.head.role), stroke: "var(--paper)" }));
    const ring = svg("circle", { class: "ring", r: 9, visibility: "hidden" });
    const chart = canvas(width, height, `${rows.length} heads and their counterparts by ${seriesName(score)}`, axes({ x, y, width, height, margin, xName: `${runWords(one)} \u2192`, yName: `\u2191 ${runWords(other)}` }), svg("line", { class: "chance", x1: x(domain[0]), y1: y(domain[0]), x2: x(domain[1]), y2: y(domain[1]) }), whiskers, marks, ring);
    chart.setAttribute("tabindex", 0);
    chart.classList.add("clickable");
    const told = (row) => [el("strong", {}, `${row.name} beside ${row.partner}`), el("span", {}, `${number(row.x.value)} ${interval(row.x.lo, row.x.hi)}, ${number(row.y.value)} ${interval(row.y.lo, row.y.hi)}`), el("span", {}, `likeness ${number(row.likeness)}, chance ${number(row.chance)}`)];
    if (rows.length) walkable(chart, rows, rows.map((row) => [x(row.x.value), y(row.y.value)]), ring, told, (row) => headAddress(one.experiment, one.seed, row.name));
    return chart;
  });
}

function effectsSection() {
  const rows = rowsOf(study.effects).map((row) => ({ ...row, size: row.lo === null || row.hi === row.lo ? null : Math.abs(row.difference) / (row.hi - row.lo) }));
  if (!rows.length) return el("section", {}, el("h2", {}, "What each experiment changes"), el("p", { class: "say" }, "The study has one experiment: there is nothing to compare it with."));
  const holder = el("div");
  const experiments = [...new Set(rows.map((row) => row.experiment))];
  const draw = (experiment) => {
    const mine = d3.sort(rows.filter((row) => row.experiment === experiment), (row) => -(row.size ?? -1));
    const domains = d3.rollup(mine, (each) => domainOf([0, ...each.flatMap((row) => [row.difference, row.lo, row.hi])]), (row) => `${row.metric}/${row.definition}`);
    const columns = [
      { name: "role", text: "of", show: (row) => words(row.role) },
      { name: "metric", text: "measure", get: (row) => `${row.metric} ${row.definition}`, show: (row) => link(address("how", row.metric, row.definition), `${words(row.metric)}, ${words(row.definition)}`) },
      { name: "eval_set", text: "measured on", show: (row) => words(row.eval_set) },
      { name: "base", text: words(mine[0].against), align: "right" },
      { name: "value", text: words(experiment), align: "right" },
      { name: "difference", align: "right", get: (row) => row.size, show: (row) => [el("b", {}, number(row.difference)), " ", interval(row.lo, row.hi)] },
      { name: "seen", text: "0 \u2192 difference", get: (row) => row.size, show: (row) => strip({ value: row.difference, lo: row.lo, hi: row.hi, chance: 0, ideal: null, domain: domains.get(`${row.metric}/${row.definition}`) }) },
      { name: "q", align: "right", show: (row) => probability(row.q) },
      { name: "paired", show: (row) => `${row.n_seeds} ${row.paired ? "pair" : "seed"}${row.n_seeds === 1 ? "" : "s"}` },
    ];
    const sure = mine.filter((row) => row.q !== null && row.q < study.significance).length;
    holder.replaceChildren(
      figure({ title: `${capital(words(experiment))} changes ${sure} of ${mine.length} measures`, say: `${study.questions[experiment] ?? ""} Against ${words(mine[0].against)}; the largest first, in widths of its interval. Dashed: no difference.`, chart: dataTable(mine, columns, { limit: 20, filter: true, caption: "Differences" }), made: { table: "effects", query: queryOf({ experiment }) }, wide: true }),
    );
  };
  draw(experiments[0]);
  return el("section", {}, el("h2", {}, "What each experiment changes"), experiments.length > 1 ? choice("Experiment", experiments.map((value) => ({ value, text: words(value) })), experiments[0], draw) : null, holder);
}
