"""`counterseal node …`: set a node up, hold the ceremony, run it, see how it stands; each calls one function."""

import asyncio
import gc
import json
import resource
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ledger.notes import encode_vkey
from ledger.positions import FIRST_EPOCH, Seconds
from ledger.sealedfile import DEFAULT_COST, Cost
from node import publish_cli
from node.beacon_status import describe_beacon, encode_beacon_status
from node.ceremony import CeremonyHost, CeremonyParts, write_result
from node.config import Config, open_config
from node.daemon import Node, TlsIdentity, read_charter, read_clock
from node.draft import compute_session
from node.fingerprint import fingerprint_words
from node.home import Home, members_of_charter
from node.journal import open_journal
from node.keystore import CREDENTIALS_VARIABLE, Keystore, Passphrase, find_passphrase
from node.operating import OperatorClient
from node.preflight import MemberKeys
from node.setup import MemberProfile, init_member, renew_tls
from node.starting import prepare_history
from node.tls import read_tls_key
from node.upkeep_cli import check_folder, repair_folder
from node.v1 import operator_pb2
from node.witnessing import init_node_witness, open_node_witness

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run a nation's node.")

HomeOption = Annotated[Path, typer.Option("--home", help="The node's folder.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="COUNTERSEAL_PASSPHRASE_FILE",
        help="A file with the passphrase on one line, mode 0600. Else a systemd credential, else you are asked.",
    ),
]
CredentialsOption = Annotated[Path | None, typer.Option(envvar=CREDENTIALS_VARIABLE, hidden=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LINGER_S: Final = 60.0
OPEN_FILES: Final = 65_536
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

out = Console()
err = Console(stderr=True, soft_wrap=True)


def read_passphrase(file: Path | None, credentials: Path | None) -> Passphrase:
    """Find the passphrase where the operator put it, or ask."""
    environment = {} if credentials is None else {CREDENTIALS_VARIABLE: str(credentials)}
    is_asked = sys.stdin.isatty()
    return find_passphrase(file=file, environment=environment, prompt=_ask if is_asked else None)


def _ask() -> str:
    answer: str = typer.prompt("Passphrase", hide_input=True, err=True)
    return answer


def _now_s() -> Seconds:
    return Seconds(time.time_ns() // 1_000_000_000)


@app.command()
def init(
    *,
    home: HomeOption,
    member_id: Annotated[str, typer.Option("--id", help="Short name in statements: a-z, 0-9 and hyphens.")],
    name: Annotated[str, typer.Option(help="What people call this member.")],
    node_name: Annotated[str, typer.Option(help="Name of its keys in signed notes, such as node.example.org.")],
    peer: Annotated[str, typer.Option(help="host:port that other members reach this node at.")],
    public: Annotated[str, typer.Option(help="host:port that labs and observers reach its gRPC services at.")],
    http: Annotated[str, typer.Option(help="Base URL of its published files.")],
    metrics: Annotated[str, typer.Option(help="host:port where Prometheus finds /metrics.")] = "127.0.0.1:7304",
    listen_host: Annotated[str, typer.Option(help="Address of this machine to listen on.")] = "0.0.0.0",  # noqa: S104
    http_listen: Annotated[str | None, typer.Option(help="host:port to serve the published files at.")] = None,
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
    argon2_memory_kib: Annotated[int, typer.Option(help="Memory that one guess costs.")] = DEFAULT_COST.memory_kib,
    argon2_passes: Annotated[int, typer.Option(help="Passes over that memory.")] = DEFAULT_COST.passes,
) -> None:
    """Make the folder of a new node: keys, TLS certificate, settings, and the public file to send to who drafts."""
    settings = {
        "peer": {"listen": f"{listen_host}:{peer.rpartition(':')[2]}"},
        "public": {"listen": f"{listen_host}:{public.rpartition(':')[2]}"},
        "http": {
            "listen": http_listen or f"{listen_host}:7303",
            "metrics_listen": metrics,
        },
    }
    init_member(
        Home(home),
        MemberProfile(id=member_id, name=name, node=node_name, peer=peer, public=public, http=http),
        read_passphrase(passphrase_file, credentials),
        settings=settings,
        now=_now_s(),
        cost=Cost(memory_kib=argon2_memory_kib, passes=argon2_passes, lanes=DEFAULT_COST.lanes),
    )
    err.print(f"Set up. Look at {home / 'node.toml'}, then send {home / 'public.json'} to the founder who drafts.")
    typer.echo(home / "public.json")


@app.command()
def ceremony(
    home: HomeOption,
    draft_file: Annotated[Path, typer.Option("--draft", help="The draft that all founders agreed on.")],
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
    linger_s: Annotated[float, typer.Option(help="How long to answer founders who are not done yet.")] = LINGER_S,
) -> None:
    """Hold the founding ceremony with the other founders; afterwards `run` the node."""
    place, config = _open(home)
    passphrase = read_passphrase(passphrase_file, credentials)
    with place.alone():
        place.take_draft(draft_file)
        asyncio.run(_found_until_stopped(place, config, passphrase, linger_s=linger_s))


def _open(home: Path) -> tuple[Home, Config]:
    """Read the settings, begin the journal, and take as many open files as the system gives: each link is one."""
    config = open_config(Home(home).config)
    open_journal(level=config.log.level, form="json" if config.log.format == "json" else "console")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return Home(config.node.home), config


async def _found_until_stopped(
    place: Home, config: Config, passphrase: Passphrase, *, linger_s: float
) -> CeremonyHost | None:
    """Found, or end in order on SIGTERM and Ctrl-C: what was said is kept, and the ceremony taken up from there."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in _STOPPING:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await _found(place, config, passphrase, linger_s=linger_s)
    except asyncio.CancelledError:
        err.print("stopped before the ceremony was done; start again to go on with it")
        return None
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)


async def _found(place: Home, config: Config, passphrase: Passphrase, *, linger_s: float) -> CeremonyHost:
    keystore = Keystore(place.keys, randomness=secrets.token_bytes)
    parts = CeremonyParts(
        home=place,
        config=config,
        draft=place.read_draft(),
        keys=keystore.open(passphrase),
        tls=read_tls_key(place.tls),
        now=_now_s(),
    )
    host = CeremonyHost(parts, report=lambda text: err.print(f"ceremony: {text}"))
    if place.is_founded:
        return host
    result = await host.hold(linger_s=linger_s)
    write_result(place, result, keystore, passphrase)
    words = fingerprint_words(result.digest)
    err.print("\nThe ceremony is done. Compare these words with every other founder by telephone, before you go on:")
    for start in range(0, len(words), 6):
        err.print("    " + " ".join(words[start : start + 6]))
    err.print(f"transcript fingerprint: {result.digest.hex()}")
    err.print("charter fingerprint, for labs and observers:")
    typer.echo(result.charter.fingerprint)
    return host


@app.command()
def run(
    home: HomeOption,
    draft_file: Annotated[
        Path | None, typer.Option("--draft", help="Hold the ceremony over this draft first, if it was not held yet.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Run the node until SIGTERM or Ctrl-C."""
    place, config = _open(home)
    passphrase = read_passphrase(passphrase_file, credentials)
    with place.alone():
        if draft_file is not None and not place.is_founded:
            place.take_draft(draft_file)
        asyncio.run(_run(place, config, passphrase))


async def _run(place: Home, config: Config, passphrase: Passphrase) -> None:
    host = await _found_until_stopped(place, config, passphrase, linger_s=0)
    if host is None:
        return
    keystore = Keystore(place.keys, randomness=secrets.token_bytes)
    keys, share = keystore.open(passphrase), keystore.open_share(FIRST_EPOCH, passphrase)
    charter = read_charter(place.store)
    certificates, wrong = place.find_certificates(members_of_charter(charter), me=share.member, now=_now_s())
    for index, problem in wrong.items():
        err.print(f"{charter.member(index).id} is left out until its certificate is right: {problem}", soft_wrap=True)
    members_keys = MemberKeys(identity=keys.identity, cosigner=keys.cosigner, log=keys.log, share=share)
    tls = TlsIdentity(own=read_tls_key(place.tls), members=certificates)
    session_id = compute_session(place.read_draft())
    witness = open_node_witness(place, config.witness.logs, charter, passphrase)
    await prepare_history(config, members_keys, tls, session_id=session_id)
    node = Node(config, members_keys, tls, host.on_found, session_id=session_id, witness=witness)
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, node.stop)
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again and again
    await node.run()


@app.command()
def check(home: HomeOption, passphrase_file: PassphraseOption = None, credentials: CredentialsOption = None) -> None:
    """Look through everything on a stopped node's disk: every block is executed again. Changes nothing."""
    check_folder(home, read_passphrase(passphrase_file, credentials))


@app.command()
def repair(
    home: HomeOption,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Say what is wrong on a stopped node's disk, and mend what can be mended without voting twice."""
    repair_folder(home, read_passphrase(passphrase_file, credentials), yes=yes)


@app.command(name="renew-tls")
def renew(
    home: HomeOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the new key and certificate.")],
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Make a fresh TLS key and certificate, to be used once every other member has the certificate."""
    renew_tls(Home(home), output, read_passphrase(passphrase_file, credentials), now=_now_s())
    err.print(f"Send {output / 'tls.pem'} to every other member, who puts it in place of theirs and restarts.")
    typer.echo(output / "tls.pem")


@app.command(name="init-witness")
def init_witness(
    home: HomeOption,
    passphrase_file: PassphraseOption = None,
    credentials: CredentialsOption = None,
    argon2_memory_kib: Annotated[int, typer.Option(help="Memory that one guess costs.")] = DEFAULT_COST.memory_kib,
    argon2_passes: Annotated[int, typer.Option(help="Passes over that memory.")] = DEFAULT_COST.passes,
) -> None:
    """Make the key with which this node witnesses foreign logs, and print what their operators configure."""
    cost = Cost(memory_kib=argon2_memory_kib, passes=argon2_passes, lanes=DEFAULT_COST.lanes)
    place = Home(open_config(Home(home).config).node.home)
    key = init_node_witness(place, read_passphrase(passphrase_file, credentials), cost=cost)
    err.print("Set up. Name a list of logs in node.toml (`logs`, section witness) and start the node again. Its key:")
    typer.echo(encode_vkey(key))


@app.command()
def status(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show how a running node stands, and its connections."""
    client = OperatorClient(open_config(Home(home).config).operator.socket)
    answer, peers = client.status(), client.peers().peers
    if as_json:
        typer.echo(json.dumps(_encode_status(answer, peers), indent=2))
        return
    out.print(f"[bold]{answer.member_id}[/] of {answer.origin}: {answer.phase}, version {answer.version}")
    out.print(f"ledger {answer.ledger_id.hex()}")
    out.print(
        f"height {answer.height}, {answer.tree_size} entries, view {answer.view};"
        f" {answer.mempool_entries} statements wait; up {answer.uptime_ms // 1000} s"
    )
    if answer.history_from:
        state = "; restart to use it" if answer.history_audited >= answer.history_from else ""
        out.print(f"history: from block {answer.history_from}, audited to block {answer.history_audited}{state}")
    age_s = max(0, read_clock() - answer.block_time_ms) // 1000
    out.print(
        f"newest block {age_s} s ago; a seal needs {answer.quorum} members,"
        f" this node has links to {answer.peers_connected} others"
    )
    if answer.HasField("beacon"):
        out.print(escape(describe_beacon(answer)), soft_wrap=True)
    for place in answer.published:
        out.print(escape(describe_place(place, now_ms=read_clock())), soft_wrap=True)
    table = Table("member", "address", "link", "clock", "last error")
    refusals = Table("refused from", "for", "times")
    for peer in peers:
        for counter in peer.refused:
            refusals.add_row(peer.id, escape(counter.name), str(counter.value))
        link = "[green]up[/]" if peer.connected else "[red]down[/]"
        # The cause stands last in what was found; --json has all of it.
        problem = peer.last_error.partition("; expected")[0].rpartition(": ")[2]
        skew = f"{peer.clock_skew_ms:+d} ms"
        table.add_row(peer.id, escape(peer.address), link, skew, escape(problem))
    out.print(table)
    if refusals.row_count:
        out.print(refusals)
    for line in answer.misconduct:
        proven = f"faulted since entry {line.index}" if line.on_ledger else "waits for the ledger"
        kept = f"; evidence here, of view {line.view}: {line.file}" if line.file else ""
        out.print(f"[red]misconduct[/] {line.member}: {line.kind}, {proven}{escape(kept)}", soft_wrap=True)
    for counter in sorted(answer.counters, key=lambda counter: counter.name):
        out.print(escape(f"{counter.name}: {counter.value}"))


def describe_place(place: operator_pb2.PublishedPlace, *, now_ms: int) -> str:
    """Say how far a published place is, and what keeps it from being further."""
    size = f"{place.tree_size} entries" if place.tree_size else "nothing yet since the start"
    if not place.problem:
        return f"published: {place.name}, {size}"
    return f"published: {place.name}, {size}; fails since {max(0, now_ms - place.since_ms) // 1000} s: {place.problem}"


def _encode_status(
    answer: operator_pb2.GetStatusResponse, peers: Sequence[operator_pb2.PeerStatus]
) -> dict[str, object]:
    return {
        "member": answer.member_id,
        "origin": answer.origin,
        "ledger": answer.ledger_id.hex(),
        "phase": answer.phase,
        "epoch": answer.epoch,
        "view": answer.view,
        "height": answer.height,
        "tree_size": answer.tree_size,
        "history": {"from": answer.history_from, "audited": answer.history_audited} if answer.history_from else None,
        "root": answer.root.hex(),
        "block_time_ms": answer.block_time_ms,
        "mempool": {"entries": answer.mempool_entries, "bytes": answer.mempool_bytes},
        "quorum": answer.quorum,
        "beacon": encode_beacon_status(answer.beacon) if answer.HasField("beacon") else None,
        "published": [
            {
                "name": place.name,
                "tree_size": place.tree_size,
                "problem": place.problem or None,
                "since_ms": place.since_ms if place.problem else None,
            }
            for place in answer.published
        ],
        "uptime_ms": answer.uptime_ms,
        "version": answer.version,
        "counters": {counter.name: counter.value for counter in answer.counters},
        "misconduct": [
            {
                "member": line.member,
                "kind": line.kind,
                "index": line.index if line.on_ledger else None,
                "file": line.file or None,
            }
            for line in answer.misconduct
        ],
        "peers": [
            {
                "id": peer.id,
                "address": peer.address,
                "connected": peer.connected,
                "clock_skew_ms": peer.clock_skew_ms,
                "last_heard_ms": peer.last_heard_ms,
                "refused": {counter.name: counter.value for counter in peer.refused},
                "last_error": peer.last_error,
            }
            for peer in peers
        ],
    }


@app.command()
def drain(home: HomeOption) -> None:
    """Have a running node refuse new statements, hand on what waits, and stop."""
    handed_on = OperatorClient(open_config(Home(home).config).operator.socket).drain()
    err.print(f"Stopping; {handed_on} waiting statements handed on.")


publish_cli.register(app, read_passphrase)
