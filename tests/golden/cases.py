# SPDX-License-Identifier: Apache-2.0
"""
The inputs of the pictures: the documents of all tests, demos and pages, and those of this directory (cases/GROUP/NAME):

  NAME.yaml   documents
  NAME.json   resources of a discovery service
  NAME/       both: *.yaml, resources*.json (each a file of its own), before*.json (resources as they were before), node.yaml (a
              Node), overrides (lines as `tune` takes them), identity (the node has one)
"""

import dataclasses
import json
import pathlib
import re

import labs

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENTS = ROOT / "tests/documents"
CORPUS = ROOT / "tests/fuzz/corpus"
LISTS = "abcdefg"  # first letters of the corpus of resources, in the order of their types
LIST_OF = ("clusters", "endpoints", "listeners", "routes", "extensions", "secrets", "names")


@dataclasses.dataclass
class Case:
    """documents: {file: text}; resources: objects of lists, one for each file."""
    group: str
    name: str
    documents: dict = dataclasses.field(default_factory=dict)
    node: str = None
    resources: list = dataclasses.field(default_factory=list)
    before: list = dataclasses.field(default_factory=list)
    overrides: str = None
    identity: bool = False  # the node has one


def texts(*paths):
    """Files, and all documents of directories."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return {file.name: file.read_text() for file in files}


def table(path):
    """Rows of tests/documents/bad, without their comments."""
    return [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]


def talks():
    whole = texts(DOCUMENTS / "talks")
    yield Case("talks", "talks", whole)
    yield Case("talks", "slide", {**whole, **texts(DOCUMENTS / "slide")})
    for file, stands, *_ in table(DOCUMENTS / "bad/expected.tsv"):
        yield Case("bad", file, {**whole, stands: (DOCUMENTS / "bad" / file).read_text()})


def demo():
    """Together, and the example of a folder of its own for each."""
    yield Case("demo", "all", texts(ROOT / "tests/demo/documents"))
    for name, text in texts(ROOT / "tests/demo/documents").items():
        yield Case("demo", name, {name: text})


def pages():
    """Whole documents in fences of YAML; a Node among them is the case's."""
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        found = [block for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S) if "apiVersion:" in block]
        node = None
        for number, block in enumerate(found, 1):
            if "kind: Node" in block:
                node = re.sub(r"^  sources:.*\n(?:  - .*\n)*", "", block, flags=re.M)
            name = f"{page.relative_to(ROOT)} {number}"
            yield Case("pages", name, {} if "kind: Node" in block else {"page.yaml": block}, node)


def corpus():
    """What fuzzers begin with."""
    for name, text in texts(CORPUS / "yaml").items():
        yield Case("corpus", name, {name: text})
    lists = {}
    for path in sorted((CORPUS / "xds_map").glob("*.txt")):
        text = path.read_text(errors="replace")
        try:
            item = json.loads(text[1:])
        except ValueError:
            continue
        if text[0] in LISTS and isinstance(item, dict):
            lists.setdefault(LIST_OF[LISTS.index(text[0])], []).append(item)
    lists.pop("secrets", None)
    yield Case("corpus", "resources", resources=[lists])


def own(path):
    case = Case(path.parent.name, path.name if path.is_dir() else path.stem)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if file.name == "identity":
            case.identity = True
        elif file.name == "overrides":
            case.overrides = file.read_text()
        elif file.name.startswith("before"):
            case.before.append(json.loads(file.read_text()))
        elif file.suffix == ".json":
            case.resources.append(json.loads(file.read_text()))
        elif file.name == "node.yaml":
            case.node = file.read_text()
        else:
            case.documents[file.name] = file.read_text()
    return case


def every():
    """All of them, in the order of their names."""
    found = [*talks(), *demo(), *pages(), *corpus()]
    found += [own(path) for path in (HERE / "cases").glob("*/*") if not path.name.startswith(".")]
    found += [Case("labs", name, **what) for name, what in labs.every()]
    return sorted(found, key=lambda case: (case.group, case.name))
