"""What cannot work takes one line and status 2, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from resaga.cli import command

NOBODY = "http://127.0.0.1:1"

CASES = [
    (["list", "--admin", NOBODY], "does not answer"),
    (["list", "--admin", "http://[::1"], "is no address"),
    (["list", "--admin", "nonsense"], "is no address"),
    (["list", "--admin", NOBODY, "--state", "lost"], "is no state"),
    (["list", "--admin", NOBODY, "--newer", "soon"], "is no age"),
    (["list", "--admin", NOBODY, "--older", "99999999d"], "than there is a calendar"),
    (["list", "--admin", NOBODY, "--older", "9999999999999d"], "than there is a calendar"),
    (["show", "order-1", "--json", "--mermaid"], "exclude each other"),
    (["show", "order-1", "--admin", NOBODY], "does not answer"),
    (["serve", "shop.py"], "names no app"),
    (["serve", "shop:app", "--tls-cert", "FILE"], "give both"),
    (["serve", "shop:app", "--tls-cert", "FILE", "--tls-key", "nowhere"], "no file nowhere"),
    (["serve", "shop:app", "--tls-cert", "FILE", "--tls-key", "FILE"], "as PEM"),
    (["serve", "shop:app", "--identity-key", "secret"], "publickeyv1_"),
    (["serve", "shop:app", "--register", "localhost:9070"], "is no address"),
    (["serve", "shop:app", "--advertise", "http://shop:port"], "is no address"),
    (["dev", "shop"], "names no app"),
    (["dev", "shop:app", "--watch", "nowhere"], "no folder nowhere"),
    (["dev", "shop:app", "--data", "FILE"], "FILE cannot be the folder"),
]


@pytest.mark.parametrize(("arguments", "said"), CASES, ids=lambda value: str(value)[:60])
def test_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "FILE").write_text("nothing of use")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command.app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("resaga: error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
