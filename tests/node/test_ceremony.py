"""The ceremony over real TLS on loopback: it ends alike for all, and a founder that lost its disk takes it up again."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from devnet.network import find_free_ports
from ledger.charter import ConsensusParameters, Grid
from ledger.errors import ConditionError
from ledger.positions import MemberIndex, Millis, Seconds
from ledger.sealedfile import Cost
from node import ceremony
from node.ceremony import CeremonyHost, CeremonyParts, Report, write_result
from node.ceremony_messages import parse_message
from node.config import open_config
from node.consensus import votelog
from node.daemon import read_clock
from node.founding import FoundingResult
from node.home import Home
from node.keystore import Keystore, Passphrase
from node.setup import MemberProfile, Terms, init_member, make_draft, renew_tls
from node.tls import read_tls_key, verify_certificate
from node.v1 import peer_pb2
from node.votefile import VoteFile

PASSPHRASE = Passphrase.parse("for tests")
COST = Cost(memory_kib=1024, passes=1, lanes=1)
LINGER_S = 20.0  # more than a test takes; who lingers ends as soon as all are done
GRID = Grid(
    start=Seconds(1_700_000_000),
    interval_s=Seconds(3600),
    submit_window_s=Seconds(3600),
    grace_s=Seconds(3600),
    correction_window_s=Seconds(3600),
    challenge_window_s=Seconds(3600),
)
PACE = ConsensusParameters(
    delta_ms=Millis(200), delta_max_ms=Millis(2000), idle_interval_ms=Millis(1000), snapshot_interval=0
)


def random_bytes(size: int) -> bytes:
    with Path("/dev/urandom").open("rb") as source:
        return source.read(size)


def make_homes(root: Path, count: int) -> list[Home]:
    """Set up founders that all took the same draft."""
    now = Seconds(read_clock() // 1000)
    homes = [Home(root / f"n{i}") for i in range(count)]
    for i, (home, port) in enumerate(zip(homes, find_free_ports(count), strict=True)):
        address = f"127.0.0.1:{port}"
        profile = MemberProfile(
            id=f"n{i}",
            name=f"Nation {i}",
            node=f"n{i}.example/node",
            peer=address,
            public=f"n{i}.example:7302",
            http=f"https://n{i}.example",
        )
        init_member(home, profile, PASSPHRASE, settings={"peer": {"listen": address}}, now=now, cost=COST)
    terms = Terms(origin="ledger.example/test", title="Test", grid=GRID, consensus=PACE)
    draft = root / "charter.toml"
    draft.write_bytes(make_draft([home.public_file for home in homes], terms, now=read_clock()))
    for home in homes:
        home.take_draft(draft)
    return homes


def keystore_of(home: Home) -> Keystore:
    return Keystore(home.keys, randomness=random_bytes, cost=COST)


def unheard(text: str) -> None:
    del text


def host_of(home: Home, report: Report = unheard) -> CeremonyHost:
    parts = CeremonyParts(
        home=home,
        config=open_config(home.config),
        draft=home.read_draft(),
        keys=keystore_of(home).open(PASSPHRASE),
        tls=read_tls_key(home.tls),
        now=Seconds(read_clock() // 1000),
    )
    return CeremonyHost(parts, report=report)


async def hold_all(hosts: Sequence[CeremonyHost]) -> list[FoundingResult]:
    async with asyncio.timeout(30):
        return list(await asyncio.gather(*(host.hold(linger_s=LINGER_S) for host in hosts)))


def write(home: Home, result: FoundingResult) -> None:
    write_result(home, result, keystore_of(home), PASSPHRASE)


def read_votes(home: Home, result: FoundingResult) -> tuple[votelog.Record, ...]:
    votes = VoteFile(home.votes, ledger_id=result.charter.ledger_id, member=result.member)
    try:
        return votes.load()
    finally:
        votes.close()


@pytest.fixture
async def founded(tmp_path: Path) -> tuple[list[Home], list[FoundingResult]]:
    homes = make_homes(tmp_path, 3)
    hosts = [host_of(home) for home in homes]
    results = await hold_all(hosts)
    for home, result in zip(homes, results, strict=True):
        write(home, result)
    return homes, results


async def test_all_founders_end_with_one_charter_and_begin_their_vote_logs(
    founded: tuple[list[Home], list[FoundingResult]],
) -> None:
    homes, results = founded
    assert len({result.charter.entry for result in results}) == 1
    assert [result.member for result in results] == [MemberIndex(1), MemberIndex(2), MemberIndex(3)]
    for home, result in zip(homes, results, strict=True):
        assert home.is_founded
        assert read_votes(home, result) == ()


@pytest.mark.parametrize("is_share_kept", [True, False])
async def test_a_founder_left_with_its_keys_takes_its_deal_up_from_others_and_does_not_vote_as_if_it_had_not(
    founded: tuple[list[Home], list[FoundingResult]], *, is_share_kept: bool
) -> None:
    homes, results = founded
    lost = homes[2]
    for path in (lost.store, lost.votes):
        path.unlink()
    shutil.rmtree(lost.ceremony)
    if not is_share_kept:
        (lost.keys / "share-1.key").unlink()
    hosts = [host_of(home) for home in homes]
    again = await hold_all(hosts)
    assert [host.has_lost_records for host in hosts] == [False, False, True]
    assert again[2].charter.entry == results[2].charter.entry
    assert again[2].share == results[2].share
    write(lost, again[2])
    assert lost.is_founded
    assert read_votes(lost, again[2]) == (votelog.Lost(),)


async def test_a_founder_that_lost_only_its_database_keeps_what_it_said(
    founded: tuple[list[Home], list[FoundingResult]],
) -> None:
    homes, results = founded
    home, result = homes[0], results[0]
    votes = VoteFile(home.votes, ledger_id=result.charter.ledger_id, member=result.member)
    votes.load()
    votes.append([votelog.encode_record(votelog.Lost())])  # stands for anything that was written
    votes.close()
    home.store.unlink()
    write(home, result)
    assert read_votes(home, result) == (votelog.Lost(),)


async def test_a_founder_that_kept_nothing_but_keys_and_the_ceremony_does_not_vote_as_if_it_had_not(
    founded: tuple[list[Home], list[FoundingResult]],
) -> None:
    """Its confirmation is among the messages: votes may have followed it, though no share and no log are left."""
    homes, results = founded
    home = homes[1]
    for path in (home.store, home.votes, home.keys / "share-1.key"):
        path.unlink()
    host = host_of(home)
    host._carry_out(host.ceremony.start())
    again = host.ceremony.result()
    assert again is not None
    assert again.charter.entry == results[1].charter.entry
    write(home, again)
    assert home.is_founded
    assert read_votes(home, again) == (votelog.Lost(),)


async def test_a_vote_log_of_a_founding_that_failed_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    homes = make_homes(tmp_path, 2)
    for home in homes:
        stale = VoteFile(home.votes, ledger_id=bytes(32), member=MemberIndex(1))
        stale.create()
        stale.close()
    results = await hold_all([host_of(home) for home in homes])
    for home, result in zip(homes, results, strict=True):
        write(home, result)
        assert read_votes(home, result) == ()
        assert home.votes.with_suffix(".earlier").exists()


async def test_a_second_process_on_a_folder_is_kept_out_of_its_vote_log(
    founded: tuple[list[Home], list[FoundingResult]],
) -> None:
    homes, results = founded
    home, result = homes[0], results[0]
    first, second = (VoteFile(home.votes, ledger_id=result.charter.ledger_id, member=result.member) for _ in range(2))
    first.load()
    with pytest.raises(ConditionError, match="one running node for this folder"):
        second.load()
    first.append([votelog.encode_record(votelog.Lost())])
    first.close()
    assert second.load() == (votelog.Lost(),)
    second.close()


def test_a_renewed_certificate_is_of_another_key_and_vouched_for_by_the_same_identity(tmp_path: Path) -> None:
    home = make_homes(tmp_path, 1)[0]
    now = Seconds(read_clock() // 1000)
    renew_tls(home, tmp_path / "fresh", PASSPHRASE, now=now)
    before, fresh = read_tls_key(home.tls), read_tls_key(tmp_path / "fresh")
    assert fresh.private_key != before.private_key
    identity = keystore_of(home).open(PASSPHRASE).identity.public_key
    verified = verify_certificate(fresh.certificate, member_id="n0", identity=identity, now=now)
    assert verified.pem == fresh.certificate


def test_the_same_draft_again_keeps_a_certificate_that_was_renewed_and_another_draft_brings_its_own(
    tmp_path: Path,
) -> None:
    home = make_homes(tmp_path, 2)[0]
    drafted = (home.peers / "n1.pem").read_bytes()
    (home.peers / "n1.pem").write_bytes(b"renewed")
    home.take_draft(tmp_path / "charter.toml")
    assert (home.peers / "n1.pem").read_bytes() == b"renewed"
    other = tmp_path / "other.toml"
    other.write_bytes((tmp_path / "charter.toml").read_bytes().replace(b'title = "Test"', b'title = "Other"'))
    home.take_draft(other)
    assert (home.peers / "n1.pem").read_bytes() == drafted


async def test_who_waits_to_deal_says_whom_it_waits_for(tmp_path: Path) -> None:
    homes = make_homes(tmp_path, 2)
    reports: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(host_of(homes[0], reports.put_nowait).hold(linger_s=LINGER_S))
    async with asyncio.timeout(20):
        assert await reports.get() == "waiting to reach n1"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_founder_is_given_its_own_messages_first_and_no_more_than_fits(
    founded: tuple[list[Home], list[FoundingResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes, _ = founded
    host = host_of(homes[0])
    everything = host.ceremony.messages()
    member = MemberIndex(2)
    own = [message for message in everything if parse_message(message).body.sender == member]
    monkeypatch.setattr(ceremony, "GIVEN_BYTES_MAX", sum(map(len, own)) + 1)
    request = peer_pb2.FoundRequest(session_id=host.ceremony.session)
    assert sorted(await host.on_found(member, request)) == sorted(own)
    monkeypatch.undo()
    assert sorted(await host.on_found(member, request)) == sorted(everything)


async def test_what_a_founder_has_shown_is_not_given_again_until_it_connects_anew(tmp_path: Path) -> None:
    homes = make_homes(tmp_path, 3)
    hosts = [host_of(home) for home in homes]
    for host in hosts[:2]:
        host._carry_out(host.ceremony.start())
    member = hosts[1].ceremony.member
    held = hosts[1].ceremony.messages()
    request = peer_pb2.FoundRequest(session_id=hosts[0].ceremony.session, messages=held)
    first = await hosts[0].on_found(member, request)
    assert sorted(first) == sorted(hosts[0].ceremony.messages()[:1])
    again = peer_pb2.FoundRequest(session_id=hosts[0].ceremony.session, messages=first)
    assert await hosts[0].on_found(member, again) == []
    hosts[0].on_greeted(member)
    given = await hosts[0].on_found(member, peer_pb2.FoundRequest(session_id=hosts[0].ceremony.session))
    assert sorted(given) == sorted(hosts[0].ceremony.messages())
    assert given[0] == held[0], "its own first"
