"""Setting a node up: a folder with keys, settings and a public file; and a draft out of several public files."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.agreement import Agreement
from ledger.charter import Accelerator, ConsensusParameters, Grid, Limit, compute_quorum
from ledger.errors import Code, ConditionError
from ledger.positions import Millis, Seconds
from ledger.sealedfile import DEFAULT_COST, Cost
from node.config import encode_default_config
from node.draft import PUBLIC_FILE_BYTES_MAX, Draft, PublicFile, encode_draft, encode_public_file, parse_public_file
from node.home import Home, read_file, write_file
from node.keystore import Keystore, Passphrase
from node.tls import issue_certificate, write_tls_key


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """What a member says of itself when it sets up its node.

    Attributes:
        id: short name in statements, a-z, 0-9 and hyphens.
        name: what people call it.
        node: name of its keys in signed notes, a URL without its scheme.
        peer: host and port that other members reach it at.
        public: host and port of its gRPC services.
        http: base URL of its published files.
    """

    id: str
    name: str
    node: str
    peer: str
    public: str
    http: str


def init_member(
    home: Home,
    profile: MemberProfile,
    passphrase: Passphrase,
    *,
    settings: Mapping[str, Mapping[str, object]],
    now: Seconds,
    cost: Cost = DEFAULT_COST,
) -> PublicFile:
    """Make a node's folder: keys, TLS certificate, settings, public file.

    Raises:
        LedgerError: there are keys already, a value is not of its form, or the disk refuses.
    """
    if home.config.exists():
        raise ConditionError(
            field=str(home.config), found="a node set up already", expected="an empty folder", code=Code.CONFIG
        )
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keystore(home.keys, randomness=secrets.token_bytes, cost=cost).create(passphrase)
    tls = issue_certificate(member_id=profile.id, sign=keys.identity.sign, now=now)
    home.tls.mkdir(mode=0o700, exist_ok=True)
    write_tls_key(home.tls, tls)
    public = PublicFile(
        id=profile.id,
        name=profile.name,
        node=profile.node,
        identity=keys.identity.public_key,
        cosigner=keys.cosigner.public_key,
        cosigner_ml_dsa=keys.cosigner.ml_dsa_public_key,
        log=keys.log.public_key,
        encryption=keys.encryption.public_key,
        peer=profile.peer,
        public=profile.public,
        http=profile.http,
        tls_certificate=tls.certificate.decode(),
    )
    raw = encode_public_file(public)
    parse_public_file(raw)  # a wrong value is told now, not to the founder who drafts
    write_file(home.public_file, raw)
    write_file(home.config, encode_default_config(**settings).encode())
    return public


def renew_tls(home: Home, folder: Path, passphrase: Passphrase, *, now: Seconds) -> None:
    """Write a fresh TLS key and a certificate for it into a folder; what the node uses now stays as it is.

    Raises:
        LedgerError: the node is not set up, the passphrase is wrong, or the disk refuses.
    """
    member = parse_public_file(read_file(home.public_file, size_max=PUBLIC_FILE_BYTES_MAX))
    keys = Keystore(home.keys, randomness=secrets.token_bytes).open(passphrase)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_tls_key(folder, issue_certificate(member_id=member.id, sign=keys.identity.sign, now=now))


@dataclass(frozen=True, slots=True)
class Terms:
    """What founders agree on beside who they are; every value can be changed in the draft afterwards."""

    origin: str
    title: str
    grid: Grid
    consensus: ConsensusParameters
    limits: tuple[Limit, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    agreement: Agreement | None = None


# Peak dense 16-bit rates, board powers: the makers' published data sheets.
ACCELERATORS = (
    Accelerator(model="a100", peak_gflops=312_000, tdp_w=400, idle_w=50),
    Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70),
    Accelerator(model="h200", peak_gflops=989_400, tdp_w=700, idle_w=75),
    Accelerator(model="b200", peak_gflops=2_250_000, tdp_w=1000, idle_w=140),
)


def make_draft(public_files: Sequence[Path], terms: Terms, *, now: Millis) -> bytes:
    """Make the draft of a charter out of the founders' public files, in the order given.

    Raises:
        LedgerError: a file or a value is not of its form, or two founders share a key or a name.
    """
    members = tuple(parse_public_file(read_file(path, size_max=PUBLIC_FILE_BYTES_MAX)) for path in public_files)
    return encode_draft(
        Draft(
            origin=terms.origin,
            title=terms.title,
            quorum=compute_quorum(len(members)),
            founded_at_ms=now,
            grid=terms.grid,
            consensus=terms.consensus,
            limits=terms.limits,
            accelerators=terms.accelerators,
            agreement=terms.agreement,
            members=members,
        )
    )
