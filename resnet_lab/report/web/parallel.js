// Parallel coordinates: a line for each group across its axes, costs and score. Dragging along an axis, or a click on
// a value, sets the filter.

const PARALLEL_TOP = 40, PARALLEL_BOTTOM = 20, NARROWEST = 105;

function parallelColumns(view) {
  const wanted = column => column.kind === "axis" || ["params", "macs", "seconds", view.measure].includes(column.name);
  const shown = view.columns.filter(wanted), score = shown.find(column => column.name === view.measure);
  return [...shown.filter(column => column !== score), ...(score ? [score] : [])];
}

// {at, labels: [pixel, text, value]}; `valueAt` for numbers only, which can be brushed.
function parallelAxis(view, column) {
  const pixels = [HEIGHT - PARALLEL_BOTTOM, PARALLEL_TOP], values = view.groups.map(group => group.values[column.index]).filter(value => value !== null);
  const distinct = [...new Set(values)].sort(inOrder);
  if (column.numeric && (distinct.length > 12 || column.kind !== "axis")) {
    const [low, high] = [distinct[0], distinct.at(-1)];
    const made = scale([low, high], pixels, {logarithmic: spansMuch(low, high), part: partOf(view, column), pad: 0});
    return {...made, labels: made.ticks.map(tick => [made.at(tick), short(tick)])};
  }
  const at = value => distinct.length < 2 ? (pixels[0] + pixels[1]) / 2 : pixels[0] + distinct.indexOf(value) / (distinct.length - 1) * (pixels[1] - pixels[0]);
  return {at, labels: distinct.length > 30 ? [] : distinct.map(value => [at(value), String(value), value])};
}

function drawParallel(view, place, {colour}) {
  const columns = parallelColumns(view), width = Math.max(place.clientWidth, NARROWEST * columns.length);
  const svg = element("svg", {viewBox: `0 0 ${width} ${HEIGHT}`, style: `width: ${width}px`, role: "img", "aria-label": "parallel coordinates"});
  const step = width / columns.length, axes = columns.map((column, i) => ({column, x: step * (i + 0.5), ...parallelAxis(view, column)}));
  const colours = colouring(colour, view.groups);
  for (const group of view.groups) {
    const points = axes.filter(({column}) => group.values[column.index] !== null).map(({column, x, at}) => `${x} ${at(group.values[column.index])}`);
    const {fill} = colours.look(colour && group.values[colour.index]);
    svg.append(element("path", {class: "thread", "data-group": group.index, stroke: fill, d: `M${points.join("L")}`}));
  }
  for (const axis of axes) svg.append(parallelGuide(view, svg, axis));
  place.replaceChildren(node("div", {class: "wide"}, svg), legend(colour, colours));
}

function parallelGuide(view, svg, {column, x, valueAt, labels}) {
  const made = element("g", {class: "guide"}), bottom = HEIGHT - PARALLEL_BOTTOM;
  const title = element("text", {x, y: 16, "text-anchor": "middle", class: "title"}, column.title.replace(/, last epoch/, ""));
  made.append(element("line", {x1: x, x2: x, y1: PARALLEL_TOP, y2: bottom}), title);
  for (const [at, words, value] of labels) {
    const text = element("text", {x: x + 6, y: at + 4}, words.length > 16 ? `${words.slice(0, 15)}…` : words);
    made.append(text);
    if (value === undefined) continue;
    text.classList.add("choice");
    text.addEventListener("click", () => view.restrict(column, [`${column.name} = ${/[\s,]/.test(value) ? `"${value}"` : value}`]));
  }
  if (!valueAt) return made;
  const strip = element("rect", {class: "strip", x: x - 14, width: 28, y: PARALLEL_TOP - 8, height: bottom - PARALLEL_TOP + 16});
  const brush = element("rect", {class: "brush", x: x - 8, width: 16, height: 0});
  const pixel = event => (event.clientY - svg.getBoundingClientRect().top) * HEIGHT / svg.getBoundingClientRect().height;
  const inside = value => Math.min(bottom, Math.max(PARALLEL_TOP, value));
  let start = null;
  strip.addEventListener("pointerdown", event => { start = pixel(event); strip.setPointerCapture(event.pointerId); });
  strip.addEventListener("pointermove", event => {
    if (start === null) return;
    const ends = [start, pixel(event)].map(inside);
    brush.setAttribute("y", Math.min(...ends));
    brush.setAttribute("height", Math.abs(ends[0] - ends[1]));
  });
  strip.addEventListener("pointerup", event => {
    const ends = [start, pixel(event)].map(inside).sort((a, b) => b - a), [low, high] = ends.map(valueAt);
    start = null;
    if (ends[0] - ends[1] < 4) view.restrict(column, []); // a click ends the restriction
    else view.restrict(column, [`${column.name} >= ${short(low)}`, `${column.name} <= ${short(high)}`]);
  });
  made.append(strip, brush);
  return made;
}
