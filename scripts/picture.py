"""Makes docs/guide/testing-report.png: the report on the guide's saga, with a mistake in it.

python scripts/picture.py [CHROMIUM]
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from resaga.testing import explore

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide" / "testing.md"
RIGHT = "step.services.charges[step.idempotency_key] = amount"
WRONG = "step.services.charges[str(len(step.services.charges))] = amount"
HEIGHT = 1100


async def everything(shop: object) -> object:
    return shop


def with_the_mistake() -> ModuleType:
    program = re.search(r"```python\n(# checkout\.py\n.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert program is not None
    assert RIGHT in program[1]
    code = (
        program[1]
        .replace(RIGHT, WRONG)
        .replace(
            "step.services.charges.pop(step.forward_idempotency_key, None)",
            'step.services.charges.pop("0", None)',
        )
    )
    module = ModuleType("checkout")
    sys.modules["checkout"] = module
    exec(compile(code, "checkout.py", "exec"), vars(module))
    return module


def main() -> None:
    module = with_the_mistake()

    async def snapshot(shop: object) -> object:
        return {name: sorted(map(str, kept.values())) for name, kept in vars(shop).items()}

    report = asyncio.run(
        explore(module.checkout, "teapot", services=module.Shop, snapshot=snapshot)
    )
    chromium = sys.argv[1] if len(sys.argv) > 1 else "chromium"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        report.write_html(page)
        subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
                *("--disable-component-update", "--disable-sync"),
                f"--user-data-dir={folder}/profile",
                f"--window-size=1000,{HEIGHT}",
                f"--screenshot={GUIDE.with_name('testing-report.png')}",
                page.as_uri(),
            ],
            check=True,
        )
    print(report)


if __name__ == "__main__":
    main()
