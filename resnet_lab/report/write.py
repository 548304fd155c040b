"""Write a report about the runs under some directories."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resnet_lab.config.checks import ConfigError, require_folder
from resnet_lab.page import render
from resnet_lab.report import tables
from resnet_lab.report.analysis import analyse
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import compare
from resnet_lab.report.details import detail_tables
from resnet_lab.report.figures import plots
from resnet_lab.report.page_data import columns, page_data, ranked
from resnet_lab.report.question import Question
from resnet_lab.report.sentences import basis, sentences
from resnet_lab.report.terminal import show
from resnet_lab.rundir.directory import refuse_unwritable
from resnet_lab.text import plain_console

WIDTH = 160  # characters, if the output is not a terminal


def report(directories: Sequence[Path], question: Question, out: Path) -> list[str]:
    """Collect and compare runs, print the tables, and write everything to `out`; return the names of the files.

    Raises ConfigError when there is no run, `question` does not fit the runs, or `out` cannot be created.
    """
    for directory in directories:
        require_folder(directory)
    refuse_unwritable(out.absolute(), "--out")
    found = collect(directories)
    if found.empty:
        skipped = f"; {found.skipped}" if found.skipped else ""
        raise ConfigError(f"no run directories under {', '.join(map(str, directories))}{skipped}")
    by, why = question.grouping(found.done)
    comparisons = [replace(comparison, grouping=why) for comparison in compare(found.done, by)]
    question.refuse_unknown_baseline([group.label for group in comparison.groups] for comparison in comparisons)
    analyses = [analyse(number, comparison, question, directories) for number, comparison in enumerate(comparisons, 1)]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: cannot create {out}: {error.strerror}") from error
    plots.remove(out / "figures")
    figures = {analysis.number: plots.draw(analysis, out / "figures") for analysis in analyses}
    values = {
        "basis": basis(analyses),
        "analyses": analyses,
        "sentences": sentences,
        "headings": tables.headings,
        "cells": tables.cells,
        "details": {analysis.number: detail_tables(analysis) for analysis in analyses},
        "figures": figures,
        "troubles": tables.troubles(found, analyses),
    }
    (out / "report.md").write_bytes(render("report/report.md", **values))
    shown = {analysis.number: columns(analysis) for analysis in analyses}
    own = {"columns": shown, "ranked": ranked, "data": page_data(analyses, shown), "smaller": plots.smaller}
    page = render("report/report.html", **values, **own, link=tables.link, out=out)
    (out / "report.html").write_bytes(page)
    tables.write_csv(out / "report.csv", analyses)
    tables.write_json(out / "report.json", found, analyses)
    written = ["report.html", "report.md", "report.csv", "report.json"]
    if question.pairs:
        tables.write_pairs(out / "pairs.csv", analyses)
        written.append("pairs.csv")
    show(plain_console(WIDTH), found, analyses)
    return [*written, *(["figures/"] if any(figures.values()) else [])]
