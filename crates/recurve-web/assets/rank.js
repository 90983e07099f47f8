// Which units tell something: how much they move, and what they move with.

/** What a unit can be compared with, one value per step. */
export function features(trace, run) {
  const list = [];
  const add = (id, title, values) => list.push({ id, title, values: Float32Array.from(values) });
  const steps = trace.steps;
  add("position", "position in the piece", Array.from({ length: steps }, (_, t) => t));
  if (run.data.reads === "tokens") {
    const labels = trace.labels;
    let depth = 0, quoted = false, line = 0, word = 0;
    const inside = [], quotes = [], lines = [], words = [], starts = [];
    labels.forEach((label, t) => {
      if ("([{".includes(label)) depth += 1;
      inside.push(depth > 0 ? 1 : 0);
      if (")]}".includes(label)) depth = Math.max(0, depth - 1);
      if (label === "\"" || label === "“" || label === "”") quoted = !quoted;
      quotes.push(quoted ? 1 : 0);
      lines.push(line);
      words.push(word);
      const before = t ? labels[t - 1] : " ";
      starts.push(/\s/.test(before) && !/\s/.test(label) ? 1 : 0);
      line = label === "\n" ? 0 : line + 1;
      word = /\s/.test(label) ? 0 : word + 1;
    });
    if (trace.joint) {
      add("length", "length of the word", labels.map((label) => label.length));
      add("mark", "punctuation", labels.map((label) => (/^\p{P}+$/u.test(label) ? 1 : 0)));
      add("number", "digits", labels.map((label) => (/\d/.test(label) ? 1 : 0)));
    } else {
      add("line", "position in the line", lines);
      add("word", "position in the word", words);
      add("start", "word boundaries", starts);
      add("space", "spaces and line ends", labels.map((label) => (/^\s$/.test(label) ? 1 : 0)));
    }
    add("brackets", "inside brackets", inside);
    add("quotes", "inside quotes", quotes);
    add("capital", "capital letters", labels.map((label) => (/\p{Lu}/u.test(label) ? 1 : 0)));
    if (!trace.joint) add("vowel", "vowels", labels.map((label) => (/[aeiouyAEIOUY]/.test(label) ? 1 : 0)));
    if (trace.bits) add("surprise", "surprise", trace.bits.map((bits) => bits ?? 0));
  } else {
    for (const seen of trace.seen ?? trace.channels.filter((one) => one.values.every((v) => v !== null))) add(`seen ${seen.name}`, seen.name, seen.values);
    const season = run.data.season;
    if (season > 1) {
      add("sin", "season (sine)", Array.from({ length: steps }, (_, t) => Math.sin(2 * Math.PI * (trace.from + t) / season)));
      add("cos", "season (cosine)", Array.from({ length: steps }, (_, t) => Math.cos(2 * Math.PI * (trace.from + t) / season)));
    }
  }
  // What never changes in this piece has nothing to be compared with.
  return list.filter((one) => one.values.some((value) => value !== one.values[0]));
}

/** Units with a score, the most telling first: the variance, or the correlation with a feature. */
export function ranked(plane, hidden, feature) {
  const steps = plane.length / hidden;
  const mean = new Float64Array(hidden), square = new Float64Array(hidden), cross = new Float64Array(hidden);
  let fMean = 0, fSquare = 0;
  if (feature) for (const value of feature) { fMean += value; fSquare += value * value; }
  for (let t = 0, at = 0; t < steps; t++) {
    const f = feature ? feature[t] : 0;
    for (let unit = 0; unit < hidden; unit++, at++) {
      const value = plane[at];
      mean[unit] += value;
      square[unit] += value * value;
      cross[unit] += value * f;
    }
  }
  const spread = fSquare / steps - (fMean / steps) ** 2;
  const scores = Array.from(mean, (sum, unit) => {
    const variance = Math.max(0, square[unit] / steps - (sum / steps) ** 2);
    if (!feature) return { unit, score: variance };
    const together = cross[unit] / steps - (sum / steps) * (fMean / steps);
    const score = variance > 1e-12 && spread > 1e-12 ? together / Math.sqrt(variance * spread) : 0;
    return { unit, score };
  });
  return scores.sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
}

/** An order of units in groups that move alike: k-means over standardised courses, from spread-out starts. */
export function clustered(plane, hidden, wanted = 6) {
  const steps = plane.length / hidden;
  const points = Math.min(steps, 160), stride = steps / points;
  const rows = Array.from({ length: hidden }, (_, unit) => {
    const row = Float32Array.from({ length: points }, (_, k) => plane[Math.floor(k * stride) * hidden + unit]);
    const mean = row.reduce((a, b) => a + b, 0) / points;
    const size = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0)) || 1;
    return row.map((value) => (value - mean) / size);
  });
  const far = (a, b) => { let sum = 0; for (let k = 0; k < points; k++) sum += (a[k] - b[k]) ** 2; return sum; };
  const count = Math.min(wanted, hidden);
  const centres = [rows[0]];
  while (centres.length < count) {
    let best = 0, distance = -1;
    rows.forEach((row, unit) => {
      const near = Math.min(...centres.map((centre) => far(row, centre)));
      if (near > distance) { distance = near; best = unit; }
    });
    centres.push(rows[best]);
  }
  let group = new Array(hidden).fill(0);
  for (let round = 0; round < 12; round++) {
    const next = rows.map((row) => {
      let best = 0, distance = Infinity;
      centres.forEach((centre, k) => { const d = far(row, centre); if (d < distance) { distance = d; best = k; } });
      return best;
    });
    const same = next.every((k, unit) => k === group[unit]);
    group = next;
    if (same && round) break;
    centres.forEach((_, k) => {
      const members = rows.filter((_, unit) => group[unit] === k);
      if (members.length) centres[k] = Float32Array.from({ length: points }, (_, p) => members.reduce((sum, row) => sum + row[p], 0) / members.length);
    });
  }
  const order = rows.map((_, unit) => unit).sort((a, b) => group[a] - group[b] || far(rows[a], centres[group[a]]) - far(rows[b], centres[group[b]]) || a - b);
  return { order, group };
}
