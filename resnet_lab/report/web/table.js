// The table: sorted by a click on a heading, and saved as it is shown.

function sortBy(view, column, descending) {
  const filled = group => group.values[column.index] !== null;
  const sign = descending ? -1 : 1;
  const sorted = view.groups.filter(filled).sort((a, b) => sign * inOrder(a.values[column.index], b.values[column.index]));
  view.body.replaceChildren(...sorted.concat(view.groups.filter(group => !filled(group))).map(group => group.row));
  for (const other of view.columns) other.head.removeAttribute("aria-sort");
  column.head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

// Rows and columns as they are shown: {columns, rows}, the rows with their cells as text.
function shownTable(view) {
  const columns = view.columns.filter(column => column.head.offsetParent);
  const groups = [...view.body.rows].filter(row => !row.hidden).map(row => view.groups[row.dataset.group]);
  return {columns, groups, rows: groups.map(group => columns.map(column => cellText(group, column)))};
}

const cellText = (group, column) => group.row.cells[column.index].textContent;

// Numbers with six digits; half the width of the interval of a score has its own column.
function asCsv(view) {
  const {columns, groups} = shownTable(view);
  const quoted = value => /[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
  const parts = columns.flatMap(column => [
    [column.name, group => group.values[column.index]],
    ...(column.kind === "score" ? [[`${column.name}_half`, group => group.halves[column.name]]] : []),
  ]);
  const rows = [parts.map(([name]) => name), ...groups.map(group => parts.map(([, value]) => value(group) ?? ""))];
  return rows.map(row => row.map(quoted).join(",") + "\n").join("");
}

function asMarkdown(view) {
  const {columns, rows} = shownTable(view), line = cells => `| ${cells.join(" | ")} |\n`;
  const escaped = text => text.replace(/[\\`*_[\]<>|&$~]/g, "\\$&");
  const rule = `|${columns.map(column => column.numeric ? "--:" : "---").join("|")}|\n`;
  return line(columns.map(column => escaped(column.title))) + rule + rows.map(row => line(row.map(escaped))).join("");
}

const LATEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "…": "\\dots{}"};

function asLatex(view) {
  const {columns, rows} = shownTable(view), line = cells => `  ${cells.join(" & ")} \\\\\n`;
  const escaped = text => text.replace(/[\\~^±…{}$&#_%]/g, found => LATEX[found] ?? `\\${found}`);
  return [
    `% needs \\usepackage{booktabs}\n\\begin{tabular}{${columns.map(column => column.numeric ? "r" : "l").join("")}}\n  \\toprule\n`,
    line(columns.map(column => escaped(column.title))),
    `  \\midrule\n${rows.map(row => line(row.map(escaped))).join("")}  \\bottomrule\n\\end{tabular}\n`,
  ].join("");
}

// The chart as a file: its styles come from the page, so they are written into it.
function asSvg(svg) {
  const copy = svg.cloneNode(true), copies = [...copy.querySelectorAll("*")];
  const [width, height] = svg.getAttribute("viewBox").split(" ").slice(2);
  [...svg.querySelectorAll("*")].forEach((own, i) => {
    const style = getComputedStyle(own);
    for (const name of ["fill", "stroke", "stroke-width", "opacity", "font-size", "font-family"]) copies[i].setAttribute(name, style.getPropertyValue(name));
  });
  for (const [name, value] of Object.entries({width, height})) copy.setAttribute(name, value);
  copy.prepend(element("rect", {width, height, fill: getComputedStyle(document.body).backgroundColor}));
  return new XMLSerializer().serializeToString(copy);
}
