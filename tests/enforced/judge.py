# SPDX-License-Identifier: Apache-2.0
"""Whether what two documents compile to is what the mark of the field in which they differ promises."""

import reference

# In pictures, and nothing reads it: http2MaxRequests.
NOT_ENFORCED = ("max_outstanding",)


def _without(picture):
    if isinstance(picture, dict):
        return {key: _without(value) for key, value in picture.items() if key not in NOT_ENFORCED}
    return [_without(item) for item in picture] if isinstance(picture, list) else picture


class Load:
    """What the program answers for one set of documents, of which `document` is the object that matters."""

    def __init__(self, answer, document):
        self.picture, self.messages = _without(answer["picture"]), answer["messages"]
        meta = document.get("metadata", {})
        rows = [row for row in answer["objects"] if row["kind"] == document["kind"] and row["name"] == meta.get("name")
                and row["group"] == document["apiVersion"].rpartition("/")[0]]
        self.row = next((row for row in rows if row["namespace"] in (meta.get("namespace", "default"), "")), None)

    @property
    def status(self):
        return self.row["status"] if self.row else "not read"

    @property
    def refused(self):
        return self.picture is None or self.row is None or self.status == "refused"

    def about(self, path):
        """Messages on this field."""
        return [one for one in self.messages if f" {written(path)}: " in one]


def written(path):
    """The field as messages name it."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


def _words(load):
    return f"{load.status}: {'; '.join(load.messages) or 'no message'}"


def _enforced(case, before, after):
    if before.refused:
        return f"without it, or with `from`, the object is refused: {_words(before)}"
    if case.refused:
        if after.refused and any(case.refused in one for one in after.messages):
            return None
        return f"the object is to be refused by \"{case.refused}\": {_words(after)}"
    if after.refused:
        return f"the object is refused: {_words(after)}"
    if any("not enforced" in one for one in after.about(case.in_messages)):
        return f"is not enforced: {_words(after)}"
    if case.status:
        return None if _words(before) != _words(after) else f"changes neither status nor messages: {_words(after)}"
    return None if before.picture != after.picture else f"changes nothing: {_words(after)}"


def _without_effect(case, before, after):
    if before.refused or after.refused:
        return f"one of the documents is refused: {_words(before if before.refused else after)}"
    if before.picture != after.picture:
        return "has an effect"
    new = [one for one in after.about(case.in_messages) if one not in before.messages]
    for marks, word in ((reference.WARNED, "warning"), (reference.NOTED, "note")):
        if case.row.mark in marks:
            return None if any(f": {word}: " in one for one in new) else f"there is no {word}: {_words(after)}"
    return f"has a message: {new}" if new else None


def _refused(case, before, after):
    if before.refused:
        return f"without it the object is refused: {_words(before)}"
    if after.refused and any(str(case.path[-1]) in one and ": error: " in one for one in after.messages):
        return None
    return f"the object is not refused because of it: {_words(after)}"


def _not_served(case, before, after):
    if before.refused or after.refused:
        return f"one of the documents is refused: {_words(before if before.refused else after)}"
    if before.picture == after.picture:
        return f"has no effect: {_words(after)}"
    return None if set(after.messages) - set(before.messages) else "what is not served has no message"


def judge(case, before, after):
    """What is wrong, in words; None: the mark is true."""
    if case.row.enforced:
        return _enforced(case, before, after)
    if case.row.mark in (reference.REFUSED, reference.ALWAYS_REFUSED):
        return _refused(case, before, after)
    if case.row.mark == reference.NOT_SERVED:
        return _not_served(case, before, after)
    return _without_effect(case, before, after)


def judge_required(path, load):
    """The same for a required field that is not written."""
    if load.refused and any("is missing its " in one or "is empty" in one for one in load.messages):
        return None
    return f"is required, and an object without {written(path)} is taken: {_words(load)}"
