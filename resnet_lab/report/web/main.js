// One view for each comparison: filter, chart and table show the same groups, and mark the same ones.

const panel = document.querySelector(".panel");

class View {
  constructor(section, comparison) {
    Object.assign(this, comparison, {section, selected: [], pair: [], accepts: () => true, body: section.querySelector("tbody")});
    const table = section.querySelector("table"), heads = table.tHead.rows[0].cells;
    this.columns.forEach((column, index) => Object.assign(column, {index, head: heads[index]}));
    this.groups.forEach((group, index) => {
      const row = this.body.rows[index];
      row.dataset.group = index;
      Object.assign(group, {index, row, text: `${group.label} ${row.textContent}`.toLowerCase()});
    });
    this.column = name => this.columns.find(column => column.name === name);
    this.addFilter();
    this.addChart();
    this.addTable(table);
    this.followPointer();
    this.update();
  }

  addFilter() {
    const place = this.section.querySelector(".filter"), axis = this.columns.find(column => column.kind === "axis");
    this.field = node("input", {type: "search", placeholder: "filter: params < 500k, units = 3", "aria-label": "filter groups", spellcheck: "false"});
    this.answer = node("p", {class: "answer", role: "status"});
    this.field.addEventListener("input", () => this.update());
    if (this.groups.length < 2) return;
    place.append(this.field, this.answer);
    const params = this.column("params"), sorted = column => this.groups.map(group => group.values[column.index]).sort(inOrder);
    const texts = axis.name === "group" ? [] : [`${axis.name} = ${sorted(axis)[0]}`];
    if (params) texts.unshift(`params <= ${short(+sorted(params)[Math.floor(this.groups.length / 2)].toPrecision(1))}`);
    const examples = node("p", {class: "examples"}, "for example ");
    for (const text of texts) {
      const button = node("button", {}, text);
      button.addEventListener("click", () => this.restrict(columnNamed(this.columns, text.split(" ")[0]), [text]));
      examples.append(button, " ");
    }
    examples.append("or words; commas join conditions");
    place.after(examples);
  }

  addChart() {
    const place = this.section.querySelector(".chart");
    if (this.groups.length < 2) return;
    const numbers = this.columns.filter(column => column.numeric && column.kind !== "other"), axes = this.columns.filter(column => column.kind === "axis");
    const select = (words, options, chosen) => {
      const made = node("select", {"aria-label": words});
      for (const {name, title} of options) made.append(new Option(title, name, false, name === chosen));
      made.addEventListener("change", () => this.drawChart(true));
      return made;
    };
    const box = words => {
      const made = node("input", {type: "checkbox"});
      made.addEventListener("change", () => this.drawChart());
      return [made, node("label", {}, made, words)];
    };
    const kind = select("kind of chart", [{title: "scatter", name: "scatter"}, {title: "parallel coordinates", name: "parallel"}], "scatter");
    const y = select("vertical axis", numbers, this.measure), x = select("horizontal axis", numbers, "params");
    const colour = select("colour", [{title: "one colour", name: ""}, ...axes], axes[0].name);
    const [logX, labelX] = box("log x"), [logY, labelY] = box("log y"), button = node("button", {}, "save SVG");
    button.addEventListener("click", () => save(`${kind.value}.svg`, "image/svg+xml", asSvg(this.canvas.querySelector("svg"))));
    this.scatterControls = node("span", {}, y, " against ", x, labelX, labelY);
    this.canvas = node("div", {class: "canvas"});
    this.choices = {kind, x, y, colour, logX, logY};
    place.append(node("div", {class: "controls"}, kind, this.scatterControls, " colour ", colour, button), this.canvas);
    this.drawChart(true);
    new ResizeObserver(([{contentRect}]) => {
      if (Math.abs(contentRect.width - this.width) > 1) this.drawChart();
    }).observe(this.canvas);
  }

  drawChart(automatic = false) {
    const {kind, x, y, colour, logX, logY} = this.choices;
    const columns = {x: this.column(x.value), y: this.column(y.value), colour: this.column(colour.value)};
    this.scatterControls.hidden = kind.value !== "scatter";
    const isLong = column => spansMuch(...bounds(this.groups, column), partOf(this, column));
    if (automatic) [logX.checked, logY.checked] = [isLong(columns.x), isLong(columns.y)];
    this.width = this.canvas.clientWidth;
    if (kind.value === "scatter") drawScatter(this, this.canvas, {...columns, logX: logX.checked, logY: logY.checked});
    else drawParallel(this, this.canvas, columns);
    this.markAll();
  }

  addTable(table) {
    for (const column of this.columns)
      column.head.firstChild.addEventListener("click", () => sortBy(this, column, column.head.getAttribute("aria-sort") === "ascending"));
    const controls = this.section.querySelector(".exports"), all = node("input", {type: "checkbox"}), number = this.section.dataset.comparison;
    all.addEventListener("change", () => table.classList.toggle("all", all.checked));
    if (table.querySelector(".more")) controls.append(node("label", {}, all, "all columns"));
    for (const [words, ending, make] of [["CSV", "csv", asCsv], ["Markdown", "md", asMarkdown], ["LaTeX", "tex", asLatex]]) {
      const button = node("button", {}, `save ${words}`);
      button.addEventListener("click", () => save(`comparison-${number}.${ending}`, "text/plain", make(this)));
      controls.append(button);
    }
  }

  // The pointer on a row, point or line marks the group everywhere, and a click selects it.
  followPointer() {
    const groupAt = event => event.target.closest("[data-group]")?.dataset.group;
    this.section.addEventListener("mouseover", event => this.hover(groupAt(event), event));
    this.section.addEventListener("mouseleave", () => this.hover());
    const toggle = event => {
      const group = groupAt(event);
      if (group === undefined || event.target.closest("a")) return;
      const others = this.selected.filter(i => i !== +group);
      this.select(others.length < this.selected.length ? others : [...others, +group].slice(-2));
    };
    this.section.addEventListener("click", toggle);
    this.section.addEventListener("keydown", event => {
      if (event.key !== "Enter" || !event.target.matches("tr")) return;
      toggle(event);
      panel.focus();
    });
  }

  hover(index, event) {
    for (const marked of this.section.querySelectorAll(".hot")) marked.classList.remove("hot");
    for (const own of index === undefined ? [] : this.section.querySelectorAll(`[data-group="${index}"]`)) own.classList.add("hot");
    const tip = document.querySelector(".tip"), isPoint = index !== undefined && event.target.closest("svg");
    tip.hidden = !isPoint;
    if (!isPoint) return;
    const group = this.groups[index], known = this.columns.filter(column => ["score", "cost"].includes(column.kind) && cellText(group, column));
    const numbers = known.map(column => `${column.title}: ${cellText(group, column)}`);
    tip.textContent = [group.label, `${group.runs.length} runs`, ...numbers].join("\n");
    tip.style.left = `${Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(0, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
  }

  select(indices) {
    const [first] = this.selected, hadFocus = panel.contains(document.activeElement);
    for (const view of views) if (view !== this && view.selected.length) Object.assign(view, {selected: [], pair: []}).markAll();
    this.selected = indices;
    this.pair = this.pair.filter(run => indices.includes(run.group.index));
    this.markAll();
    showPanel(panel, this);
    if (hadFocus) (indices.length ? panel : this.groups[first].row).focus();
  }

  restrict(column, conditions) {
    this.field.value = withConditions(this.field.value, column.name, this.field.value.includes(conditions[0]) ? [] : conditions);
    this.update();
  }

  update() {
    const {accepts, problem} = parseFilter(this.field.value, this.columns);
    this.accepts = accepts;
    this.shown = this.groups.map(accepts);
    for (const group of this.groups) group.row.hidden = !this.shown[group.index];
    this.answer.replaceChildren(...(problem ? [problem] : this.bestShown()));
    this.answer.classList.toggle("problem", Boolean(problem));
    if (this.choices) this.drawChart();
  }

  // How many groups are shown, and the best of them, which can be clicked as its row can.
  bestShown() {
    const column = this.column(this.measure), value = group => group.values[column?.index] ?? null;
    const shown = this.groups.filter((_, i) => this.shown[i]), count = `${shown.length} of ${this.groups.length} groups`;
    const [best] = shown.filter(group => value(group) !== null).sort((a, b) => value(a) - value(b));
    if (!best) return [count];
    const params = this.column("params"), size = params && cellText(best, params);
    const name = node("span", {class: "best", "data-group": best.index}, best.label);
    const score = `${column.title.replace(/, last epoch.*/, "")} ${cellText(best, column)} ${this.unit}`.trim();
    return [`${count}; the best: `, name, `, ${score}${size ? `, ${size} parameters` : ""}`];
  }

  markAll() {
    for (const own of this.section.querySelectorAll("[data-group]")) {
      own.classList.toggle("faded", !this.shown?.[own.dataset.group]);
      own.classList.toggle("selected", this.selected.includes(+own.dataset.group));
    }
  }
}

const views = [];
for (const [number, comparison] of Object.entries(JSON.parse(document.getElementById("data").textContent).comparisons))
  views.push(new View(document.querySelector(`section[data-comparison="${number}"]`), comparison));
document.addEventListener("keydown", event => {
  if (event.key === "Escape") for (const view of views) if (view.selected.length) view.select([]);
});
