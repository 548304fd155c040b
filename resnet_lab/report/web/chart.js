// Parts of charts: scales with plain tick labels, colours and shapes of points.

function short(value) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (Math.abs(value) >= size) return `${+(value / size).toPrecision(3)}${unit}`;
  return String(+value.toPrecision(3));
}

// Whether values span so much that their axis should be logarithmic. Scores below `part` count as equal.
const spansMuch = (low, high, part = 0) => Math.max(low, part) > 0 && high > 8 * Math.max(low, part);

// From values to pixels and back, with ticks. A logarithmic axis with a `part` is linear below it, and reaches 0.
function scale([low, high], [from, to], {logarithmic = false, part = 0, floor = -Infinity, pad = 0.06} = {}) {
  logarithmic &&= part > 0 || low > 0;
  const linear = [value => value, value => value], logarithms = [value => Math.log10(Math.max(value, 1e-300)), value => 10 ** value];
  const fromPart = [value => Math.log1p(Math.max(0, value) / part), value => part * Math.expm1(value)];
  const [f, back] = !logarithmic ? linear : part ? fromPart : logarithms;
  const margin = high > low ? pad * (f(high) - f(low)) : Math.abs(f(high)) / 10 || 1;
  const bottom = Math.max(f(low) - margin, logarithmic && !part ? -Infinity : f(floor)), top = f(high) + margin;
  const inside = value => f(value) >= bottom - 1e-9 && f(value) <= top + 1e-9;
  const at = value => from + (Math.min(top, Math.max(bottom, f(value))) - bottom) / (top - bottom) * (to - from);
  const valueAt = pixel => back(bottom + (pixel - from) / (to - from) * (top - bottom));
  return {at, valueAt, ticks: ticks(back(bottom), back(top), logarithmic, part).filter(inside)};
}

function ticks(low, high, logarithmic, part) {
  if (logarithmic && part) return [0, 0.5, 1, 2, 5, 10, 20, 50, 100].map(percent => percent * part);
  if (logarithmic && high > 4 * low) {
    const exponents = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) exponents.push(e);
    return exponents.flatMap(e => (exponents.length > 4 ? [1] : [1, 2, 5]).map(m => m * 10 ** e));
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(m => m * power >= rough), first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) => (first + i) * step);
}

// Okabe and Ito's colours for categories, viridis for numbers; a shape for each value, if there are few.
const CATEGORIES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#999999"];
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const SHAPES = [
  "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z", "M-4.5-4.5h9v9h-9z", "M0-5.8L5.4 4.2H-5.4z", "M0-6.2L6.2 0L0 6.2L-6.2 0z",
  "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z", "M0 5.8L5.4-4.2H-5.4z",
  "M-6-3.4L-3.4-6L0-2.6L3.4-6L6-3.4L2.6 0L6 3.4L3.4 6L0 2.6L-3.4 6L-6 3.4L-2.6 0z",
  "M0-7L1.7-2.2L6.7-2.2L2.7.9L4.1 5.7L0 2.8L-4.1 5.7L-2.7.9L-6.7-2.2L-1.7-2.2z",
];
const MOST_SHAPES = SHAPES.length, MOST_NAMED = 24; // in a legend

function viridis(share) {
  const place = share * (VIRIDIS.length - 1), i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return `rgb(${VIRIDIS[i].map((part, k) => Math.round(part + (VIRIDIS[i + 1][k] - part) * (place - i)))})`;
}

const collator = new Intl.Collator(undefined, {numeric: true});
const inOrder = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b);

// The look of a value of a column, and the values for the legend.
function colouring(column, groups) {
  if (!column) return {look: () => ({fill: CATEGORIES[0], shape: SHAPES[0]}), legend: []};
  const values = [...new Set(groups.map(group => group.values[column.index]))].filter(value => value !== null).sort(inOrder);
  const few = values.length <= MOST_SHAPES, [low, high] = [values[0], values.at(-1)];
  const f = spansMuch(low, high) ? Math.log : value => value;
  const look = value => {
    const i = values.indexOf(value);
    if (i < 0) return {fill: "none", shape: SHAPES[0]};
    if (!column.numeric) return {fill: CATEGORIES[i % CATEGORIES.length], shape: SHAPES[(i + Math.floor(i / CATEGORIES.length)) % MOST_SHAPES]}; // 64 pairs
    if (few) return {fill: viridis(i / Math.max(1, values.length - 1)), shape: SHAPES[i]};
    return {fill: viridis((f(value) - f(low)) / (f(high) - f(low))), shape: SHAPES[0]};
  };
  const shown = few || !column.numeric ? values.slice(0, MOST_NAMED) : [0, 0.25, 0.5, 0.75, 1].map(share => values[Math.round(share * (values.length - 1))]);
  return {look, legend: shown};
}

function legend(column, {look, legend: values}) {
  const made = node("p", {class: "legend"});
  if (column) made.append(`${column.title}: `);
  for (const value of values) {
    const {fill, shape} = look(value), symbol = element("path", {d: shape, fill, class: "symbol"});
    made.append(node("span", {}, icon(symbol), typeof value === "number" ? short(value) : value));
  }
  return made;
}
