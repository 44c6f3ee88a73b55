"use strict";
// One head: everything that the tables say of it.

const SECTIONS = [
  ["attention", "Attention", attentionSection],
  ["scores", "Scores", scoresSection],
  ["loss", "What depends on it", lossSection],
  ["vocabulary", "Vocabulary", vocabularySection],
  ["composition", "Composition", compositionSection],
  ["training", "Training", trainingSection],
  ["runs", "In other runs", runsSection],
  ["sentences", "Sentences", sentencesSection],
];

async function headPage(main, [experiment, seed, name], params) {
  const head = study.byKey.get(keyOf(experiment, seed, name));
  if (!head) return nothing(main, `There is no head ${name} in run ${experiment}, seed ${seed}.`);
  const [own, run] = await Promise.all([block(`head/${head.key}`), block(`run/${experiment}/${seed}`)]);
  const heads = headsOf(head.experiment, head.seed);
  const at = heads.indexOf(head);
  const step = (to, text, rel) => (heads[to] ? el("a", { href: headAddress(experiment, seed, heads[to].name), rel }, text) : el("span", {}, text));
  main.append(
    el("nav", { class: "crumbs", "aria-label": "Where this is" }, link("#/", study.study), " / ", link(address("run", experiment, seed), `${words(experiment)}, seed ${seed}`), el("span", { class: "steps" }, step(at - 1, "\u2190 previous", "prev"), step(at + 1, "next \u2192", "next"))),
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, `Head ${name}`, " ", roleChip(head.role))),
    roleSentence(head),
    el("nav", { class: "parts", "aria-label": "Parts of this page" }, SECTIONS.map(([id, text]) => link(address("run", experiment, seed, "head", name, id), text))),
  );
  const context = { head, own: own ?? {}, run: run ?? {}, params, query: queryOf({ experiment: head.experiment, seed: head.seed, layer: head.layer, head: head.head }) };
  for (const [id, text, make] of SECTIONS) main.append(el("section", { id }, el("h2", {}, text), make(context)));
}

function nothing(main, text) {
  main.append(el("header", { class: "lead" }, el("h1", { tabindex: -1 }, text)), link("#/", "All heads"));
}

const CRITERIA = [
  ["previous_token", "attention to the token before", "previous_token/mean/text"],
  ["current_token", "attention to itself", "current_token/mean/text"],
  ["first_token", "attention to position 0", "first_token/mean/text"],
  ["duplicate_token", "attention to earlier copies", "duplicate_token/mass/repeated_tokens"],
  ["prefix_worst", "induction, worst period", "induction/mass/repeated_tokens"],
  ["prefix_best", "induction, best period", "induction/mass/repeated_tokens"],
  ["jittered", "induction across gaps"],
  ["short", "induction on short copies"],
  ["copying", "OV eigenvalues", "copying/eigenvalue/weights"],
  ["content", "share of scores by content"],
  ["position", "share by position"],
];

function roleSentence(head) {
  const measured = CRITERIA.filter(([name]) => head[name] !== null);
  return el(
    "div",
    { class: "role" },
    el("p", { class: "intro" }, el("b", {}, words(head.named)), head.evidence ? `: ${head.evidence}. ` : ". ", `Certainty at least ${number(head.certainty)}, over the drawing of sentences.`),
    el(
      "dl",
      { class: "facts" },
      head.also ? pair("Also", words(head.also)) : null,
      head.failed ? pair("Fails of induction", words(head.failed)) : null,
      pair("Not measured", head.unmeasured ? words(head.unmeasured) : "nothing: all criteria of its role were"),
    ),
    el("ul", { class: "criteria" }, measured.map(([name, text, series]) => criterion(text, head[name], series ? scoreOf(usual(series), head.key)?.chance : null))),
    el("details", { class: "behind" }, el("summary", {}, "How it was made"), howMade({ table: "head_roles", query: queryOf({ experiment: head.experiment, seed: head.seed, layer: head.layer, head: head.head }) })),
  );
}

function criterion(text, value, chance) {
  const share = (each) => `${Math.max(0, Math.min(1, Math.abs(each))) * 100}%`;
  const known = chance !== null && chance !== undefined;
  return el(
    "li",
    {},
    el("span", {}, text),
    el("span", {}, el("b", {}, number(value)), known ? el("small", {}, ` chance ${number(chance)}`) : null),
    el("span", { class: "bar", "aria-hidden": "true" }, el("span", { class: value < 0 ? "negative" : "", css: { width: share(value) } }), known ? el("i", { css: { left: share(chance) } }) : null),
  );
}

// Attention.

const TERM_NAMES = { total: "All of it", "stream stream": "Content to content", "stream position": "Content to position", "position stream": "Position to content", "position position": "Position to position" };
const TERM_COLOURS = { total: "var(--ink)", "stream stream": "var(--role-previous-token)", "stream position": "var(--role-current-token)", "position stream": "var(--role-prefix-matching)", "position position": "var(--role-induction)" };

function termOf(row) {
  return row.query_source === row.key_source && row.query_source === "total" ? "total" : `${row.query_source} ${row.key_source}`;
}

function attentionSection(context) {
  return el("div", { class: "grid" }, attentionText(context), profileFigure(context), patternProfile(context), termMaps(context));
}

const DEMONSTRATION = "demonstration";

/** Any sentence whose attention is kept, the demonstration first. */
function attentionText({ head, own, query, params }) {
  const entries = rowsOf(own.term_maps, (row) => row.query_source === "total");
  const kept = new Map(rowsOf(own.sentence_patterns).map((row) => [[row.eval_set, ...(row.period === null ? [] : [row.period]), row.sentence].join("/"), row]));
  const options = [...(entries.length ? [{ value: DEMONSTRATION, text: "the demonstration" }] : []), ...[...kept].map(([value, row]) => ({ value, text: `${row.sentence} of ${words(row.eval_set)}${row.period === null ? "" : `, period ${row.period}`}` }))];
  if (!options.length) return null;
  const asked = params?.get("sentence");
  const first = options.some(({ value }) => value === asked) ? asked : options[0].value;
  const holder = el("div");
  let looking = { tokens: [], of: () => 0 };
  const draw = async (value) => {
    looking = value === DEMONSTRATION ? demonstrated(entries) : await probed(kept.get(value), head);
    holder.replaceChildren(lookingText(looking));
  };
  draw(first);
  return figure({
    title: "Point at a token: where it looks, and what looks at it",
    say: "A fuller colour is more attention.",
    controls: choice("Sentence", options, first, (value) => (setParams({ sentence: value }), draw(value))),
    chart: holder,
    rows: () => looking.tokens.flatMap((query_token, at) => looking.tokens.slice(0, at + 1).map((key_token, key) => ({ query: at, query_token, key, key_token, attention: looking.of(at, key) }))),
    made: { table: "sentence_patterns", query },
    wide: true,
  });
}

function demonstrated(entries) {
  const tokens = tokensOf(entries);
  const weight = new Map(entries.map((row) => [row.query * tokens.length + row.key, row.pattern ?? 0]));
  return { tokens, of: (from, to) => weight.get(from * tokens.length + to) ?? 0 };
}

/** A sentence of a set, and its attention: a byte an entry, query by query. */
async function probed({ eval_set, period, sentence, attention }, head) {
  const run = study.runs.find((each) => each.experiment === head.experiment && each.seed === head.seed);
  const sequences = (await block(`sequences/${run.ids.probe}`))?.sequences;
  const rows = rowsOf(sequences, (row) => row.eval_set === eval_set && row.period === period && row.sentence === sentence);
  return { tokens: rows.map((row) => row.token), of: (from, to) => (to > from ? 0 : attention[(from * (from + 1)) / 2 + to] / 100) };
}

/** A sentence twice: what each token looks at, and what looks at it. */
function lookingText({ tokens, of }) {
  const readout = el("p", { class: "readout", role: "status" });
  const sides = [
    ["Looks at", (at, other) => of(at, other), "var(--plus)"],
    ["Is looked at from", (at, other) => of(other, at), "var(--minus)"],
  ];
  const texts = sides.map(([title, strength, colour]) => {
    const spans = tokens.map((text, at) => token(text, { tabindex: at ? -1 : 0, role: "button", "data-at": at }));
    const box = el("div", { class: "text", role: "group", "aria-label": title }, spans);
    return { title, strength, colour, spans, box };
  });
  const show = (at) => {
    for (const { spans, strength, colour } of texts) {
      spans.forEach((span, other) => {
        const share = Math.round(100 * Math.min(1, strength(at, other)));
        span.style.setProperty("background-color", share ? `color-mix(in srgb, ${colour} ${share}%, transparent)` : "transparent");
        span.classList.toggle("strong", share > 60);
        span.classList.toggle("chosen", other === at);
      });
    }
    const best = d3.sort(d3.range(tokens.length).filter((other) => of(at, other) > 0.01), (other) => -of(at, other)).slice(0, 4);
    readout.replaceChildren(token(tokens[at]), ` at ${at} looks at `, ...best.flatMap((other) => [token(tokens[other]), ` at ${other}: ${number(of(at, other))}  `]));
  };
  for (const { spans, box } of texts) {
    box.addEventListener("pointerover", (event) => event.target.dataset.at && show(Number(event.target.dataset.at)));
    box.addEventListener("focusin", (event) => event.target.dataset.at && show(Number(event.target.dataset.at)));
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const to = spans[Number(event.target.dataset.at) + (step ?? 0)];
      if (!step || !to) return;
      event.preventDefault();
      spans.forEach((span) => span.setAttribute("tabindex", span === to ? 0 : -1));
      to.focus();
    });
  }
  const telling = d3.range(1, tokens.length).map((query) => d3.max(d3.range(1, query), (key) => of(query, key)) ?? 0);
  show(telling.length ? d3.maxIndex(telling) + 1 : 0); // the query that rests on the first key least
  return el("div", { class: "texts" }, texts.map(({ title, box }) => el("div", {}, el("h4", {}, title), box)), readout);
}

function tokensOf(entries) {
  const tokens = [];
  for (const row of entries) tokens[row.query] = row.query_token;
  return tokens;
}

function termMaps({ own, query }) {
  const entries = rowsOf(own.term_maps);
  if (!entries.length) return null;
  const tokens = tokensOf(entries);
  const terms = d3.group(entries, termOf);
  const order = Object.keys(TERM_NAMES).filter((term) => terms.has(term));
  const scale = d3.quantile(entries.map((row) => Math.abs(row.score)), 0.99) || 1;
  const onpoint = (name, get) => ({ query: row, key: column }, event) => tell(event, el("strong", {}, token(tokens[row]), " \u2192 ", token(tokens[column])), el("span", {}, `positions ${row} \u2192 ${column}`), el("span", {}, `${name}: ${number(get(row, column))}`));
  const panels = order.map((term) => {
    const rows = terms.get(term);
    const by = new Map(rows.map((row) => [row.query * tokens.length + row.key, row.score]));
    const cells = rows.map((row) => ({ query: row.query, key: row.key, value: row.score }));
    const name = TERM_NAMES[term];
    return el("div", {}, el("h4", {}, name), triangle(cells, tokens, { label: `Scores, ${name}: queries down, keys across. Arrow keys go from entry to entry.`, scale, onpoint: onpoint("score", (row, column) => by.get(row * tokens.length + column)) }));
  });
  const total = terms.get("total") ?? [];
  const patterns = new Map(total.map((row) => [row.query * tokens.length + row.key, row.pattern]));
  const attention = el(
    "div",
    {},
    el("h4", {}, "Attention"),
    triangle(total.map((row) => ({ query: row.query, key: row.key, value: row.pattern })), tokens, { label: "Attention: queries down, keys across.", scale: 1, onpoint: onpoint("attention", (row, column) => patterns.get(row * tokens.length + column)) }),
  );
  return figure({
    title: "Which part of the score makes the pattern",
    say: `Queries down, keys across. What fed the query to what fed the key; together they are all of the score. One scale for all: a full colour is ${number(scale)} or more; the other hue is below 0.`,
    chart: el("div", { class: "maps" }, total.length ? attention : null, panels),
    rows: () => entries.map((row) => ({ term: TERM_NAMES[termOf(row)], query: row.query, query_token: row.query_token, key: row.key, key_token: row.key_token, score: row.score, pattern: row.pattern })),
    made: { table: "term_maps", query },
    wide: true,
  });
}

function profileRows(own) {
  const all = rowsOf(own.offset_profiles);
  const keys = all.some((row) => row.keys === "no_begin") ? "no_begin" : "all";
  return all.filter((row) => row.keys === keys);
}

function profileFigure({ own, query }) {
  const terms = d3.group(profileRows(own), termOf);
  if (!terms.size) return null;
  const series = Object.keys(TERM_NAMES)
    .filter((term) => terms.has(term))
    .map((term) => ({ name: TERM_NAMES[term], colour: TERM_COLOURS[term], dash: term === "total" ? null : { "stream stream": "6 3", "stream position": "2 3", "position stream": "8 3 2 3" }[term], points: terms.get(term).map((row) => [row.offset, row.mean_score]) }));
  return figure({
    title: "Score against distance",
    say: "Mean score of keys so many tokens back, rows centred, [BEGIN] apart; and the four parts that add up to it.",
    chart: el("div", {}, legend(series), lines(series, { label: "Mean score against distance, by term", xName: "tokens back", yName: "\u2191 score", xScale: "log" })),
    rows: () => profileRows(own).map((row) => ({ term: TERM_NAMES[termOf(row)], tokens_back: row.offset, mean_score: row.mean_score, mean_pattern: row.mean_pattern })),
    made: { table: "offset_profiles", query },
  });
}

function patternProfile({ own, query }) {
  const rows = profileRows(own).filter((row) => row.mean_pattern !== null);
  if (!rows.length) return null;
  const best = rows[d3.maxIndex(rows, (row) => row.mean_pattern)];
  const series = [{ name: "attention", colour: "var(--accent)", points: rows.map((row) => [row.offset, row.mean_pattern]) }];
  return figure({
    title: best.mean_pattern < 0.25 ? "No one distance holds its attention" : `It looks ${["at the token itself", "at the token before"][best.offset] ?? `${best.offset} tokens back`}`,
    say: "Mean attention to keys so many tokens back.",
    chart: lines(series, { label: "Mean attention against distance", xName: "tokens back", yName: "\u2191 attention", xScale: "log" }),
    rows: () => rows.map((row) => ({ tokens_back: row.offset, mean_pattern: row.mean_pattern })),
    made: { table: "offset_profiles", query },
  });
}

// Scores.

function scoresSection({ head, own, query }) {
  const rows = [...study.series.keys()].map((id) => ({ id, ...scoreOf(id, head.key) })).filter((row) => row.value !== undefined);
  const domains = d3.rollup(rows, (each) => domainOf(each.flatMap((row) => [row.value, row.lo, row.hi, row.chance, row.ideal, row.null_mean])), (row) => `${row.metric}/${row.definition}`);
  const meaning = (row) => study.defined.get(`${row.metric}/${row.definition}`);
  const columns = [
    { name: "metric", text: "score", get: (row) => row.metric, show: (row) => words(row.metric) },
    { name: "definition", show: (row) => el("a", { href: address("how", row.metric, row.definition), title: meaning(row)?.meaning }, words(row.definition)) },
    { name: "eval_set", text: "measured on", get: (row) => `${row.eval_set} ${row.period ?? ""}`, show: (row) => `${words(row.eval_set)}${row.period === null ? "" : `, period ${row.period}`}` },
    { name: "value", align: "right", show: (row) => el("b", {}, number(row.value)) },
    { name: "interval", text: "interval", get: (row) => row.lo, align: "right", show: (row) => interval(row.lo, row.hi) },
    { name: "chance", align: "right" },
    { name: "null", text: "null, mean \u00b1 sd", get: (row) => row.null_mean, align: "right", show: (row) => (row.null_mean === null ? "\u2013" : el("span", { title: words(row.null_kind) }, `${number(row.null_mean)} \u00b1 ${number(row.null_sd)}`)) },
    { name: "z", align: "right" },
    { name: "q", align: "right", show: (row) => probability(row.q) },
    { name: "seen", text: "chance \u2192 value", get: (row) => row.z, show: (row) => strip({ ...row, domain: domains.get(`${row.metric}/${row.definition}`) }) },
  ];
  const challenges = rowsOf(own.challenge_scores);
  return el(
    "div",
    { class: "grid" },
    figure({
      title: "Every score, by every definition, beside chance",
      say: "The dot is the value, the bar its interval over sentences, the shaded part two standard deviations of the null, the dashed line chance, the wedge what an ideal head would have.",
      chart: dataTable(rows, columns, { filter: true, limit: 24, caption: "Scores of this head" }),
      made: { table: "head_scores", query },
      wide: true,
    }),
    challenges.length ? challengeFigure(challenges, query) : null,
  );
}

function challengeFigure(rows, query) {
  const mass = rows.filter((row) => row.definition === "mass" || row.definition === "recent" || row.definition === "same_context");
  const used = mass.length ? mass : rows;
  return figure({
    title: "Does it survive sequences made to mislead?",
    say: "Other periods, lengths, gaps, rare and ambiguous tokens. Dashed: chance.",
    chart: dots(used.map((row) => ({ ...row, label: `${words(row.challenge)} ${row.level} \u00b7 ${words(row.definition)}` })), { label: "Scores on challenging sequences", unit: "score", labelWidth: 210, rowHeight: 20 }),
    rows,
    made: { table: "challenge_scores", query },
    wide: true,
  });
}

// What depends on it.

function lossSection(context) {
  return el("div", { class: "grid" }, coverageFigure(context), ablationFigure(context), setFigure(context));
}

function coverageFigure({ own, query }) {
  const rows = rowsOf(own.role_coverage, (row) => row.share !== null);
  if (!rows.length) return null;
  const best = d3.greatest(rows.filter((row) => ROLES.includes(row.role) && row.role !== "copying"), (row) => row.share);
  const low = Math.min(0, ...rows.map((row) => Math.max(-0.5, row.lo)));
  const held = (value) => (value === null ? null : Math.max(low, value));
  return figure({
    title: best && best.share > 0.1 ? `${Math.round(100 * best.share)} % of what it does is ${words(best.role)}` : "No role explains what it does",
    say: `Share of the head's effect on held-out text that is left where it keeps what one role explains, and the mean of all else. Dashed: the same attention on random keys. ${low === -0.5 ? "What lies below \u22120.5 is drawn there." : ""}`,
    chart: dots(d3.sort(rows, (row) => -row.share).map((row) => ({ ...row, label: words(row.role), value: held(row.share), lo: held(row.lo), hi: held(row.hi), chance: held(row.chance), hint: `share ${number(row.share)}, effect ${number(row.effect)} nats per token` })), { label: "Role coverage", unit: "share of its effect", domain: [low, 1.02] }),
    rows,
    made: { table: "role_coverage", query },
  });
}

const METHODS = ["zero", "mean", "resample", "pattern_preserving", "random_direction"];
const CLASS_COLOURS = { second_copy: "var(--role-induction)", first_copy: "var(--role-previous-token)", novel: "var(--role-previous-token)", all: "var(--muted)" };

function ablationFigure({ own, query }) {
  const rows = rowsOf(own.ablations);
  if (!rows.length) return null;
  const sets = [...new Set(rows.map((row) => row.eval_set))];
  const holder = el("div");
  const draw = (set) => {
    const of = rows.filter((row) => row.eval_set === set && row.token_class !== "all");
    const shownRows = d3.sort(of, (row) => METHODS.indexOf(row.method), (row) => row.token_class);
    const control = new Map(shownRows.filter((row) => row.method === "random_direction").map((row) => [row.token_class, row.difference]));
    holder.replaceChildren(dots(shownRows.map((row) => ({ ...row, label: `${words(row.method)} \u00b7 ${words(row.token_class)}`, value: row.difference, chance: row.method === "random_direction" ? null : control.get(row.token_class) ?? null, colour: CLASS_COLOURS[row.token_class] })), { label: "Loss added by removing the head", unit: "nats per token added", labelWidth: 222, rowHeight: 21 }));
  };
  draw(sets.includes("repeated_text") ? "repeated_text" : sets[0]);
  return figure({
    title: "The loss without it",
    say: "Loss added by taking the head away, in five ways. Dashed: a random direction of the same length taken away instead.",
    controls: switches("Measured on", sets.map((value) => ({ value, text: words(value) })), sets.includes("repeated_text") ? "repeated_text" : sets[0], draw),
    chart: holder,
    rows,
    made: { table: "ablations", query },
  });
}

function setFigure({ head, run }) {
  const rows = rowsOf(run.set_ablations, (row) => row.heads.split(" ").includes(head.name) && row.eval_set === "repeated_text" && row.token_class === "second_copy" && (row.kind === "ranked" || row.kind === "role"));
  if (!rows.length) return null;
  const controls = rowsOf(run.set_ablations, (row) => row.kind === "random_direction" && row.eval_set === "repeated_text" && row.token_class === "second_copy");
  const control = new Map(controls.map((row) => [`${row.role} ${row.size}`, row.difference]));
  return figure({
    title: "The loss without the sets it is in",
    say: "Heads that stand in for each other cost more together. Loss added on second copies; dashed: random directions instead.",
    chart: dots(rows.map((row) => ({ ...row, label: `${row.size} ${row.kind === "role" ? "all of" : "best"} ${words(row.role)}`, value: row.difference, chance: control.get(`${row.role} ${row.size}`) ?? null, hint: row.heads })), { label: "Loss added by removing sets with this head", unit: "nats per token added", labelWidth: 200, rowHeight: 20 }),
    rows,
    made: { table: "set_ablations", query: queryOf({ experiment: head.experiment, seed: head.seed }) },
    wide: true,
  });
}

// Vocabulary.

function vocabularySection({ own, query }) {
  const pairs = rowsOf(own.vocab_pairs);
  const arrow = { OV: ["attending to", "raises"], QK: ["a query", "looks at"] };
  const ends = (circuit, listed) =>
    ["top", "bottom"].map((end) => {
      const rows = listed.filter((row) => row.end === end);
      const verb = end === "top" ? arrow[circuit][1] : { OV: "lowers", QK: "looks away from" }[circuit];
      const columns = [
        { name: "rank", align: "right", get: (row) => row.rank + 1 },
        { name: "row_token", text: arrow[circuit][0], show: (row) => tokenLink(row.row_token) },
        { name: "column_token", text: verb, show: (row) => tokenLink(row.column_token) },
        { name: "value", align: "right" },
        { name: "z", align: "right" },
        { name: "row_occurrences", text: "times in the text", align: "right", show: (row) => `${row.row_occurrences ?? "\u2013"} \u00b7 ${row.column_occurrences ?? "\u2013"}` },
      ];
      return el("div", {}, el("h4", {}, end === "top" ? "Strongest" : "Most negative"), dataTable(rows, columns, { limit: 10, caption: `${circuit}, ${end}` }));
    });
  const lists = d3.group(pairs, (row) => `${row.circuit} ${row.emb_mode} ${row.distance ?? ""}`);
  const figures = [...lists.values()].map((listed) => {
    const [{ circuit, emb_mode, distance }] = listed;
    const top = listed.filter((row) => row.end === "top");
    const how = [emb_mode === "after_mlp0" ? "behind the first feed-forward part" : "", distance === null ? "" : `${distance} tokens back`];
    const same = top.filter((row) => row.row_token === row.column_token).length;
    return figure({
      title: [circuit === "OV" ? "What it writes, for what it attends to" : "What looks at what", ...how].filter(Boolean).join(", "),
      say: `The ${circuit} circuit's strongest pairs of tokens, both ends, exact over all pairs${top[0]?.filters ? ` that pass ${top[0].filters}` : ""}; z: standard deviations of all its entries. ${same} of the first ${top.length} are a token with itself.`,
      chart: el("div", { class: "ends" }, ends(circuit, listed)),
      rows: listed,
      made: { table: "vocab_pairs", query },
      wide: true,
    });
  });
  return el("div", { class: "grid" }, figures, spectrumFigure({ own, query }), directionsFigure({ own, query }));
}

/** Singular directions: what each reads, and what it writes or is looked for by; an end of one side goes with its end of the other. */
function directionsFigure({ own, query }) {
  const units = rowsOf(own.vocab_units);
  if (!units.length) return null;
  const spectrum = new Map(rowsOf(own.spectra).map((row) => [`${row.circuit} ${row.index}`, row]));
  const sides = d3.group(units, (row) => row.matrix.slice(0, 2), (row) => row.unit, (row) => row.end);
  const rows = [...sides].flatMap(([circuit, each]) =>
    [...each].flatMap(([unit, ends]) =>
      [...ends].map(([end, found]) => ({ circuit, unit, end, left: found.filter((row) => row.matrix.endsWith("left")), right: found.filter((row) => row.matrix.endsWith("right")), ...spectrum.get(`${circuit} ${unit}`) })),
    ),
  );
  const tokens = (found) => found.flatMap((row) => [tokenLink(row.token), " "]);
  const columns = [
    { name: "circuit" },
    { name: "unit", text: "direction", align: "right" },
    { name: "end" },
    { name: "singular_value", align: "right" },
    { name: "gap", align: "right" },
    { name: "left", text: "attended to; or the query", get: (row) => row.left[0]?.token ?? null, show: (row) => tokens(row.left) },
    { name: "right", text: "raised; or the key", get: (row) => row.right[0]?.token ?? null, show: (row) => tokens(row.right) },
  ];
  return figure({
    title: "Directions: what goes in together, and what comes out for it",
    say: "The largest singular directions of each circuit, and the tokens furthest along them; one end of the left goes with the same end of the right. Gap: to the next singular value, as a share; near 0 the direction is arbitrary.",
    chart: dataTable(d3.sort(rows, (row) => row.circuit, (row) => row.unit, (row) => (row.end === "top" ? 0 : 1)), columns, { limit: 8, caption: "Singular directions" }),
    rows: units,
    made: { table: "vocab_units", query },
    wide: true,
  });
}

function tokenLink(text) {
  return el("a", { href: address("token", text), class: "plain" }, token(text));
}

function spectrumFigure({ own, query }) {
  const rows = rowsOf(own.spectra);
  if (!rows.length) return null;
  const positive = (circuit) => {
    const real = rows.filter((row) => row.circuit === circuit);
    return d3.sum(real, (row) => row.real) / d3.sum(real, (row) => Math.hypot(row.real, row.imaginary));
  };
  const plane = (circuit) =>
    responsive((width) => {
      const height = Math.min(width, 280);
      const mine = rows.filter((row) => row.circuit === circuit);
      const most = (d3.max(mine, (row) => Math.max(Math.abs(row.real), Math.abs(row.imaginary))) || 1) * 1.1;
      const margin = { left: 44, right: 10, top: 18, bottom: 34 };
      const x = d3.scaleLinear([-most, most], [margin.left, width - margin.right]);
      const y = d3.scaleLinear([-most, most], [height - margin.bottom, margin.top]);
      const marks = mine.map((row) => svg("circle", { cx: x(row.real), cy: y(row.imaginary), r: 3.4, fill: row.real < 0 ? "var(--minus)" : "var(--plus)", "fill-opacity": 0.75, onpointermove: (event) => tell(event, el("span", {}, `${number(row.real)} ${row.imaginary < 0 ? "\u2212" : "+"} ${number(Math.abs(row.imaginary))}i`)), onpointerleave: hush }));
      return canvas(width, height, `Eigenvalues of the ${circuit} circuit in the complex plane`, axes({ x, y, width, height, margin, xName: "real", yName: "\u2191 imaginary" }), svg("line", { class: "zero", x1: x(0), x2: x(0), y1: margin.top, y2: height - margin.bottom }), marks);
    });
  const values = ["OV", "QK"].map((circuit, at) => ({ name: circuit, colour: at ? "var(--role-previous-token)" : "var(--role-induction)", dash: at ? "6 3" : null, points: rows.filter((row) => row.circuit === circuit).map((row) => [row.index, row.singular_value]) }));
  return figure({
    title: `Eigenvalues: OV ${positive("OV") > 0.5 ? "copies" : positive("OV") < -0.5 ? "writes against what it sees" : "does neither copy nor suppress"}`,
    say: `Real parts over sizes: OV ${number(positive("OV"))}, QK ${number(positive("QK"))}; 1 is pure copying, chance 0. Right: singular values.`,
    chart: el("div", { class: "maps three" }, ["OV", "QK"].map((circuit) => el("div", {}, el("h4", {}, circuit), plane(circuit))), el("div", {}, legend(values), lines(values, { label: "Singular values by rank", xName: "index", yName: "\u2191 singular value", height: 250 }))),
    rows,
    made: { table: "spectra", query },
    wide: true,
  });
}

// Composition.

function compositionSection({ head, run }) {
  const pairs = rowsOf(run.head_pairs, (row) => (row.src_layer === head.layer && row.src_head === head.head) || (row.dst_layer === head.layer && row.dst_head === head.head));
  if (!pairs.length) return el("p", { class: "say" }, "No head is before or after it in another layer: nothing composes with it.");
  const query = queryOf({ experiment: head.experiment, seed: head.seed });
  const kinds = [...d3.group(pairs, (row) => `${row.metric}/${row.definition}`).keys()];
  const first = kinds.find((kind) => kind.startsWith("K_composition/above")) ?? kinds[0];
  const holder = el("div");
  const draw = (kind) => {
    const rows = pairs.filter((row) => `${row.metric}/${row.definition}` === kind);
    const side = (title, mine, other) => {
      const found = rows.filter(mine);
      if (!found.length) return null;
      const points = d3.sort(found, (row) => -Math.abs(row.value ?? 0)).map((row) => {
        const name = `${row[`${other}_layer`]}.${row[`${other}_head`]}`;
        const role = study.byKey.get(keyOf(head.experiment, head.seed, name))?.role ?? "none";
        return { ...row, label: `${name} ${words(role)}`, colour: row.q === null || row.q < study.significance ? roleColour(role) : "var(--muted)", href: headAddress(head.experiment, head.seed, name), hint: `z ${number(row.z)}, q ${probability(row.q)}, null: ${words(row.null_kind ?? "none")}` };
      });
      return el("div", {}, el("h4", {}, title), dots(points.slice(0, 24), { label: title, unit: study.defined.get(kind)?.unit === "none" ? "score" : study.defined.get(kind)?.unit, labelWidth: 150 }));
    };
    holder.replaceChildren(
      ...[side("It reads from", (row) => row.dst_layer === head.layer && row.dst_head === head.head, "src"), side("It feeds", (row) => row.src_layer === head.layer && row.src_head === head.head, "dst")].filter(Boolean),
    );
  };
  draw(first);
  const options = kinds.map((kind) => ({ value: kind, text: kind.split("/").map(words).join(", "), group: "" }));
  const composition = figure({
    title: "Who feeds whom",
    say: "By weights or by what flows; click a head to go there. Grey: not beyond its null. Dashed: chance.",
    controls: choice("Measure", options, first, draw),
    chart: holder,
    rows: pairs,
    made: { table: "head_pairs", query },
  });
  return el("div", { class: "grid" }, composition, edgeFigure({ head, run, query }));
}

function edgeFigure({ head, run, query }) {
  const rows = rowsOf(run.edges, (row) => ((row.src_layer === head.layer && row.src_head === head.head) || (row.dst_layer === head.layer && row.dst_head === head.head)) && row.eval_set === "repeated_text" && row.token_class === "second_copy");
  if (!rows.length) return null;
  const found = d3.sort(rows, (row) => -Math.abs(row.difference)).slice(0, 12);
  return figure({
    title: "The loss without one edge",
    say: "What one head wrote, taken from what one later head reads alone: loss added on second copies. The twelve largest.",
    chart: dots(
      found.map((row) => {
        const mine = row.src_layer === head.layer && row.src_head === head.head;
        const other = mine ? `${row.dst_layer}.${row.dst_head}` : `${row.src_layer}.${row.src_head}`;
        return { ...row, value: row.difference, label: `${row.src_layer}.${row.src_head} \u2192 ${row.kind} of ${row.dst_layer}.${row.dst_head}`, href: headAddress(head.experiment, head.seed, other) };
      }),
      { label: "Loss added by removing edges", unit: "nats per token added" },
    ),
    rows,
    made: { table: "edges", query },
  });
}

// Training.

const LIFE = [
  ["previous_token/mean", "var(--role-previous-token)", null],
  ["induction/mass", "var(--role-induction)", null],
  ["duplicate_token/mass", "var(--role-duplicate-token)", "6 3"],
  ["current_token/mean", "var(--role-current-token)", "2 3"],
  ["first_token/mean", "var(--role-first-token)", "8 3 2 3"],
  ["copying/eigenvalue", "var(--role-copying)", "4 2"],
];

function trainingSection({ head, own, run, query }) {
  const rows = rowsOf(own.checkpoint_scores);
  if (!rows.length) return el("p", { class: "say" }, "No checkpoints of this run were measured.");
  const kinds = d3.group(rows, (row) => `${row.metric}/${row.definition}`);
  const series = LIFE.filter(([kind]) => kinds.has(kind)).map(([kind, colour, dash]) => {
    const byStep = d3.rollup(kinds.get(kind).filter((row) => row.value !== null), (each) => d3.mean(each, (row) => row.value), (row) => row.step);
    return { name: words(kind.split("/")[0]), colour, dash, points: d3.sort(byStep, ([at]) => at) };
  });
  const losses = d3.groups(rowsOf(run.training_curve, (row) => row.split === "first_copy" || row.split === "second_copy"), (row) => row.split);
  const curves = losses.map(([split, each]) => ({ name: words(split), colour: split === "second_copy" ? "var(--role-induction)" : "var(--muted)", dash: split === "second_copy" ? null : "4 3", points: each.map((row) => [row.step, row.loss]) }));
  return el(
    "div",
    { class: "grid" },
    figure({
      title: "Its life over training",
      say: "Each score at each checkpoint, the mean over sets of sequences and periods.",
      chart: el("div", {}, legend(series), lines(series, { label: "Scores over training", xName: "step", yName: "\u2191 score", xScale: "log" })),
      rows,
      made: { table: "checkpoint_scores", query },
    }),
    curves.length
      ? figure({
          title: "The model's loss meanwhile",
          say: "Second copies part from first ones when induction comes about.",
          chart: el("div", {}, legend(curves), lines(curves, { label: "Loss over training", xName: "step", yName: "\u2191 nats per token", xScale: "log" })),
          rows: () => rowsOf(run.training_curve),
          made: { table: "training_curve", query: queryOf({ experiment: head.experiment, seed: head.seed }) },
        })
      : null,
  );
}

// Other runs.

function runsSection({ head }) {
  const own = study.runs.find((run) => run.experiment === head.experiment && run.seed === head.seed);
  const rows = study.runs
    .filter((run) => run !== own)
    .map((run) => ({ run, partner: counterparts(own, run).get(head.name) }))
    .filter(({ partner }) => partner)
    .map(({ run, partner }) => ({ run, partner, mate: study.byKey.get(keyOf(run.experiment, run.seed, partner.name)) }));
  if (!rows.length) return el("p", { class: "say" }, "The study has no other run in which it was looked for.");
  const columns = [
    { name: "run", get: ({ run }) => `${run.experiment} ${run.seed}`, show: ({ run }) => runWords(run) },
    { name: "counterpart", get: ({ partner }) => partner.name, show: ({ run, partner }) => link(headAddress(run.experiment, run.seed, partner.name), partner.name) },
    { name: "role", get: ({ mate }) => mate?.role, show: ({ mate }) => roleChip(mate?.role ?? "none") },
    { name: "likeness", align: "right", get: ({ partner }) => partner.likeness, show: ({ partner }) => el("b", {}, number(partner.likeness)) },
    { name: "chance", align: "right", get: ({ partner }) => partner.chance },
    { name: "by", get: ({ partner }) => partner.by },
    { name: "beside", text: "compare", show: ({ run }) => link(`#/compare?${new URLSearchParams({ a: `${own.experiment}/${own.seed}`, b: `${run.experiment}/${run.seed}` })}`, "side by side") },
  ];
  const same = rows.filter(({ mate }) => mate?.role === head.role).length;
  return figure({ title: `Its counterpart plays the same role in ${same} of ${rows.length} other runs`, say: "Within an experiment the head whose OV circuit goes with its own, in the best matching of all heads; between experiments the one that scores most like it.", chart: dataTable(rows, columns, { limit: 40, caption: "Counterparts" }), made: { table: "alignment" } });
}

// Sentences, by decile of what the head does there: the first ones alone would mislead.

function sentencesSection({ head, own, query }) {
  const rows = rowsOf(own.sentence_scores, (row) => row.value !== null);
  if (!rows.length) return el("p", { class: "say" }, "No scores by sentence.");
  const kinds = d3.group(rows, (row) => `${row.metric}/${row.definition}/${row.eval_set}`);
  const wanted = { induction: "induction/mass/repeated_text", positional_shortcut: "induction/mass/repeated_text", prefix_matching: "induction/mass/repeated_text", duplicate_token: "duplicate_token/mass/text", fuzzy_induction: "fuzzy_induction/near/text", direct_copying: "direct_copying/chosen_logit/text" }[head.role] ?? `${head.role}/mean/text`;
  const first = kinds.has(wanted) ? wanted : [...kinds.keys()][0];
  const holder = el("div", { class: "deciles" });
  const draw = (kind) => fillDeciles(holder, d3.sort(kinds.get(kind), (row) => row.value), head);
  draw(first);
  return figure({
    title: "Where it does most, and where least",
    say: "All sentences in order of the score, a tenth at a time; three of each tenth.",
    controls: choice("Score", [...kinds.keys()].map((kind) => ({ value: kind, text: seriesName(kind) })), first, draw),
    chart: holder,
    rows,
    made: { table: "sentence_scores", query },
    wide: true,
  });
}

async function fillDeciles(holder, sorted, head) {
  const run = study.runs.find((each) => each.experiment === head.experiment && each.seed === head.seed);
  const sequences = (await block(`sequences/${run.ids.probe}`))?.sequences;
  const texts = d3.group(rowsOf(sequences, (row) => row.eval_set === sorted[0].eval_set), (row) => row.sentence);
  const list = el("div");
  const of = (decile) => sorted.slice(Math.floor((decile * sorted.length) / 10), Math.floor(((decile + 1) * sorted.length) / 10));
  const show = (decile) => {
    const mine = of(decile);
    const picked = [...new Set([0, Math.floor(mine.length / 2), mine.length - 1])].map((at) => mine[at]).filter(Boolean).reverse();
    list.replaceChildren(
      ...picked.map((row) =>
        el("div", { class: "sentence" }, el("p", { class: "say" }, `sentence ${row.sentence}: `, el("b", {}, number(row.value))), el("div", { class: "text small" }, (texts.get(row.sentence) ?? []).map((each) => token(each.token, { class: `token ${each.token_class === "second_copy" ? "copy" : ""}` })))),
      ),
    );
  };
  const domain = domainOf(sorted.map((row) => row.value));
  const shares = d3.range(10).map((decile) => ({ value: decile, text: ["least", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "most"][decile] })).filter(({ value }) => of(value).length);
  const chart = responsive((width) => {
    const x = d3.scaleLinear(domain, [10, width - 10]);
    const height = 62;
    const marks = sorted.map((row, at) => svg("line", { class: at % 2 ? "whisker" : "whisker", x1: x(row.value), x2: x(row.value), y1: 8, y2: 28, stroke: "var(--accent)", "stroke-opacity": 0.45 }));
    return canvas(width, height, "All sentences by score", marks, axes({ x, width, height, margin: { left: 10, right: 10, top: 0, bottom: 30 } }));
  });
  const last = shares.at(-1)?.value ?? 0;
  holder.replaceChildren(chart, switches("Tenth of sentences", shares, last, show), list, el("p", { class: "say" }, "Underlined: second copies of a segment."));
  show(last);
}
