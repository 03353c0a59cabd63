"""`lab.classification`: the first rule that matches decides, and the file's mistakes are named."""

from pathlib import Path

import pytest

from lab.classification import classify_job, parse_use_mapping
from lab.records import Job, Use
from ledger.errors import Code, ConditionError
from ledger.positions import Seconds

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mapping.toml"


def job(**names: str) -> Job:
    return Job("aurora", "1", "COMPLETED", Seconds(0), Seconds(1), {"h100": 1}, 1, 1, **names)  # type: ignore[arg-type]


def test_the_first_rule_whose_patterns_all_match_decides() -> None:
    mapping = parse_use_mapping(
        b"""
        [[rule]]
        account = "pre*"
        name = "eval-*"
        use = "evaluation"
        [[rule]]
        account = "pre*"
        use = "training"
        run = "{account}/{name}"
        utilisation_permille = 420
        """
    )
    evaluation = classify_job(job(account="pretraining", name="eval-1"), mapping)
    assert (evaluation.use, evaluation.run, evaluation.utilisation_permille) == (Use.EVALUATION, None, 400)
    training = classify_job(job(account="pretraining", name="Atlas 7B"), mapping)
    assert (training.use, training.run, training.utilisation_permille) == (Use.TRAINING, "pretraining-atlas-7b", 420)
    assert classify_job(job(account="PRETRAINING"), mapping).is_default


def test_without_a_rule_a_job_is_other_and_says_that_no_rule_matched() -> None:
    kind = classify_job(job(name="x"), parse_use_mapping(b""))
    assert (kind.use, kind.run, kind.is_default) == (Use.OTHER, None, True)


def test_the_default_may_be_the_cautious_one() -> None:
    mapping = parse_use_mapping(b'[default]\nuse = "training"\nutilisation_permille = 1000\n')
    kind = classify_job(job(name="???"), mapping)
    assert (kind.use, kind.run, kind.utilisation_permille) == (Use.TRAINING, "unnamed", 1000)


@pytest.mark.parametrize("name", ["x" * 500, "Ünïcode", "-", "", "a_b.c/d"])
def test_a_run_is_always_an_identifier(name: str) -> None:
    run = classify_job(job(name=name), parse_use_mapping(b'[[rule]]\nuse = "training"\n')).run
    assert run is not None
    assert 0 < len(run) <= 64
    assert set(run) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_example_gives_every_account_of_the_example_clusters_a_use() -> None:
    mapping = parse_use_mapping(EXAMPLE.read_bytes())
    found = {
        account: classify_job(job(account=account, partition=partition), mapping).use
        for account, partition in (
            ("pretraining", "train"),
            ("post-training", "train"),
            ("serving", "serve"),
            ("evals", "train"),
        )
    }
    assert list(found.values()) == [Use.TRAINING, Use.POST_TRAINING, Use.INFERENCE, Use.EVALUATION]
    assert classify_job(job(account="research", name="ablation-width"), mapping).run == "ablations"


@pytest.mark.parametrize(
    "raw",
    [
        b"[[rule]]\n",
        b'[[rule]]\nuse = "idle"\n',
        b'[[rule]]\nuse = "training"\npartitions = "x"\n',
        b'[[rule]]\nuse = "training"\nrun = "{user}"\n',
        b'[[rule]]\nuse = "training"\nutilisation_permille = 0\n',
        b'[[rule]]\nuse = "training"\nutilisation_permille = 1001\n',
        b"[default]\nutilisation_permille = 0.4\n",
        b"rule = 3\n",
        b"[[rule\n",
        b"\xff",
        b"#" * (1024 * 1024 + 1),
        b'[[rule]]\nuse = "other"\n' * 1001,
    ],
)
def test_a_mistake_in_the_file_is_refused(raw: bytes) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_use_mapping(raw)
    assert caught.value.code is Code.CONFIG
    assert caught.value.field.startswith("mapping")
