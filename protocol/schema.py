"""``python -m protocol.schema`` writes what is made from the message classes: JSON Schema and TypeScript."""

from pathlib import Path

from protocol.typescript import typescript

ROOT = Path(__file__).parent.parent


def generated() -> dict[Path, str]:
    """What each generated file should hold."""
    return {
        ROOT / "gateway" / "web" / "src" / "protocol.ts": typescript(),
    }


def main() -> None:
    """Write the generated files."""
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
