"""The node's metrics: every name once, every event counted where it should be."""

import re

from prometheus_client.parser import text_string_to_metric_families

from ledger.blocks import encode_header
from ledger.positions import Epoch, Height, LeafIndex, MemberIndex, Millis, TreeSize, View
from node.consensus.messages import Misconduct
from node.metrics import Metrics


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    families = text_string_to_metric_families(metrics.encode().decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_final_block_moves_height_size_and_counts() -> None:
    metrics = Metrics()
    header = encode_header(
        ledger_id=bytes(32),
        epoch=Epoch(1),
        view=View(3),
        height=Height(2),
        parent=bytes([1]) * 32,
        time_ms=Millis(1_500),
        proposer=MemberIndex(1),
        first_index=LeafIndex(4),
        tree_size=TreeSize(9),
        root=bytes(32),
        entries_digest=bytes(32),
        state_digest=b"",
    )
    metrics.on_block(header, is_sealed=True)
    samples = read(metrics)
    assert samples["counterseal_height",] == 2
    assert samples["counterseal_tree_size",] == 9
    assert samples["counterseal_block_time_seconds",] == 1.5
    assert samples["counterseal_blocks_total", "true"] == 1
    assert samples["counterseal_entries_total",] == 5


def test_other_events_are_counted_under_their_labels() -> None:
    metrics = Metrics()
    metrics.on_view(Epoch(1), View(7))
    metrics.on_submissions(admitted=1, refused={"WRONG_SEQUENCE": 1})
    metrics.on_submissions(admitted=3, refused={"WRONG_SEQUENCE": 1})
    metrics.on_finality(Millis(700))
    metrics.on_publish(TreeSize(5))
    metrics.on_evidence(Misconduct.DOUBLE_NOTARIZE)
    metrics.on_faults({("bb", "WRONG_SHARE"): False, ("bb", "DOUBLE_NOTARIZE"): True})
    metrics.on_peer("bb", is_connected=True, skew=Millis(-250), height=8)
    metrics.on_refused("bb", {"SIGNATURE": 1})
    metrics.on_refused("bb", {"SIGNATURE": 2, "WRONG_SEAL": 1})
    metrics.on_certificates({"bb": 1_900_000_000})
    waiting = [1]
    metrics.measure_mempool(lambda: len(waiting), lambda: 100 * len(waiting))
    waiting.append(2)
    expected = {
        ("counterseal_view",): 7,
        ("counterseal_submissions_total", "ADMITTED"): 3,
        ("counterseal_submissions_total", "WRONG_SEQUENCE"): 1,
        ("counterseal_finality_seconds_bucket", "1.0"): 1,
        ("counterseal_finality_seconds_bucket", "0.5"): 0,
        ("counterseal_published_tree_size",): 5,
        ("counterseal_evidence_total", "DOUBLE_NOTARIZE"): 1,
        ("counterseal_faulted", "WRONG_SHARE", "bb"): 0,
        ("counterseal_faulted", "DOUBLE_NOTARIZE", "bb"): 1,
        ("counterseal_peer_up", "bb"): 1,
        ("counterseal_peer_clock_skew_seconds", "bb"): -0.25,
        ("counterseal_peer_height", "bb"): 8,
        ("counterseal_peer_refused_total", "bb", "SIGNATURE"): 2,
        ("counterseal_peer_refused_total", "bb", "WRONG_SEAL"): 1,
        ("counterseal_tls_not_after_seconds", "bb"): 1.9e9,
        ("counterseal_mempool_entries",): 2,
        ("counterseal_mempool_bytes",): 200,
    }
    assert expected.items() <= read(metrics).items()


def test_two_nodes_in_one_process_stay_apart() -> None:
    one, other = Metrics(), Metrics()
    one.on_publish(TreeSize(5))
    assert read(other)["counterseal_published_tree_size",] == 0


def test_every_series_is_named_and_explained() -> None:
    text = Metrics().encode().decode()
    helped = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    assert len(helped) > 15
    assert all(name.startswith("counterseal_") and len(sentence) > 10 for name, sentence in helped)
