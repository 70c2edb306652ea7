"use strict";
// Plain JavaScript on the findings in #survey-data. Texts are only ever set as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("survey-data").textContent);
  const byId = new Map(data.findings.map((finding) => [finding.id, finding]));
  const $ = (id) => document.getElementById(id);
  const collator = new Intl.Collator("en", { numeric: true });
  const signs = [...document.querySelectorAll(".marks .finding[data-id]")];
  // Up to here all cards are in the page, and the browser's own search finds their texts.
  const ALL_CARDS = 200;
  const SPARE_ROWS = 3; // of cards above and below the window
  const cards = new Map(); // those in the page
  const headings = new Map(); // of groups of findings, by their number
  const sizes = new Map(); // how many findings each group has
  for (const { group } of data.findings) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  // What any card of a long list has, all keep room for: its rows are of one height.
  $("gallery").classList.toggle("limited", data.findings.some(({ limits }) => limits.length));
  $("gallery").classList.toggle("rated", data.findings.some(({ condition }) => condition !== null));
  // What is not known of any finding is said once.
  const neverKnown = [["Scale", "mm_per_pixel"], ["Position", "latitude"], ["Time", "time"]]
    .filter(([, field]) => data.findings.every((finding) => finding[field] === null))
    .map(([name]) => name);
  let shown = data.findings;
  let current = null;
  let descending = true;
  let printing = false;
  let headingHeight = 0;

  // ------------------------------------------------------------------------------------------------ the review

  const keyOf = (survey) => `crack_tf.review/${survey}`;
  const storageKey = keyOf(data.survey);
  let review = { reviewer: "", decisions: data.review?.decisions || {} }; // the reviewer is who decides in this browser

  function loadReview() {
    try {
      const stored = JSON.parse(localStorage.getItem(storageKey));
      if (stored?.decisions) review = { reviewer: "", ...stored };
      else takeFormer();
    } catch {
      say("This browser does not keep decisions between visits. Export your review before you close the page.");
    }
  }

  // Decisions that this browser kept before the survey went on. Of these and the page's own, the later one counts.
  function takeFormer() {
    const stored = [...data.former].reverse().map((survey) => JSON.parse(localStorage.getItem(keyOf(survey))));
    const before = stored.find((entry) => entry?.decisions);
    if (!before) return;
    const { now, left } = carried(before);
    for (const [id, entry] of Object.entries(now)) {
      if (!(review.decisions[id]?.time > entry.time)) review.decisions[id] = entry;
    }
    review.reviewer = before.reviewer || "";
    storeReview();
    const count = Object.keys(now).length;
    say(`From before the survey went on, this browser kept ${plural(count, "decision")} on findings that are still here${left ? `, and ${left} that could not be taken over` : ""}.`);
  }

  // A review's decisions on today's findings, as crack_tf/survey/reviews/review.py has it: one that has become part of another gives its decision
  // to that one, unless they differ; and how many are left.
  function carried({ decisions, reviewer }) {
    const now = {};
    let left = Object.keys(decisions).length;
    for (const { id } of data.findings) {
      const entries = [id, ...(data.merged[id] ?? [])].map((name) => decisions[name]).filter((entry) => ["accepted", "rejected", ""].includes(entry?.decision));
      const decided = entries.filter((entry) => entry.decision);
      if (!entries.length || new Set(decided.map((entry) => entry.decision)).size > 1) continue;
      const { decision, comment, time, reviewer: by, commented, commenter } = decided[0] ?? entries[0];
      // As `Decision.by` there: of a comment beside somebody's decision nobody knows who wrote it, unless it says so.
      const wrote = comment && !commented && !commenter && !(decision && by) ? [time, by || reviewer] : [commented, commenter || (commented && reviewer)];
      now[id] = {
        decision,
        comment: String(comment || ""),
        time: String(time || ""),
        reviewer: String(by || reviewer || ""),
        commented: String(wrote[0] || ""),
        commenter: String(wrote[1] || ""),
      };
      left -= entries.length;
    }
    return { now, left };
  }

  function storeReview() {
    try {
      localStorage.setItem(storageKey, JSON.stringify(review));
    } catch {
      say("This browser cannot keep your decisions. Export your review before you close the page.");
    }
  }

  function entryOf(id) {
    return review.decisions[id] || { decision: "", comment: "", time: "", reviewer: "", commented: "", commenter: "" };
  }

  function decide(id, change) {
    const before = entryOf(id);
    // Whoever comments on a decision has not made it.
    const stands = before.decision && before.reviewer && !("decision" in change);
    const [time, by] = [new Date().toISOString(), review.reviewer];
    const made = stands ? {} : { time, reviewer: by };
    const written = !("comment" in change) ? {} : change.comment ? { commented: time, commenter: by } : { commented: "", commenter: "" };
    const entry = { ...before, ...change, ...made, ...written };
    if (entry.decision || entry.comment) review.decisions[id] = entry;
    else delete review.decisions[id];
    storeReview();
    showVerdict(id);
    showProgress();
    if (current && current.id === id) showDecision();
  }

  function exportReview() {
    const content = {
      format: data.review_format,
      survey: data.survey,
      source: data.source,
      reviewer: review.reviewer,
      exported: new Date().toISOString(),
      decisions: review.decisions,
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 2) + "\n"], { type: "application/json" }));
    link.download = `review-${data.survey}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function importReview(file) {
    let loaded;
    try {
      loaded = JSON.parse(await file.text());
    } catch {
      return say(`${file.name} is not a JSON file.`);
    }
    if (loaded?.format !== data.review_format || ![data.survey, ...data.former].includes(loaded.survey) || !loaded.decisions) {
      return say(`${file.name} is not a review of this survey.`);
    }
    const { now, left } = carried(loaded);
    Object.assign(review.decisions, now);
    storeReview();
    showReview();
    say(`Loaded ${plural(Object.keys(now).length, "decision")} from ${file.name}${left ? `; ${left} could not be taken over` : ""}.`);
  }

  function showReview() {
    $("reviewer").value = review.reviewer;
    for (const id of cards.keys()) showVerdict(id);
    showProgress();
    update();
  }

  function showProgress() {
    const entries = data.findings.map((finding) => entryOf(finding.id).decision);
    const accepted = entries.filter((decision) => decision === "accepted").length;
    const rejected = entries.filter((decision) => decision === "rejected").length;
    $("progress").textContent = `${accepted + rejected} of ${data.findings.length} decided: ${accepted} accepted, ${rejected} rejected`;
    showTotals(accepted, rejected);
    showGroups();
  }

  // The rows of the groups count as the head does.
  function showGroups() {
    const rows = [...document.querySelectorAll("#groups [data-group]")].map((row) => [row, new Map()]);
    for (const { id, group, validation } of rows.length ? data.findings : []) {
      const { decision } = entryOf(id);
      for (const name of [decision === "rejected" ? "" : validation, decision || "open"]) {
        rows[group][1].set(name, (rows[group][1].get(name) ?? 0) + 1);
      }
    }
    for (const [row, counts] of rows) {
      for (const cell of row.querySelectorAll("[data-count]")) cell.textContent = (counts.get(cell.dataset.count) ?? 0).toLocaleString("en-US");
    }
  }

  // The numbers at the head count what was not rejected.
  function showTotals(accepted, rejected) {
    const number = (count) => count.toLocaleString("en-US");
    const standing = data.findings.filter((finding) => entryOf(finding.id).decision !== "rejected");
    const cracked = standing.filter((finding) => finding.validation !== "refuted" || entryOf(finding.id).decision);
    const states = Object.keys(data.meanings).map((name) => [standing.filter(({ validation }) => validation === name).length, name]);
    $("standing").textContent = number(standing.length);
    $("standing-more").textContent = states.map(([count, name]) => `${number(count)} ${name}`).join(", ");
    $("cracked").textContent = number(new Set(cracked.flatMap((finding) => finding.seen_on)).size);
    const open = data.findings.length - accepted - rejected;
    const decided = `${number(data.findings.length)} in all: ${number(accepted)} accepted, ${number(rejected)} rejected, ${number(open)} open`;
    $("decided").textContent = accepted + rejected ? decided : "";
  }

  function say(text) {
    $("message").textContent = text;
    $("message").hidden = false;
  }

  // ------------------------------------------------------------------------------------------------- the texts

  function plural(count, noun) {
    return `${count} ${noun}${count === 1 ? "" : "s"}`;
  }

  function quantity(mm, px, digits) {
    if (mm !== null) return `${mm.toFixed(digits)} mm`;
    return px === null ? "not measured" : `${px.toFixed(digits ? 1 : 0)} px`;
  }

  // The lower end of a range without an upper one, in the unit that `quantity` takes: "at least 264 mm"; else null.
  function atLeast(finding, name, digits) {
    const unit = finding[`${name}_mm`] === null ? "px" : "mm";
    const [low, high] = [finding[`${name}_low_${unit}`], finding[`${name}_high_${unit}`]];
    return typeof low === "number" && typeof high !== "number" ? `at least ${unit === "mm" ? quantity(low, null, digits) : quantity(null, low, digits)}` : null;
  }

  // "300 mm (at least 264 mm) long" on a card, and with what that means beside the picture.
  function lengthText(finding) {
    const [text, least] = [quantity(finding.length_mm, finding.length_px, 0), atLeast(finding, "length", 0)];
    return least === null ? text : `${text} (${least})`;
  }

  // "0.42 mm (0.35 to 0.55)", "300 mm (at least 264 mm: its end is not in sight)"; of a survey from before there were ranges "0.42 mm (± 0.03 by the scale)".
  function withRange(finding, name, digits) {
    const [mm, px] = [finding[`${name}_mm`], finding[`${name}_px`]];
    const unit = mm === null ? "px" : "mm";
    const [low, high] = [finding[`${name}_low_${unit}`], finding[`${name}_high_${unit}`]];
    const places = unit === "mm" ? digits : digits ? 1 : 0;
    const text = quantity(mm, px, digits);
    const least = atLeast(finding, name, digits);
    if (least !== null) return `${text} (${least}: its end is not in sight)`;
    if (typeof low === "number" && typeof high === "number") return `${text} (${low.toFixed(places)} to ${high.toFixed(places)})`;
    const error = finding[`${name}_error_mm`];
    return mm === null || error === null ? text : `${text} (± ${error.toFixed(digits)} by the scale)`;
  }

  // "exceeds 0.2, 0.3 mm" and "cannot tell for 0.4 mm (too fine, below 3 pixels: 0.1 mm per pixel would do)".
  function limitTexts(finding) {
    const found = new Map();
    for (const answer of ["exceeds", "below", "cannot tell"])
      for (const [limit, , why] of finding.limits.filter(([, told]) => told === answer)) {
        const key = JSON.stringify([answer, why]);
        found.set(key, [...(found.get(key) ?? []), limit]);
      }
    return [...found].map(([key, limits]) => {
      const [answer, why] = JSON.parse(key);
      return `${answer}${answer === "cannot tell" ? " for" : ""} ${limits.join(", ")} mm${why === null ? "" : ` (${why})`}`;
    });
  }

  function percent(value) {
    // Rounded down: 99.96 % is not certainty.
    return `${(Math.floor(value * 1000) / 10).toFixed(1)} %`;
  }

  // The percentage is of the first look. Below the threshold a second one, which has none, may confirm what is drawn.
  function nearly(finding) {
    return finding.tiles ? "" : ": nearly a crack, drawn by the segmentation model";
  }

  function measures(finding) {
    if (finding.length_px === null) return ["not measured"];
    const about = finding.width_doubt === null && !finding.hole ? "" : "about ";
    return [`${about}${withRange(finding, "max_width", 2)} at its widest`, `${lengthText(finding)} long`];
  }

  function place(finding) {
    if (finding.latitude === null) return null;
    const degrees = (value, letters) => `${Math.abs(value).toFixed(6)}° ${letters[value < 0 ? 1 : 0]}`;
    const altitude = finding.altitude_m === null ? "" : `, ${finding.altitude_m.toFixed(1)} m`;
    return `${degrees(finding.latitude, "NS")}, ${degrees(finding.longitude, "EW")}${altitude}`;
  }

  const WIDTHS_FROM = {
    photograph: "across the dark line in the photograph",
    mask: "on the drawn outline, which is often wider than the crack",
  };

  const SCORE_OF = {
    crack: "on average of the drawn crack",
    tiles: "on average of what is drawn, or the highest of any pixel where hardly anything is",
  };

  function facts(finding) {
    const doubt = finding.width_doubt === null ? "" : ` (${finding.width_doubt}: not to be trusted)`;
    const hole = finding.hole ? " (more often a hole or a spall along it: not to be trusted)" : "";
    const others = finding.seen_on.slice(1);
    return [
      ["Second opinion", `${finding.validation}: ${data.meanings[finding.validation]}`],
      ["Its score", finding.validation_score === null ? null : `${finding.validation_score.toFixed(2)} (${SCORE_OF[finding.length_px === null ? "tiles" : "crack"]})`],
      ["Classifier", `${percent(finding.probability)} on its highest tile${nearly(finding) || `, ${plural(finding.tiles, "tile")} called cracked`}`],
      ["Length", finding.length_px === null ? "not measured (see How this was made)" : withRange(finding, "length", 0)],
      ["Maximum width", withRange(finding, "max_width", 2) + (doubt || hole)],
      ["Mean width", withRange(finding, "mean_width", 2) + doubt],
      ["Limits", limitTexts(finding).join("\n") || null],
      ["Widths measured", WIDTHS_FROM[finding.width_from] || null],
      ["Pattern", finding.pattern_words],
      ["Proposed condition", finding.condition_rule === null ? null : `${finding.condition || "none"}${finding.condition_sure === false ? ", in doubt" : ""}\n${finding.condition_rule}`],
      ["Since last time", finding.since_words ?? null],
      ["Note", finding.note],
      ["Scale", finding.mm_per_pixel === null ? "not known" : `${finding.mm_per_pixel.toFixed(3)} mm per pixel`],
      ["Severity", `${finding.severity.toLocaleString("en-US", { maximumSignificantDigits: 3 })}, number ${finding.rank} of ${data.findings.length}`],
      ["Face", data.faces ? data.groups[finding.group] : null],
      ["Photograph", finding.photo],
      ["Place in it", `x ${finding.box.x}, y ${finding.box.y}, ${finding.box.w} × ${finding.box.h} pixels`],
      ["Also seen on", others.length ? others.join("\n") : null],
      ["Position", place(finding) || "not known"],
      ["Time", finding.time === null ? "not known" : finding.time.replace("T", " ").replace(".000", "").replace("Z", " UTC")],
      ["Id", finding.id],
    ].filter(([name, value]) => value !== null && !neverKnown.includes(name));
  }

  // ----------------------------------------------------------------------------------------------- the gallery

  function makeCard(finding) {
    const card = $("card").content.firstElementChild.cloneNode(true);
    const part = (selector) => card.querySelector(selector);
    const image = part("img");
    const noPicture = () => {
      image.hidden = true;
      part(".no-picture").hidden = false;
    };
    image.addEventListener("error", () => {
      noPicture();
      sayPicturesAreAway();
    });
    image.alt = `Finding ${finding.rank} with its outline, ${finding.validation}, ${measures(finding).join(", ")}`;
    const source = finding.thumbnail || finding.links[1] || finding.links[0];
    if (source) image.src = source;
    else noPicture();
    part(".rank").textContent = finding.rank;
    part(".open").textContent = `Finding ${finding.rank}`;
    if (data.groups) part("h3").ariaLevel = 4; // below its group's
    part(".open").addEventListener("click", () => open(finding));
    part(".measures").replaceChildren(...measures(finding).map((text) => textElement("span", text)));
    part(".limits").textContent = limitTexts(finding).join("; ");
    part(".limits").hidden = !finding.limits.length;
    part(".condition").textContent = finding.condition === null ? "" : `proposed condition ${finding.condition}${finding.condition_sure === false ? ", in doubt" : ""}`;
    part(".condition").hidden = finding.condition === null;
    part(".why").textContent = finding.note ?? "";
    part(".validation").textContent = finding.validation;
    part(".validation").title = data.meanings[finding.validation];
    part(".validation").classList.add(finding.validation);
    part(".confidence").append(`classifier ${percent(finding.probability)}`, textElement("span", nearly(finding)));
    part(".confidence").title = part(".confidence").textContent;
    part(".file bdi").textContent = finding.photo;
    card.dataset.id = finding.id;
    cards.set(finding.id, card);
    showVerdict(finding.id);
    return card;
  }

  function sayPicturesAreAway() {
    if ($("message").hidden) say("Some pictures are missing. They lie in the survey's folder: open this page there.");
  }

  function showVerdict(id) {
    const { decision, comment } = entryOf(id);
    const verdict = cards.get(id)?.querySelector(".verdict");
    if (!verdict) return;
    verdict.hidden = !decision && !comment;
    verdict.className = `verdict ${decision}`;
    verdict.textContent = [{ accepted: "✓ Accepted", rejected: "✗ Rejected" }[decision], comment].filter(Boolean).join(": ");
    cards.get(id).classList.toggle("rejected", decision === "rejected");
  }

  const sortKeys = {
    rank: (finding) => -finding.rank,
    width: (finding) => finding.width_key,
    length: (finding) => finding.length_key,
    confidence: (finding) => finding.probability,
    photo: (finding) => finding.photo,
    time: (finding) => finding.time,
  };
  const textKeys = ["photo", "time"];

  function compareBy(name) {
    const key = sortKeys[name];
    return (a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is not known comes last in both directions.
      if (x === null || y === null) return (x === null) - (y === null) || a.rank - b.rank;
      const order = typeof x === "string" ? collator.compare(x, y) : x - y;
      return (descending ? -order : order) || a.rank - b.rank;
    };
  }

  function passes(finding, wanted) {
    if (finding.probability * 100 < wanted.confidence) return false;
    if (!wanted.validations.includes(finding.validation)) return false;
    // A width that is not known may be any: such findings stay.
    if (finding[data.width_field] !== null && finding[data.width_field] < wanted.width) return false;
    const { decision, comment } = entryOf(finding.id);
    if (wanted.decision !== "all" && wanted.decision !== (decision || "open")) return false;
    if (!wanted.text) return true;
    return [...finding.seen_on, comment, finding.id].some((text) => text.toLowerCase().includes(wanted.text));
  }

  function update() {
    const wanted = {
      text: $("contains").value.trim().toLowerCase(),
      width: Number($("min-width").value) || 0,
      confidence: Number($("min-confidence").value),
      validations: [...document.querySelectorAll("[name=validation]:checked")].map((box) => box.value),
      decision: $("decision-filter").value,
    };
    $("confidence-value").textContent = `${wanted.confidence} %`;
    shown = byGroup(data.findings.filter((finding) => passes(finding, wanted)).sort(compareBy($("sort").value)));
    render();
    const unknown = wanted.width ? shown.filter((finding) => finding[data.width_field] === null).length : 0;
    $("count").textContent = countText(unknown);
    const visible = new Set(shown.map((finding) => finding.id));
    for (const sign of signs) sign.classList.toggle("out", !visible.has(sign.dataset.id));
    const upwards = descending ? "Highest first" : "Lowest first";
    const label = textKeys.includes($("sort").value) ? (descending ? "Last first" : "First first") : upwards;
    $("direction").textContent = descending ? "↓" : "↑";
    $("direction").title = label;
    $("direction").setAttribute("aria-label", `${label}. Change the direction`);
  }

  // One group after the other, in the order of their first findings.
  function byGroup(findings) {
    const groups = new Map();
    for (const finding of findings) {
      if (!groups.has(finding.group)) groups.set(finding.group, []);
      groups.get(finding.group).push(finding);
    }
    return [...groups.values()].flat();
  }

  function countText(unknown) {
    if (!data.findings.length) return "Nothing was found. That does not mean that there is nothing.";
    const text = shown.length === data.findings.length ? `All ${plural(shown.length, "finding")}` : `${shown.length} of ${plural(data.findings.length, "finding")}`;
    return unknown ? `${text}, ${unknown} of them without a known width` : text;
  }

  // ------------------------------------------------------------------------------- the cards that are in the page

  // Thousands of cards take a browser a minute. Of a long list only those near the window are there, between paddings as high as
  // the rows that are not: in a long list all rows of cards have one height, and so have all headings.
  function render() {
    const long = shown.length > ALL_CARDS && !printing;
    $("gallery").classList.toggle("long", long);
    const { rows, above, below } = long ? rowsNearWindow() : { rows: listRows(Infinity), above: 0, below: 0 };
    putRows(rows);
    $("gallery").style.paddingTop = `${above}px`;
    $("gallery").style.paddingBottom = `${below}px`;
  }

  // Rows of the list: so many findings beside each other, from `first` to before `last` of those shown; of a group its heading before them.
  function listRows(columns) {
    const rows = [];
    for (let first = 0; first < shown.length; ) {
      const { group } = shown[first];
      let end = first + 1;
      while (end < shown.length && shown[end].group === group) end++;
      if (group !== undefined) rows.push({ group, first, last: first, of: end - first });
      for (; first < end; first += columns) rows.push({ first, last: Math.min(first + columns, end) });
      first = end;
    }
    return rows;
  }

  // Rows with how far below the list's upper edge each begins, and how high it is; in a long list there are two heights.
  function placedRows() {
    if (!$("gallery").querySelector(".card")) putRows(listRows(1).slice(0, 2)); // to measure
    const style = getComputedStyle($("gallery"));
    const height = (selector) => $("gallery").querySelector(selector)?.getBoundingClientRect().height;
    const [card, gap] = [height(".card"), parseFloat(style.rowGap)];
    headingHeight = height(".group") ?? headingHeight; // in the middle of a group its heading is not there
    let top = 0;
    return listRows(style.gridTemplateColumns.split(" ").length).map((row) => {
      const placed = { ...row, top, height: gap + (row.group === undefined ? card : headingHeight) };
      top += placed.height;
      return placed;
    });
  }

  function rowsNearWindow() {
    const rows = placedRows();
    const end = rows.length ? rows.at(-1).top + rows.at(-1).height : 0;
    const top = -$("gallery").getBoundingClientRect().top;
    const seen = rows.findIndex((row) => row.top + row.height > top);
    const start = Math.max(0, (seen < 0 ? rows.length : seen) - SPARE_ROWS);
    const past = rows.findIndex((row) => row.top >= top + window.innerHeight);
    const near = rows.slice(start, Math.max(start + 1, (past < 0 ? rows.length : past) + SPARE_ROWS));
    const last = near.at(-1);
    return { rows: near, above: near[0].top, below: end - last.top - last.height };
  }

  function putRows(rows) {
    const gallery = $("gallery");
    const wanted = rows.flatMap((row) => (row.group === undefined ? shown.slice(row.first, row.last).map(cardOf(row.first)) : headingOf(row)));
    const kept = new Set(wanted);
    for (const node of [...gallery.children]) {
      if (kept.has(node)) continue;
      node.remove();
      cards.delete(node.dataset.id);
    }
    // What stays where it is is not touched: it may have the focus.
    wanted.forEach((node, number) => {
      if (gallery.children[number] !== node) gallery.insertBefore(node, gallery.children[number] || null);
    });
  }

  function cardOf(first) {
    return (finding, number) => {
      const card = cards.get(finding.id) || makeCard(finding);
      card.setAttribute("aria-setsize", shown.length);
      card.setAttribute("aria-posinset", first + number + 1);
      return card;
    };
  }

  function headingOf({ group, of }) {
    if (!headings.has(group)) {
      const heading = document.createElement("li");
      heading.className = "group";
      heading.append(textElement("h3", data.groups[group]), textElement("p", ""));
      headings.set(group, heading);
    }
    const all = sizes.get(group);
    headings.get(group).lastElementChild.textContent = of === all ? plural(all, "finding") : `${of} of ${plural(all, "finding")}`;
    return headings.get(group);
  }

  // A card may be far from the window, and then is not in the page yet.
  function goTo(finding) {
    const number = shown.indexOf(finding);
    if (number < 0) return;
    if (!cards.has(finding.id)) {
      const { top } = placedRows().find((row) => number < row.last);
      window.scrollBy(0, $("gallery").getBoundingClientRect().top + top - window.innerHeight / 3);
      render();
    }
    const card = cards.get(finding.id);
    card?.querySelector(".open").focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest" });
  }

  function goToGroup(group) {
    const first = shown.find((finding) => finding.group === group);
    if (!first) return false;
    goTo(first);
    headings.get(group).scrollIntoView();
    return true;
  }

  function allForPrint() {
    printing = true;
    render();
    const images = [...document.querySelectorAll(".card img[src], img[loading=lazy][src]")].filter((image) => !image.hidden);
    for (const image of images) image.loading = "eager";
    return images;
  }

  function afterPrint() {
    printing = false;
    render();
  }

  async function print() {
    const loaded = (image) => image.complete || new Promise((done) => ["load", "error"].forEach((type) => image.addEventListener(type, done)));
    await Promise.all(allForPrint().map(loaded));
    window.print();
  }

  // ------------------------------------------------------------------------------------------------ one finding

  function open(finding) {
    current = finding;
    const number = shown.indexOf(finding);
    $("detail-title").textContent = `Finding ${finding.rank}`;
    $("position").textContent = number < 0 ? "" : `${number + 1} of ${shown.length} shown`;
    const focused = document.activeElement;
    $("previous").disabled = number <= 0;
    $("next").disabled = number < 0 || number === shown.length - 1;
    if (focused?.disabled) $("detail-title").focus(); // a button that is switched off hears no keys
    $("before").alt = `Place of finding ${finding.rank} as photographed`;
    $("after").alt = `The same place with the outline of the finding`;
    const pictures = { before: finding.before || finding.links[0], after: finding.after || finding.links[1] };
    const complete = Boolean(pictures.before && pictures.after);
    for (const [id, source] of Object.entries(pictures)) {
      if (source) $(id).src = source;
      else $(id).removeAttribute("src");
    }
    showPictures(complete);
    $("compare").style.setProperty("--ratio", complete ? finding.width / finding.height : 1.5);
    reveal(100);
    $("facts").replaceChildren(...facts(finding).flatMap(([name, value]) => [textElement("dt", name), textElement("dd", value)]));
    $("files").replaceChildren(...finding.links.filter(Boolean).map(fileLink));
    showProfile(finding);
    showDecision();
    if (!$("detail").open) {
      $("detail").showModal();
      $("detail-title").focus();
    }
    $("detail").scrollTop = 0;
    for (const sign of signs) sign.classList.toggle("current", sign.dataset.id === finding.id);
  }

  // Widths along the crack, with their range and the limits; the axes begin at 0.
  function showProfile(finding) {
    const profile = finding.profile;
    $("profile").hidden = !profile;
    if (!profile) return;
    const points = profile.lines.flat();
    const mean = finding[`mean_width_${profile.unit}`];
    const share = (end) => (mean ? (finding[`mean_width_${end}_${profile.unit}`] ?? mean) / mean : 1);
    const limits = profile.unit === "mm" ? finding.limits.map(([limit]) => limit) : [];
    const most = Math.max(...points.map(([, width]) => width * share("high")), 1e-6);
    const top = niceTop(Math.max(most, ...limits.filter((limit) => limit < 1.5 * most)));
    const end = Math.max(...points.map(([along]) => along), 1e-6);
    const [left, right, upper, lower] = [58, 590, 14, 138]; // of the plot in the drawing
    const x = (along) => left + ((right - left) * along) / end;
    const y = (width) => lower - ((lower - upper) * Math.min(width, top)) / top;
    const path = (line) => line.map(([along, width], number) => `${number ? "L" : "M"}${x(along).toFixed(1)} ${y(width).toFixed(1)}`).join("");
    const band = (line) => `${path(line.map(([along, width]) => [along, width * share("high")]))}${path(line.map(([along, width]) => [along, width * share("low")]).reverse()).replace("M", "L")}Z`;
    const parts = profile.lines.map((line) => drawn("path", { class: "band", d: band(line) }));
    for (const share of [0, 0.5, 1]) {
      parts.push(drawn("path", { class: "grid", d: `M${left} ${y(share * top)}H${right}` }));
      parts.push(drawn("text", { x: left - 8, y: y(share * top) + 5, "text-anchor": "end" }, `${Number((share * top).toPrecision(3))}`));
      const unit = share === 1 ? ` ${profile.unit}` : "";
      parts.push(drawn("text", { x: x(share * end), y: lower + 20, "text-anchor": "middle" }, `${Number((share * end).toPrecision(3))}${unit}`));
    }
    for (const line of profile.lines.slice(1)) {
      parts.push(drawn("path", { class: "branch", d: `M${x(line[0][0]).toFixed(1)} ${upper}V${lower}` }));
    }
    let free = Infinity; // labels that would cover each other move up, to a line of their own
    for (const limit of limits.filter((limit) => limit <= top)) {
      parts.push(drawn("path", { class: "limit", d: `M${left} ${y(limit)}H${right}` }));
      const at = Math.min(y(limit), free - 13);
      if (at < 5) continue;
      parts.push(drawn("path", { class: "limit", d: `M${right} ${y(limit)}L${right + 5} ${at}` }));
      parts.push(drawn("text", { x: right + 8, y: at + 5 }, `${limit}`));
      free = at;
    }
    for (const line of profile.lines) parts.push(drawn("path", { class: "line", d: path(line) }));
    const length = finding[`length_${profile.unit}`];
    const whole = length !== null && length - end > 0.02 * length ? `; measured on ${end.toFixed(0)} of its ${length.toFixed(0)} ${profile.unit}` : "";
    const branches = profile.lines.length > 1 ? `, ${profile.lines.length} branches one after the other` : "";
    $("profile-caption").textContent = `Width along the crack in ${profile.unit}, and its range${branches}${whole}`;
    $("profile-plot").replaceChildren(...parts);
    const text = `Width along the crack in ${profile.unit}, by the distance from its end in ${profile.unit}: from ${Math.min(...points.map(([, width]) => width)).toFixed(2)} to ${Math.max(...points.map(([, width]) => width)).toFixed(2)} ${profile.unit}`;
    $("profile-plot").setAttribute("aria-label", text);
  }

  function niceTop(value) {
    const unit = 10 ** Math.floor(Math.log10(value));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= value) ?? 10 * unit;
  }

  function drawn(tag, attributes, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  function showPictures(complete) {
    for (const id of ["before", "after", "slider"]) $(id).hidden = !complete;
    $("no-picture").hidden = complete;
  }

  function textElement(tag, text) {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  }

  function fileLink(href, number) {
    const link = textElement("a", number ? "with outline" : "full size");
    link.href = href;
    link.target = "_blank";
    return link;
  }

  // "Decision: A. Engineer, 2026-01-02 03:04 UTC"; what has no name yet is of who decides in this browser.
  function madeBy(what, name, time) {
    const told = [name || (time && review.reviewer), (time || "").replace("T", " ").replace(/:\d\d(\.\d+)?Z$/, " UTC")].filter(Boolean).join(", ");
    return told && `${what}: ${told}`;
  }

  function showDecision() {
    const { decision, comment, time, reviewer, commented, commenter } = entryOf(current.id);
    for (const button of document.querySelectorAll(".decision")) {
      button.setAttribute("aria-pressed", String(button.value === decision));
    }
    if ($("comment").value !== comment) $("comment").value = comment;
    // Before 2026-12 a comment beside a decision had no name of its own; one alone has the name of who wrote it.
    const own = commented || commenter ? [commenter, commented] : decision ? ["", ""] : [reviewer, time];
    $("commented-by").textContent = comment ? madeBy("Comment", ...own) : "";
    $("decided-by").textContent = decision ? madeBy("Decision", reviewer, time) : "";
  }

  function step(by) {
    const next = shown[shown.indexOf(current) + by];
    if (next && shown.includes(current)) open(next);
  }

  function reveal(share) {
    $("slider").value = share;
    $("compare").style.setProperty("--at", `${share}%`);
    for (const button of document.querySelectorAll(".show")) {
      button.setAttribute("aria-pressed", String(Number(button.value) === Number(share)));
    }
  }

  function toggle(decision) {
    decide(current.id, { decision: entryOf(current.id).decision === decision ? "" : decision });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === $("comment")) return;
    const onSlider = event.target === $("slider");
    const actions = {
      ArrowLeft: () => !onSlider && step(-1),
      ArrowRight: () => !onSlider && step(1),
      a: () => toggle("accepted"),
      r: () => toggle("rejected"),
      o: () => reveal(Number($("slider").value) < 100 ? 100 : 0),
      c: () => $("comment").focus(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && action() !== false) event.preventDefault();
  }

  function onClose() {
    const finding = current;
    current = null;
    // Filters by decision take effect now, not while a finding is looked at.
    update();
    for (const sign of document.querySelectorAll(".marks .current")) sign.classList.remove("current");
    goTo(finding);
  }

  // --------------------------------------------------------------------------------------------------- set up

  function listen(id, type, action) {
    $(id).addEventListener(type, action);
  }

  listen("controls", "input", update);
  listen("controls", "submit", (event) => event.preventDefault());
  // Not the form's own reset event: that comes before the fields have their first values again.
  listen("clear-filters", "click", () => {
    $("controls").reset();
    descending = true;
    update();
  });
  listen("sort", "input", () => {
    descending = !textKeys.includes($("sort").value);
  });
  listen("direction", "click", () => {
    descending = !descending;
    update();
  });
  listen("reviewer", "input", () => {
    review.reviewer = $("reviewer").value;
    storeReview();
  });
  listen("export", "click", exportReview);
  listen("import", "click", () => $("import-file").click());
  listen("import-file", "change", () => {
    const [file] = $("import-file").files;
    if (file) importReview(file);
    $("import-file").value = "";
  });
  listen("previous", "click", () => step(-1));
  listen("next", "click", () => step(1));
  listen("close", "click", () => $("detail").close());
  listen("detail", "close", onClose);
  listen("detail", "keydown", onKey);
  listen("detail", "click", (event) => event.target === $("detail") && $("detail").close());
  listen("slider", "input", () => reveal($("slider").value));
  listen("comment", "input", () => decide(current.id, { comment: $("comment").value }));
  for (const button of document.querySelectorAll(".show")) button.addEventListener("click", () => reveal(button.value));
  for (const button of document.querySelectorAll(".decision")) button.addEventListener("click", () => toggle(button.value));
  for (const link of document.querySelectorAll("#groups a")) {
    link.addEventListener("click", (event) => {
      if (goToGroup(Number(link.closest("tr").dataset.group))) event.preventDefault();
      else say(`The filters leave no finding of ${link.textContent}.`);
    });
  }
  document.querySelector(".plots")?.addEventListener("click", (event) => {
    const finding = byId.get(event.target.closest(".finding[data-id]")?.dataset.id);
    if (finding) open(finding);
  });
  for (const id of ["before", "after"]) listen(id, "error", () => showPictures(false));
  listen("print", "click", print);
  window.addEventListener("beforeprint", allForPrint);
  window.addEventListener("afterprint", afterPrint);
  // Scrolling, another width, and whatever else moves the rows.
  let waiting = 0;
  const renderSoon = () => (waiting ||= requestAnimationFrame(() => ((waiting = 0), printing || render())));
  window.addEventListener("scroll", renderSoon, { passive: true });
  window.addEventListener("resize", renderSoon);
  new ResizeObserver(renderSoon).observe(document.body);
  // The Tab key's next card is to be there when the key comes again, however fast.
  listen("gallery", "focusin", (event) => {
    if (!event.target.matches(":focus-visible")) return;
    event.target.closest(".card").scrollIntoView({ block: "nearest" });
    render();
  });
  // Another tab with the same report.
  window.addEventListener("storage", (event) => {
    if (event.key !== storageKey) return;
    loadReview();
    showReview();
    if (current) showDecision();
  });

  $("unknown").hidden = !data.findings.length || !neverKnown.length;
  $("unknown").textContent = `Not known of any finding: ${neverKnown.join(", ").toLowerCase()}.`;
  for (const unit of document.querySelectorAll(".width-unit")) unit.textContent = data.width_unit;
  loadReview();
  showReview();
  $("controls").hidden = !data.findings.length;
  document.querySelector(".review").hidden = !data.findings.length;
  // chromium --headless --print-to-pdf prints as soon as the page is loaded, and waits for no picture that is asked for later: `beforeprint`
  // cannot hold it (9 pictures of 250), and to ask for all of a long list before is too much for a person's browser. So this one is known by name.
  if (navigator.userAgent.includes("HeadlessChrome")) allForPrint();
})();
