"""The page and its files: nothing fetched, nothing run, links that lead somewhere, the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer import Typer
from typer.testing import CliRunner

from hificl.cli.report_command import command
from hificl.errors import InputError
from hificl.reporting import Report, write_report
from hificl.reporting.page import LONGEST_ANSWER, shortened
from reporting.fake_grid import HOSTILE
from reporting.fake_results import main_grid, rank_grid, real_mass_grid, write_speed

ROOT = Path(__file__).parents[2]


class Reader(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return report.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Reader:
    return Reader(text)


def test_nothing_is_fetched(page: Reader) -> None:
    loading = [value for name in ("src", "srcset", "data", "poster", "action") for value in page.values(name)]
    loading += [attributes["href"] for tag, attributes in page.tags if tag == "link"]
    assert loading
    assert all(value.startswith("data:") for value in loading)
    assert not any(re.match(r"(?i)(https?:)?//|javascript:", value) for value in page.values("href"))


def test_style_and_figures_fetch_nothing_either(text: str) -> None:
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", text))
    assert "http" not in re.sub(r'xmlns(:xlink)?="http[^"]*"', "", text).split("<style>")[1].split("</style>")[0]


def test_text_of_models_is_text(text: str, page: Reader) -> None:
    assert HOSTILE not in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_only_our_script_may_run(text: str, page: Reader) -> None:
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv"))
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    source = (ROOT / "src/hificl/reporting/templates/report.js").read_text(encoding="utf-8")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert script == source


def test_ids_are_unique_and_references_lead_to_them(page: Reader) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    wanted = [value[1:] for value in page.values("href") if value.startswith("#")]
    wanted += [name for value in page.values("aria-labelledby") for name in value.split()]
    assert wanted
    assert set(wanted) <= set(ids)


def test_every_link_leads_to_a_file(report: Report, page: Reader) -> None:
    links = {
        attributes["href"] for tag, attributes in page.tags if tag == "a" and not attributes["href"].startswith("#")
    }
    assert len([link for link in links if link.endswith("cell.json")]) > 30
    assert [link for link in links if not (report.page.parent / unquote(link)).exists()] == []


def test_figures_have_a_title_a_description_and_their_data(text: str, report: Report) -> None:
    figures = re.findall(r"<figure .*?</figure>", text, flags=re.DOTALL)
    assert len(figures) == report.figures
    for figure in figures:
        assert re.search(
            r'<svg class="figure" role="img"[^>]*><title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]{20,}', figure
        )
        assert "<tbody>" in figure
        assert all(source.startswith("data:") for source in re.findall(r'<image href="([^"]*)', figure))
        assert not re.search(r"#(0072b2|1c1d1f|d55e00)", figure)


def test_holes_are_seen_and_never_zero(text: str) -> None:
    assert '<span class="hole" title="RunError: &lt;script' in text
    assert text.count('class="hole"') >= 8
    failed = re.search(r"<tr[^>]*>(?:(?!</tr>).)*>MTV<(?:(?!</tr>).)*</tr>", text, flags=re.DOTALL)
    assert failed is not None
    assert ">0" not in failed.group()


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        folder = tmp_path / name
        for make in (main_grid, rank_grid, real_mass_grid):
            make().write(folder)
        write_report(folder)
        files = sorted(path for path in (folder / "report").rglob("*") if path.is_file())
        contents.append({path.relative_to(folder): path.read_bytes() for path in [folder / "report.html", *files]})
    assert len(contents[0]) > 20
    assert {path.suffix for path in contents[0]} >= {".html", ".md", ".csv", ".tex", ".svg", ".png"}
    assert contents[0] == contents[1]


def test_a_second_report_takes_away_what_it_no_longer_draws(tmp_path: Path) -> None:
    main_grid().write(tmp_path)
    rank = rank_grid().write(tmp_path)
    write_report(tmp_path)
    old = sorted((tmp_path / "report").rglob("rank*"))
    mine = tmp_path / "report" / "figures" / "mine.svg"
    mine.write_text("kept", encoding="utf-8")
    rank.unlink()
    write_report(tmp_path)
    assert len(old) > 3
    assert not any(path.exists() for path in old)
    assert mine.exists()


def test_long_answers_are_cut_and_invisible_characters_go() -> None:
    assert shortened("a\u202eb\x1b[31m") == "a b [31m"
    assert shortened("x" * 5000) == "x" * LONGEST_ANSWER + "… (5,000 characters)"


@pytest.mark.parametrize("output", ["", "page.txt"])
def test_an_output_that_is_no_page_is_refused(tmp_path: Path, output: str) -> None:
    main_grid().write(tmp_path)
    with pytest.raises(InputError, match="must be a file that ends in"):
        write_report(tmp_path, tmp_path / output)


def test_rows_of_speed_alone_make_a_page(tmp_path: Path) -> None:
    write_speed(tmp_path)
    done = write_report(tmp_path / "speed", tmp_path / "speed.html")
    text = done.page.read_text(encoding="utf-8")
    assert done.sections == ("speed",)
    assert "<title>hificl: speed and memory</title>" in text
    assert 'href="speed/attention/b.json" title="median and quartiles of 41 rounds">1.090 [1.070, 1.110]</a>' in text


def test_the_committed_results_give_a_report(tmp_path: Path) -> None:
    done = write_report(ROOT / "results", tmp_path / "page.html")
    text = done.page.read_text(encoding="utf-8")
    assert {"gates", "published", "conditions"} <= set(done.sections)
    summary = json.loads((ROOT / "results/compare/easy_vqa/summary.json").read_text(encoding="utf-8"))
    own = next(one for one in summary["comparisons"] if (one["variant"], one["subset"]) == ("hificl", "open"))
    assert f"{own['score']:.1f} [{own['score_ci95'][0]:.1f}, {own['score_ci95'][1]:.1f}]" in text
    assert "data:image/png;base64," in text
    assert 'class="hole"' not in text.split('id="reading"')[0]


def test_the_command_tells_where_things_are(tmp_path: Path) -> None:
    main_grid().write(tmp_path / "results")
    app = Typer()
    app.command()(command)
    told = CliRunner().invoke(app, [str(tmp_path / "results"), "--output", str(tmp_path / "out.html"), "--json"])
    assert told.exit_code == 0, told.output
    shown = json.loads(told.stdout)
    assert shown["page"] == str(tmp_path / "out.html")
    assert shown["sections"][0] == "main"
    assert shown["holes"] == 2


def test_reports_need_no_torch() -> None:
    code = "import sys, hificl.reporting.report; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
