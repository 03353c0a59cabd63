"""`counterseal observe witness …`: make a witness, serve it, see what it remembers, list a ledger for one."""

import json
import secrets
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of the witness.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A file with the passphrase on one line, mode 0600; else you are asked."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def register(room: typer.Typer) -> None:
    """Mount these commands in the observer's."""
    room.add_typer(app, name="witness", help="Be a witness for transparency logs (C2SP tlog-witness).")


def _find_passphrase(file: Path | None, *, is_new: bool) -> bytes:
    from ledger.sealedfile import encode_passphrase  # noqa: PLC0415 - `verify` starts without it
    from observer.witness import read_passphrase_file  # noqa: PLC0415 - loads the server

    if file is not None:
        return encode_passphrase(read_passphrase_file(file))
    if not sys.stdin.isatty():
        return encode_passphrase("")  # which is refused, in the words for a passphrase that is nowhere
    typed: str = typer.prompt("Passphrase", hide_input=True, err=True, confirmation_prompt=is_new)
    return encode_passphrase(typed)


@app.command()
def init(
    *,
    home: HomeOption,
    name: Annotated[str, typer.Option(help="Name of its key: a URL without scheme, such as witness.example.org.")],
    passphrase_file: PassphraseOption = None,
    argon2_memory_kib: Annotated[int | None, typer.Option(help="Memory that one guess costs; default: 65536.")] = None,
    argon2_passes: Annotated[int | None, typer.Option(help="Passes over that memory; default: 3.")] = None,
) -> None:
    """Make the key of a new witness, and the memory that belongs to it; prints what others configure."""
    from ledger.notes import encode_vkey  # noqa: PLC0415 - only when it runs
    from ledger.sealedfile import DEFAULT_COST, Cost  # noqa: PLC0415 - the same
    from tlog.witness import init_witness  # noqa: PLC0415 - the same

    cost = Cost(
        memory_kib=DEFAULT_COST.memory_kib if argon2_memory_kib is None else argon2_memory_kib,
        passes=DEFAULT_COST.passes if argon2_passes is None else argon2_passes,
        lanes=DEFAULT_COST.lanes,
    )
    passphrase = _find_passphrase(passphrase_file, is_new=True)
    key = init_witness(home, name, passphrase, randomness=secrets.token_bytes, cost=cost)
    typer.echo("Set up. Write the logs it is to witness into its folder, then serve it. Its key:", err=True)
    typer.echo(encode_vkey(key))


@app.command()
def serve(
    *,
    home: HomeOption,
    listen: Annotated[str, typer.Option(help="host:port; put a proxy with TLS before it.")] = "127.0.0.1:7310",
    logs: Annotated[Path | None, typer.Option(help="The list of logs; default: `logs` in the folder.")] = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Serve the witness until SIGTERM or Ctrl-C; prints the address."""
    import asyncio  # noqa: PLC0415 - only when it runs

    from observer import witness  # noqa: PLC0415 - the same
    from tlog.addresses import parse_address  # noqa: PLC0415 - the same
    from tlog.witness import read_log_list  # noqa: PLC0415 - the same

    address = parse_address(listen, field="--listen")
    listed = read_log_list(home / witness.LOGS_FILE if logs is None else logs)

    def on_up(vkey: str, port: int) -> None:
        typer.echo(f"{vkey}; logs it witnesses: {len(listed)}", err=True)
        typer.echo(f"http://{type(address)(address.host, port)}")

    passphrase = _find_passphrase(passphrase_file, is_new=False)
    asyncio.run(witness.serve(home, passphrase, listed, address, on_up=on_up))


@app.command()
def status(*, home: HomeOption, as_json: JsonOption = False) -> None:
    """Show which checkpoint of each log was cosigned last, and which logs signed two trees of one size."""
    from observer.witness import describe_state, encode_state  # noqa: PLC0415 - loads the server

    state = encode_state(home)
    if as_json:
        typer.echo(json.dumps(state, ensure_ascii=False, indent=2))
        return
    for line in describe_state(state):
        typer.echo(line)


@app.command(name="list")
def list_ledger(
    *,
    copy: Annotated[Path, typer.Option("--copy", help="Folder of your own copy of the ledger.")],
    has_seal: Annotated[
        bool, typer.Option("--seal", help="List the key of the seal, not the members' log keys.")
    ] = False,
) -> None:
    """Print a ledger as a list of logs, for a witness to be configured with."""
    from observer.copy import require_copy  # noqa: PLC0415 - only when it runs
    from observer.witness import make_log_list  # noqa: PLC0415 - the same

    with require_copy(copy) as opened:
        typer.echo(make_log_list(opened.keys, has_seal=has_seal), nl=False)
