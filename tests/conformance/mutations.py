"""Damage done to input files: bytes, elements, ids, numbers, cells, nesting; the same for the same seed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import PurePath
from random import Random
from xml.etree import ElementTree

type Damage = Callable[[bytes, Random], bytes]

NUMBERS = (
    "1e308", "-1e308", "1e-320", "1e400", "NaN", "INF", "-INF", "inf", "-1", "0", "1e30", "99999999999999999999",
    "", "abc", "0x10", "1,5",
)  # fmt: skip
"""Numbers at the edge of what a double holds, and some that are none."""

PIECES = (b"<", b">", b"&", b"\0", b"\xff\xfe", b"\t", b"\n", b'"', b"]]>", b"&#0;", b"../", b"(", b")", b"^", b"e999")
_ID = re.compile(rb'(?<=")[A-Za-z_]\w*(?=")|(?<=>)\s*[A-Za-z_]\w*\s*(?=<)')
# Not the year in a namespace.
_NUMBER = re.compile(rb"(?<![\w./])-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.])")
_MATHS = re.compile(rb"<(?P<prefix>(?:\w+:)?)math\b[^>]*(?<!/)>(?P<inner>.*?)</(?P=prefix)math>", re.DOTALL)


def mutate(content: bytes, name: str, random: Random) -> tuple[str, bytes]:
    """One way of damage, drawn at random, done to a file.

    Args:
        content: The file.
        name: Its name; the suffix decides what can be done.
        random: Where the randomness comes from.

    Returns:
        What was done, and the damaged file.
    """
    suffix = PurePath(name).suffix.lower()
    known = BYTES | (XML if suffix == ".xml" else TABLE if suffix == ".tsv" else LINES)
    ways = sorted(known)
    (way,) = random.choices(ways, [WEIGHTS.get(name, 1) for name in ways])
    return way, known[way](content, random)


def flip_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 3, 20)) if changed else 0):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def cut(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] if random.random() < 0.5 else content[:start] + content[start + random.randrange(200) :]


def insert(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + random.choice(PIECES) * random.choice((1, 1, 2, 1000)) + content[place:]


def swap_ids(content: bytes, random: Random) -> bytes:
    """One identifier takes another's place, once or everywhere."""
    found = sorted({match.group().strip() for match in _ID.finditer(content)})
    if len(found) < 2:
        return flip_bytes(content, random)
    one, other = random.sample(found, 2)
    pattern = re.compile(rb"(?<!\w)" + re.escape(one) + rb"(?!\w)")
    places = list(pattern.finditer(content))
    if random.random() < 0.5:
        return pattern.sub(lambda _: other, content)
    place = random.choice(places)
    return content[: place.start()] + other + content[place.end() :]


def extreme_number(content: bytes, random: Random) -> bytes:
    places = list(_NUMBER.finditer(content))
    if not places:
        return insert(content, random)
    place = random.choice(places)
    return content[: place.start()] + random.choice(NUMBERS).encode() + content[place.end() :]


def _on_tree(change: Callable[[ElementTree.Element, Random], None]) -> Damage:
    def damage(content: bytes, random: Random) -> bytes:
        try:
            for _, (prefix, uri) in ElementTree.iterparse(io.BytesIO(content), events=("start-ns",)):
                if not re.fullmatch(r"ns\d+", prefix):
                    ElementTree.register_namespace(prefix, uri)
            root = ElementTree.fromstring(content)
            change(root, random)
            return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
        except ElementTree.ParseError:
            return flip_bytes(content, random)

    return damage


def _pairs(root: ElementTree.Element) -> list[tuple[ElementTree.Element, ElementTree.Element]]:
    return [(parent, child) for parent in root.iter() for child in parent]


def _drop_element(root: ElementTree.Element, random: Random) -> None:
    if pairs := _pairs(root):
        parent, child = random.choice(pairs)
        parent.remove(child)


def _repeat_element(root: ElementTree.Element, random: Random) -> None:
    if pairs := _pairs(root):
        parent, child = random.choice(pairs)
        parent.append(child)


def _move_element(root: ElementTree.Element, random: Random) -> None:
    if pairs := _pairs(root):
        (_, child), (parent, _) = random.choice(pairs), random.choice(pairs)
        if parent not in child.iter():
            parent.append(child)


def _drop_attribute(root: ElementTree.Element, random: Random) -> None:
    owners = [element for element in root.iter() if element.attrib]
    if owners:
        owner = random.choice(owners)
        del owner.attrib[random.choice(sorted(owner.attrib))]


def _change_attribute(root: ElementTree.Element, random: Random) -> None:
    owners = [element for element in root.iter() if element.attrib]
    if owners:
        owner = random.choice(owners)
        name = random.choice(sorted(owner.attrib))
        owner.attrib[name] = random.choice((*NUMBERS, "true", "false", "S1", " ", "x" * 10_000))


def nest(content: bytes, random: Random) -> bytes:
    """A formula becomes very deep or very long; done in the text, as trees this deep cannot be written."""
    places = list(_MATHS.finditer(content))
    if not places:
        return insert(content, random)
    place = random.choice(places)
    prefix, inner = place["prefix"], place["inner"]
    opened, closed = b"<%sapply>" % prefix, b"</%sapply>" % prefix
    if random.random() < 0.5:
        many = random.choice((30, 100, 390, 5000))
        made = (opened + b"<%sminus/>" % prefix) * many + inner + closed * many
    else:
        many = min(random.choice((10, 1000, 20_000)), 5_000_000 // (len(inner) + 1))
        made = opened + b"<%splus/>" % prefix + inner * many + closed
    return content[: place.start("inner")] + made + content[place.end("inner") :]


def doctype(content: bytes, random: Random) -> bytes:
    """Entities that expand, or that name a file."""
    head, mark, rest = content.partition(b"?>")
    entity = random.choice((b'"aaaaaaaaaa"', b'SYSTEM "file:///etc/hostname"'))
    return head + mark + b"<!DOCTYPE sbml [<!ENTITY a " + entity + b">]>" + rest


def drop_line(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        lines.pop(random.randrange(len(lines)))
    return b"".join(lines)


def repeat_line(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    return b"".join(lines)


def _on_cells(change: Callable[[list[list[bytes]], Random], None]) -> Damage:
    def damage(content: bytes, random: Random) -> bytes:
        rows = [line.split(b"\t") for line in content.splitlines()]
        if rows:
            change(rows, random)
        return b"\n".join(b"\t".join(row) for row in rows) + b"\n"

    return damage


def _drop_column(rows: list[list[bytes]], random: Random) -> None:
    column = random.randrange(len(rows[0]))
    for row in rows:
        del row[column : column + 1]


def _change_cell(rows: list[list[bytes]], random: Random) -> None:
    row = random.choice(rows)
    row[random.randrange(len(row))] = random.choice(
        (*NUMBERS, "a;b;c", "time", "x+", "1/0", "__import__('os')")
    ).encode()


def _swap_cells(rows: list[list[bytes]], random: Random) -> None:
    one, other = random.choice(rows), random.choice(rows)
    i, j = random.randrange(len(one)), random.randrange(len(other))
    one[i], other[j] = other[j], one[i]


def _deep_formula(rows: list[list[bytes]], random: Random) -> None:
    row = random.choice(rows)
    place, many = random.randrange(len(row)), random.choice((50, 100, 5000))
    old = row[place] or b"1"
    row[place] = b"(" * many + old + b")" * many if random.random() < 0.5 else b"+".join([old] * many * 20)


BYTES: dict[str, Damage] = {"flip bytes": flip_bytes, "cut": cut, "insert": insert}
XML: dict[str, Damage] = {
    "swap ids": swap_ids,
    "extreme number": extreme_number,
    "drop element": _on_tree(_drop_element),
    "repeat element": _on_tree(_repeat_element),
    "move element": _on_tree(_move_element),
    "drop attribute": _on_tree(_drop_attribute),
    "change attribute": _on_tree(_change_attribute),
    "deep or long formula": nest,
    "document type": doctype,
}
LINES: dict[str, Damage] = {"drop line": drop_line, "repeat line": repeat_line, "extreme number": extreme_number}
TABLE: dict[str, Damage] = LINES | {
    "drop column": _on_cells(_drop_column),
    "change cell": _on_cells(_change_cell),
    "swap cells": _on_cells(_swap_cells),
    "deep or long formula": _on_cells(_deep_formula),
}
WEIGHTS = {"extreme number": 5, "swap ids": 5, "drop element": 3, "change cell": 3, "swap cells": 2, "repeat line": 2}
"""Damage that leaves a readable file is drawn more often: most of the other kind ends at the parser."""
