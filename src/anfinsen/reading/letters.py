"""The letter policy: which characters of a stranger's sequence are mended, kept or refused, and what is said.

mended   lower case, blanks, tabs, digits, Windows line ends, a byte order mark, '*' at the end, J (read as L)
kept     the twenty residues; X, B, Z, U and O, with a message
refused  '*' inside, gaps (unless they are to be removed), every other character, DNA and RNA, SMILES,
         three-letter codes, and chains that are too short or too long

Positions count the letters and signs of one record from 1; blanks, line ends and digits do not count.
Knows nothing of files: `reading.readers` adds the place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from anfinsen.errors import InputError
from anfinsen.limits import LIMITS, Limits
from anfinsen.structure.protein import Message

Messages = tuple[Message, ...]

_BLANKS = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
_DIGITS = re.compile(r"[0-9]+")
_FOREIGN = re.compile(r"[^A-Za-z]")
_SMILES = re.compile(r"(?:Cl|Br|[BCNOPSFIbcnops]|\[[^\[\]\s]{1,30}\]|[-=#$:/\\.+()@%*~]|\d)+")
_SMILES_SIGN = re.compile(r"[()\[\]=#@/\\]|[A-Za-z]\d")
_THREE = tuple(re.findall("...", "ALAARGASNASPCYSGLNGLUGLYHISILELEULYSMETPHEPROSERTHRTRPTYRVAL"))
_THREE_GLUED = re.compile(rf"(?:{'|'.join(name.capitalize() for name in _THREE)}){{4,}}")
_DNA = "ACGTUN"
_DNA_SHARE, _DNA_LENGTH = 0.9, 30
_SHOWN = 10
"""Places that one message lists before it only counts."""

RARE = {
    "X": "an unknown residue",
    "B": "aspartate or asparagine",
    "Z": "glutamate or glutamine",
    "U": "selenocysteine",
    "O": "pyrrolysine",
}
"""Letters that are kept though they are none of the twenty residues, each with its meaning."""


def mend(
    raw: str,
    *,
    remove_gaps: bool = False,
    limits: Limits = LIMITS,
    is_alignment: Callable[[], bool] | None = None,
) -> tuple[str, Messages]:
    """Residues in capitals and what was changed to get them, or an InputError that says why there are none.

    `is_alignment` is asked only when a gap is refused, to say so when the whole source is an alignment.

    >>> mend("mktayiakqr*")[0]
    'MKTAYIAKQR'
    """
    _refuse_other_notations(raw)
    text, messages = _without_layout(raw)
    text, told = _without_stop_and_gaps(text, remove_gaps)
    messages += told
    if bad := _FOREIGN.search(text):
        raise _refusal(bad.group(), bad.start() + 1, is_alignment)
    text, told = _in_capitals(text)
    messages += told
    refuse_length(len(text), limits)
    _refuse_nucleotides(text)
    return text, messages + remark(text, limits)


def remark(sequence: str, limits: Limits = LIMITS) -> Messages:
    """What must be said about a clean sequence: rare and unknown residues, and letters that a SMILES shares."""
    told: list[Message] = []
    for letter, meaning in RARE.items():
        if letter in sequence:
            places = [at for at, residue in enumerate(sequence, 1) if residue == letter]
            told.append(Message("info", f"{letter} ({meaning}) was kept at {listed(places)}.", places[0]))
    share = sequence.count("X") / max(1, len(sequence))
    if share > limits.unknown_share:
        text = f"{share:.0%} of the residues are unknown (X): answers for this protein are of low confidence."
        told.append(Message("warning", text))
    if sequence and set(sequence) <= set("BCNOPSFI"):
        text = "These letters can also be read as a SMILES string (a drug); they were read as residues."
        told.append(Message("warning", text))
    return tuple(told)


def refuse_length(length: int, limits: Limits = LIMITS) -> None:
    """Refuse a chain of `length` residues that is empty, too short or too long."""
    if length == 0:
        raise InputError("The record has no residues.", remedy="Add its sequence, or take the record out.")
    if length < limits.min_residues:
        raise InputError(
            f"The sequence has {_residues(length)}; the shortest that is answered has {limits.min_residues}.",
            remedy="Give the whole protein, or leave this peptide out.",
        )
    if length > limits.max_residues:
        raise InputError(
            f"The sequence has {_residues(length)}; the longest that is answered has {limits.max_residues:,}.",
            remedy="Cut it into domains and give them as records of their own.",
        )


def compact(raw: str) -> str:
    """The letters and signs of a record, without blanks, line ends and digits: what positions count."""
    return _DIGITS.sub("", _BLANKS.sub("", raw.removeprefix("\ufeff")))


def listed(places: list[int]) -> str:
    """Positions in words.

    >>> listed([3, 7])
    'positions 3, 7'
    """
    shown = ", ".join(str(place) for place in places[:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"position{'s' if len(places) > 1 else ''} {shown}{more}"


def name_character(letter: str) -> str:
    """A character with its code point and its name, safe to print.

    >>> name_character("ß")
    "'ß' (U+00DF LATIN SMALL LETTER SHARP S)"
    """
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        return f"Byte 0x{code - 0xDC00:02X} (not UTF-8 text)"
    name = unicodedata.name(letter, "a control character" if unicodedata.category(letter) == "Cc" else "no name")
    shown = f"'{letter}' " if letter.isprintable() and not unicodedata.combining(letter) else ""
    return f"{shown}(U+{code:04X} {name})" if shown else f"U+{code:04X} ({name})"


def _refuse_other_notations(raw: str) -> None:
    text = raw.strip()
    if _SMILES.fullmatch(text) and _SMILES_SIGN.search(text):
        raise InputError(
            "This is a SMILES string, the written formula of a small molecule, not a protein.",
            remedy="Give it as the drug, and a sequence of residues as the protein.",
        )
    words = text.replace("-", " ").split()
    if _THREE_GLUED.fullmatch(text) or (len(words) >= 4 and all(word.upper() in _THREE for word in words)):
        raise InputError(
            "The residues are written in three-letter code.", remedy="Write one letter for each residue: M for Met."
        )
    if _NUMBER.fullmatch(text):
        raise InputError(
            f"'{text}' is a number and no sequence.",
            remedy="Give residues, or the column of the table that holds them (on the command line: --column NAME).",
        )


def _without_layout(raw: str) -> tuple[str, Messages]:
    told: list[Message] = []
    text = raw.removeprefix("\ufeff")
    if text != raw:
        told.append(Message("mended", "The byte order mark (U+FEFF) at the start was removed."))
    if "\r" in text:
        told.append(Message("mended", "Windows line ends (CR LF) were read as line ends (LF)."))
    text = text.strip("\r\n")
    for sign, one, many in ((" ", "blank was", "blanks were"), ("\t", "tab was", "tabs were")):
        if count := text.count(sign):
            told.append(Message("mended", f"{count} {one if count == 1 else many} removed from the sequence."))
    text = _BLANKS.sub("", text)
    numbers = _DIGITS.findall(text)
    if numbers:
        text = _DIGITS.sub("", text)
        shown = ", ".join(numbers[:3]) + (", ..." if len(numbers) > 3 else "")
        told.append(Message("mended", f"Digits ({shown}) were removed as line numbers; they are not residues."))
    return text, tuple(told)


def _without_stop_and_gaps(text: str, remove_gaps: bool) -> tuple[str, Messages]:
    told: list[Message] = []
    if remove_gaps and (places := [at for at, sign in enumerate(text, 1) if sign in "-."]):
        text = text.replace("-", "").replace(".", "")
        count = f"{len(places)} gap{'s' if len(places) > 1 else ''} ('-' or '.')"
        told.append(Message("mended", f"{count} removed at {listed(places)} of the aligned sequence."))
    stripped = text.rstrip("*")
    if stripped and stripped != text:
        stops = text[len(stripped) :]
        told.append(Message("mended", f"'{stops[:_SHOWN]}' (stop codon) was removed from the end.", len(stripped) + 1))
        text = stripped
    return text, tuple(told)


def _in_capitals(text: str) -> tuple[str, Messages]:
    told: list[Message] = []
    if text and not text.isupper():
        small = [at for at, letter in enumerate(text, 1) if letter.islower()]
        letter, count = text[small[0] - 1], f"{len(small)} lower-case letter{'s' if len(small) > 1 else ''}"
        read = f"{count} read as capital{'s' if len(small) > 1 else ''}, the first '{letter}' as '{letter.upper()}'."
        told.append(Message("mended", read, small[0]))
        text = text.upper()
    if "J" in text:
        places = [at for at, letter in enumerate(text, 1) if letter == "J"]
        meaning = "J (leucine or isoleucine) was read as L (leucine)"
        told.append(Message("mended", f"{meaning} at {listed(places)}.", places[0]))
        text = text.replace("J", "L")
    return text, tuple(told)


def _refusal(letter: str, position: int, is_alignment: Callable[[], bool] | None) -> InputError:
    if letter == "*":
        return InputError(
            f"There is a stop codon '*' at position {position}: is this a raw translation?",
            remedy=f"Cut the sequence at position {position - 1}, or translate another reading frame.",
            position=position,
        )
    if letter in "-.":
        if is_alignment is not None and is_alignment():
            return InputError(
                f"This is an alignment: all records are equally long, with a gap '{letter}' at position {position}.",
                remedy="Give the sequences without gaps, or have them removed (on the command line: --remove-gaps).",
                position=position,
            )
        return InputError(
            f"There is a gap '{letter}' at position {position}.",
            remedy="Take the gaps out, or have them removed (on the command line: --remove-gaps).",
            position=position,
        )
    return InputError(
        f"{name_character(letter)} at position {position} is no residue.",
        remedy="Write the sequence in one-letter code, A to Z.",
        position=position,
    )


def _refuse_nucleotides(text: str) -> None:
    count = sum(text.count(letter) for letter in _DNA)
    if len(text) < _DNA_LENGTH or count < _DNA_SHARE * len(text):
        return
    kind = "RNA" if "U" in text and "T" not in text else "DNA"
    raise InputError(
        f"Looks like {kind}: {count / len(text):.0%} of its {len(text):,} letters are A, C, G, T, U or N.",
        remedy="Have its genes translated (on the command line: --translate), or give the protein.",
    )


def _residues(count: int) -> str:
    return f"{count:,} residue" if count == 1 else f"{count:,} residues"
