"""
XML in and out: safe reading, checking against a schema, and the neutral tree of the mappings.

A node of the tree is a `str` (a leaf without attributes; its text as it is) or a `dict`: children
by prefixed name (a list when the element may repeat), attributes as `@prefix:name`, the text of a
leaf with attributes under the empty key, and `!` when the element is nil (its value is the noValue
reason or empty). No text of an error ever holds a value of a document, nor libxml2's own words.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lxml import etree

from gateway import errors
from gateway.formats.structure import Element
from gateway.formats.tree import ANY, NIL, TEXT, Tree, as_group

MAX_DEPTH = 60
"""The deepest message of ours has 12 levels; a casus with its history stays under 30."""

MAX_MARKUP = 500_000
"""Tags and attributes; a tree of that many takes about 100 MB, a message of ours a thousandth."""

LONG_TEXT = 10_000_000
"""Bytes of one text beyond which libxml2 asks for consent."""

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_XSD = "{http://www.w3.org/2001/XMLSchema}"
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_ENCODING = re.compile(rb"<\?xml[^>]*?[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*[\"']([\w.-]+)[\"']")
_SPACE = re.compile("[ \t\r\n]+")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})
_NIL = ' xsi:nil="true"'
_too_deep = etree.XPath(f"boolean({'/*' * (MAX_DEPTH + 1)})")


def read(document: bytes) -> etree._Element:
    """
    The root of a document, in any encoding libxml2 knows, without comments and instructions.

    Nothing outside the document is read and no entity is expanded. How large it is, is not checked.
    Raises Empty, TooLarge, DtdForbidden, TooDeep, InvalidDocument (with the line, nothing else).
    """
    if not document.strip():
        raise errors.Empty
    # In UTF-16 and UTF-32 these are the same bytes, between zeros.
    if document.count(b"<") + document.count(b"=") > MAX_MARKUP:
        raise errors.TooLarge("Het document bevat te veel elementen en attributen.")
    declared = _ENCODING.match(document)
    if declared and declared[1].upper() != b"UTF-8" and not _plain(declared[1]):
        raise errors.InvalidDocument("Deze tekencodering lezen we niet.")
    # By default libxml2 loads no DTD, uses no network and bounds texts (10 MB) and depth (256).
    # resolve_entities=False expands nothing; that external entities vanish does not matter, as a
    # DOCTYPE is refused. Not shared: lxml lets the users of one parser wait for each other.
    # Those bounds also stop entities that expand without end; where there are none an attachment may
    # be one text of more than 10 MB.
    huge = len(document) > LONG_TEXT and b"<!DOCTYPE" not in document.replace(b"\0", b"")
    parser = etree.XMLParser(
        resolve_entities=False, remove_comments=True, remove_pis=True, huge_tree=huge
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        # `from None`: the text of libxml2 quotes the document and would reach a traceback.
        if b"<!DOCTYPE" in document.replace(b"\0", b""):  # UTF-16 is ASCII with zeros here
            raise errors.DtdForbidden from None
        if str(error.msg).startswith("Excessive depth"):
            raise errors.TooDeep(f"Dieper genest dan {MAX_DEPTH} niveaus.") from None
        raise errors.InvalidDocument(f"Geen welgevormde XML op regel {error.lineno}.") from None
    if root.getroottree().docinfo.internalDTD is not None:  # true for every DOCTYPE
        raise errors.DtdForbidden
    if _too_deep(root):
        raise errors.TooDeep(f"Dieper genest dan {MAX_DEPTH} niveaus.")
    return root


def _plain(encoding: bytes) -> bool:
    """
    Whether libxml2 knows it and ASCII can only stand for itself in it.

    In UTF-7 and its like, which iconv knows, `+ADw-` or `\\u003C` is a `<` too: nothing that looks
    at bytes sees how many there are.
    """
    document = b'<?xml version="1.0" encoding="%s"?><a>+AGE-\\u0061</a>' % encoding
    try:
        text = etree.fromstring(document).text or ""
    except etree.XMLSyntaxError:
        return False
    return text.startswith("+AGE-") and text.endswith("u0061")  # between them, Japan has a yen


def unwrapped(root: etree._Element) -> etree._Element:
    """The document in a SOAP 1.1 envelope, where there is one; else `root` itself."""
    if root.tag != f"{_SOAP}Envelope":
        return root
    inside = [child for body in root.iterchildren(f"{_SOAP}Body") for child in body]
    if len(inside) != 1:
        raise errors.InvalidDocument("De body van een SOAP-envelop bevat precies een document.")
    return inside[0]


# What the partner must know, by error type of libxml2.
_RULES = {
    "ELEMENT_CONTENT": "Dit element is hier niet toegestaan; verwacht",
    "CVC_PATTERN_VALID": "De waarde past niet in het patroon",
    "CVC_ENUMERATION_VALID": "De waarde is geen van de toegestane waarden",
    "CVC_MINLENGTH_VALID": "De waarde heeft minder tekens dan het minimum",
    "CVC_MAXLENGTH_VALID": "De waarde heeft meer tekens dan het maximum",
    "CVC_TOTALDIGITS_VALID": "De waarde heeft meer cijfers dan het maximum",
    "CVC_FRACTIONDIGITS_VALID": "De waarde heeft meer decimalen dan het maximum",
    "CVC_MAXINCLUSIVE_VALID": "De waarde is groter dan het maximum",
    "CVC_MININCLUSIVE_VALID": "De waarde is kleiner dan het minimum",
    "CVC_DATATYPE_VALID_1_2_1": "De waarde is niet van het juiste type",
    "CVC_ELT_3_1": "Dit element mag niet met xsi:nil leeg gelaten worden",
    "CVC_ELT_3_2_1": "Een element met xsi:nil heeft geen inhoud",
    "CVC_COMPLEX_TYPE_2_2": "Dit element bevat alleen tekst, geen elementen",
    "CVC_COMPLEX_TYPE_2_3": "Dit element bevat alleen elementen, geen tekst",
    "CVC_TYPE_3_1_2": "Dit element bevat alleen tekst, geen elementen",
    "CVC_COMPLEX_TYPE_3_2_1": "Dit attribuut is hier niet toegestaan",
    "CVC_TYPE_3_1_1": "Dit attribuut is hier niet toegestaan",
    "CVC_COMPLEX_TYPE_4": "Een verplicht attribuut ontbreekt",
}
# The words of libxml2 after which it quotes the schema; before them it quotes the document.
_SCHEMA_SAYS = re.compile(
    "(?s:.*)(?:by the pattern|of the set|length of|are allowed|Expected is|: The attribute) (.*)"
)
_QUOTED = re.compile(r"'([^']*)'|(\{[^} ]+\}[^ ,)]+)")
_ATTRIBUTE = re.compile(r"Element '[^']*', attribute '([^']*)': ")
_STEP = re.compile(r"([^\[@]+)(?:\[(\d+)\])?")


class XmlSchema:
    """A schema for documents, from the XSD at `path` and what it includes and imports."""

    def __init__(self, path: Path, prefixes: Mapping[str, str]) -> None:
        self.path = path
        self._prefix = {f"{{{namespace}": prefix for prefix, namespace in prefixes.items()}
        self._lock = Lock()  # lxml keeps the errors of a validation in the validator

    def load(self) -> None:
        """Compile now, not with the first document. Raises SchemaMissing."""
        _ = self._compiled

    def validate(self, root: etree._Element) -> None:
        """Raises UnknownDocument, or InvalidDocument with the place and the rule in Dutch."""
        schema, words, roots = self._compiled
        if root.tag not in roots:
            raise errors.UnknownDocument(path=self._name(root.tag))
        with self._lock:
            if schema.validate(root):
                return
            error = next(iter(schema.error_log))  # type: ignore[call-overload]
        place = self._place(root, error.path or "")
        if subject := _ATTRIBUTE.match(error.message):
            place += f"/@{self._name(subject[1])}"
        rule = _RULES.get(error.type_name.removeprefix("SCHEMAV_"), errors.InvalidDocument.titel)
        if ": Missing child" in error.message:
            rule = "Een verplicht element ontbreekt; verwacht"
        says = _SCHEMA_SAYS.match(error.message)
        quoted = (a or b for a, b in _QUOTED.findall(says[1])) if says else ()
        known = ", ".join(self._name(word) for word in quoted if word in words)
        rule = f"{rule}: {known}" if known else rule.removesuffix("; verwacht")
        raise errors.InvalidDocument(f"{rule}.", path=place)

    @cached_property
    def _compiled(self) -> tuple[etree.XMLSchema, set[str], set[str]]:
        """The validator, the names and facet values an error may quote, and the root elements."""
        words: set[str] = set()
        roots: set[str] = set()
        todo, done = [self.path.resolve()], set[Path]()
        try:
            validator = etree.XMLSchema(file=str(self.path))
            while todo:
                if (path := todo.pop()) in done:
                    continue
                done.add(path)
                xsd = etree.parse(str(path)).getroot()
                space = f"{{{xsd.get('targetNamespace', '')}}}"
                for node in xsd.iter(f"{_XSD}*"):
                    words |= {space + node.get("name", ""), node.get("name", "")}
                    words.add(node.get("value", ""))
                    if location := node.get("schemaLocation"):
                        todo.append((path.parent / location).resolve())
                if len(done) == 1:
                    roots = {space + e.get("name", "") for e in xsd.iterchildren(f"{_XSD}element")}
        except (etree.Error, OSError) as error:
            raise errors.SchemaMissing(f"Het schema {self.path.name} is niet te laden.") from error
        return validator, words - {""}, roots

    def _name(self, tag: object) -> str:
        """A word of the schema as partners know it, `?` for any other."""
        if tag not in self._compiled[1]:
            return "?"
        word = str(tag)
        if not word.startswith("{"):
            return word
        namespace, _, local = word.partition("}")
        return f"{self._prefix.get(namespace, '?')}:{local}"

    def _place(self, node: etree._Element, path: str) -> str:
        """The path of libxml2 (`/p:a/*[2]`, prefixes of the document) with our own prefixes."""
        place = self._name(node.tag)
        for step in map(_STEP.fullmatch, path.split("/")[2:]):
            if step is None:  # an attribute
                break
            alike = [c for c in node if step[1] in ("*", _own_name(c))]
            number = int(step[2] or 1)
            if len(alike) < number:  # libxml2 cuts a name off at 100 bytes
                return f"{place}/?"
            twins = list(node.iterchildren(alike[number - 1].tag))
            node = alike[number - 1]
            nth = f"[{twins.index(node) + 1}]" if len(twins) > 1 else ""
            place += f"/{self._name(node.tag)}{nth}"
        return place


def _own_name(node: etree._Element) -> str:
    name = etree.QName(node)
    unprefixed = "*" if name.namespace else name.localname
    return f"{node.prefix}:{name.localname}" if node.prefix else unprefixed


def to_tree(element: etree._Element, structure: Element) -> Any:
    """
    The neutral tree of a validated element.

    Dropped: attributes equal to their fixed or default value (libxml2 lets another value pass),
    `xsi:*`, white space between elements and around values where the schema collapses it. Of an element
    that only a derived type has (`xsi:type`), the name is kept. Raises InvalidDocument for what
    `structure` does not know (a schema that allows more than the structure was made from).
    """
    tree: Tree = {}
    nil = False
    for tag, text in element.items():
        key = structure.attribute_by_tag.get(tag) or structure.added.get(tag)  # type: ignore[arg-type]
        if key is not None:
            if text != structure.fixed.get(key, structure.defaults.get(key)):
                tree[key] = text
        elif tag == f"{XSI}nil":
            nil = text.strip() in ("true", "1")
        elif not tag.startswith(XSI):  # type: ignore[arg-type]
            raise _unknown("attribuut", f"{structure.name}/@?")
    if nil:
        tree[NIL] = tree.pop(structure.reason or "", "")
        return tree
    if structure.leaf:
        value = element.text or ""
        if structure.collapse:
            value = _SPACE.sub(" ", value).strip(" ")
        return {**tree, TEXT: value} if tree else value
    for child in element:
        inner = structure.by_tag.get(child.tag)
        if inner is None and (structure.open or child.tag in structure.added):
            # what it holds is not read; that it was there, is
            tree[structure.added.get(child.tag, ANY)] = ""
            continue
        if inner is None or (inner.name in tree and not inner.repeats):
            raise _unknown("element", f"{structure.name}/?")
        if inner.repeats:
            tree.setdefault(inner.name, []).append(to_tree(child, inner))
        else:
            tree[inner.name] = to_tree(child, inner)
    return tree


def _unknown(what: str, path: str) -> errors.InvalidDocument:
    return errors.InvalidDocument(f"Dit {what} is niet bekend.", path=path)


def to_xml(tree: Any, structure: Element) -> bytes:
    """
    The document of a tree, UTF-8: children in schema order, fixed attributes always written.

    A required element that is missing is written as nil when it may be, else as a group with what
    it requires; of a choice that must be made more than once, what is missing is nil. Does not validate. Raises NotExpressible for a required value that is missing, nil
    where it may not be, or a character XML 1.0 cannot hold; ValueError for a key that is unknown.
    """
    out: list[str] = []
    _write(tree, structure, out, structure.name)
    spaces = dict(structure.namespaces) | ({"xsi": XSI[1:-1]} if _NIL in out else {})
    out[0] += "".join(f' xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{"".join(out)}\n'.encode()


def _write(node: Any, spec: Element, out: list[str], path: str) -> None:
    node = as_group(node)
    nil = NIL in node
    if nil and not spec.nillable:
        raise errors.NotExpressible("Dit element moet een waarde hebben.", path=path)
    if nil and node[NIL] and spec.reason:
        node = {**node, spec.reason: node[NIL]}
    out.append(f"<{spec.name}")
    for key, value in spec.fixed.items():
        out.append(f' {key[1:]}="{_escaped(value, _IN_ATTRIBUTE, path)}"')
    content = (NIL,) if nil else (TEXT,) if spec.leaf else spec.children
    for key, value in node.items():
        if key not in content:
            if key not in spec.attributes:
                raise ValueError(f"the tree has unknown keys at {path}: {key}")
            out.append(f' {key[1:]}="{_escaped(value, _IN_ATTRIBUTE, path)}"')
    if nil:
        out += (_NIL, "/>")
        return
    out.append(f">{_escaped(node.get(TEXT, ''), _IN_TEXT, path)}" if spec.leaf else ">")
    node = _filled(node, spec)
    siblings = not node.keys().isdisjoint(spec.children)
    for name, child in spec.children.items():
        found = node.get(name)
        absent = found is None or found == []
        if absent and not child.required and not (child.wanted and siblings):
            continue
        place = f"{path}/{name}"
        if absent:
            if child.leaf and not child.nillable:
                raise errors.NotExpressible("Een verplicht element heeft geen waarde.", path=place)
            empty: Tree = {NIL: ""} if child.nillable else {}
            found = [empty] if child.repeats else empty
        if child.repeats != isinstance(found, list):
            raise ValueError(f"the tree has one for many or many for one at {place}")
        for item in found if child.repeats else (found,):
            _write(item, child, out, place)
    out.append(f"</{spec.name}>")


def _filled(node: Tree, spec: Element) -> Tree:
    """The node with the first of a choice as nil, as often as the choice still lacks one."""
    counted = {name: node.get(name) or [] for name, child in spec.children.items() if child.least}
    there = sum(map(len, counted.values()))
    if not there:
        return node
    first = next(iter(counted))
    short = spec.children[first].least - there
    return {**node, first: counted[first] + [{NIL: ""}] * short}


def _escaped(text: str, table: dict[int, str], path: str) -> str:
    if _NOT_XML.search(text):
        raise errors.NotExpressible("Een waarde bevat een teken dat XML niet kent.", path=path)
    return text.translate(table)
