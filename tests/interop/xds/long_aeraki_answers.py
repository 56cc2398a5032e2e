#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Asks a real Aeraki, beside a real istiod, for the routes of the MetaRouters in tests/documents/istiod: its answers must be those that are
kept there, with which run.py there compares Meltemi's own reading. Where Aeraki is not built already, AERAKI_SOURCE says
where its checkouts are (istiod/build.sh).

  long_aeraki_answers.py [--update] [--show] [--keep DIRECTORY]
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import long_istiod_answers  # noqa: E402


def aerakis(lab, questions):
    import aeraki_lab

    lab.routers((aeraki_lab.asked.SCENES / f"{questions[0].scene}.yaml").read_text())
    tables = lab.tables([f"{one.host}_{one.port}" for one in questions])
    return {one.name: aeraki_lab.answer(tables[f"{one.host}_{one.port}"]) for one in questions}


if __name__ == "__main__":
    long_istiod_answers.inside(__file__)
    from aeraki_lab import Lab

    sys.exit(long_istiod_answers.main(Lab, aerakis, True, __doc__))
