"""``python -m protocol.schema`` writes the files generated from the message classes: JSON Schema and TypeScript."""

import json
from pathlib import Path

from protocol.json_schema import json_schema
from protocol.typescript import typescript

ROOT = Path(__file__).parent.parent
JSON_SCHEMA = ROOT / "protocol" / "schema.json"
TYPESCRIPT = ROOT / "gateway" / "web" / "src" / "protocol.ts"


def generated() -> dict[Path, str]:
    """Return the content of each generated file."""
    return {
        JSON_SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        TYPESCRIPT: typescript(),
    }


def main() -> None:
    """Write the generated files."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
