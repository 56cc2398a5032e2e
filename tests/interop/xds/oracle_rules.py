# SPDX-License-Identifier: Apache-2.0
"""Random header matchers, rules and questions, from one source of chance: the same seed gives the same."""

KEYS = ("user", "tier", "region", "build")
VALUES = ("alice", "bob", "Alice", "ALICE", "al", "xalicey", "42", "-7", "007", "1.5", "9223372036854775807", "a b", "eu-west", "0", " 42", "-7 ", "+42", "4 2", "")
PATTERNS = ("al.*", "[a-z]+", "\\d+", "(alice|bob)", "", "a.i", "(?i)alice", ".*", "[^0-9]*")


def text_matcher(dice):
    """A StringMatcher."""
    kind = dice.choice(("exact", "prefix", "suffix", "contains", "safeRegex"))
    if kind == "safeRegex":
        return {"safeRegex": {"regex": dice.choice([p for p in PATTERNS if p])}}
    pool = VALUES if kind == "exact" else [v for v in (*VALUES, "a", "A", "e", "-", "LI", "ce") if v]
    return {kind: dice.choice(pool), **({"ignoreCase": True} if dice.random() < 0.25 else {})}


def header_matcher(dice):
    out = {"name": dice.choice(KEYS)}
    chance = dice.random()
    if chance < 0.65:
        out["stringMatch"] = text_matcher(dice)
    elif chance < 0.8:
        start = dice.choice((-10, 0, 1, 41, 42))
        out["rangeMatch"] = {"start": start, "end": start + dice.choice((1, 2, 50))}
    elif chance < 0.95:
        out["presentMatch"] = dice.random() < 0.7
    if dice.random() < 0.25:
        out["invertMatch"] = True
    if dice.random() < 0.25:
        out["treatMissingHeaderAsEmpty"] = True
    return out


def header_matchers(dice):
    return [header_matcher(dice) for _ in range(dice.choice((0, 1, 1, 1, 2, 3)))]


def headers(dice, values=VALUES):
    """What a question carries."""
    return {key: dice.choice(values) for key in KEYS if dice.random() < 0.6}
