"""The README shows the code that runs."""

import re
from inspect import getsource
from pathlib import Path
from textwrap import dedent

from gateway import session


def test_the_lines_that_the_readme_shows_are_those_of_the_session() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"## How it works, in a dozen lines\n\n```python\n(.*?)```", readme, re.DOTALL)
    code = dedent(getsource(session.serve_sessions).partition('"""\n    requests = ')[2].partition("\n")[2])
    assert shown == code
