"""``resaga serve``."""

from __future__ import annotations

import re
import ssl
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from resaga.cli.serve.gateway import verifier_of
from resaga.cli.trouble import DEBUG_HELP, BadInput, one_line_errors

__all__ = ["add_serve_command"]

IDENTITY_KEY: Final = re.compile(r"publickeyv1_[1-9A-HJ-NP-Za-km-z]{32,60}")


class LogFormat(StrEnum):
    """How to log."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """What to log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def add_serve_command(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve")(serve)


def serve(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:APP", help="What restate.app([...]) gave: shop.app:app."),
    ],
    *,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 9080,
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many processes.")] = 1,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="How many plain `def` actions run at a time in each process."),
    ] = None,
    streams: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many attempts one connection carries; beyond it Restate opens another, "
            "which another process may take.",
        ),
    ] = 200,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TLS certificate, as PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key, as PEM.")
    ] = None,
    identity_key: Annotated[
        list[str] | None,
        typer.Option(
            envvar="RESAGA_IDENTITY_KEY",
            metavar="KEY",
            help="Refuse requests that this key of the Restate server has not signed "
            "(publickeyv1_…); may be repeated, in the environment with spaces between.",
        ),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(metavar="ADMIN_URL", help="Register at this Restate server when it is up."),
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Restate reaches it; else as it listens."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace what is registered there. For development only."),
    ] = False,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds that running actions may take to end on SIGTERM."),
    ] = 30.0,
    log_format: Annotated[LogFormat, typer.Option(help="How to log.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="What to log.")] = LogLevel.INFO,
    token: Annotated[str | None, typer.Option(envvar="RESTATE_AUTH_TOKEN", hidden=True)] = None,
    debug: Annotated[bool, typer.Option("--debug", help=DEBUG_HELP)] = False,
) -> None:
    """Serve sagas in production: several processes, signed requests, an end that loses nothing."""
    # Here, and not above: the other commands need no granian.
    from resaga.cli.serve.run import ServeSettings  # noqa: PLC0415
    from resaga.cli.serve.run import serve as run  # noqa: PLC0415

    with one_line_errors(debug=debug):
        run(
            ServeSettings(
                target=target,
                host=host,
                port=port,
                workers=workers,
                threads=threads,
                tls=_tls(tls_cert, tls_key),
                identity_keys=_identity_keys(identity_key or []),
                admin=_address("--register", register, "http://127.0.0.1:9070"),
                advertise=_address("--advertise", advertise, "https://shop.internal:9080"),
                force=force,
                token=token,
                grace=timedelta(seconds=grace),
                log_format=log_format.value,
                log_level=log_level.value,
                streams=streams,
            )
        )


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise BadInput("TLS takes two files: give both --tls-cert and --tls-key.")
    for file in (certificate, key):
        if not file.is_file():
            raise BadInput(f"there is no file {file}. Give PEM files to --tls-cert and --tls-key.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_ask)
    except OSError as error:  # Which those of ssl are, too.
        raise BadInput(
            f"{certificate} and {key} are no certificate and its private key as PEM, or cannot be "
            f"read ({error.strerror or error}). Give such files, the key without a passphrase, to "
            "--tls-cert and --tls-key."
        ) from error
    return certificate, key


def _ask() -> str:
    """No passphrase: OpenSSL would ask the terminal for it, and granian takes none."""
    return ""


def _address(option: str, given: str | None, example: str) -> str | None:
    if given is None:
        return None
    parts = urlsplit(given)
    try:
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port that is no number.
        fits = False
    if not fits:
        raise BadInput(f"{option} {given!r} is no address. Give one like {example}.")
    return given.rstrip("/")


def _identity_keys(keys: list[str]) -> list[str]:
    for key in keys:
        if IDENTITY_KEY.fullmatch(key) is None:
            raise BadInput(
                f"--identity-key {key[:40]!r} is no public key of a Restate server: those begin "
                "with publickeyv1_. The server logs its own when it starts with a private key."
            )
    try:
        verifier_of(keys)
    except Exception as error:
        raise BadInput(
            f"--identity-key: one is no public key of a Restate server: {error}."
        ) from error
    return keys
