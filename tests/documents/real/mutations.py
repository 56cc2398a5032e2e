# SPDX-License-Identifier: Apache-2.0
"""
Makes mixtures of the documents of this directory, and edits them at random with mistakes that users make: fields and list items that
are removed, copied, swapped, renamed or taken from other documents, values of other types, other numbers and names, addresses as hosts,
truncated text. A seed gives the same result on every machine.
"""

import copy
import json
import pathlib
import random

import yaml

import check
from run import NODE

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 8  # loads of one node
DOCUMENTS_MAX = (4, 4, 8, 8, 60)  # of one set: in a small one more edits meet
ADDRESSES = ("10.0.0.1", "240.240.0.10", "127.0.0.1", "::1", "2001:db8::1")
ODD_ADDRESSES = ("0.0.0.0", "224.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/33", "::", "2001:db8::/32", "::ffff:10.0.0.1", "fe80::1%eth0",
                 "256.1.1.1", "10.1")
NAMES = ("", "a", "*", "*.x", "**", "*.", ".", "a.", "a.x", "A.X", "-a", "a..b", "a b", "a\nb", "a\x00b", "é.x", "localhost", "mesh", "default",
         "istio-system", "./*", "*/*", "~/*", ".", "unix:///a.sock", "a.svc.cluster.local", "a.default.svc.cluster.local", "x" * 63,
         "x" * 64, "x" * 256, "x." * 130, "{a}", "%s%n", "[", "(", "\\", "true", "null", "0", "1s", "1ms", "-1s", "100%", "spiffe://a/ns/b/sa/c")
NUMBERS = (0, 1, 2, 3, 7, 53, 80, 100, 101, 443, 8080, 15006, 20880, 65535, 65536, 99999, -1, -2147483649, 2**31, 2**32, 2**53, 2**63, 2**64,
           10**30, 0.5, 1e-9, 1e308, float("inf"), float("nan"))
OTHERS = (None, True, False, "", [], {}, [[]], [None], {"": None}, {"a": {}}, [{}], "x", 1, "1", [1], ["a", "a"], {"a": "b"})
# Lists whose items have names or numbers of their own.
NUMBERED = ("ports", "servers", "subsets", "endpoints", "http", "tcp", "tls", "routes", "rules", "hosts", "addresses", "listeners", "from", "to", "when",
            "route", "match", "sources", "identities", "providers", "jwtRules", "containers", "subjectAltNames", "configPatches", "spec")
WORDS = ("resolution", "location", "mode", "action", "protocol", "exportTo", "operation", "type", "tlsMode", "trafficPolicy", "matchType")
# Kinds whose objects become configuration; others are read and ignored.
MEANT = ("ServiceEntry", "WorkloadEntry", "Service", "EndpointSlice", "DestinationRule", "VirtualService", "Gateway", "Sidecar", "MetaRouter",
         "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "EnvoyFilter", "DubboAuthorizationPolicy", "ConfigMap")
HOSTS = ("hosts", "host", "address", "addresses", "sniHosts", "exportTo", "gateways", "clusterIP", "clusterIPs")


class Twin(str):
    """A key that stands in a map beside an equal one."""
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def __ne__(self, other):
        return self is not other


class Document:
    """Its text, or a tree that was changed. `mesh`: a MeshConfig, and no object."""

    def __init__(self, text, tree=None, namespace="-", mesh=False):
        self.text, self.tree, self.namespace, self.mesh = text, tree, namespace, mesh

    def opened(self):
        """A copy that may be changed; None: it cannot be parsed."""
        if not isinstance(self.tree, dict):
            return None
        return Document(None, copy.deepcopy(self.tree), self.namespace, self.mesh)

    def written(self):
        return self.text if self.text is not None else json.dumps(self.tree, default=str, skipkeys=True)

    def meta(self):
        meta = self.tree.get("metadata") if isinstance(self.tree, dict) else None
        return meta if isinstance(meta, dict) else {}

    def kind(self):
        return str(self.tree.get("kind")) if isinstance(self.tree, dict) else "?"


def slots(tree, out):
    """All places of a tree, as (container, key)."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        out.append((tree, key))
        if isinstance(value, (dict, list)) and value:
            slots(value, out)
    return out


class Corpus:
    """All documents, and the values that each key has in them."""

    def __init__(self):
        self.sets, self.values, self.keys, self.nodes = {}, {}, [], []
        for table in sorted(HERE.glob("*/expected.tsv")):
            self.sets[table.parent.name] = list(self._read(table.parent))
        for path in sorted(HERE.glob("*.node.yaml")):
            self.nodes.append(yaml.safe_load(path.read_text()))
        self.keys = sorted(self.values)
        self.names = sorted(self.sets)

    def _read(self, directory):
        namespace = check.fallback(directory)
        for path in sorted(directory.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
            if path.suffix not in (".yaml", ".yml", ".json") or hidden:
                continue
            for _, text in check.pieces(path):
                try:
                    tree = yaml.load(text, yaml.CSafeLoader)
                except (yaml.YAMLError, ValueError):
                    tree = None
                if isinstance(tree, (dict, list)):
                    self._learn(tree)
                yield Document(text, tree, "-" if namespace == "default" else namespace)

    def _learn(self, tree):
        for container, key in slots(tree, []):
            if isinstance(container, dict):
                self.values.setdefault(str(key), []).append(container[key])

    def like(self, chance, key):
        """A value that this key has somewhere."""
        return copy.deepcopy(chance.choice(self.values.get(str(key)) or self.values[chance.choice(self.keys)]))


# ---- edits of one document: each gets the chance, the corpus, the document and all documents of its set ----

def place(chance, document):
    """Some place of it: mostly below its spec."""
    spec = document.tree.get("spec")
    top = spec if isinstance(spec, (dict, list)) and spec and chance.random() < 0.8 else document.tree
    return chance.choice(slots(top, []))


def drop(chance, _corpus, document, _all):
    container, key = place(chance, document)
    del container[key]


def other_type(chance, _corpus, document, _all):
    container, key = place(chance, document)
    container[key] = copy.deepcopy(chance.choice(OTHERS))


def other_value(chance, corpus, document, _all):
    container, key = place(chance, document)
    if isinstance(container, dict):
        container[key] = corpus.like(chance, key)
    else:
        container[key] = copy.deepcopy(container[chance.randrange(len(container))])


def leaf(chance, document, kinds):
    """A place whose value is of one of these types, or None."""
    found = [(c, k) for c, k in slots(document.tree, []) if isinstance(c[k], kinds) and not (c is document.tree and k in ("apiVersion", "kind"))]
    return chance.choice(found) if found else None


def other_number(chance, _corpus, document, every):
    at = leaf(chance, document, (int, float))
    if not at:
        return
    if chance.random() < 0.5:
        at[0][at[1]] = chance.choice(NUMBERS)
        return
    other = leaf(chance, chance.choice(every), (int, float)) if chance.random() < 0.5 else leaf(chance, document, (int, float))
    if other:
        at[0][at[1]] = other[0][other[1]]


def as_text(chance, _corpus, document, _all):
    """A number as a text, or a text in another case."""
    at = leaf(chance, document, (int, float, str))
    if at:
        value = at[0][at[1]]
        at[0][at[1]] = str(value) if not isinstance(value, str) else chance.choice((value.upper(), value.lower(), value + ".", " " + value, value[:-1]))


def other_name(chance, _corpus, document, every):
    at = leaf(chance, document, str)
    if not at:
        return
    if chance.random() < 0.4:
        at[0][at[1]] = chance.choice(NAMES)
        return
    other = leaf(chance, chance.choice(every), str)
    if other:
        at[0][at[1]] = other[0][other[1]]


def address_as_host(chance, _corpus, document, _all):
    found = [(c, k) for c, k in slots(document.tree, []) if isinstance(c, dict) and k in HOSTS]
    if not found:
        return
    hosts = [(c, k) for c, k in found if k == "hosts"]
    container, key = chance.choice(hosts if hosts and chance.random() < 0.5 else found)
    value, other = container[key], chance.choice(chance.choice((ADDRESSES, ADDRESSES, ODD_ADDRESSES, NAMES)))
    if isinstance(value, list) and value:
        value[chance.randrange(len(value))] = other
    else:
        container[key] = other


def other_word(chance, corpus, document, _all):
    """One of the few words that a field may have for another one of them."""
    found = [(c, k) for c, k in slots(document.tree, []) if isinstance(c, dict) and k in WORDS]
    if found:
        container, key = chance.choice(found)
        container[key] = corpus.like(chance, key)


def other_instances(chance, _corpus, document, _all):
    """A service that finds its instances in another way; those that it names stay, or do not."""
    spec = document.tree.get("spec")
    if not isinstance(spec, dict):
        return
    spec["resolution"] = chance.choice(("STATIC", "DNS", "DNS", "DNS_ROUND_ROBIN", "NONE"))
    if chance.random() < 0.6:
        spec.pop("endpoints", None)
        spec.pop("workloadSelector", None)


def copy_item(chance, corpus, document, _all):
    """A list item twice, such as one port; of the copy one field may be another one."""
    lists = [c[k] for c, k in slots(document.tree, []) if isinstance(c[k], list) and c[k] and (k in NUMBERED or chance.random() < 0.2)]
    if not lists:
        return
    items = chance.choice(lists)
    item = copy.deepcopy(chance.choice(items))
    if isinstance(item, dict) and item and chance.random() < 0.7:
        key = chance.choice(list(item))
        item[key] = chance.choice((corpus.like(chance, key), f"{item[key]}-b", chance.choice(NUMBERS)))
    items.insert(chance.randrange(len(items) + 1), item)


def many_items(chance, _corpus, document, _all):
    lists = [c[k] for c, k in slots(document.tree, []) if isinstance(c[k], list) and c[k]]
    if not lists:
        return
    items = chance.choice(lists)
    pattern = copy.deepcopy(items)
    for number in range(chance.choice((3, 10, 70))):
        item = copy.deepcopy(pattern[number % len(pattern)])
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            item["name"] += f"-{number}"
        if isinstance(item, str) and chance.random() < 0.5:
            item += str(number)
        items.append(item)


def swap(chance, _corpus, document, every):
    """Two values of it, or of it and another document."""
    a, b = place(chance, document), place(chance, document)
    if chance.random() < 0.5:
        other = chance.choice(every)
        key = a[1]
        same = [(c, k) for c, k in slots(other.tree, []) if k == key]
        b = chance.choice(same) if same else b
        a[0][a[1]] = copy.deepcopy(b[0][b[1]])
        return
    x, y = copy.deepcopy(a[0][a[1]]), copy.deepcopy(b[0][b[1]])
    a[0][a[1]] = y
    # The first one may have held the second one.
    b[0][b[1]] = x


def shuffle(chance, _corpus, document, _all):
    lists = [c[k] for c, k in slots(document.tree, []) if isinstance(c[k], list) and len(c[k]) > 1]
    if lists:
        chance.shuffle(chance.choice(lists))


def rename_key(chance, corpus, document, _all):
    container, key = place(chance, document)
    if isinstance(container, dict):
        value = container.pop(key)
        container[chance.choice((chance.choice(corpus.keys), str(key)[:-1], str(key).upper(), str(key) + "s"))] = value


def add_key(chance, corpus, document, _all):
    container, _ = place(chance, document)
    if isinstance(container, dict):
        key = chance.choice(corpus.keys)
        container[key] = corpus.like(chance, key)


def key_twice(chance, corpus, document, _all):
    container, key = place(chance, document)
    if isinstance(container, dict):
        container[Twin(key)] = corpus.like(chance, key) if chance.random() < 0.5 else copy.deepcopy(container[key])


def other_metadata(chance, _corpus, document, every):
    """Name, namespace or labels of another document."""
    meta, other = document.tree.get("metadata"), chance.choice(every).meta()
    if not isinstance(meta, dict):
        return
    key = chance.choice(("name", "namespace", "namespace", "labels", "creationTimestamp", "annotations"))
    if key in other:
        meta[key] = copy.deepcopy(other[key])
    elif key == "namespace":
        meta[key] = chance.choice(("istio-system", "default", "a"))
    elif key == "creationTimestamp":
        meta[key] = chance.choice(("2024-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "9999-99-99", 0))


def other_kind(chance, _corpus, document, every):
    other = chance.choice(every).tree
    for key in ("apiVersion", "kind"):
        if key in other and chance.random() < 0.8:
            document.tree[key] = other[key]


def deep(chance, _corpus, document, _all):
    container, key = place(chance, document)
    for _ in range(chance.choice((5, 40, 120))):
        container[key] = [container[key]] if chance.random() < 0.5 else {"a": container[key]}


def cut_text(chance, _corpus, document, _all):
    """Text that is no longer what it was: shorter, with a line more or less, with other letters."""
    text = document.written() if chance.random() < 0.3 else yaml.safe_dump(json.loads(document.written()), allow_unicode=True)
    lines = text.splitlines()
    at = chance.randrange(len(lines)) if lines else 0
    how = chance.randrange(6)
    if how == 0:
        text = text[:chance.randrange(len(text) + 1)]
    elif how == 1:
        text = "\n".join(lines[:at] + lines[at + 1:])
    elif how == 2:
        text = "\n".join(lines[:at] + lines[at:at + 1] + lines[at:])
    elif how == 3:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice("{}[]:,&*!|>'\"%@`#-?\t\n\r\x00\ufeff é<") + text[at + chance.randrange(2):]
    elif how == 4:
        text = "\n".join(lines[:at] + [" " + line for line in lines[at:at + 3]] + lines[at + 3:])
    else:
        text = text.replace(": ", chance.choice((": &a ", ": *a ", ": !!str ", ":  ")), chance.randrange(1, 3))
    document.text, document.tree = text, None


EDITS = (drop, drop, other_type, other_value, other_value, other_value, other_number, other_number, as_text, other_name, other_name, other_name,
         other_word, other_word, address_as_host, address_as_host, address_as_host, copy_item, copy_item, copy_item, many_items, swap, swap, shuffle, rename_key, add_key, add_key,
         key_twice, other_metadata, other_metadata, other_metadata, other_kind, deep, cut_text)
# More of what only some kinds have.
EDITS_OF = {"ServiceEntry": EDITS + (address_as_host, other_instances, copy_item) * 4}


# ---- sets ---------------------------------------------------------------------------------------------

def one_edit(chance, corpus, documents, often):
    """Changes the list; returns what was done in words. Half of the edits are of the document at the place `often`, if it can be edited."""
    legible = [at for at, document in enumerate(documents) if isinstance(document.tree, dict) and document.tree]
    how = chance.random()
    if how < 0.06 or not legible:
        documents.insert(chance.randrange(len(documents) + 1), chance.choice(corpus.sets[chance.choice(corpus.names)]))
        return "a document of another directory"
    every = [documents[each] for each in legible]
    at = often if often in legible and chance.random() < 0.5 else chance.choice(legible)
    if documents[at].kind() not in MEANT:
        at = chance.choice(legible)
    words = f"{documents[at].kind()} {documents[at].meta().get('name')}"
    if how < 0.10:
        del documents[at]
        return f"{words}: away"
    if how < 0.22:
        documents.insert(at, documents[at])
        words += ", a copy"
    edit = chance.choice(EDITS_OF.get(documents[at].kind(), EDITS))
    opened = documents[at].opened()
    edit(chance, corpus, opened, every)
    documents[at] = opened
    return f"{words}: {edit.__name__}"


def mixture(chance, corpus):
    """The documents of one to three directories, some of them moved to one namespace."""
    names = chance.sample(corpus.names, chance.choice((1, 1, 2, 2, 3)))
    documents = [document for name in names for document in corpus.sets[name]]
    most = chance.choice(DOCUMENTS_MAX)
    if len(documents) > most:
        documents = chance.sample(documents, most)
    if chance.random() < 0.4:
        moved = [document.opened() or document for document in documents]
        namespace = chance.choice(("default", "istio-system", "a"))
        for document in moved:
            if document.text is None and isinstance(document.tree.get("metadata"), dict):
                document.tree["metadata"]["namespace"] = namespace
        documents = moved
    return names, documents


def node_of(chance, corpus):
    node = copy.deepcopy(chance.choice(corpus.nodes)) if chance.random() < 0.5 else json.loads(json.dumps(NODE))
    node["spec"].pop("sources", None)
    return Document(None, node)


def mesh_config(chance, corpus, documents):
    """The MeshConfig of some ConfigMap, as a file of its own."""
    if chance.random() < 0.9:
        return documents
    texts = [text for text in corpus.values.get("mesh", []) if isinstance(text, str)]
    return [Document(chance.choice(texts), mesh=True), *documents] if texts else documents


class Step:
    """One set: its files, those that cannot be read, and what was changed."""

    def __init__(self, documents, partial, words):
        self.documents, self.partial, self.words = documents, partial, words

    def records(self):
        """As tests/golden/loads.c reads them."""
        out = []
        for document in self.documents:
            text = document.written().encode("utf-8", "surrogatepass")
            head = f"mesh {len(text)}\n" if document.mesh else f"text {document.namespace} {len(text)}\n"
            out += [head.encode(), text]
        out += [f"partial {number}\n".encode() for number in self.partial]
        return b"".join(out) + b"load\n"


class Chain:
    """What one node loads, one set after another: its flags, and the steps."""

    def __init__(self, corpus, seed, number):
        chance = random.Random(f"{seed} {number}")
        self.seed, self.number = seed, number
        self.flags = "i" * (chance.random() < 0.4) + "l" * (chance.random() < 0.4)
        names, base = mixture(chance, corpus)
        self.names = ", ".join(names)
        base = mesh_config(chance, corpus, [node_of(chance, corpus), *base])
        self.steps, documents = [], list(base)
        for _ in range(STEPS):
            if chance.random() < 0.25:
                documents = list(base)
            often = chance.randrange(max(1, len(documents)))
            words = [one_edit(chance, corpus, documents, often) for _ in range(chance.choice((0, 1, 2, 3, 6)))]
            if chance.random() < 0.1:
                chance.shuffle(documents)
            partial = [chance.randrange(len(documents))] if documents and chance.random() < 0.05 else []
            self.steps.append(Step(list(documents), partial, words))

    def start(self):
        return f"start {self.flags}\n".encode()
