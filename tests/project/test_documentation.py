"""README and documentation name nothing that is not there: commands, options, parameters, files, names, messages."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from documents import PAGES, ROOT, Said, commands, links, shell_lines, spans
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project

from satsynth.pipelines.parameter_docs import entries
from satsynth.pipelines.parameters import MODELS, problems_of
from satsynth.settings import CONFIG_LOADER_ARGS

# Data sets that the pages make up for the reader's own.
INVENTED = {"roofs", "mine"}


@cache
def kedro() -> KedroCLI:
    bootstrap_project(ROOT)
    return KedroCLI(ROOT)


def parsed(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return name and options of a `kedro` command, as the command's own parser reads them."""
    command: click.Command = kedro()
    context = click.Context(command, info_name="kedro")
    names = []
    while isinstance(command, click.Group) and arguments:
        names.append(arguments[0])
        inner = command.get_command(context, arguments[0])
        assert inner is not None, f"there is no command kedro {' '.join(names)}"
        command, arguments = inner, arguments[1:]
        context = click.Context(command, parent=context, info_name=names[-1])
    if isinstance(command, click.Group):
        return " ".join(names), {}
    # A stray argument is refused by the command itself, after its parser.
    options, left, _ = command.make_parser(context).parse_args(list(arguments))
    assert not left, left
    return " ".join(names), options


@cache
def check_params(text: str, env: str | None = None) -> None:
    """Fail where parameters given by `--params` would be refused."""
    run = kedro().get_command(click.Context(kedro()), "run")
    assert run is not None
    option = next(option for option in run.params if option.name == "params")
    assert option.callback is not None
    given = option.callback(click.Context(run), option, text)
    if given.get("dataset") in INVENTED or "<" in str(given.get("dataset")):
        del given["dataset"]
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=env or "base", runtime_params=given, **CONFIG_LOADER_ARGS)
    parameters = loader["parameters"]
    unknown = set(given) - set(OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)["parameters"])
    assert not unknown and problems_of(parameters) == [], text


@pytest.mark.parametrize(("page", "arguments"), commands("kedro"), ids=lambda given: str(given)[:70])
def test_every_kedro_command_would_run(page: str, arguments: list[str]) -> None:
    name, options = parsed(arguments)
    if name != "run":
        return
    environments = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    assert options.get("env") in {None, *environments}
    pipeline = pipelines[options.get("pipeline", "__default__")]
    nodes = {node.name for node in pipeline.nodes}
    assert set(options.get("node_names", "").split(",")) - {""} <= nodes
    if "params" in options:
        check_params(options["params"], options.get("env"))


@pytest.mark.parametrize("said", [said for said in spans() if said.text.startswith("--")], ids=lambda said: said.text)
def test_every_option_is_known(said: Said) -> None:
    option, _, value = said.text.partition("=")
    if option == "--params":
        # `--params=a=1,b=2`; a space would end it.
        check_params(value)
    elif option == "--env":
        assert (ROOT / "conf" / value).is_dir() or value == "<name>"
    else:
        known = "".join(path.read_text() for path in [*Path(ROOT / "src/satsynth/commands").glob("*.py")])
        of_runs = {name for parameter in kedro_run.params for name in parameter.opts}
        assert f'"{option}"' in known or option in of_runs, said


@pytest.mark.parametrize(("page", "words"), commands("make"), ids=lambda given: str(given)[:70])
def test_every_make_target_is_there(page: str, words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {word for word in words if "=" not in word} <= targets


@pytest.mark.parametrize(("page", "words"), commands("python"), ids=lambda given: str(given)[:70])
def test_every_script_and_its_options_are_there(page: str, words: list[str]) -> None:
    if words[0] == "-m":
        assert find_spec(words[1]) is not None
        return
    script = (ROOT / words[0]).read_text()
    assert all(f'"{word.split("=")[0]}"' in script for word in words[1:] if word.startswith("--"))


def test_the_pages_have_commands_to_check() -> None:
    assert len(commands("kedro")) > 30 and len(commands("make")) > 10 and len(commands("python")) > 1
    programs = {said.text.split()[0] for said in shell_lines() if "=" not in said.text.split()[0]}
    assert programs <= {"kedro", "make", "python", "nano"}, "what else is there to check?"


def test_every_link_leads_to_a_file() -> None:
    # The page of parameters is written when the site is built.
    made = {ROOT / "docs/parameters.md"}
    lost = [(page.name, target) for page, target in links() if not (page.parent / target).exists()]
    assert len(links()) > 20
    assert [(page, target) for page, target in lost if ROOT / "docs" / target not in made] == []


def configured() -> dict[str, Any]:
    catalog: dict[str, Any] = {}
    for file in (ROOT / "conf" / "base").glob("catalog_*.yml"):
        catalog |= yaml.safe_load(file.read_text())
    return catalog


def test_every_path_is_in_the_tree_or_in_the_catalog() -> None:
    layers = {entry["filepath"].split("/")[1] for entry in configured().values()} | {"01_raw", ".work"}
    checked = 0
    for said in spans():
        folder, _, rest = said.text.partition("/")
        if " " in said.text.split("<")[0] or not folder or not rest or not (ROOT / folder).is_dir():
            continue
        checked += 1
        if folder == "data":
            assert said.text.split("/")[1] in layers, said
            continue
        pattern = re.sub("|".join(INVENTED) + r"|<[^>]+>", "*", said.text)
        assert list(ROOT.glob(pattern)), said
    assert checked > 10


def test_every_name_is_in_the_code() -> None:
    code = "".join(
        path.read_text()
        for folder, kind in (("src", "py"), ("conf", "yml"))
        for path in ROOT.glob(f"{folder}/**/*.{kind}")
    )
    words = set(re.findall(r"\w+", code))
    groups = {name: {entry.path.replace("[]", "") for entry in entries(name)} for name in MODELS}
    names = [said for said in spans() if re.fullmatch(r"[a-z]\w*(\.\w+)*", said.text)]
    assert len(names) > 100
    for said in names:
        group, _, path = said.text.partition(".")
        if path and group in groups and not path.endswith(("yml", "py")):
            known = groups[group]
            assert path in known or any(name.startswith(f"{path}.") for name in known), said
        elif "_" in said.text and "." not in said.text:
            # Scores of a split are named after it where they are told.
            assert {said.text, re.sub("^(test|val)_", "", said.text)} & words, said


@cache
def messages() -> dict[str, str]:
    """Return all that each module says, without what is filled in."""
    found = {}
    for path in (ROOT / "src").rglob("*.py"):
        texts = [
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found[str(path.relative_to(ROOT))] = "\n".join(texts)
    return found


QUOTES = re.findall(r"^\*\*“(.+?)”\*\*", (ROOT / "docs" / "faq.md").read_text(), re.M)


@pytest.mark.parametrize("quote", QUOTES)
def test_every_message_that_the_faq_quotes_is_one_of_ours(quote: str) -> None:
    """The fixed words of a quote stand in one module; entries of the catalog may be what is filled in."""
    filled = "|".join(rf"`{name}`" for name in configured())
    parts = [part.strip(" '.:") for part in re.split(rf"…|{filled}", quote)]
    fixed = [part.strip("` ,") for part in parts if len(part.split()) > 1]
    assert fixed, "nothing of the quote is fixed"
    assert [name for name, text in messages().items() if all(part in text for part in fixed)], fixed


def test_the_faq_quotes_messages() -> None:
    assert len(QUOTES) > 10
    assert (ROOT / "docs" / "faq.md") in PAGES
